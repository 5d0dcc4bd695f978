//! Bodies of data actions and of announced archives that are refused at once, and leave nothing behind.

use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::raw;

const ACTIONS: &str = "/v1/data-actions";
const PREVIEW: &str = "/v1/data-actions/preview";
const UPLOADS: &str = "/v1/archive-uploads";

/// Sends a body as it stands and answers the status, the problem's code and its pointers.
async fn refused(stack: &Stack, path: &str, body: &str) -> (u16, String, Vec<String>) {
    let json: [&[u8]; 1] = [b"content-type: application/json"];
    let answer = raw::request(stack, "POST", path.as_bytes(), &json, body.as_bytes()).await;
    assert!(
        answer.head.contains("application/problem+json"),
        "{body}: {answer:?}"
    );
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    let code = problem["type"].as_str().unwrap().trim_start_matches("/problems/");
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let pointers = errors
        .iter()
        .map(|error| error["pointer"].as_str().unwrap().to_owned());
    (answer.status, code.to_owned(), pointers.collect())
}

/// Nothing was started, and the contact is as it was.
async fn nothing_happened(stack: &Stack, contact: &str, before: &Value) {
    stack.drain().await;
    let agent = stack.agent();
    let actions = agent.get(ACTIONS).await.expect(StatusCode::OK);
    assert_eq!(actions["total"], 1, "{actions}");
    let now = agent.get(&format!("/v1/contacts/{contact}")).await;
    assert_eq!(now.expect(StatusCode::OK), *before);
}

/// A contact that could be anonymised this moment, and how it looks.
async fn exported(stack: &Stack) -> (String, Value) {
    let contact = stack.contact(json!({ "last_name": "Lefèvre" })).await;
    stack.export(&[&contact]).await;
    stack.drain().await;
    let card = stack.agent().get(&format!("/v1/contacts/{contact}")).await;
    let card = card.expect(StatusCode::OK);
    assert_eq!(
        card["actions"]["anonymise"],
        json!({ "possible": true }),
        "{card}"
    );
    (contact, card)
}

#[tokio::test]
async fn nobody_is_anonymised_unless_true_is_said() {
    let stack = Stack::start().await;
    let (contact, before) = exported(&stack).await;
    let start = |acknowledged: &str| {
        format!(
            "{{\"kind\": \"anonymise\", \"selection\": {{\"contact_ids\": [\"{contact}\"]}}{acknowledged}}}"
        )
    };
    let mut given = vec![start("")];
    let values = [
        "false",
        "null",
        "\"true\"",
        "\"\"",
        "1",
        "1.0",
        "0",
        "[]",
        "[true]",
        "{}",
        "{\"acknowledged\": true}",
    ];
    given.extend(values.map(|value| start(&format!(", \"acknowledged\": {value}"))));
    for body in given {
        let (status, code, pointers) = refused(&stack, ACTIONS, &body).await;
        assert_eq!((status, code.as_str()), (422, "input_refused"), "{body}");
        assert_eq!(pointers, ["/acknowledged"], "{body}");
    }
    for body in [
        start(", \"Acknowledged\": true"),
        start(", \"acknowledged \": true"),
        start(", \"acknowledged\": false, \"acknowledged\": true"),
        start(", \"acknowledged\": True"),
        start(", \"acknowledged\": truefalse"),
    ] {
        let (status, _, _) = refused(&stack, ACTIONS, &body).await;
        assert_eq!(status, 400, "{body}");
    }
    // Neither a query nor a header says it.
    let body = start("");
    let (status, _, _) = refused(&stack, &format!("{ACTIONS}?acknowledged=true"), &body).await;
    assert!([400, 422].contains(&status), "{status}");
    let json: [&[u8]; 2] = [b"content-type: application/json", b"acknowledged: true"];
    let answer = raw::request(&stack, "POST", ACTIONS.as_bytes(), &json, body.as_bytes()).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    nothing_happened(&stack, &contact, &before).await;

    // Without this, a route that refused everything would pass.
    let accepted = json!({
        "kind": "anonymise", "selection": { "contact_ids": [contact] }, "acknowledged": true
    });
    stack
        .agent()
        .post(ACTIONS, accepted)
        .await
        .expect(StatusCode::ACCEPTED);
    stack.drain().await;
    let now = stack.agent().get(&format!("/v1/contacts/{contact}")).await;
    assert_eq!(now.expect(StatusCode::OK)["state"], "anonymised");
}

