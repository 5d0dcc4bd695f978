//! Query parameters, strictly: what a route does not know it does not take.

use std::collections::BTreeMap;

use oubli_domain::FieldErrors;
use oubli_domain::paging::PageLimit;
use oubli_workflows::PageRequest;

use crate::problem::{Code, Problem};

/// What a query may say to a route.
pub trait QueryInput: Sized {
    /// The names of the parameters.
    const NAMES: &'static [&'static str];

    /// Reads the parameters.
    ///
    /// # Errors
    /// All that cannot be, each as `?name`.
    fn read(parameters: Parameters) -> Result<Self, FieldErrors>;
}

/// A route that takes no parameters.
#[derive(Clone, Copy, Debug)]
pub struct NoQuery;

impl QueryInput for NoQuery {
    const NAMES: &'static [&'static str] = &[];
    fn read(_: Parameters) -> Result<Self, FieldErrors> {
        Ok(Self)
    }
}

impl QueryInput for PageRequest {
    const NAMES: &'static [&'static str] = &["limit", "cursor"];
    fn read(mut parameters: Parameters) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let page = parameters.page(&mut errors);
        errors.into_result()?;
        page.ok_or_else(FieldErrors::default)
    }
}

/// The parameters of a query: known ones, each once.
#[derive(Debug, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Takes a parameter out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a parameter out and reads it, noting why it cannot be.
    pub fn parse<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        errors: &mut FieldErrors,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.take(name)?;
        errors.take(&format!("?{name}"), parse(value))
    }

    /// Takes `limit` and `cursor` out; `None` when the limit cannot be, which is noted.
    pub fn page(&mut self, errors: &mut FieldErrors) -> Option<PageRequest> {
        let cursor = self.take("cursor");
        let limit = match self.take("limit") {
            None => PageLimit::parse(None),
            // What is no number at all is out of range as well.
            Some(text) => PageLimit::parse(Some(text.parse().unwrap_or(0))),
        };
        let limit = errors.take("?limit", limit)?;
        Some(PageRequest { limit, cursor })
    }
}

/// Reads a query.
///
/// # Errors
/// `query_invalid` for parameters that are unknown, doubled or wrongly encoded, `input_refused`
/// for values that cannot be.
pub fn read<T: QueryInput>(query: Option<&str>) -> Result<T, Problem> {
    let mut errors = FieldErrors::default();
    let mut parameters = BTreeMap::new();
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(name), decode(value)) {
            (Some(name), Some(value)) if T::NAMES.contains(&name.as_str()) => {
                let pointer = format!("?{name}");
                if parameters.insert(name, value).is_some() {
                    errors.push(pointer, "is given twice");
                }
            }
            (Some(name), Some(_)) => errors.push(format!("?{name}"), "is not a parameter here"),
            (name, _) => {
                errors.push(
                    format!("?{}", name.unwrap_or_default()),
                    "is not percent-encoded UTF-8 text",
                );
            }
        }
    }
    errors
        .into_result()
        .map_err(|errors| Problem::new(Code::QueryInvalid).errors(&errors))?;
    T::read(Parameters(parameters)).map_err(|errors| Problem::refused(&errors))
}

/// Decodes `application/x-www-form-urlencoded` text (URL standard, section 5.1), but for what is
/// wrongly encoded, which that standard lets pass.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| {
                    char::from(byte?)
                        .to_digit(16)
                        .and_then(|digit| u8::try_from(digit).ok())
                };
                digit(rest.next())? << 4 | digit(rest.next())?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn text_is_decoded() {
        assert_eq!(decode("Lef%C3%A8vre+%2B1").as_deref(), Some("Lefèvre +1"));
        for wrong in ["%", "%4", "%zz", "%FF", "%+1"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_page_has_fifty_unless_asked() {
        let page: PageRequest = read(None).unwrap();
        assert_eq!((page.limit.get(), page.cursor), (50, None));
        let page: PageRequest = read(Some("cursor=abc&limit=200")).unwrap();
        assert_eq!((page.limit.get(), page.cursor.as_deref()), (200, Some("abc")));
    }

    #[rstest]
    #[case("limit=0", 422, "?limit")]
    #[case("limit=201", 422, "?limit")]
    #[case("limit=-1", 422, "?limit")]
    #[case("limit=ten", 422, "?limit")]
    #[case("limit=", 422, "?limit")]
    #[case("limit=1&limit=2", 400, "?limit")]
    #[case("Limit=1", 400, "?Limit")]
    #[case("page=1", 400, "?page")]
    #[case("cursor=%FF", 400, "?cursor")]
    #[case("%FF=1", 400, "?")]
    fn what_cannot_be_is_refused(#[case] query: &str, #[case] status: u16, #[case] pointer: &str) {
        let problem = read::<PageRequest>(Some(query)).unwrap_err();
        assert_eq!(
            (
                problem.code().status().as_u16(),
                problem.field_errors()[0].pointer.as_str()
            ),
            (status, pointer)
        );
    }

    #[test]
    fn a_route_without_parameters_takes_none() {
        assert!(read::<NoQuery>(None).is_ok());
        assert!(read::<NoQuery>(Some("")).is_ok());
        assert_eq!(read::<NoQuery>(Some("x")).unwrap_err().code(), Code::QueryInvalid);
    }
}
