//! Bad input, and its answer.

use oubli_tests::Stack;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const CREATORS: [&str; 5] = [
    "/v1/contacts",
    "/v1/members",
    "/v1/groups",
    "/v1/data-actions",
    "/v1/data-actions/preview",
];

async fn send(
    stack: &Stack,
    path: &str,
    content_type: &str,
    body: impl Into<Vec<u8>>,
) -> oubli_tests::Answer {
    let headers = [("content-type", content_type)];
    stack
        .admin()
        .call(Method::POST, path, &headers, Some(body.into()))
        .await
}

#[tokio::test]
async fn what_is_no_json_is_told_where_it_ends() {
    let stack = Stack::start().await;
    for path in CREATORS {
        for body in ["", "{", "{,}", "nonsense", "{\"\u{1}\": 1}"] {
            let answer = send(&stack, path, "application/json", body).await;
            assert_eq!(
                answer.problem(StatusCode::BAD_REQUEST),
                "body_malformed",
                "{path} {body}"
            );
            assert!(
                answer.json()["detail"].as_str().unwrap().contains("line"),
                "{}",
                answer.text()
            );
        }
        let answer = send(&stack, path, "application/json", b"{\"\xff\": 1}".to_vec()).await;
        assert_eq!(
            answer.problem(StatusCode::BAD_REQUEST),
            "body_malformed",
            "{path} not UTF-8"
        );
        for body in ["[]", "null", "1", "\"x\"", "[\"Zola\"]"] {
            let answer = send(&stack, path, "application/json", body).await;
            assert_eq!(
                answer.problem(StatusCode::BAD_REQUEST),
                "body_invalid",
                "{path} {body}"
            );
        }
    }
    let twice = send(
        &stack,
        "/v1/contacts",
        "application/json",
        r#"{"last_name":"A"} {}"#,
    )
    .await;
    assert_eq!(twice.problem(StatusCode::BAD_REQUEST), "body_malformed");
}

#[tokio::test]
async fn unknown_missing_and_mistyped_fields_are_named() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let documents = format!("/v1/contacts/{contact}/documents");
    let document = json!({ "name": "a", "content_type": "text/plain", "size_bytes": 1, "kind": "document" });
    let with = |name: &str, value: Value| {
        let mut body = document.clone();
        body[name] = value;
        body
    };
    let cases = [
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "lastName": "Z" }),
            "/lastName",
        ),
        ("/v1/contacts", json!({ "first_name": "Z" }), "/last_name"),
        ("/v1/contacts", json!({ "last_name": 1 }), "/last_name"),
        ("/v1/contacts", json!({ "last_name": null }), "/last_name"),
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "email": true }),
            "/email",
        ),
        ("/v1/contacts", json!({ "last_name": "Z", "id": "mine" }), "/id"),
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "address": "rue A" }),
            "/address",
        ),
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "address": { "lines": "rue A" } }),
            "/address/lines",
        ),
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "address": { "lines": ["A", 2] } }),
            "/address/lines/1",
        ),
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "address": { "lines": ["A"], "zip": "1" } }),
            "/address/zip",
        ),
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "business": { "deals": "1" } }),
            "/business/deals",
        ),
        (
            "/v1/contacts",
            json!({ "last_name": "Z", "custom_fields": [] }),
            "/custom_fields",
        ),
        (&documents, with("size_bytes", json!("1")), "/size_bytes"),
        (&documents, with("size_bytes", json!(1.5)), "/size_bytes"),
        (&documents, with("state", json!("stored")), "/state"),
        ("/v1/members", json!({ "id": "n", "name": "N" }), "/email"),
        (
            "/v1/groups",
            json!({ "name": "G", "rights": "all", "member_ids": [] }),
            "/rights",
        ),
        ("/v1/data-actions", json!({ "kind": "export" }), "/selection"),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": [] }),
            "/selection",
        ),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": { "ids": [] } }),
            "/selection/ids",
        ),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": { "filter": { "name": "Z" } } }),
            "/selection/filter/name",
        ),
        (
            "/v1/data-actions",
            json!({ "kind": "export", "selection": { "contact_ids": [1] } }),
            "/selection/contact_ids/0",
        ),
    ];
    for (path, body, pointer) in cases {
        let answer = stack.admin().post(path, body.clone()).await;
        assert_eq!(
            answer.problem(StatusCode::BAD_REQUEST),
            "body_invalid",
            "{path} {body}"
        );
        assert_eq!(answer.pointers(), [pointer], "{path} {body}");
        assert!(!answer.json()["errors"][0]["detail"].as_str().unwrap().is_empty());
    }
    let twice = send(
        &stack,
        "/v1/contacts",
        "application/json",
        r#"{"last_name":"A","last_name":"B"}"#,
    )
    .await;
    assert_eq!(twice.problem(StatusCode::BAD_REQUEST), "body_invalid");
    assert_eq!(twice.pointers(), ["/last_name"]);
}