#[tokio::test]
async fn selections_of_the_wrong_kind_or_size_are_refused() {
    let stack = Stack::start().await;
    let (contact, before) = exported(&stack).await;
    let many = |count: usize| -> Vec<String> { (0..count).map(|index| format!("id{index}")).collect() };
    let archives = json!({ "archive_ids": ["a"] });
    let uploads = json!({ "upload_ids": ["a"] });
    let mut cases: Vec<(Value, &str)> = Vec::new();
    for kind in ["export", "anonymise"] {
        let with = |selection: &Value| json!({ "kind": kind, "selection": selection });
        cases.push((with(&archives), "/selection/archive_ids"));
        cases.push((with(&uploads), "/selection/upload_ids"));
        let overwrite = json!({
            "kind": kind, "selection": { "contact_ids": [contact] }, "overwrite": true
        });
        cases.push((overwrite, "/overwrite"));
    }
    for ids in ["contact_ids", "archive_ids", "upload_ids"] {
        let with = |value: Value| json!({ "kind": "restore", "selection": { ids: value } });
        let pointer = match ids {
            "contact_ids" => "/selection/contact_ids",
            "archive_ids" => "/selection/archive_ids",
            _ => "/selection/upload_ids",
        };
        cases.push((with(json!([])), pointer));
        cases.push((with(json!(many(1_001))), pointer));
        for hostile in [
            "",
            "#",
            "../x",
            "a/b",
            "T#other#C#x",
            "é",
            "a\u{0}b",
            "a b",
            "\u{202e}",
        ] {
            cases.push((with(json!(["fine", hostile])), pointer));
        }
        cases.push((with(json!(["a".repeat(10_000)])), pointer));
    }
    for kind in ["export", "anonymise", "restore"] {
        let with = |selection: Value| json!({ "kind": kind, "selection": selection });
        cases.push((with(json!({})), "/selection"));
        cases.push((
            with(json!({ "contact_ids": ["a"], "archive_ids": ["a"] })),
            "/selection",
        ));
        cases.push((with(json!({ "filter": {}, "upload_ids": ["a"] })), "/selection"));
    }
    for kind in ["erase", "Restore", "", "anonymize"] {
        let body = json!({ "kind": kind, "selection": { "filter": {} } });
        cases.push((body, "/kind"));
    }
    for (mut body, pointer) in cases {
        for path in [PREVIEW, ACTIONS] {
            // A start of an anonymisation is right in all else.
            if path == ACTIONS {
                body["acknowledged"] = json!(true);
            }
            let (status, code, pointers) = refused(&stack, path, &body.to_string()).await;
            let place = format!("{path} {pointer}: {:.200}: {pointers:?}", body.to_string());
            assert_eq!((status, code.as_str()), (422, "input_refused"), "{place}");
            assert!(
                !pointers.is_empty() && pointers.iter().all(|found| found.starts_with(pointer)),
                "{place}"
            );
        }
    }
    nothing_happened(&stack, &contact, &before).await;
}

#[tokio::test]
async fn bodies_of_the_wrong_types_are_refused() {
    let stack = Stack::start().await;
    let (contact, before) = exported(&stack).await;
    let restore = |rest: &str| format!("{{\"kind\": \"restore\", \"selection\": {rest}}}");
    let ids = format!("{{\"contact_ids\": [\"{contact}\"]}}");
    for body in [
        restore(&format!("{ids}, \"overwrite\": \"true\"")),
        restore(&format!("{ids}, \"overwrite\": 1")),
        restore(&format!("{ids}, \"overwrite\": [true]")),
        restore(&format!("{ids}, \"overwrite\": {{}}")),
        restore(&format!("{ids}, \"overwrite\": false, \"overwrite\": true")),
        restore(&format!("{ids}, \"acknowledged\": \"yes\"")),
        restore(&format!("{ids}, \"tenant_id\": \"other\"")),
        restore(&format!("{ids}, \"subject\": \"upload\"")),
        restore(&format!("{ids}, \"plan_hash\": 1")),
        restore("{\"upload_ids\": \"a\"}"),
        restore("{\"upload_ids\": [1]}"),
        restore("{\"upload_ids\": [[\"a\"]]}"),
        restore("{\"upload_ids\": [null]}"),
        restore("{\"upload_ids\": {\"0\": \"a\"}}"),
        restore("{\"archive_ids\": [{\"id\": \"a\"}]}"),
        restore("{\"upload_urls\": [\"http://169.254.169.254/\"]}"),
        restore("{\"upload_ids\": [\"a\"], \"upload_ids\": [\"b\"]}"),
        restore("[\"a\"]"),
        restore("null"),
        restore("\"a\""),
    ] {
        let (status, _, _) = refused(&stack, ACTIONS, &body).await;
        assert!([400, 422].contains(&status), "{status}: {body}");
    }
    nothing_happened(&stack, &contact, &before).await;
}

