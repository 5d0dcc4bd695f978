//! Input that no client would send in good faith: refused with a problem, never an error of ours.

use oubli_tests::Stack;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::operations::{self, Need};
use crate::raw;

#[tokio::test]
async fn ids_that_cannot_be_are_as_absent_as_any() {
    let stack = Stack::start().await;
    let long = "a".repeat(4_000);
    let mut ids: Vec<Vec<u8>> = [
        "%2F",
        "%2e%2e%2f",
        "..%2F..%2Fcontacts",
        "%5C",
        "%00",
        "a%00b",
        "%0d%0aX-Evil:%201",
        "%23",
        "%3F",
        "demo%23C",
        "T%23demo",
        "%C3%A9",
        "%F0%9F%98%80",
        "%E2%80%AE",
        "%EF%BC%8F",
        "%FF",
        "%C0%AF",
        "%ED%A0%80",
        "%",
        "%2",
        "%zz",
        "'",
        "%22",
        "%3Cscript%3E",
        "$where",
        "*",
        ";",
        "a;b",
        "%20",
        "+",
        "-",
        "_",
        "%7B%7D",
        "{{7*7}}",
        "${jndi:ldap:x}",
        "null",
        "undefined",
        "0",
        "-1",
        "1e309",
        &long,
    ]
    .iter()
    .map(|id| id.as_bytes().to_vec())
    .collect();
    // Not even percent-encoded.
    ids.push("é".into());
    ids.push(vec![0xff, 0xfe]);
    for operation in operations::all() {
        if !operation.names_something() {
            continue;
        }
        for id in &ids {
            let mut target = Vec::new();
            for segment in operation.path.split('/').skip(1) {
                target.push(b'/');
                if segment.starts_with('{') {
                    target.extend_from_slice(id);
                } else {
                    target.extend_from_slice(segment.as_bytes());
                }
            }
            let body = operation.body.as_ref().map(Value::to_string).unwrap_or_default();
            let headers: [&[u8]; 2] = [b"content-type: application/json", b"if-match: *"];
            let answer = raw::request(
                &stack,
                operation.method.as_str(),
                &target,
                &headers,
                body.as_bytes(),
            )
            .await;
            let place = format!(
                "{} {}: {answer:?}",
                operation.method,
                String::from_utf8_lossy(&target)
            );
            assert!([400, 404, 414].contains(&answer.status), "{place}");
            assert!(!answer.head.contains("x-evil"), "{place}");
            // What the server itself refuses, before the router, has no body.
            if answer.head.contains("x-request-id") {
                assert!(answer.head.contains("application/problem+json"), "{place}");
                let problem: Value = serde_json::from_str(&answer.body).unwrap();
                assert!(
                    ["/problems/not_found", "/problems/path_malformed"]
                        .contains(&problem["type"].as_str().unwrap()),
                    "{place}"
                );
            }
        }
    }
}

