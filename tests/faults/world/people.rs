//! People: all that is held about a contact, read from the tables or from an archive, to be compared.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use oubli_domain::Sha256;
use oubli_domain::contact::FIELDS;
use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use super::World;

/// A document as somebody who kept it would tell it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    name: String,
    kind: String,
    content_type: String,
    size_bytes: u64,
    sha256: String,
}

/// All that is held about a contact: what must be in its archive, and must come back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Person {
    /// What was entered, and when.
    pub(crate) fields: BTreeMap<String, Value>,
    /// Its stored documents, by their ids.
    pub(crate) documents: BTreeMap<String, Kept>,
}

impl Person {
    fn of(held: &Value, documents: BTreeMap<String, Kept>) -> Self {
        let declared = FIELDS.iter().map(|field| field.name);
        let names = declared.chain(["created_at", "updated_at"]);
        let fields = names.filter_map(|name| Some((name.to_owned(), held.get(name)?.clone())));
        Self {
            fields: fields.collect(),
            documents,
        }
    }

    /// Every text of the fields that names the person; what stays with the tenant is not among them.
    pub(crate) fn texts(&self) -> Vec<String> {
        fn gather(value: &Value, texts: &mut Vec<String>) {
            match value {
                Value::String(text) => texts.push(text.clone()),
                Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
                Value::Object(values) => values.values().for_each(|value| gather(value, texts)),
                _ => {}
            }
        }
        let mut texts = Vec::new();
        let stays = ["assigned_to", "business", "created_at", "updated_at"];
        for (name, value) in &self.fields {
            if !stays.contains(&name.as_str()) {
                gather(value, &mut texts);
            }
        }
        texts
    }
}

fn json_of(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(number) => serde_json::from_str(&number).unwrap(),
        AttributeValue::Bool(yes) => Value::Bool(yes),
        AttributeValue::L(values) => values.into_iter().map(json_of).collect(),
        AttributeValue::M(values) => {
            let values = values.into_iter().map(|(name, value)| (name, json_of(value)));
            Value::Object(values.collect::<Map<_, _>>())
        }
        other => panic!("an attribute of no known type: {other:?}"),
    }
}

/// The bytes of an archive that are the same at every export of a version: all but its signature.
pub(crate) fn signed_bytes(archive: &Bytes) -> Bytes {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive.clone())).unwrap();
    let signature = zip.by_name("manifest.sig").unwrap().header_start();
    archive.slice(..usize::try_from(signature).unwrap())
}

