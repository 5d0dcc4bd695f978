//! What the functions call is what their roles allow: a whole life, each call of it held against `template.yaml`.
//!
//! The record of a call does not tell which index a query reads, or which keys a batch deletes: there a right
//! on the table, or the bucket's folder, must do.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use aws_lambda_events::sqs::SqsEvent;
use jiff::SignedDuration;
use oubli_local::faults::{Call, Fault, Gate, Outcome};
use oubli_local::provision::node::Node;
use oubli_local::provision::template::{Resource, Template};
use oubli_tests::Stack;
use reqwest::StatusCode;
use serde_json::{Value, json};

const DAY: SignedDuration = SignedDuration::from_hours(24);
const MINUTE: SignedDuration = SignedDuration::from_mins(1);
/// Where mails are sent from, as roles name it.
const SENDER: &str = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/any";

/// What a role allows: actions of IAM, each with where. `ContactsTable`, `DocumentsBucket/documents/*`.
struct Role(Vec<(String, String)>);

/// Rights of tables that this life does not use.
const MET_BY_ACCIDENT: [&str; 6] = [
    // What was left by large documents, or by a process that died, is looked for.
    "anonymiser: dynamodb:GetItem on ContactsTable",
    // The note of what is deleted goes at once where no copy can be under way.
    "anonymiser: dynamodb:DeleteItem on RequestsTable",
    // The contact was deleted while its archive was built.
    "archive-builder: dynamodb:GetItem on ContactsTable",
    // The action runs again: its chunks are counted.
    "notifier: dynamodb:Query on RequestsTable",
    // A worker that died leaves documents that nobody has.
    "restorer: dynamodb:Query on ContactsTable",
    "restorer: dynamodb:DeleteItem on ContactsTable",
];

/// What a call takes: this action, there.
#[derive(Debug)]
struct Need {
    action: String,
    place: String,
}

impl Role {
    fn allows(&self, need: &Need) -> bool {
        self.used_by(need).next().is_some()
    }

    /// The rights that allow it.
    fn used_by(&self, need: &Need) -> impl Iterator<Item = &(String, String)> {
        self.0.iter().filter(|(action, place)| {
            let is_there = match place.strip_suffix('*') {
                Some(beginning) => need.place.starts_with(beginning),
                None => need.place == *place,
            };
            let index = format!("{}/index/", need.place);
            let is_index = action == "dynamodb:Query" && place.starts_with(&index);
            need.action == *action && (is_there || is_index)
        })
    }
}

/// One, or each of a list.
fn each(node: &Node) -> &[Node] {
    match node.items() {
        [] => slice::from_ref(node),
        items => items,
    }
}

/// `!GetAtt Id.Arn` as `Id`, `!Sub "${Id.Arn}/…"` as `Id/…`.
fn place(node: &Node) -> String {
    if let Some(choice) = node.tagged("!If") {
        // What holds where no parameter says otherwise.
        return place(&choice.items()[1]);
    }
    if let Some(attribute) = node.tagged("!GetAtt").and_then(Node::text) {
        return attribute.strip_suffix(".Arn").unwrap().to_owned();
    }
    let text = node.tagged("!Sub").or(Some(node)).and_then(Node::text).unwrap();
    match text.strip_prefix("${").and_then(|text| text.split_once(".Arn}")) {
        Some((id, rest)) => format!("{id}{rest}"),
        None => text.to_owned(),
    }
}

/// The functions of the template, by the names of their folders.
fn functions() -> BTreeMap<String, &'static Resource> {
    let functions = Template::embedded().unwrap().of_kind("AWS::Serverless::Function");
    let named = functions.map(|function| {
        let folder = function.property(&["CodeUri"]).and_then(Node::text).unwrap();
        (folder.strip_prefix("functions/").unwrap().to_owned(), function)
    });
    named.collect()
}

