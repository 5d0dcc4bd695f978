//! What goes wrong behind the API, so that its traces can be looked through.

use jiff::SignedDuration;
use oubli_local::faults::{Fault, Outcome};
use oubli_local::ses::{Recipients, Refusal};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Watched;
use crate::endpoint;

/// What stands in messages that no function of ours sent.
pub(super) const POISON: &str = "zqxpoison";
/// The longest pause before a message is delivered again that failed.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// Longer than any queue hides a message.
const VISIBILITY: SignedDuration = SignedDuration::from_secs(6 * 900 + 1);

/// Messages that no function of ours would send, until they are with the dead letters.
pub(super) async fn poison(watched: &Watched) {
    let stack = &watched.stack;
    let client = aws_sdk_sqs::Client::new(&stack.aws().await);
    let queues = &stack.runner.provisioned().queues;
    let bodies = [
        POISON.to_owned(),
        json!({ POISON: 1 }).to_string(),
        json!({ "kind": POISON, "tenant_id": POISON, "action_id": POISON }).to_string(),
    ];
    for queue in queues {
        for body in &bodies {
            let send = client
                .send_message()
                .queue_url(&queue.queue_url)
                .message_body(body);
            send.send().await.unwrap();
        }
    }
    for _ in 0..21 {
        stack.drain().await;
        stack.advance(LONGEST_PAUSE);
    }
    let engines = stack.engines().unwrap();
    let letters: Vec<_> = engines
        .queues()
        .names()
        .into_iter()
        .filter(|name| name.contains("dead-letter"))
        .collect();
    assert_eq!(letters.len(), queues.len());
    for name in letters {
        let letters = engines.queues().bodies(&name);
        assert!(
            bodies.iter().all(|body| letters.contains(body)),
            "{name}: {letters:?}"
        );
    }
}

/// An export whose document is not to be had at first, whose mail is refused, which is retried and told
/// of again.
pub(super) async fn fails_and_is_retried(watched: &mut Watched, contact: &str, document: &str) {
    let engines = watched.stack.engines().unwrap();
    let (mails, faults) = (engines.mails().clone(), engines.faults().clone());
    let builders = |operation: &str| {
        let fault = Fault::on(operation, Outcome::Error).from_caller("oubli-archive-builder");
        faults.inject(fault.first(2))
    };
    let struck = [builders("S3.GetObject"), builders("DynamoDB.TransactWriteItems")];
    let s3 = aws_sdk_s3::Client::from_conf(
        aws_sdk_s3::config::Builder::from(&watched.stack.aws().await)
            .force_path_style(true)
            .build(),
    );
    let bucket = endpoint::setting(&watched.stack, "OUBLI_DOCUMENTS_BUCKET");
    let key = format!("documents/demo/{contact}/{document}");
    let found = s3.get_object().bucket(&bucket).key(&key).send().await.unwrap();
    let bytes = found.body.collect().await.unwrap().into_bytes();
    let delete = s3.delete_object().bucket(&bucket).key(&key);
    delete.send().await.unwrap();
    mails.refuse(Recipients::All, Refusal::Reject);

    let body = json!({ "kind": "export", "selection": { "contact_ids": [contact] } });
    let started = watched.post("/v1/data-actions", body).await;
    let started = started.expect(StatusCode::ACCEPTED);
    let action = format!("/v1/data-actions/{}", started["id"].as_str().unwrap());
    for _ in 0..3 {
        watched.stack.drain().await;
        watched.stack.advance(VISIBILITY);
        watched.stack.sweep().await;
    }
    assert!(struck.iter().all(|struck| struck.count() == 2));
    let items = watched.get(&format!("{action}/items")).await;
    let items = items.expect(StatusCode::OK);
    assert_eq!(items["items"][0]["reason"], "document_unreadable", "{items}");

    mails.accept_all();
    let put = s3.put_object().bucket(&bucket).key(&key).body(bytes.into());
    put.send().await.unwrap();
    let retried = watched.post(&format!("{action}/retry"), Value::Null).await;
    retried.expect(StatusCode::ACCEPTED);
    watched.stack.drain().await;
    let ended = watched.get(&action).await.expect(StatusCode::OK);
    assert_eq!(ended["state"], "completed", "{ended}");
    let told = watched.post(&format!("{action}/notify"), Value::Null).await;
    told.expect(StatusCode::ACCEPTED);
    watched.stack.drain().await;
}
