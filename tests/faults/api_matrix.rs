//! The API killed, refused, throttled or left without an answer at each of its AWS calls, and a client
//! that asks again with the same idempotency key: one effect.

use jiff::SignedDuration;
use oubli_local::faults::{Fault, Gate, Outcome};
use oubli_tests::{Answer, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::matrix::{self, Cell, Kind};
use crate::world::{API, Feed, Want, World};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Start,
    Stop,
    Retry,
    Notify,
    CreateContact,
    CreateDocument,
    CompleteDocument,
    DeleteDocument,
    DeleteContact,
}

/// A request that waits to be sent, and what was there before it.
struct Request {
    operation: Operation,
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    /// The idempotency key; also a name that nobody else has.
    key: String,
    contact: String,
    action: String,
    document: String,
    /// The contact's version, or the number of actions.
    before: u64,
}

impl Request {
    async fn prepare(world: &World, operation: Operation, key: String) -> Self {
        let mut request = Self {
            operation,
            method: Method::POST,
            path: String::new(),
            body: None,
            key,
            contact: String::new(),
            action: String::new(),
            document: String::new(),
            before: 0,
        };
        match operation {
            Operation::Start | Operation::CreateContact => {}
            Operation::Stop => {
                let ids = ["absent-1".to_owned(), "absent-2".to_owned()];
                request.action = world.start_export(&ids).await;
            }
            Operation::Retry | Operation::Notify => {
                request.action = world.start_export(&["absent".to_owned()]).await;
                world.settle(&mut Feed::plain(), &[&request.action]).await;
            }
            Operation::CreateDocument | Operation::CompleteDocument => {
                request.contact = world.contact_with("Roux", &[]).await;
            }
            Operation::DeleteDocument | Operation::DeleteContact => {
                request.contact = world.contact_with("Roux", &[b"one"]).await;
            }
        }
        let documents = format!("/v1/contacts/{}/documents", request.contact);
        if operation == Operation::CompleteDocument {
            let agent = world.stack.agent();
            let new = agent
                .post(&documents, document())
                .await
                .expect(StatusCode::CREATED);
            request.document = new["document"]["id"].as_str().unwrap().to_owned();
            let put = world.stack.put_upload(&new["upload"], b"bytes".to_vec()).await;
            assert_eq!(put, StatusCode::OK);
        }
        if operation == Operation::DeleteDocument {
            let listed = world.stack.agent().get(&documents).await.json();
            request.document = listed["items"][0]["id"].as_str().unwrap().to_owned();
        }
        let (method, path, body) = match operation {
            Operation::Start => {
                let selection = json!({ "contact_ids": [world.contact_with("Roux", &[]).await] });
                let body = json!({ "kind": "export", "selection": selection });
                (Method::POST, "/v1/data-actions".to_owned(), Some(body))
            }
            Operation::Stop => (
                Method::POST,
                format!("/v1/data-actions/{}/stop", request.action),
                None,
            ),
            Operation::Retry => (
                Method::POST,
                format!("/v1/data-actions/{}/retry", request.action),
                None,
            ),
            Operation::Notify => (
                Method::POST,
                format!("/v1/data-actions/{}/notify", request.action),
                None,
            ),
            Operation::CreateContact => {
                let body = json!({ "last_name": request.key });
                (Method::POST, "/v1/contacts".to_owned(), Some(body))
            }
            Operation::CreateDocument => (Method::POST, documents, Some(document())),
            Operation::CompleteDocument => (
                Method::POST,
                format!("{documents}/{}/complete", request.document),
                None,
            ),
            Operation::DeleteDocument => (Method::DELETE, format!("{documents}/{}", request.document), None),
            Operation::DeleteContact => (Method::DELETE, format!("/v1/contacts/{}", request.contact), None),
        };
        (request.method, request.path) = (method, path);
        request.body = body.map(|body| body.to_string().into_bytes());
        request.before = request.count(world).await;
        request
    }

    /// How many actions there are, or which version the contact has.
    async fn count(&self, world: &World) -> u64 {
        let agent = world.stack.agent();
        if self.contact.is_empty() {
            let actions = agent.get("/v1/data-actions?limit=1").await.expect(StatusCode::OK);
            return actions["total"].as_u64().unwrap();
        }
        let path = format!("/v1/contacts/{}", self.contact);
        let contact = agent.get(&path).await;
        contact.json()["version"].as_u64().unwrap_or(0)
    }

    async fn send(&self, world: &World) -> Answer {
        let headers = [("idempotency-key", self.key.as_str())];
        let headers = if self.method == Method::POST {
            headers.as_slice()
        } else {
            &[]
        };
        let agent = world.stack.agent();
        agent
            .call(self.method.clone(), &self.path, headers, self.body.clone())
            .await
    }

    /// Asks until there is an answer; the first time, the API dies at the gate.
    async fn insist(&self, world: &World, gate: Option<Gate>) -> Answer {
        if let Some(gate) = gate {
            tokio::select! {
                biased;
                () = gate.reached() => {}
                answer = self.send(world) => panic!("the call was never made: {}", answer.text()),
            }
        }
        for _ in 0..5 {
            let answer = self.send(world).await;
            if !answer.status.is_server_error() {
                return answer;
            }
        }
        panic!("no answer at all");
    }