fn role_of(function: &Resource) -> Role {
    let role = place(function.property(&["Role"]).unwrap());
    let mut roles = Template::embedded().unwrap().of_kind("AWS::IAM::Role");
    let role = roles.find(|found| found.logical_id == role).unwrap();
    let mut allowed = Vec::new();
    for policy in role.property(&["Policies"]).unwrap().items() {
        for statement in policy.at(&["PolicyDocument", "Statement"]).unwrap().items() {
            assert_eq!(statement.get("Effect").and_then(Node::text), Some("Allow"));
            for action in each(statement.get("Action").unwrap()) {
                let places = each(statement.get("Resource").unwrap()).iter();
                let action = action.text().unwrap();
                allowed.extend(places.map(|at| (action.to_owned(), place(at))));
            }
        }
    }
    Role(allowed)
}

/// What the template calls each table, bucket, queue and key, by the name that the stack gave it.
fn logical_ids(stack: &Stack) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::new();
    for (name, function) in functions() {
        let variables = function.property(&["Environment", "Variables"]).unwrap();
        for (variable, value) in variables.entries() {
            if let Some(id) = value.tagged("!Ref").and_then(Node::text) {
                let given = &stack.runner.provisioned().environment[&name][variable];
                // The last part of a queue's address is its name.
                let given = given.rsplit('/').next().unwrap();
                ids.insert(given.to_owned(), id.to_owned());
            }
        }
    }
    ids
}

fn need(service: &str, action: &str, place: String) -> Need {
    Need {
        action: format!("{service}:{action}"),
        place,
    }
}

/// What a call takes, as the services' authorisation references have it.
fn needs(call: &Call, ids: &BTreeMap<String, String>) -> Vec<Need> {
    let id = |name: &str| {
        let id = ids.get(name);
        id.unwrap_or_else(|| panic!("not of the template: {call:?}"))
            .clone()
    };
    match call.operation.split_once('.').unwrap() {
        ("DynamoDB", operation) => {
            if ["TransactWriteItems", "TransactGetItems"].contains(&operation) {
                let right = |kind: &str| format!("{kind}Item");
                let writes = call.writes.iter();
                return writes
                    .map(|(kind, table)| need("dynamodb", &right(kind), id(table)))
                    .collect();
            }
            let tables = call.label.split(',');
            tables
                .map(|table| need("dynamodb", operation, id(table)))
                .collect()
        }
        ("S3", operation) => {
            let (bucket, key) = call.label.split_once('/').unwrap_or((call.label.as_str(), ""));
            objects(operation, &id(bucket), key)
        }
        ("SQS", "SendMessage" | "SendMessageBatch") => vec![need("sqs", "SendMessage", id(&call.label))],
        ("KMS", operation) => vec![need("kms", operation, id(&call.label))],
        ("SES", operation) => vec![need("ses", operation, SENDER.to_owned())],
        _ => panic!("which right does it take? {call:?}"),
    }
}

fn objects(operation: &str, bucket: &str, key: &str) -> Vec<Need> {
    let object = |action: &str| vec![need("s3", action, format!("{bucket}/{key}"))];
    let all = |action: &str| vec![need("s3", action, bucket.to_owned())];
    match operation {
        "GetObject" | "HeadObject" => object("GetObject"),
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => {
            object("PutObject")
        }
        "AbortMultipartUpload" | "DeleteObject" => object(operation),
        "ListParts" => object("ListMultipartUploadParts"),
        "CopyObject" => {
            let source = need("s3", "GetObject", "UploadsBucket/uploads/".to_owned());
            object("PutObject").into_iter().chain([source]).collect()
        }
        "DeleteObjects" => {
            let folder = bucket.strip_suffix("Bucket").unwrap().to_lowercase();
            let right = |action: &str| need("s3", action, format!("{bucket}/{folder}/"));
            // Only there are versions named.
            let of_versions = (bucket == "DocumentsBucket").then(|| right("DeleteObjectVersion"));
            [right("DeleteObject")].into_iter().chain(of_versions).collect()
        }
        "ListObjectsV2" => all("ListBucket"),
        "ListObjectVersions" => all("ListBucketVersions"),
        "ListMultipartUploads" => all("ListBucketMultipartUploads"),
        _ => panic!("which right does S3.{operation} take?"),
    }
}