impl World {
    /// A partition of a table, by sort keys, strongly consistent.
    pub(crate) async fn partition(&self, table: &str, pk: &str) -> BTreeMap<String, Value> {
        let query = self.tables.query().table_name(self.setting(table));
        let query = query.key_condition_expression("pk = :pk").consistent_read(true);
        let query = query.expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()));
        let found: Result<Vec<_>, _> = query.into_paginator().items().send().collect().await;
        let items = found.unwrap().into_iter();
        items
            .map(|item| json_of(AttributeValue::M(item)))
            .map(|item| (item["sk"].as_str().unwrap().to_owned(), item))
            .collect()
    }

    /// The notes of what must still be deleted, of every contact, by what they are of.
    pub(crate) async fn purge_notes(&self) -> BTreeMap<String, Value> {
        let scan = self.tables.scan().consistent_read(true);
        let scan = scan.table_name(self.setting("OUBLI_REQUESTS_TABLE"));
        let scan = scan.filter_expression("begins_with(pk, :notes)");
        let scan = scan.expression_attribute_values(":notes", AttributeValue::S("T#demo#PURGE#".to_owned()));
        let found: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
        let items = found.unwrap().into_iter();
        items
            .map(|item| json_of(AttributeValue::M(item)))
            .map(|item| (format!("{} {}", item["pk"], item["sk"]), item))
            .collect()
    }

    /// A contact's own item, if it is there.
    pub(crate) async fn record(&self, contact: &str) -> Option<Value> {
        let pk = format!("T#demo#C#{contact}");
        self.partition("OUBLI_CONTACTS_TABLE", &pk)
            .await
            .remove("CONTACT")
    }

    /// Enters a contact of whom much is known, with documents of these contents; the last is the photo.
    pub(crate) async fn enter_person(&self, name: &str, documents: &[Vec<u8>]) -> String {
        let contact = self
            .stack
            .contact(json!({
                "last_name": name,
                "first_name": "Chloé",
                "job_title": "Directrice",
                "email": format!("{name}@example.fr").to_lowercase(),
                "phone": "+33 1 23 45 67 89",
                "mobile": "06.12.34.56.78",
                "address": { "lines": ["12 rue des Écoles"], "postal_code": "75005", "city": "Paris" },
                "notes": "Préfère être appelée\nle matin.",
                "custom_fields": { "client depuis": 2019, "VIP": true, "remise": 0.125, "surnom": "Coco" },
                "assigned_to": "agent",
                "business": { "opportunities": 3, "proposals": 2, "deals": 1 }
            }))
            .await;
        for (number, bytes) in documents.iter().enumerate() {
            let is_photo = number + 1 == documents.len();
            self.attach(&contact, &format!("pièce {number}.bin"), is_photo, bytes)
                .await;
        }
        contact
    }

    /// Attaches a document, or the photo.
    pub(crate) async fn attach(&self, contact: &str, name: &str, is_photo: bool, bytes: &[u8]) -> String {
        let body = json!({
            "name": name,
            "content_type": if is_photo { "image/png" } else { "application/octet-stream" },
            "size_bytes": bytes.len(),
            "sha256": Sha256::of(bytes).to_string(),
            "kind": if is_photo { "photo" } else { "document" }
        });
        self.stack.document_of(contact, body, bytes).await
    }

    /// What is held about a contact now; every stored document is read.
    pub(crate) async fn person(&self, contact: &str) -> Option<Person> {
        let pk = format!("T#demo#C#{contact}");
        let items = self.partition("OUBLI_CONTACTS_TABLE", &pk).await;
        let held = items.get("CONTACT")?;
        let (records, objects) = match held["generation"].as_str() {
            None => ("DOC#".to_owned(), format!("documents/demo/{contact}/")),
            Some(shelf) => (
                format!("GEN#{shelf}#DOC#"),
                format!("documents/demo/{contact}/{shelf}/"),
            ),
        };
        let mut documents = BTreeMap::new();
        for (sk, item) in &items {
            let Some(id) = sk.strip_prefix(&records) else {
                continue;
            };
            if item["state"] != "stored" {
                continue;
            }
            let request = self.objects.get_object();
            let request = request.bucket(self.setting("OUBLI_DOCUMENTS_BUCKET"));
            let object = request.key(format!("{objects}{id}")).send().await;
            let bytes = object.unwrap().body.collect().await.unwrap().into_bytes();
            let text = |name: &str| item[name].as_str().unwrap().to_owned();
            let kept = Kept {
                name: text("name"),
                kind: text("kind"),
                content_type: text("content_type"),
                size_bytes: bytes.len() as u64,
                sha256: Sha256::of(&bytes).to_string(),
            };
            documents.insert(id.to_owned(), kept);
        }
        assert_eq!(held["document_count"], documents.len(), "{held}");
        Some(Person::of(held, documents))
    }

    /// What an archive holds about its contact; that it is whole is looked at too.
    pub(crate) fn person_in(&self, archive: &Bytes) -> Person {
        self.verify(archive);
        let mut zip = zip::ZipArchive::new(Cursor::new(archive.clone())).unwrap();
        let mut entry = |name: &str| {
            let mut bytes = Vec::new();
            zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        };
        let file: Value = serde_json::from_slice(&entry("contact.json")).unwrap();
        let listed = file["documents"].as_array().unwrap().iter();
        let documents = listed.map(|document| {
            let text = |name: &str| document[name].as_str().unwrap().to_owned();
            let bytes = entry(&text("path"));
            let kept = Kept {
                name: text("name"),
                kind: text("kind"),
                content_type: text("content_type"),
                size_bytes: bytes.len() as u64,
                sha256: Sha256::of(&bytes).to_string(),
            };
            (text("id"), kept)
        });
        let documents = documents.collect();
        Person::of(&file["contact"], documents)
    }

    /// What the archive holds that allowed to anonymise this contact.
    pub(crate) async fn person_archived(&self, contact: &str) -> Person {
        let record = self.record(contact).await.unwrap();
        let archive = record["anonymised"]["archive_id"].as_str().unwrap();
        self.person_in(&self.stack.archive(archive).await)
    }

    /// The keys of what is stored for a contact's documents, on every shelf.
    pub(crate) async fn shelved(&self, contact: &str) -> Vec<String> {
        let stored = self.stored("documents").await.into_iter();
        let keys = stored.map(|item| item.key);
        keys.filter(|key| key.contains(contact)).collect()
    }

    /// How many numbers of first names are taken.
    pub(crate) async fn aliases(&self) -> usize {
        let scan = self
            .tables
            .scan()
            .table_name(self.setting("OUBLI_CONTACTS_TABLE"));
        let scan = scan.filter_expression("sk = :sk").consistent_read(true);
        let scan = scan.expression_attribute_values(":sk", AttributeValue::S("ALIAS".to_owned()));
        let found: Result<Vec<_>, _> = scan.into_paginator().items().send().collect().await;
        found.unwrap().len()
    }

    /// Changes the last name; answers the status.
    pub(crate) async fn rename(&self, contact: &str, name: &str) -> StatusCode {
        let path = format!("/v1/contacts/{contact}");
        let body = json!({ "last_name": name });
        self.stack.agent().patch(&path, "*", body).await.status
    }
}
