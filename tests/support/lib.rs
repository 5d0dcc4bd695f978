//! What the tests share: Oubli whole in one process, and clients that speak HTTP to it.
//!
//! Each [`Stack`] has its own engines, tenants and ports, so tests run side by side. The clock
//! stands still until a test moves it, and queues are fed when a test says so: nothing sleeps.
//!
//! With `OUBLI_TEST_AWS_ENDPOINT` the same tests run against another implementation of the AWS
//! APIs; those that need the embedded engines (faults, a moved clock) then pass over themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "what tests share is test code"
)]

pub mod binary;
pub mod forging;

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use oubli_domain::Sha256;
use oubli_local::clock::EngineClock;
use oubli_local::engines::Engines;
use oubli_local::runner::{Drained, Elsewhere, Runner, RunnerOptions, TokenRequest, seeding};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// When the clock of a stack stands still at first.
pub const START: &str = "2026-11-21T12:00:00Z";

static STACKS: AtomicU32 = AtomicU32::new(0);

/// Whether another endpoint of AWS is tested than the embedded engines.
pub fn is_elsewhere() -> bool {
    std::env::var_os("OUBLI_TEST_AWS_ENDPOINT").is_some()
}

/// Tells that the running test leaves something out, because it needs the embedded engines: faults, the clock,
/// a record of the calls, the mails.
#[expect(clippy::print_stderr, reason = "it is told beside the results of the tests")]
pub fn left_out() {
    let current = std::thread::current();
    // A test is run by a thread of its name.
    let test = current.name().unwrap_or("a test");
    eprintln!("{test} needs the embedded engines: it is left out, in part or whole");
    if let Some(path) = std::env::var_os("OUBLI_TEST_LEFT_OUT") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(format!("{test}\n").as_bytes()))
            .unwrap();
    }
}

/// Oubli whole, for one test: tenants `demo` (members `admin`, `agent`, `guest`; French) and
/// `other` (`other-admin`, `other-agent`; English), no contacts.
pub struct Stack {
    pub runner: Runner,
    http: reqwest::Client,
}

impl Stack {
    /// Starts a stack of one's own.
    pub async fn start() -> Self {
        let elsewhere = std::env::var("OUBLI_TEST_AWS_ENDPOINT").ok().map(|url| {
            let number = STACKS.fetch_add(1, Ordering::SeqCst);
            Elsewhere {
                url,
                prefix: format!("oubli-{}-{number}", std::process::id()),
            }
        });
        // Another endpoint has the system's time, and checks links by it.
        let clock = match &elsewhere {
            Some(_) => EngineClock::system(0),
            None => EngineClock::frozen(START.parse().unwrap()),
        };
        let options = RunnerOptions {
            elsewhere,
            ..RunnerOptions::ephemeral(clock)
        };
        Self::start_with(options).await
    }

    /// Starts a stack with a clock, queues or a state of one's own: on the embedded engines, whatever else is
    /// tested.
    pub async fn start_with(options: RunnerOptions) -> Self {
        if is_elsewhere() && options.elsewhere.is_none() {
            left_out();
        }
        let runner = Runner::start(options).await.unwrap();
        seeding::seed_tenants(&runner).await.unwrap();
        // Redirects are answers to be looked at.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { runner, http }
    }

    /// The embedded engines; `None` when another endpoint is tested. Then the test has to leave something out:
    /// its name is printed, and written to the file that `OUBLI_TEST_LEFT_OUT` names.
    pub fn engines(&self) -> Option<&Engines> {
        let engines = self.runner.engines();
        if engines.is_none() {
            left_out();
        }
        engines
    }

    /// A client configuration for the endpoint of AWS, as an operator could look into it.
    pub async fn aws(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(self.runner.aws_url())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await
    }

    pub fn now(&self) -> Timestamp {
        self.runner.clock().now()
    }

    /// Moves the clock of everything.
    pub fn advance(&self, by: SignedDuration) {
        self.runner.clock().advance(by);
    }

    /// Feeds all functions until the queues are empty.
    pub async fn drain(&self) -> Drained {
        self.runner.drain().await.unwrap()
    }

    /// Lets S3 remove what is due by its rules, and the janitor hear of it.
    pub async fn sweep_storage(&self) {
        self.runner.sweep_engines().await.unwrap();
        self.runner.drain_one("janitor").await.unwrap();
    }

    /// Runs the janitor once.
    pub async fn sweep(&self) {
        self.runner.functions().sweep(self.now()).await.unwrap();
    }

    pub fn admin(&self) -> Client {
        self.member("demo", "admin")
    }

    pub fn agent(&self) -> Client {
        self.member("demo", "agent")
    }

    pub fn guest(&self) -> Client {
        self.member("demo", "guest")
    }

    pub fn other_admin(&self) -> Client {
        self.member("other", "other-admin")
    }

    pub fn other_agent(&self) -> Client {
        self.member("other", "other-agent")
    }

    /// A client with a fresh token of this member, who need not exist.
    pub fn member(&self, tenant: &str, member: &str) -> Client {
        let request = TokenRequest::Staff {
            tenant: tenant.to_owned(),
            member: member.to_owned(),
            email: format!("{member}@{tenant}.example.com"),
        };
        let (token, _) = self.runner.identity().token(&request, self.now()).unwrap();
        self.with_token(Some(token))
    }