/// Starts an action as `agent`; answers its id.
async fn start(stack: &Stack, kind: &str, selection: Value) -> String {
    let body = json!({ "kind": kind, "selection": selection, "acknowledged": true });
    let action = stack.agent().post("/v1/data-actions", body).await;
    let action = action.expect(StatusCode::ACCEPTED)["id"].clone();
    action.as_str().unwrap().to_owned()
}

/// Runs an action to its end, some time after what was done before, and checks how its items ended.
async fn act(stack: &Stack, kind: &str, selection: Value, states: &[&str]) -> Vec<Value> {
    stack.advance(MINUTE);
    let action = start(stack, kind, selection).await;
    stack.drain().await;
    let items = stack.items(&action).await;
    let ended: Vec<_> = items.iter().map(|item| item["state"].clone()).collect();
    assert_eq!(ended, states, "{kind}: {items:?}");
    items
}

async fn ask(stack: &Stack, action: &str, what: &str) {
    let path = format!("/v1/data-actions/{action}/{what}");
    let answer = stack.agent().post(&path, Value::Null).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
}

/// Time goes by, and the janitor looks.
async fn later(stack: &Stack, by: SignedDuration) {
    stack.advance(by);
    stack.sweep().await;
}

/// Bytes that do not compress, more than one part of an archive holds.
fn noise() -> Vec<u8> {
    let words = (1_u32..).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_be_bytes());
    words.take(9 * 1024 * 1024).collect()
}

/// Members and groups; a contact with documents, large and small, one deleted and one that never arrives.
async fn entered(stack: &Stack) -> String {
    let (admin, agent) = (stack.admin(), stack.agent());
    let member = json!({ "id": "new", "name": "New", "email": "new@demo.example.com" });
    admin
        .post("/v1/members", member)
        .await
        .expect(StatusCode::CREATED);
    let group = json!({ "name": "New", "rights": ["client_contacts_privacy"], "member_ids": ["new"] });
    admin.post("/v1/groups", group).await.expect(StatusCode::CREATED);
    assert!(admin.delete("/v1/members/new").await.status.is_success());

    let contact = stack
        .contact(json!({ "last_name": "Zola", "email": "zola@example.fr" }))
        .await;
    let path = format!("/v1/contacts/{contact}");
    stack.document(&contact, "large.bin", &noise()).await;
    stack.document(&contact, "small.txt", b"small").await;
    let deleted = stack.document(&contact, "deleted.txt", b"deleted").await;
    let document = format!("{path}/documents/{deleted}");
    let content = agent.get(&format!("{document}/content")).await;
    assert_eq!(content.status, StatusCode::SEE_OTHER);
    assert!(agent.delete(&document).await.status.is_success());
    let never = json!({ "name": "n", "content_type": "text/plain", "size_bytes": 1, "kind": "document" });
    let never = agent.post(&format!("{path}/documents"), never).await;
    never.expect(StatusCode::CREATED);
    let changed = agent.patch(&path, "*", json!({ "job_title": "Writer" })).await;
    changed.expect(StatusCode::OK);
    for query in ["", "?sort=-created_at", "?q=zol", "?q=zola@example.fr"] {
        let page = agent.get(&format!("/v1/contacts{query}")).await;
        assert_eq!(page.expect(StatusCode::OK)["total"], 1, "{query}");
    }
    contact
}

/// An export whose builder dies, is handed out again, retried and told of; one that the planner is reminded
/// of, and one that is stopped.
async fn exported(stack: &Stack, contact: &str) {
    let faults = stack.engines().unwrap().faults();
    let action = start(stack, "export", json!({ "contact_ids": [contact, "nobody"] })).await;
    let gate = Gate::default();
    faults.inject(Fault::on("KMS.Sign", Outcome::HoldBefore(gate.clone())).first(1));
    tokio::select! {
        biased;
        () = gate.reached() => {}
        drained = stack.drain() => panic!("the builder should have died: {drained:?}"),
    }
    faults.clear();
    gate.open();
    later(stack, MINUTE * 20).await;
    stack.drain().await;
    assert_eq!(stack.action(&action).await["state"], "completed_with_failures");
    ask(stack, &action, "retry").await;
    stack.drain().await;
    ask(stack, &action, "notify").await;
    later(stack, MINUTE * 3).await;
    stack.drain().await;

    start(stack, "export", json!({ "filter": { "q": "zola@example.fr" } })).await;
    later(stack, MINUTE * 3).await;
    stack.drain().await;

    let stopped = start(stack, "export", json!({ "filter": {} })).await;
    let plan = json!({ "tenant_id": "demo", "action_id": stopped }).to_string();
    let plan = json!({ "Records": [{ "messageId": "1", "body": plan, "eventSource": "aws:sqs" }] });
    let plan: SqsEvent = serde_json::from_value(plan).unwrap();
    let planned = stack.runner.functions().handle("bulk-planner", plan).await;
    assert!(planned.batch_item_failures.is_empty());
    ask(stack, &stopped, "stop").await;
    stack.drain().await;
    assert_eq!(stack.action(&stopped).await["state"], "stopped");
}

