//! The operations of the API, with what each asks of its caller and a request that it would accept.
//!
//! The table is written by hand and must name exactly the operations of the OpenAPI document: a new
//! operation fails every test here until somebody has said who may call it.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: it is open to everybody.
    Nothing,
    /// To be a member of the tenant.
    Membership,
    /// The right `administration`.
    Administration,
    /// The right `client_contacts_privacy`.
    Contacts,
}

use Need::{Administration, Contacts, Membership, Nothing};

const TABLE: &[(&str, &str, Need)] = &[
    ("GET", "/v1/health", Nothing),
    ("GET", "/v1/openapi.json", Nothing),
    ("GET", "/problems", Nothing),
    ("GET", "/problems/{code}", Nothing),
    ("GET", "/v1/archive-keys", Nothing),
    ("GET", "/v1/me", Membership),
    ("GET", "/v1/members", Administration),
    ("POST", "/v1/members", Administration),
    ("GET", "/v1/members/{member_id}", Administration),
    ("PATCH", "/v1/members/{member_id}", Administration),
    ("DELETE", "/v1/members/{member_id}", Administration),
    ("GET", "/v1/groups", Administration),
    ("POST", "/v1/groups", Administration),
    ("GET", "/v1/groups/{group_id}", Administration),
    ("PUT", "/v1/groups/{group_id}", Administration),
    ("DELETE", "/v1/groups/{group_id}", Administration),
    ("GET", "/v1/contacts", Contacts),
    ("POST", "/v1/contacts", Contacts),
    ("GET", "/v1/contacts/{contact_id}", Contacts),
    ("PATCH", "/v1/contacts/{contact_id}", Contacts),
    ("DELETE", "/v1/contacts/{contact_id}", Contacts),
    ("GET", "/v1/contacts/{contact_id}/documents", Contacts),
    ("POST", "/v1/contacts/{contact_id}/documents", Contacts),
    (
        "DELETE",
        "/v1/contacts/{contact_id}/documents/{document_id}",
        Contacts,
    ),
    (
        "POST",
        "/v1/contacts/{contact_id}/documents/{document_id}/complete",
        Contacts,
    ),
    (
        "GET",
        "/v1/contacts/{contact_id}/documents/{document_id}/content",
        Contacts,
    ),
    ("POST", "/v1/data-actions/preview", Contacts),
    ("GET", "/v1/data-actions", Contacts),
    ("POST", "/v1/data-actions", Contacts),
    ("GET", "/v1/data-actions/{action_id}", Contacts),
    ("GET", "/v1/data-actions/{action_id}/items", Contacts),
    ("POST", "/v1/data-actions/{action_id}/stop", Contacts),
    ("POST", "/v1/data-actions/{action_id}/retry", Contacts),
    ("POST", "/v1/data-actions/{action_id}/notify", Contacts),
    ("GET", "/v1/archives/{archive_id}/content", Contacts),
    ("POST", "/v1/archives/{archive_id}/downloaded", Contacts),
    ("POST", "/v1/archive-uploads", Contacts),
    ("GET", "/v1/audit", Administration),
];

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// With its placeholders.
    pub(crate) path: String,
    pub(crate) need: Need,
    /// A body that it takes; `None` where it takes none, or needs none.
    pub(crate) body: Option<Value>,
}

impl Operation {
    /// The path with every placeholder filled in.
    pub(crate) fn path_with(&self, id_of: impl Fn(&str) -> String) -> String {
        let mut path = String::new();
        for part in self.path.split_inclusive(['{', '}']) {
            match part.strip_suffix('}') {
                Some(name) => path.push_str(&id_of(name)),
                None => path.push_str(part.trim_end_matches('{')),
            }
        }
        path
    }

    /// Whether the path names something.
    pub(crate) fn names_something(&self) -> bool {
        self.path.contains('{')
    }

    pub(crate) fn is_a_list(&self) -> bool {
        self.method == Method::GET
            && [
                "/v1/members",
                "/v1/groups",
                "/v1/contacts",
                "/v1/data-actions",
                "/documents",
                "/items",
                "/v1/audit",
            ]
            .iter()
            .any(|end| self.path.ends_with(end))
    }
}

/// Method and path of every operation of the document, with its description.
pub(crate) fn documented(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let operations = item.as_object().unwrap().iter();
        operations
            .map(|(method, operation)| ((method.to_uppercase(), path.clone()), operation.clone()))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// Every operation, after a check that the table and the OpenAPI document name the same ones.
pub(crate) fn all() -> Vec<Operation> {
    let document = serde_json::to_value(oubli_api::openapi()).unwrap();
    let documented = documented(&document);
    let table: Vec<_> = TABLE
        .iter()
        .map(|(method, path, need)| ((*method).to_owned(), (*path).to_owned(), *need))
        .collect();
    for (method, path) in documented.keys() {
        assert!(
            table.iter().any(|(known, at, _)| (known, at) == (method, path)),
            "nothing is said here of {method} {path}"
        );
    }
    assert_eq!(table.len(), documented.len(), "the table names what is not there");
    let operations = table.into_iter().map(|(method, path, need)| {
        let description = &documented[&(method.clone(), path.clone())];
        let body = body(&method, &path);
        let needs_body = description["requestBody"]["required"] == true;
        assert_eq!(
            body.is_some(),
            needs_body,
            "{method} {path}: a body that it takes"
        );
        Operation {
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            path,
            need,
            body,
        }
    });
    operations.collect()
}

fn body(method: &str, path: &str) -> Option<Value> {
    let absent = "0".repeat(32);
    let selection = json!({ "contact_ids": [absent] });
    let body = match (method, path) {
        ("POST", "/v1/members") => json!({ "id": "new", "name": "New", "email": "new@example.com" }),
        ("PATCH", "/v1/members/{member_id}") => json!({ "name": "Changed" }),
        ("POST", "/v1/groups") | ("PUT", "/v1/groups/{group_id}") => {
            json!({ "name": "Changed", "rights": ["administration"], "member_ids": [] })
        }
        ("POST", "/v1/contacts") => json!({ "last_name": "New" }),
        ("PATCH", "/v1/contacts/{contact_id}") => json!({ "last_name": "Changed" }),
        ("POST", "/v1/contacts/{contact_id}/documents") => {
            json!({ "name": "a", "content_type": "text/plain", "size_bytes": 1, "kind": "document" })
        }
        ("POST", "/v1/data-actions/preview" | "/v1/data-actions") => {
            json!({ "kind": "export", "selection": selection })
        }
        ("POST", "/v1/archives/{archive_id}/downloaded") => json!({ "sha256": "0".repeat(64) }),
        ("POST", "/v1/archive-uploads") => json!({ "size_bytes": 1 }),
        _ => return None,
    };
    Some(body)
}
