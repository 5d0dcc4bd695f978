//! Addresses of pages of the tenant's front end.

use std::str::FromStr;

use oubli_domain::ActionId;

/// Why a text is not the address of a front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an `http` or `https` address without query and fragment, such as `https://crm.example.com`")]
pub struct FrontEndUrlError;

/// Where the front end stands: scheme, host and perhaps a path, without a slash at the end.
///
/// It holds only characters of a URI (RFC 3986, section 2) that mean nothing in HTML, so it can
/// stand in a mail as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontEndUrl(String);

impl FrontEndUrl {
    /// Reads the address.
    ///
    /// # Errors
    /// [`FrontEndUrlError`] when it has another scheme, no host, a user name, a query, a fragment,
    /// or a character that no URI has.
    pub fn parse(text: &str) -> Result<Self, FrontEndUrlError> {
        let rest = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let (host, path) = match rest {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => return Err(FrontEndUrlError),
        };
        let in_host = |c: char| c.is_ascii_alphanumeric() || "-._~:[]".contains(c);
        let in_path = |c: char| c.is_ascii_alphanumeric() || "-._~%!$()*+,;=:@/".contains(c);
        if host.is_empty() || !host.chars().all(in_host) || !path.chars().all(in_path) {
            return Err(FrontEndUrlError);
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// The page "Actions on the data" that shows this action.
    pub fn action_page(&self, action_id: &ActionId) -> ActionPage {
        ActionPage(format!("{}/data-actions/{action_id}", self.0))
    }
}

impl FromStr for FrontEndUrl {
    type Err = FrontEndUrlError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The address of the page that shows one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionPage(String);

impl ActionPage {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("https://crm.example.com", "https://crm.example.com/data-actions/a1")]
    #[case("https://crm.example.com/", "https://crm.example.com/data-actions/a1")]
    #[case(
        "http://127.0.0.1:8080/privacy//",
        "http://127.0.0.1:8080/privacy/data-actions/a1"
    )]
    #[case("http://[::1]:8080", "http://[::1]:8080/data-actions/a1")]
    fn the_page_hangs_below_the_front_end(#[case] front_end: &str, #[case] page: &str) {
        let action_id = ActionId::parse("a1").unwrap();
        assert_eq!(
            FrontEndUrl::parse(front_end)
                .unwrap()
                .action_page(&action_id)
                .as_str(),
            page
        );
    }

    #[rstest]
    #[case("")]
    #[case("crm.example.com")]
    #[case("https://")]
    #[case("https:///x")]
    #[case("javascript:alert(1)//")]
    #[case("https://a\"onclick=x")]
    #[case("https://a/<b>")]
    #[case("https://a/?q=1")]
    #[case("https://a/#x")]
    #[case("https://user@a/")]
    #[case("https://a/\r\nBcc: x")]
    fn what_is_no_plain_address_is_refused(#[case] text: &str) {
        assert_eq!(FrontEndUrl::parse(text), Err(FrontEndUrlError));
    }
}