#[tokio::test]
async fn values_that_cannot_be_are_refused_all_at_once() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let body = json!({
        "last_name": " ",
        "first_name": "a\u{0}b",
        "job_title": "x".repeat(301),
        "email": "nobody",
        "phone": "call me",
        "mobile": "+",
        "address": { "lines": [], "city": "\n" },
        "notes": "\u{7}",
        "custom_fields": { "a/b": null, "c": {} },
        "assigned_to": "a b",
        "photo_document_id": "../x"
    });
    let pointers = [
        "/last_name",
        "/first_name",
        "/job_title",
        "/email",
        "/phone",
        "/mobile",
        "/address/lines",
        "/address/city",
        "/notes",
        "/custom_fields/a~1b",
        "/custom_fields/c",
        "/assigned_to",
        "/photo_document_id",
    ];
    let created = stack.agent().post("/v1/contacts", body.clone()).await;
    let path = format!("/v1/contacts/{contact}");
    let changed = stack.agent().patch(&path, "*", body).await;
    for answer in [&created, &changed] {
        assert_eq!(answer.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
        for (index, error) in answer.json()["errors"].as_array().unwrap().iter().enumerate() {
            let detail = error["detail"].as_str().unwrap();
            assert!(!detail.is_empty() && !detail.contains("::"), "{index} {detail}");
        }
    }
    assert_eq!(created.pointers(), pointers);
    // In a merge patch `null` removes a custom field, so it is no value there.
    let without: Vec<_> = pointers
        .iter()
        .filter(|pointer| !pointer.ends_with("a~1b"))
        .collect();
    assert!(changed.pointers().iter().eq(without));

    let document = json!({
        "name": "", "content_type": "pdf", "size_bytes": 5_368_709_121_u64, "sha256": "abc", "crc32": "xyz", "kind": "video"
    });
    let answer = stack.agent().post(&format!("{path}/documents"), document).await;
    assert_eq!(answer.problem(StatusCode::UNPROCESSABLE_ENTITY), "input_refused");
    assert_eq!(
        answer.pointers(),
        [
            "/name",
            "/content_type",
            "/size_bytes",
            "/sha256",
            "/crc32",
            "/kind"
        ]
    );
    let photo = json!({ "name": "a", "content_type": "text/html", "size_bytes": 1, "kind": "photo" });
    assert_eq!(
        stack
            .agent()
            .post(&format!("{path}/documents"), photo)
            .await
            .pointers(),
        ["/content_type"]
    );
    let long = json!({ "name": "é".repeat(513), "content_type": "a/b", "size_bytes": 1, "kind": "document" });
    assert_eq!(
        stack
            .agent()
            .post(&format!("{path}/documents"), long)
            .await
            .pointers(),
        ["/name"]
    );
    assert_eq!(stack.agent().get(&path).await.json()["version"], 1);
}

#[tokio::test]
async fn a_body_has_at_most_one_mebibyte() {
    let stack = Stack::start().await;
    for path in CREATORS {
        for megabytes in [1, 2, 20] {
            let body = format!("{{\"x\":\"{}\"}}", "y".repeat(megabytes << 20));
            let answer = send(&stack, path, "application/json", body).await;
            assert_eq!(
                answer.problem(StatusCode::PAYLOAD_TOO_LARGE),
                "body_too_large",
                "{path} {megabytes}"
            );
        }
    }
}

