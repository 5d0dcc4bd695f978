//! Bodies that no client would send in good faith.

use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::raw;

const MEBIBYTE: usize = 1 << 20;

/// A contact with this text in the place of its custom fields' value.
fn contact_with(custom: &str) -> Vec<u8> {
    format!("{{\"last_name\": \"x\", \"custom_fields\": {{\"a\": {custom}}}}}").into_bytes()
}

/// What is wrong, the body, and the statuses that may answer.
type BodyCase = (&'static str, Vec<u8>, &'static [u16]);

#[tokio::test]
async fn bodies_that_cannot_be_are_refused() {
    let stack = Stack::start().await;
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    let padded = |size: usize| {
        let mut body = b"{\"last_name\": \"x\"}".to_vec();
        body.resize(size, b' ');
        body
    };
    let whole = |text: &str| text.as_bytes().to_vec();
    let cases: Vec<BodyCase> = vec![
        ("nothing", vec![], &[400, 415]),
        ("nothing but space", whole("  "), &[400]),
        ("too large", padded(MEBIBYTE + 1), &[413]),
        ("as large as can be", padded(MEBIBYTE), &[201]),
        ("invalid UTF-8", b"{\"last_name\": \"\xff\"}".to_vec(), &[400]),
        (
            "overlong UTF-8",
            b"{\"last_name\": \"\xc0\xaf\"}".to_vec(),
            &[400],
        ),
        (
            "a byte order mark",
            b"\xef\xbb\xbf{\"last_name\": \"x\"}".to_vec(),
            &[400],
        ),
        (
            "UTF-16",
            "{\"last_name\": \"x\"}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
            &[400],
        ),
        ("half a surrogate", whole("{\"last_name\": \"\\ud800\"}"), &[400]),
        ("a NUL", whole("{\"last_name\": \"a\\u0000b\"}"), &[422]),
        ("deep arrays", whole(&deep("[", "]")), &[400]),
        ("deep objects", whole(&deep("{\"a\":", "}")), &[400]),
        (
            "deep arrays in a field",
            contact_with(&deep("[", "]")),
            &[400, 422],
        ),
        (
            "deep objects in a field",
            contact_with(&deep("{\"a\":", "}")),
            &[400, 422],
        ),
        ("an array", whole("[\"x\"]"), &[400]),
        ("a text", whole("\"x\""), &[400]),
        ("null", whole("null"), &[400]),
        (
            "two documents",
            whole("{\"last_name\": \"x\"}{\"last_name\": \"y\"}"),
            &[400],
        ),
        (
            "a field twice",
            whole("{\"last_name\": \"x\", \"last_name\": \"y\"}"),
            &[400],
        ),
        (
            "a field twice, escaped",
            whole("{\"last_name\": \"x\", \"last\\u005fname\": \"y\"}"),
            &[400],
        ),
        (
            "__proto__",
            whole("{\"last_name\": \"x\", \"__proto__\": {}}"),
            &[400],
        ),
        (
            "a state",
            whole("{\"last_name\": \"x\", \"state\": \"anonymised\"}"),
            &[400],
        ),
        (
            "a tenant",
            whole("{\"last_name\": \"x\", \"tenant_id\": \"other\"}"),
            &[400],
        ),
        ("an id", whole("{\"last_name\": \"x\", \"id\": \"1\"}"), &[400]),
        (
            "less than nothing",
            whole("{\"last_name\": \"x\", \"business\": {\"deals\": -1}}"),
            &[400, 422],
        ),
        (
            "more than can be",
            whole("{\"last_name\": \"x\", \"business\": {\"deals\": 4294967296}}"),
            &[400, 422],
        ),
        (
            "a fraction",
            whole("{\"last_name\": \"x\", \"business\": {\"deals\": 1.5}}"),
            &[400, 422],
        ),
        ("NaN", contact_with("NaN"), &[400]),
        ("infinity", contact_with("1e400"), &[400, 422]),
        ("single quotes", whole("{'last_name': 'x'}"), &[400]),
        ("a comment", whole("{\"last_name\": \"x\"} // y"), &[400]),
        ("a form", whole("last_name=x"), &[400]),
    ];
    for (what, body, statuses) in cases {
        let json: [&[u8]; 1] = [b"content-type: application/json"];
        let answer = raw::request(&stack, "POST", b"/v1/contacts", &json, &body).await;
        assert!(statuses.contains(&answer.status), "{what}: {answer:?}");
        if answer.status >= 400 {
            assert!(
                answer.head.contains("application/problem+json"),
                "{what}: {answer:?}"
            );
        }
    }
}

/// Numbers at the ends of what JSON and its readers can hold come back as they went in, or not at all.
#[tokio::test]
async fn numbers_are_kept_or_refused() {
    let stack = Stack::start().await;
    for number in [
        "0",
        "-0",
        "-0.0",
        "1e0",
        "0.1",
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "18446744073709551616",
        "123456789012345678901234567890",
        "1e125",
        "1e126",
        "1e300",
        "-1e300",
        "1.7976931348623157e308",
        "1e-130",
        "1e-131",
        "5e-324",
        "2.2250738585072014e-308",
        "0.1234567890123456789012345678901234567890",
    ] {
        let json: [&[u8]; 1] = [b"content-type: application/json"];
        let answer = raw::request(&stack, "POST", b"/v1/contacts", &json, &contact_with(number)).await;
        assert!([201, 400, 422].contains(&answer.status), "{number}: {answer:?}");
        if answer.status == 201 {
            let made: Value = serde_json::from_str(&answer.body).unwrap();
            let path = format!("/v1/contacts/{}", made["id"].as_str().unwrap());
            let read = stack.agent().get(&path).await.expect(StatusCode::OK);
            let expected: f64 = number.parse().unwrap();
            let kept = read["custom_fields"]["a"].as_f64().unwrap();
            let near = (kept - expected).abs() <= expected.abs() * 1e-15;
            assert!(near, "{number} became {kept}");
        }
    }
    for size in [
        "-1",
        "0.5",
        "5368709121",
        "18446744073709551616",
        "1e3",
        "\"1\"",
        "null",
        "[]",
    ] {
        let contact = stack.contact(json!({ "last_name": "x" })).await;
        let path = format!("/v1/contacts/{contact}/documents");
        let body = format!(
            "{{\"name\": \"a\", \"content_type\": \"text/plain\", \"kind\": \"document\", \"size_bytes\": {size}}}"
        );
        let json: [&[u8]; 1] = [b"content-type: application/json"];
        let answer = raw::request(&stack, "POST", path.as_bytes(), &json, body.as_bytes()).await;
        assert!([400, 422].contains(&answer.status), "{size}: {answer:?}");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_has_an_end_too() {
    let stack = Stack::start().await;
    let token = stack.admin().token.unwrap();
    let head = format!(
        "POST /v1/contacts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    for _ in 0..17 {
        bytes.extend_from_slice(b"10000\r\n");
        bytes.resize(bytes.len() + 0x10000, b' ');
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    let answer = raw::send(&stack, &bytes).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}