/// Anonymised and brought back twice: from the archive that is there, and from one that was saved.
async fn restored(stack: &Stack, contact: &str) {
    let one = || json!({ "contact_ids": [contact] });
    act(stack, "anonymise", one(), &["done"]).await;
    act(stack, "restore", one(), &["done"]).await;
    let items = act(stack, "export", one(), &["done"]).await;
    let saved = stack.archive(items[0]["archive"]["id"].as_str().unwrap()).await;
    act(stack, "anonymise", one(), &["done"]).await;
    let mut uploads = Vec::new();
    // The other is to come in parts, and never does.
    for size_bytes in [saved.len() as u64, 6 << 30] {
        let body = json!({ "size_bytes": size_bytes });
        let new = stack.agent().post("/v1/archive-uploads", body).await;
        uploads.push(new.expect(StatusCode::CREATED));
    }
    let put = stack.put_upload(&uploads[0]["upload"], saved.to_vec()).await;
    assert_eq!(put, StatusCode::OK);
    let ids: Vec<_> = uploads.iter().map(|new| new["upload_id"].clone()).collect();
    act(
        stack,
        "restore",
        json!({ "upload_ids": ids }),
        &["done", "failed"],
    )
    .await;
    let keys = stack.nobody().get("/v1/archive-keys").await;
    keys.expect(StatusCode::OK);
}

/// A contact deleted; archives that end, one removed by the bucket's rule and one by the janitor.
async fn ended(stack: &Stack, contact: &str) {
    let other = stack.contact(json!({ "last_name": "Hugo" })).await;
    let one = || json!({ "contact_ids": [other] });
    act(stack, "export", one(), &["done"]).await;
    let deleted = stack.agent().delete(&format!("/v1/contacts/{contact}")).await;
    assert!(deleted.status.is_success(), "{}", deleted.text());
    later(stack, DAY * 10 + MINUTE).await;
    stack.advance(DAY);
    stack.sweep_storage().await;
    act(stack, "export", one(), &["done"]).await;
    later(stack, DAY * 14).await;
}

#[tokio::test]
async fn every_call_of_a_function_is_one_that_its_role_allows() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else { return };
    engines.faults().record();
    let contact = Box::pin(entered(&stack)).await;
    Box::pin(exported(&stack, &contact)).await;
    Box::pin(restored(&stack, &contact)).await;
    Box::pin(ended(&stack, &contact)).await;

    let ids = logical_ids(&stack);
    let roles = functions()
        .into_iter()
        .map(|(name, function)| (name, role_of(function)));
    let roles: BTreeMap<_, _> = roles.collect();
    let mut seen = BTreeSet::new();
    let mut used = BTreeSet::new();
    for call in engines.faults().calls() {
        // Whoever has a link has no name, and Lambda itself reads the queues.
        let Some(caller) = call.caller.clone().filter(|caller| caller != "event-source") else {
            continue;
        };
        let name = caller.strip_prefix("oubli-").unwrap().to_owned();
        for need in needs(&call, &ids) {
            let rights = roles[&name]
                .used_by(&need)
                .map(|right| (name.clone(), right.clone()));
            let rights: Vec<_> = rights.collect();
            assert!(!rights.is_empty(), "{name} may not: {need:?}, for {call:?}");
            used.extend(rights);
        }
        seen.insert((name, call.operation));
    }
    // Without this, a record of nothing would pass.
    let at_work: BTreeSet<_> = seen.iter().map(|(name, _)| name).collect();
    let idle: Vec<_> = roles.keys().filter(|name| !at_work.contains(name)).collect();
    assert_eq!(idle, ["tenant-provisioner"], "opens tenants, and did before");
    assert!(seen.len() >= 55, "only {}: {seen:?}", seen.len());

    // Of tables, what is allowed is called, save what a life without accidents does not meet.
    let granted = roles.iter().filter(|(name, _)| at_work.contains(name));
    let granted = granted.flat_map(|(name, role)| role.0.iter().map(|right| (name.clone(), right.clone())));
    let unused = granted.filter(|right| right.1.0.starts_with("dynamodb:") && !used.contains(right));
    let unused: Vec<_> = unused
        .map(|(name, (action, place))| format!("{name}: {action} on {place}"))
        .collect();
    assert_eq!(unused, MET_BY_ACCIDENT);
}