#[tokio::test]
async fn only_json_is_read() {
    let stack = Stack::start().await;
    for path in CREATORS {
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/merge-patch+json",
            "application/json; charset=latin1",
        ] {
            let answer = send(&stack, path, content_type, "{}").await;
            assert_eq!(
                answer.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE),
                "media_type_unsupported",
                "{path} {content_type}"
            );
        }
    }
    let body = json!({ "last_name": "Zola" }).to_string();
    let answer = send(&stack, "/v1/contacts", "Application/JSON; charset=UTF-8", body).await;
    answer.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn query_parameters_are_known_and_possible() {
    let stack = Stack::start().await;
    let contact = stack.contact(json!({ "last_name": "Zola" })).await;
    let action = stack.export(&[&contact]).await;
    let lists = [
        "/v1/contacts".to_owned(),
        "/v1/members".to_owned(),
        "/v1/groups".to_owned(),
        "/v1/data-actions".to_owned(),
        format!("/v1/contacts/{contact}/documents"),
        format!("/v1/data-actions/{action}/items"),
    ];
    for list in &lists {
        for (query, pointer) in [
            ("limit=0", "?limit"),
            ("limit=201", "?limit"),
            ("limit=ten", "?limit"),
            ("limit=", "?limit"),
        ] {
            let answer = stack.admin().get(&format!("{list}?{query}")).await;
            assert_eq!(
                answer.problem(StatusCode::UNPROCESSABLE_ENTITY),
                "input_refused",
                "{list}?{query}"
            );
            assert_eq!(answer.pointers(), [pointer]);
        }
        for (query, pointer) in [
            ("page=2", "?page"),
            ("limit=1&limit=1", "?limit"),
            ("cursor=%FF", "?cursor"),
        ] {
            let answer = stack.admin().get(&format!("{list}?{query}")).await;
            assert_eq!(
                answer.problem(StatusCode::BAD_REQUEST),
                "query_invalid",
                "{list}?{query}"
            );
            assert_eq!(answer.pointers(), [pointer]);
        }
        for cursor in [
            "x",
            "%20",
            "YWJj",
            "MTI",
            "OSB4",
            "OSA5OTk5OTk5OTk5OTk5OTk5LjE",
            "OSAwLjk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
        ] {
            let answer = stack.admin().get(&format!("{list}?cursor={cursor}")).await;
            // Some of these are a place in some list; none may be a failure of ours.
            if answer.status != StatusCode::OK {
                assert_eq!(
                    answer.problem(StatusCode::BAD_REQUEST),
                    "cursor_invalid",
                    "{list}?cursor={cursor}"
                );
            }
        }
        assert_eq!(
            stack.admin().get(&format!("{list}?limit=200")).await.status,
            StatusCode::OK
        );
    }
    for (query, pointer) in [
        ("sort=name", "?sort"),
        ("state=Active", "?state"),
        ("assigned_to=a%20b", "?assigned_to"),
    ] {
        let answer = stack.agent().get(&format!("/v1/contacts?{query}")).await;
        assert_eq!(
            answer.problem(StatusCode::UNPROCESSABLE_ENTITY),
            "input_refused",
            "{query}"
        );
        assert_eq!(answer.pointers(), [pointer]);
    }
    for path in [
        "/v1/me?x=1".to_owned(),
        format!("/v1/contacts/{contact}?expand=all"),
    ] {
        assert_eq!(
            stack.admin().get(&path).await.problem(StatusCode::BAD_REQUEST),
            "query_invalid",
            "{path}"
        );
    }
}

#[tokio::test]
async fn ids_that_cannot_be_are_absent_or_malformed() {
    let stack = Stack::start().await;
    let agent = stack.agent();
    for path in [
        "/v1/contacts/a%23b",
        "/v1/contacts/%20",
        "/v1/data-actions/é",
        "/v1/archives/..%2F..%2Fx/content",
    ] {
        assert_eq!(
            agent.get(path).await.problem(StatusCode::NOT_FOUND),
            "not_found",
            "{path}"
        );
    }
    assert_eq!(
        agent
            .get("/v1/contacts/%FF")
            .await
            .problem(StatusCode::BAD_REQUEST),
        "path_malformed"
    );
    let long = format!("/v1/contacts/{}", "a".repeat(5_000));
    assert_eq!(agent.get(&long).await.problem(StatusCode::NOT_FOUND), "not_found");
}
