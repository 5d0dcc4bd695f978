//! The binary against the Lambda Runtime API, with every event of `events/api`.

#![cfg(test)]

use std::collections::BTreeSet;

use oubli_tests::binary::{self, Binary};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_api");

/// What each event is answered with: the status, and the problem's code if it is one.
const ANSWERS: [(&str, u16, Option<&str>); 14] = [
    (
        "anonymise-without-acknowledgement.json",
        422,
        Some("input_refused"),
    ),
    ("archive-keys.json", 200, None),
    ("contact-absent.json", 404, Some("not_found")),
    ("contact-create-base64.json", 201, None),
    ("contact-create.json", 201, None),
    ("contacts-list.json", 200, None),
    ("export-of-nothing.json", 422, Some("input_refused")),
    ("health.json", 200, None),
    ("malformed-json.json", 400, Some("body_malformed")),
    ("me-with-malformed-token.json", 401, Some("token_invalid")),
    ("me-without-token.json", 401, Some("token_missing")),
    ("me.json", 200, None),
    ("openapi.json", 200, None),
    ("problem-page.json", 200, None),
];

fn header<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer["headers"][name].as_str().unwrap_or_default()
}

/// What holds for every answer of API Gateway's payload format 2.0.
fn check(name: &str, answer: &Value) -> Value {
    let (_, status, code) = ANSWERS
        .into_iter()
        .find(|(file, ..)| *file == name)
        .unwrap_or_else(|| panic!("say in `ANSWERS` what `{name}` is answered with"));
    assert_eq!(answer["statusCode"], status, "{name}: {answer}");
    assert_eq!(answer["isBase64Encoded"], false, "{name}");
    assert!(!header(answer, "x-request-id").is_empty(), "{name}: {answer}");
    let text = answer["body"].as_str().unwrap();
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        assert!(header(answer, "content-type").starts_with("text/html"), "{name}");
        return Value::Null;
    };
    match code {
        Some(code) => {
            assert_eq!(
                header(answer, "content-type"),
                "application/problem+json",
                "{name}"
            );
            assert_eq!(body["type"], format!("/problems/{code}"), "{name}");
            assert_eq!(body["status"], status, "{name}");
            assert_eq!(body["request_id"], header(answer, "x-request-id"), "{name}");
        }
        None => assert_eq!(header(answer, "content-type"), "application/json", "{name}"),
    }
    body
}

#[tokio::test]
async fn every_event_is_answered() {
    let files: BTreeSet<_> = binary::events("api").into_iter().map(|(name, _)| name).collect();
    let answered: BTreeSet<_> = ANSWERS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(files, answered);
    binary::answers_every_event("api", BINARY, |name, _, round, answer| {
        let body = check(name, answer);
        match name {
            "anonymise-without-acknowledgement.json" => {
                assert_eq!(body["errors"][0]["pointer"], "/acknowledged", "{body}");
            }
            "archive-keys.json" => {
                assert_eq!(header(answer, "cache-control"), "public, max-age=300");
                let key = &body["items"][0];
                assert_eq!(
                    (&key["algorithm"], &key["curve"]),
                    (&"ECDSA_SHA_256".into(), &"P-256".into())
                );
                let pem = key["public_key_pem"].as_str().unwrap();
                assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
                assert!(!key["id"].as_str().unwrap().is_empty());
            }
            "contact-create.json" | "contact-create-base64.json" => {
                assert_eq!(body["last_name"], "Lefèvre", "{name}");
                let location = format!("/v1/contacts/{}", body["id"].as_str().unwrap());
                assert_eq!(header(answer, "location"), location, "{name}");
                assert!(!header(answer, "etag").is_empty(), "{name}");
            }
            // One of the two that enter a contact has an idempotency key: given again, it changes nothing.
            "contacts-list.json" => assert_eq!(body["total"], round + 1, "{body}"),
            "me.json" => {
                assert_eq!(body["member"]["id"], "agent");
                assert_eq!(body["tenant"]["id"], "demo");
                assert_eq!(body["rights"], serde_json::json!(["client_contacts_privacy"]));
            }
            "openapi.json" => assert_eq!(body, serde_json::to_value(oubli_api::openapi()).unwrap()),
            _ => {}
        }
    })
    .await;
}

#[tokio::test]
async fn an_event_without_a_token_in_its_place_is_refused() {
    let binary = Binary::start("api", BINARY).await;
    for (name, event) in binary::events("api") {
        if event["headers"]["authorization"] == "Bearer {{agent}}" {
            let answer = binary.invoke(&event).await.unwrap();
            assert_eq!(answer["statusCode"], 401, "{name}: {answer}");
        }
    }
    binary.stop().await;
}

#[tokio::test]
async fn a_missing_setting_is_told_in_one_line() {
    binary::tells_each_missing_setting("api", BINARY).await;
}