#[tokio::test]
async fn the_provisioner_may_bring_a_tenant_over_and_nothing_else() {
    let stack = Stack::start().await;
    let Some(engines) = stack.engines() else { return };
    // As the tenant was stored before there were records of rights.
    let tables = aws_sdk_dynamodb::Client::new(&stack.aws().await);
    let table = &stack.runner.provisioned().environment["api"]["OUBLI_REQUESTS_TABLE"];
    let text = |value: &str| aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned());
    let rights = tables.delete_item().table_name(table).key("pk", text("T#demo"));
    rights.key("sk", text("RIGHTS")).send().await.unwrap();
    engines.faults().record();
    let event = json!({
        "tenant": { "id": "demo", "name": "Démo SARL", "language": "fr" },
        "administrator": { "member_id": "admin", "name": "Admin", "email": "admin@demo.example.com" }
    });
    let answer = stack.runner.functions().provision_tenant(event).await;
    assert!(!answer.unwrap().created);
    let ids = logical_ids(&stack);
    let role = role_of(functions()["tenant-provisioner"]);
    let mut used = BTreeSet::new();
    for call in engines.faults().calls() {
        for need in needs(&call, &ids) {
            let rights: Vec<_> = role.used_by(&need).cloned().collect();
            assert!(!rights.is_empty(), "{need:?}, for {call:?}");
            used.extend(rights);
        }
    }
    let tables = role
        .0
        .into_iter()
        .filter(|(action, _)| action.starts_with("dynamodb:"));
    assert_eq!(used, tables.collect());
}

#[test]
fn a_role_allows_nothing_besides() {
    let janitor = role_of(functions()["janitor"]);
    let delete = |place: &str| need("s3", "DeleteObject", place.to_owned());
    assert!(janitor.allows(&delete("DocumentsBucket/documents/demo/1")));
    assert!(!janitor.allows(&delete("DocumentsBucket/archives/demo/1")));
    assert!(!janitor.allows(&delete("DocumentsBucket")));
    assert!(!janitor.allows(&need("s3", "PutObject", "DocumentsBucket/documents/1".to_owned())));
    let query = |table: &str| need("dynamodb", "Query", table.to_owned());
    let planner = role_of(functions()["bulk-planner"]);
    assert!(planner.allows(&query("ContactsTable")), "its indexes");
    assert!(!role_of(functions()["notifier"]).allows(&query("ContactsTable")));
}

#[test]
fn who_sends_itself_messages_is_not_taken_for_a_loop() {
    let mut senders = Vec::new();
    for (name, function) in functions() {
        let role = role_of(function);
        let events = function.property(&["Events"]).map(Node::entries);
        let queues = events.into_iter().flatten();
        let mut queues = queues.filter_map(|(_, event)| Some(place(event.at(&["Properties", "Queue"])?)));
        let sends = |queue: String| role.allows(&need("sqs", "SendMessage", queue));
        let to_itself = queues.any(sends);
        let stated = function.property(&["RecursiveLoop"]).and_then(Node::text);
        assert_eq!(stated, to_itself.then_some("Allow"), "{name}");
        senders.extend(to_itself.then_some(name));
    }
    assert_eq!(senders, ["archive-builder", "bulk-planner"]);
}