    async fn check(&self, world: &World, answer: &Answer) {
        let again = self.send(world).await;
        match self.operation {
            Operation::DeleteDocument | Operation::DeleteContact => {
                // Who asks again may find it gone already.
                let gone = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
                assert!(gone.contains(&answer.status), "{}", answer.text());
                assert_eq!(again.status, StatusCode::NOT_FOUND);
            }
            _ => {
                assert!(answer.status.is_success(), "{}", answer.text());
                assert_eq!(again.status, answer.status, "{}", again.text());
                let id = |answer: &Answer| {
                    let body = answer.json();
                    (body["id"].clone(), body["document"]["id"].clone())
                };
                assert_eq!(id(&again), id(answer));
            }
        }
        match self.operation {
            Operation::Start => {
                let action = answer.json()["id"].as_str().unwrap().to_owned();
                world.settle(&mut Feed::plain(), &[&action]).await;
                world.expect(&action, &Want::completed(1)).await;
                assert_eq!(self.count(world).await, self.before + 1);
            }
            Operation::Stop => {
                world.settle(&mut Feed::plain(), &[&self.action]).await;
                let ended = world.stack.action(&self.action).await;
                assert_eq!(ended["state"], "stopped");
                assert_eq!(world.mails_about(&self.action), 1);
            }
            Operation::Retry | Operation::Notify => {
                world.settle(&mut Feed::plain(), &[&self.action]).await;
                world.expect(&self.action, &Want::failed(1, 2)).await;
            }
            Operation::CreateContact => {
                let path = format!("/v1/contacts?q={}", self.key);
                let found = world.stack.agent().get(&path).await.expect(StatusCode::OK);
                assert_eq!(found["total"], json!(1));
            }
            Operation::CreateDocument => {
                let path = format!("/v1/contacts/{}/documents", self.contact);
                let found = world.stack.agent().get(&path).await.expect(StatusCode::OK);
                assert_eq!(found["total"], json!(1), "{found}");
            }
            Operation::CompleteDocument => {
                assert_eq!(self.count(world).await, self.before + 1);
                let path = format!("/v1/contacts/{}/documents/{}", self.contact, self.document);
                let link = world.stack.agent().get(&format!("{path}/content")).await;
                assert_eq!(link.status, StatusCode::SEE_OTHER, "{}", link.text());
                let (_, bytes) = world.stack.fetch(link.header("location").unwrap()).await;
                assert_eq!(bytes, b"bytes".as_slice());
            }
            Operation::DeleteDocument | Operation::DeleteContact => {
                world.stack.advance(SignedDuration::from_mins(20));
                world.sweep(&mut Feed::plain()).await;
                let kept = world.stored("documents").await;
                assert!(
                    kept.iter().all(|item| !item.key.contains(&self.contact)),
                    "{kept:?}"
                );
                let deleted = self.operation == Operation::DeleteContact;
                let version = if deleted { 0 } else { self.before + 1 };
                assert_eq!(self.count(world).await, version);
            }
        }
    }
}

fn document() -> Value {
    json!({ "name": "a.bin", "content_type": "application/octet-stream", "size_bytes": 5, "kind": "document" })
}

async fn try_each_call_of(operation: Operation) {
    let Some(world) = World::start().await else { return };
    let request = Request::prepare(&world, operation, "Recorded".to_owned()).await;
    world.engines().faults().record();
    let answer = request.insist(&world, None).await;
    let calls = matrix::calls_of(&world, API);
    request.check(&world, &answer).await;
    matrix::run(
        matrix::cells(&calls, &Kind::ALL),
        2,
        async |_| (),
        async |world, (), cell: &Cell| {
            let key = format!("Key{}{:?}", cell.nth, cell.kind);
            let request = Request::prepare(world, operation, key).await;
            let armed = cell.arm(world, API);
            let answer = request.insist(world, armed.gate.clone()).await;
            armed.disarm(world);
            request.check(world, &answer).await;
        },
        async |_, ()| (),
    )
    .await;
}

macro_rules! each_call_of {
    ($($name:ident: $operation:ident,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            try_each_call_of(Operation::$operation).await;
        }
    )*};
}

each_call_of! {
    starting_an_export: Start,
    stopping_an_action: Stop,
    retrying_an_action: Retry,
    sending_the_mail_again: Notify,
    entering_a_contact: CreateContact,
    announcing_a_document: CreateDocument,
    completing_a_document: CompleteDocument,
    deleting_a_document: DeleteDocument,
    deleting_a_contact: DeleteContact,
}

/// The secret of hashes is derived at a process's first request that needs it. Without it nothing is done, and
/// what is asked again is done once.
#[tokio::test]
async fn a_request_waits_for_the_secret_of_hashes() {
    for outcome in [Outcome::Error, Outcome::Throttle, Outcome::LostReply] {
        let stack = Stack::start().await;
        let Some(engines) = stack.engines() else {
            println!("left out: this endpoint cannot be made to fail");
            return;
        };
        let fault = Fault::on("KMS.GenerateMac", outcome.clone()).from_caller(API);
        let struck = engines.faults().inject(fault);
        let enter = async || {
            let body = json!({ "last_name": "Roux" }).to_string().into_bytes();
            let key = [("idempotency-key", "once")];
            let agent = stack.agent();
            agent.call(Method::POST, "/v1/contacts", &key, Some(body)).await
        };
        let refused = enter().await;
        assert!(refused.status.is_server_error(), "{}", refused.text());
        assert!(struck.count() > 0);
        engines.faults().clear();
        let entered = enter().await.expect(StatusCode::CREATED);
        assert_eq!(enter().await.expect(StatusCode::CREATED)["id"], entered["id"]);
        let found = stack.agent().get("/v1/contacts?q=roux").await;
        assert_eq!(found.expect(StatusCode::OK)["total"], 1);
    }
}