#[tokio::test]
async fn queries_that_cannot_be_are_refused() {
    let stack = Stack::start().await;
    let long = format!("q={}", "a".repeat(9_000));
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.5",
        "limit=1e2",
        "limit=99999999999999999999999",
        "limit=",
        "limit=%31%00",
        "limit=1&limit=2",
        "q=%FF",
        "q=%00%FF",
        "q=%",
        "q[]=a",
        "cursor=",
        "cursor=%00",
        "cursor=AAAA",
        "cursor=..",
        // "1 T#other#C#x", "99999999999999999999 x", "-1 x"
        "cursor=MSBUI290aGVyI0MjeA",
        "cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTkgeA",
        "cursor=LTEgeA",
        "sort=__proto__",
        "state=anonymised&state=active",
        "assigned_to=a%23b",
        "unknown=1",
        "%FF=1",
        "=1",
        &long,
    ] {
        for path in ["/v1/contacts", "/v1/data-actions", "/v1/members", "/v1/groups"] {
            let target = format!("{path}?{query}");
            let answer = raw::request(&stack, "GET", target.as_bytes(), &[], b"").await;
            assert!([400, 414, 422].contains(&answer.status), "{target}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn searches_of_any_characters_break_nothing() {
    let stack = Stack::start().await;
    stack.contact(json!({ "last_name": "Lefèvre" })).await;
    let finds_nothing = [
        "%E2%80%AE",
        "%F0%9F%98%80",
        "%25",
        "%22",
        "x'%20OR%201=1",
        "T%23other",
        "%23",
        "*",
        "@",
        "a@",
        "@b",
        "a@b@c",
        "%EF%B7%BA%EF%B7%BA",
        "le%25",
        "le*",
        "_efevre",
    ];
    // What no name is compared by asks for nothing, as a blank does.
    let asks_for_nothing = ["", "%20", "%00", "%0A", "%09", "%CC%81", "-", "'"];
    let all = finds_nothing.iter().map(|text| (text, 0));
    for (text, total) in all.chain(asks_for_nothing.iter().map(|text| (text, 1))) {
        for sort in ["last_name", "-created_at"] {
            let path = format!("/v1/contacts?sort={sort}&q={text}");
            let found = stack.agent().get(&path).await.expect(StatusCode::OK);
            assert_eq!(found["total"], total, "{path}");
        }
    }
}

/// What is wrong, the headers, and the statuses that may answer.
type HeaderCase<'a> = (&'a str, Vec<&'a [u8]>, &'a [u16]);

#[tokio::test]
async fn headers_that_cannot_be_are_refused() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "x" })).await;
    let long_key = [b"idempotency-key: ".as_slice(), &[b'k'; 256]].concat();
    let large = [b"x-large: ".as_slice(), &vec![b'a'; 10_240]].concat();
    let huge = [b"x-huge: ".as_slice(), &vec![b'a'; 500_000]].concat();
    let json: &[u8] = b"content-type: application/json";
    let post: [HeaderCase<'_>; 11] = [
        ("no media type", vec![], &[415]),
        ("another media type", vec![b"content-type: text/xml"], &[415]),
        (
            "a form",
            vec![b"content-type: application/x-www-form-urlencoded"],
            &[415],
        ),
        (
            "another character set",
            vec![b"content-type: application/json; charset=utf-16"],
            &[415],
        ),
        (
            "a media type of bytes",
            vec![b"content-type: application/json\xff"],
            &[400, 415],
        ),
        ("a long key", vec![json, &long_key], &[400]),
        ("a key of bytes", vec![json, b"idempotency-key: \xff"], &[400]),
        (
            "two keys",
            vec![json, b"idempotency-key: a", b"idempotency-key: b"],
            &[400],
        ),
        ("a large header", vec![json, &large], &[431]),
        ("a huge header", vec![json, &huge], &[431]),
        ("a header without a name", vec![json, b": x"], &[400]),
    ];
    for (what, headers, statuses) in post {
        let body = b"{\"last_name\": \"x\"}";
        let answer = raw::request(&stack, "POST", b"/v1/contacts", &headers, body).await;
        assert!(statuses.contains(&answer.status), "{what}: {answer:?}");
    }
    let path = format!("/v1/contacts/{contact}");
    for (what, if_match, status) in [
        ("none", None, 428),
        ("nonsense", Some(b"if-match: nonsense".as_slice()), 412),
        ("a weak tag", Some(b"if-match: W/\"1\""), 412),
        ("bytes", Some(b"if-match: \"\xff\""), 412),
        (
            "a huge version",
            Some(b"if-match: \"99999999999999999999999999\""),
            412,
        ),
        ("less than nothing", Some(b"if-match: \"-1\""), 412),
    ] {
        let mut headers = vec![json];
        headers.extend(if_match);
        let body = b"{\"last_name\": \"y\"}";
        let answer = raw::request(&stack, "PATCH", path.as_bytes(), &headers, body).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
    }
    // A client cannot choose its request's id, nor pose as another host's or method's.
    let posing: [&[u8]; 4] = [
        b"x-request-id: chosen",
        b"x-http-method-override: DELETE",
        b"x-forwarded-host: evil.example.com",
        b"x-original-url: /v1/health",
    ];
    let answer = raw::request(&stack, "GET", path.as_bytes(), &posing, b"").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.head.contains("chosen") && !answer.body.contains("evil"));
    assert_eq!(stack.agent().get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_protect_its_reader() {
    let stack = Stack::start().await;
    for operation in operations::all() {
        let path = operation.path_with(|_| "x".to_owned());
        let answer = stack
            .admin()
            .call(operation.method.clone(), &path, &[], None)
            .await;
        let place = format!("{} {path}", operation.method);
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{place}"
        );
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{place}");
        assert!(answer.header("strict-transport-security").is_some(), "{place}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{place}"
        );
        assert!(!policy.contains("script"), "{place}");
        assert!(
            answer.header("server").is_none() && answer.header("x-powered-by").is_none(),
            "{place}"
        );
        if operation.need != Need::Nothing {
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{place}");
        }
    }
    // Tools of other days.
    for method in ["TRACE", "TRACK", "PROPFIND"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = stack.admin().call(method, "/v1/contacts", &[], None).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

/// The quota of API Gateway: 10,240 bytes of request line and header values, all together.
#[tokio::test]
async fn heads_beyond_the_quota_of_the_gateway_are_refused() {
    let stack = Stack::start().await;
    let head = |target: &str, filler: usize| {
        let line = format!("GET {target} HTTP/1.1");
        let filler = "x".repeat(filler);
        let bytes = format!("{line}\r\nhost: x\r\nconnection: close\r\nx-filler: {filler}\r\n\r\n");
        (bytes, line.len() + "x".len() + "close".len() + filler.len())
    };
    for (beyond, status) in [(0, 200), (1, 431)] {
        let (_, without) = head("/v1/health", 0);
        let (by_header, bytes) = head("/v1/health", 10_240 - without + beyond);
        assert_eq!(bytes, 10_240 + beyond);
        let target = format!(
            "/v1/health?q={}",
            "x".repeat(10_240 - without - "?q=".len() + beyond)
        );
        let (by_target, bytes) = head(&target, 0);
        assert_eq!(bytes, 10_240 + beyond);
        for request in [by_header, by_target] {
            let answer = raw::send(&stack, request.as_bytes()).await;
            assert_eq!(answer.status, status, "{}", answer.head);
        }
    }
}
