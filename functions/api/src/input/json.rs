//! JSON into types, with a pointer to what does not fit.

use std::fmt;
use std::marker::PhantomData;

use oubli_domain::FieldErrors;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::problem::{Code, Problem};

/// A JSON object read into a struct. Serde's own structs accept arrays as well, field by field in
/// the order of their declaration: nothing that a client should ever lean on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

/// Reads a JSON object into a type.
///
/// # Errors
/// `body_malformed` for what is no JSON, `body_invalid` for a field that is unknown, missing, given
/// twice or of another type, `input_refused` for a value of the right type that cannot be.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer_of(error.path());
        refuse(&pointer, error.inner())
    })?;
    deserializer.end().map_err(|error| refuse("", &error))?;
    Ok(value)
}

/// The JSON Pointer (RFC 6901) of a path.
fn pointer_of(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => push_name(&mut pointer, key),
            // Variants have no place of their own in JSON; an unknown segment has no name.
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn push_name(pointer: &mut String, name: &str) {
    pointer.push('/');
    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
}

fn refuse(pointer: &str, error: &serde_json::Error) -> Problem {
    if error.classify() != Category::Data {
        let (line, column) = (error.line(), error.column());
        return Problem::new(Code::BodyMalformed).detail(format!(
            "the body stops being JSON at line {line}, column {column}"
        ));
    }
    let (code, field, detail) = explain(&error.to_string());
    let mut pointer = pointer.to_owned();
    // An unknown field is on the path already: it was read. A missing or doubled one is not.
    if let Some(field) = field {
        push_name(&mut pointer, &field);
    }
    Problem::new(code).errors(&FieldErrors::one(pointer, detail))
}

/// What serde says, in our words: its own texts quote the value and name Rust's types.
/// Source: the default methods of `serde::de::Error`.
fn explain(message: &str) -> (Code, Option<String>, String) {
    // serde_json appends the position.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    let quoted = |start: &str| {
        let name = message.strip_prefix(start)?.strip_prefix('`')?;
        name.rsplit_once('`').map(|(name, _)| name.to_owned())
    };
    if message.starts_with("unknown field ") {
        return (Code::BodyInvalid, None, "is not a field here".into());
    }
    if let Some(field) = quoted("missing field ") {
        return (Code::BodyInvalid, Some(field), "is required".into());
    }
    if let Some(field) = quoted("duplicate field ") {
        return (Code::BodyInvalid, Some(field), "is given twice".into());
    }
    let expected = message
        .rsplit_once(", expected ")
        .map(|(_, expected)| name_type(expected));
    let detail = expected.map_or_else(
        || "does not fit".to_owned(),
        |expected| format!("must be {expected}"),
    );
    let code = if message.starts_with("invalid value") {
        Code::InputRefused
    } else {
        Code::BodyInvalid
    };
    (code, None, detail)
}

fn name_type(expected: &str) -> String {
    match expected {
        "a string" | "a borrowed string" | "str" => "a text".into(),
        "a boolean" => "true or false".into(),
        "a map" => "an object".into(),
        "a sequence" => "an array".into(),
        "u8" | "u16" | "u32" => "a whole number from 0 to 4294967295".into(),
        "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        name: String,
        count: Option<u32>,
        inner: Option<Object<Inner>>,
        many: Option<Vec<Object<Inner>>>,
        open: Option<BTreeMap<String, u64>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        text: String,
    }

    #[rstest]
    #[case(r#"{"name":"a","x/y":1}"#, 400, "/x~1y", "is not a field here")]
    #[case(
        r#"{"name":"a","a`b, expected `":1}"#,
        400,
        "/a`b, expected `",
        "is not a field here"
    )]
    #[case(
        r#"{"name":"a","inner":{"text":"b","more":1}}"#,
        400,
        "/inner/more",
        "is not a field here"
    )]
    #[case(r#"{"count":1}"#, 400, "/name", "is required")]
    #[case(
        r#"{"name":"a","many":[{"text":"b"},{}]}"#,
        400,
        "/many/1/text",
        "is required"
    )]
    #[case(r#"{"name":"a","name":"b"}"#, 400, "/name", "is given twice")]
    #[case(r#"{"name":5}"#, 400, "/name", "must be a text")]
    #[case(r#"{"name":null}"#, 400, "/name", "must be a text")]
    #[case(
        r#"{"name":"a","count":"1, expected x"}"#,
        400,
        "/count",
        "must be a whole number from 0 to 4294967295"
    )]
    #[case(
        r#"{"name":"a","count":1.5}"#,
        400,
        "/count",
        "must be a whole number from 0 to 4294967295"
    )]
    #[case(
        r#"{"name":"a","count":-1}"#,
        422,
        "/count",
        "must be a whole number from 0 to 4294967295"
    )]
    #[case(r#"{"name":"a","inner":["text"]}"#, 400, "/inner", "must be an object")]
    #[case(r#"{"name":"a","many":{}}"#, 400, "/many", "must be an array")]
    #[case(
        r#"{"name":"a","open":{"k":true}}"#,
        400,
        "/open/k",
        "must be a whole number, 0 or more"
    )]
    #[case("[]", 400, "", "must be an object")]
    #[case("7", 400, "", "must be an object")]
    fn what_does_not_fit_is_named(
        #[case] json: &str,
        #[case] status: u16,
        #[case] pointer: &str,
        #[case] detail: &str,
    ) {
        let problem = read::<Outer>(json.as_bytes()).unwrap_err();
        assert_eq!(problem.code().status(), status);
        let errors = problem.field_errors();
        assert_eq!(
            (errors[0].pointer.as_str(), errors[0].detail.as_str()),
            (pointer, detail)
        );
    }

    #[rstest]
    #[case("")]
    #[case("{")]
    #[case("{\"name\":\"a\"} x")]
    #[case("{\"name\":\"a\",}")]
    #[case("nonsense")]
    #[case("{\"name\":\"\\ud800\"}")]
    fn what_is_no_json_is_malformed(#[case] json: &str) {
        assert_eq!(
            read::<Outer>(json.as_bytes()).unwrap_err().code(),
            Code::BodyMalformed,
            "{json}"
        );
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_malformed() {
        assert_eq!(
            read::<Outer>(b"{\"name\":\"\xff\"}").unwrap_err().code(),
            Code::BodyMalformed
        );
    }

    #[test]
    fn depth_has_a_limit() {
        let deep = "[".repeat(100_000);
        let deep = format!("{{\"a\":{deep}");
        assert_eq!(
            read::<serde_json::Value>(deep.as_bytes()).unwrap_err().code(),
            Code::BodyMalformed
        );
    }
}