    /// A client without a token.
    pub fn nobody(&self) -> Client {
        self.with_token(None)
    }

    pub fn with_token(&self, token: Option<String>) -> Client {
        Client {
            base: self.runner.api_url(),
            http: self.http.clone(),
            token,
        }
    }

    /// Puts bytes where an `upload` of the API says. As browsers do (Fetch standard, "HTTP-network-or-cache
    /// fetch"), the length is told of no bytes too.
    pub async fn put_upload(&self, upload: &Value, bytes: Vec<u8>) -> StatusCode {
        let method = Method::from_bytes(upload["method"].as_str().unwrap().as_bytes()).unwrap();
        let mut request = self
            .http
            .request(method, upload["url"].as_str().unwrap())
            .header("content-length", bytes.len())
            .body(bytes);
        for (name, value) in upload["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        request.send().await.unwrap().status()
    }

    /// Follows a link without any credentials.
    pub async fn fetch(&self, url: &str) -> (StatusCode, Bytes) {
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    }

    /// Enters a contact as `agent`; answers its id.
    pub async fn contact(&self, body: Value) -> String {
        self.agent()
            .post("/v1/contacts", body)
            .await
            .expect(StatusCode::CREATED)["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Enters, uploads and completes a document as `agent`; answers its id.
    pub async fn document(&self, contact: &str, name: &str, bytes: &[u8]) -> String {
        let body = json!({
            "name": name,
            "content_type": "application/octet-stream",
            "size_bytes": bytes.len(),
            "sha256": Sha256::of(bytes).to_string(),
            "kind": "document"
        });
        self.document_of(contact, body, bytes).await
    }

    /// As [`Stack::document`], with a body of one's own.
    pub async fn document_of(&self, contact: &str, body: Value, bytes: &[u8]) -> String {
        let agent = self.agent();
        let path = format!("/v1/contacts/{contact}/documents");
        let new = agent.post(&path, body).await.expect(StatusCode::CREATED);
        assert_eq!(
            self.put_upload(&new["upload"], bytes.to_vec()).await,
            StatusCode::OK
        );
        let id = new["document"]["id"].as_str().unwrap().to_owned();
        agent
            .post(&format!("{path}/{id}/complete"), Value::Null)
            .await
            .expect(StatusCode::OK);
        id
    }

    /// Starts an export of these contacts as `agent`; answers the action's id.
    pub async fn export(&self, contact_ids: &[&str]) -> String {
        let body = json!({ "kind": "export", "selection": { "contact_ids": contact_ids } });
        let action = self
            .agent()
            .post("/v1/data-actions", body)
            .await
            .expect(StatusCode::ACCEPTED);
        action["id"].as_str().unwrap().to_owned()
    }

    /// An action as the API shows it.
    pub async fn action(&self, id: &str) -> Value {
        self.agent()
            .get(&format!("/v1/data-actions/{id}"))
            .await
            .expect(StatusCode::OK)
    }

    /// All items of an action, page by page.
    pub async fn items(&self, action: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut path = format!("/v1/data-actions/{action}/items?limit=200");
        loop {
            let page = self.agent().get(&path).await.expect(StatusCode::OK);
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/v1/data-actions/{action}/items?limit=200&cursor={cursor}"),
                None => return items,
            }
        }
    }

    /// Downloads an archive as `agent`, by its link.
    pub async fn archive(&self, id: &str) -> Bytes {
        let answer = self.agent().get(&format!("/v1/archives/{id}/content")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let (status, bytes) = self.fetch(answer.header("location").unwrap()).await;
        assert_eq!(status, StatusCode::OK);
        bytes
    }
}

/// Somebody who calls the API.
#[derive(Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    pub token: Option<String>,
}

impl Client {
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], None).await
    }

    /// With a JSON body, or with none for `Value::Null`.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, &[], json_body(body)).await
    }

    pub async fn put(&self, path: &str, if_match: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, &[("if-match", if_match)], json_body(body))
            .await
    }

    pub async fn patch(&self, path: &str, if_match: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, &[("if-match", if_match)], json_body(body))
            .await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], None).await
    }

    /// Any request; a body goes as `application/json` unless a header says otherwise.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let has = |wanted: &str| headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        if body.is_some() && !has("content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(HeaderName::from_bytes(name.as_bytes()).unwrap(), *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer {
            status,
            headers,
            bytes: answer.bytes().await.unwrap(),
        }
    }
}

fn json_body(body: Value) -> Option<Vec<u8>> {
    (!body.is_null()).then(|| body.to_string().into_bytes())
}

/// What the API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    /// The body as JSON, after a check of the status.
    #[track_caller]
    pub fn expect(&self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The problem's code, after a check of status and form.
    #[track_caller]
    pub fn problem(&self, status: StatusCode) -> String {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["status"], status.as_u16());
        assert!(problem["request_id"].is_string() && problem["title"].is_string());
        problem["type"]
            .as_str()
            .unwrap()
            .strip_prefix("/problems/")
            .unwrap()
            .to_owned()
    }

    /// The pointers of a problem's `errors`.
    pub fn pointers(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    pub fn json(&self) -> Value {
        if self.bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&self.bytes).unwrap()
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