#[tokio::test]
async fn archives_cannot_be_announced_that_cannot_be() {
    let stack = Stack::start().await;
    let stored = async || match stack.engines() {
        Some(engines) => engines.s3().inventory().await.unwrap(),
        None => Vec::new(),
    };
    let hash = "0".repeat(64);
    for body in [
        "{}".to_owned(),
        "{\"size_bytes\": 0}".to_owned(),
        "{\"size_bytes\": -1}".to_owned(),
        "{\"size_bytes\": 0.5}".to_owned(),
        "{\"size_bytes\": 1e3}".to_owned(),
        "{\"size_bytes\": 18446744073709551616}".to_owned(),
        "{\"size_bytes\": \"1\"}".to_owned(),
        "{\"size_bytes\": null}".to_owned(),
        "{\"size_bytes\": [1]}".to_owned(),
        "{\"size_bytes\": 1, \"size_bytes\": 2}".to_owned(),
        "{\"size_bytes\": 1, \"sha256\": \"\"}".to_owned(),
        "{\"size_bytes\": 1, \"sha256\": 0}".to_owned(),
        format!("{{\"size_bytes\": 1, \"sha256\": \"{hash}0\"}}"),
        format!("{{\"size_bytes\": 1, \"sha256\": \"{}g\"}}", hash.split_at(1).1),
        "{\"size_bytes\": 1, \"key\": \"documents/demo/x\"}".to_owned(),
        "{\"size_bytes\": 1, \"upload_id\": \"../../documents/demo/x\"}".to_owned(),
        "{\"size_bytes\": 1, \"tenant_id\": \"other\"}".to_owned(),
        "{\"size_bytes\": 1, \"content_type\": \"text/html\"}".to_owned(),
        "{\"size_bytes\": 1, \"url\": \"http://169.254.169.254/\"}".to_owned(),
        "[1]".to_owned(),
        "null".to_owned(),
    ] {
        let (status, _, _) = refused(&stack, UPLOADS, &body).await;
        assert!([400, 422].contains(&status), "{status}: {body}");
    }
    assert_eq!(stored().await, [], "nothing was begun");
    let fine = stack.agent().post(UPLOADS, json!({ "size_bytes": 1 })).await;
    fine.expect(StatusCode::CREATED);
}

/// A link takes bytes to one place, and nothing else of it can be changed.
#[tokio::test]
async fn the_link_of_an_announced_archive_leads_to_its_own_place_alone() {
    let stack = Stack::start().await;
    let body = json!({ "size_bytes": 3 });
    let new = stack
        .agent()
        .post(UPLOADS, body)
        .await
        .expect(StatusCode::CREATED);
    let upload = new["upload"].clone();
    let url = upload["url"].as_str().unwrap();
    let path = format!("/uploads/demo/archives/{}", new["upload_id"].as_str().unwrap());
    assert!(url.contains(&path), "{url}");
    let elsewhere = [
        "/uploads/other/archives/x",
        "/uploads/demo/archives/x",
        "/documents/demo/x",
        "/archives/demo/x/y.zip",
    ];
    for place in elsewhere {
        let mut moved = upload.clone();
        moved["url"] = json!(url.replace(&path, place));
        let put = stack.put_upload(&moved, b"zip".to_vec()).await;
        assert_eq!(put, StatusCode::FORBIDDEN, "{place}");
    }
    let mut other_type = upload.clone();
    other_type["headers"]["content-type"] = json!("text/html");
    let put = stack.put_upload(&other_type, b"zip".to_vec()).await;
    assert_eq!(put, StatusCode::FORBIDDEN);
    // Nor does it read what was sent.
    assert_eq!(stack.put_upload(&upload, b"zip".to_vec()).await, StatusCode::OK);
    assert_eq!(stack.fetch(url).await.0, StatusCode::FORBIDDEN);
}
