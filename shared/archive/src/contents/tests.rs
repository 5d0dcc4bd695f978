use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use oubli_domain::contact::{Address, Business, ContactFields, ContactState};
use oubli_domain::document::DocumentFields;
use oubli_domain::email::Email;
use oubli_domain::{ContactId, MemberId, Reason, TenantId};
use serde_json::Value;

use super::*;
use crate::contact_json::SCHEMA;
use crate::hashes::{ContentHasher, ContentHashes};
use crate::manifest::{EntryContent, Manifest};
use crate::signature::PublicKey;
use crate::zip64::{PATCH_WINDOW_BYTES, TRIAL_BYTES, ZipError};

/// Any bytes: the builder does not judge them.
const SIGNATURE: &[u8] = &[0x5A; 70];

/// The key that a manifest names.
fn key() -> PublicKey {
    let keys = PublicKey::all_from_pem(include_str!("../signature/openssl.pem"));
    keys.unwrap().remove(0)
}

fn text(value: &str) -> Option<Personal<String>> {
    Some(value.to_owned().into())
}

/// Every field is named, so that a new one cannot be forgotten here, nor then in the schema.
fn contact() -> Contact {
    Contact {
        tenant_id: TenantId::parse("demo").unwrap(),
        id: ContactId::parse("c0ffee").unwrap(),
        state: ContactState::Active,
        version: 7,
        fields: ContactFields {
            last_name: "Lefèvre <b>".to_owned().into(),
            first_name: text("Chloé"),
            job_title: text("Directrice & associée"),
            email: Some(Email::parse("chloe.lefevre@example.fr").unwrap().into()),
            phone: text("+33123456789"),
            mobile: text("+33612345678"),
            address: Some(
                Address {
                    lines: vec!["Résidence \"Les Lilas\"".into(), "12 rue de l’Église".into()],
                    postal_code: Some("75011".into()),
                    city: Some("Paris".into()),
                    country: Some("France".into()),
                }
                .into(),
            ),
            notes: text("Préfère le matin.\n<script>alert(1)</script>"),
            custom_fields: Some(
                BTreeMap::from([
                    ("Pointure".to_owned(), Value::from(38.5)),
                    ("Newsletter".to_owned(), Value::from(true)),
                    ("Pays d’origine".to_owned(), Value::from("Sénégal")),
                ])
                .into(),
            ),
            assigned_to: Some(MemberId::parse("agent").unwrap()),
            business: Business {
                opportunities: 3,
                proposals: 2,
                deals: 1,
            },
            photo_document_id: Some(DocumentId::parse("d3").unwrap()),
        },
        document_count: 4,
        document_bytes: 0,
        generation: None,
        last_archive: None,
        hold: None,
        anonymised: None,
        sealed_at: None,
        restored: None,
        created_at: "2025-01-02T03:04:05Z".parse().unwrap(),
        updated_at: "2026-02-03T04:05:06Z".parse().unwrap(),
    }
}

fn document(id: &str, name: &str, kind: DocumentKind, content: &[u8]) -> Document {
    Document {
        tenant_id: TenantId::parse("demo").unwrap(),
        contact_id: ContactId::parse("c0ffee").unwrap(),
        generation: None,
        id: DocumentId::parse(id).unwrap(),
        state: DocumentState::Stored,
        fields: DocumentFields {
            name: name.to_owned().into(),
            content_type: if kind == DocumentKind::Photo {
                "image/jpeg"
            } else {
                "application/pdf"
            }
            .into(),
            size_bytes: content.len() as u64,
            sha256: None,
            crc32: None,
            kind,
        },
        created_at: "2025-06-01T10:00:00Z".parse().unwrap(),
        stored_at: None,
    }
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 5u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

fn hashes(content: &[u8]) -> ContentHashes {
    let mut hasher = ContentHasher::new();
    hasher.update(content);
    hasher.finish()
}

fn contents() -> BTreeMap<&'static str, Vec<u8>> {
    BTreeMap::from([
        ("d1", b"first".to_vec()),
        ("d2", noise(PATCH_WINDOW_BYTES as usize + 5)),
        ("d3", noise(3_000)),
        ("d4", b"a,b\n".repeat(30_000)),
    ])
}

fn documents() -> Vec<Document> {
    let contents = contents();
    let mut awaiting = document("d0", "not there.pdf", DocumentKind::Document, b"");
    awaiting.state = DocumentState::AwaitingUpload;
    vec![
        document("d4", "Export été.csv", DocumentKind::Document, &contents["d4"]),
        document("d2", "contrat.PDF", DocumentKind::Document, &contents["d2"]),
        awaiting,
        document("d3", "../Chloé \"moi\".jpg", DocumentKind::Photo, &contents["d3"]),
        document("d1", "Contrat.pdf", DocumentKind::Document, &contents["d1"]),
    ]
}

fn build(documents: Vec<Document>, language: Language) -> (Vec<u8>, Vec<DocumentHashes>) {
    let contents = contents();
    let plan = ArchivePlan::new(contact(), documents, language).unwrap();
    let mut build = ArchiveBuild::new(plan, 1_000_000).unwrap();
    let (mut bytes, mut learned) = (Vec::new(), Vec::new());
    while let Some(current) = build.current() {
        let content = &contents[current.id.as_str()];
        let (head, rest) = content.split_at(content.len().min(TRIAL_BYTES));
        if build.start_document(head).unwrap() == DocumentStart::CrcNeeded {
            build.learn(&hashes(content)).unwrap();
            assert_eq!(build.start_document(head).unwrap(), DocumentStart::Started);
        }
        build.write(rest).unwrap();
        learned.push(build.finish_document().unwrap());
    }
    let manifest = build.finish_manifest(&key()).unwrap();
    let summary = build.finish(SIGNATURE).unwrap();
    while let Some(part) = build.take_part().unwrap() {
        bytes.extend_from_slice(&part);
    }
    assert_eq!(summary.sha256, Sha256::of(&bytes));
    assert_eq!(manifest, Sha256::of(&entry(&bytes, "manifest.json")));
    (bytes, learned)
}

fn entry(archive: &[u8], name: &str) -> Vec<u8> {
    let mut content = Vec::new();
    let mut reader = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    reader.by_name(name).unwrap().read_to_end(&mut content).unwrap();
    content
}

fn entry_text(archive: &[u8], name: &str) -> String {
    String::from_utf8(entry(archive, name)).unwrap()
}

#[test]
fn an_archive_holds_everything_in_its_order() {
    let (archive, learned) = build(documents(), Language::Fr);
    let reader = zip::ZipArchive::new(Cursor::new(&archive)).unwrap();
    let names: Vec<String> = reader
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect();
    assert_eq!(
        names,
        [
            "contact.json",
            "contact.schema.json",
            "index.html",
            "documents/Contrat.pdf",
            "documents/contrat (2).PDF",
            "photo/_.._Chloé _moi_.jpg",
            "documents/Export été.csv",
            "manifest.json",
            "manifest.sig",
        ]
    );
    assert_eq!(entry(&archive, "manifest.sig"), SIGNATURE);
    let contents = contents();
    assert_eq!(entry(&archive, "documents/contrat (2).PDF"), contents["d2"]);
    assert_eq!(entry(&archive, "photo/_.._Chloé _moi_.jpg"), contents["d3"]);

    let manifest: Manifest = serde_json::from_slice(&entry(&archive, "manifest.json")).unwrap();
    assert_eq!(manifest.contact_version, 7);
    let listed: Vec<&str> = manifest.entries.iter().map(|entry| entry.name.as_ref()).collect();
    assert_eq!(listed, names[..7]);
    for listed in &manifest.entries {
        let content = entry(&archive, &listed.name);
        assert_eq!(
            (listed.size_bytes, listed.sha256),
            (content.len() as u64, Sha256::of(&content))
        );
    }
    assert_eq!(manifest.entries[5].content, EntryContent::Photo);
    for (learned, id) in learned.iter().zip(["d1", "d2", "d3", "d4"]) {
        assert_eq!(learned.document_id.as_str(), id);
        assert_eq!(learned.hashes, hashes(&contents[id]));
        assert!(learned.learned);
    }
}

#[test]
fn what_was_known_and_the_order_of_the_query_do_not_show() {
    let (archive, _) = build(documents(), Language::En);
    let mut known = documents();
    known.reverse();
    for document in &mut known {
        if let Some(content) = contents().get(document.id.as_str()) {
            document.fields.sha256 = Some(hashes(content).sha256);
            document.fields.crc32 = Some(hashes(content).crc32);
        }
    }
    let (again, learned) = build(known, Language::En);
    assert!(again == archive);
    assert!(learned.iter().all(|document| !document.learned));
}

#[test]
fn the_files_of_our_own_are_as_reviewed() {
    for language in Language::ALL {
        let (archive, _) = build(documents(), language);
        insta::assert_snapshot!(
            format!("index_{}", language.code()),
            entry_text(&archive, "index.html")
        );
        if language == Language::Fr {
            insta::assert_snapshot!("contact", entry_text(&archive, "contact.json"));
            // The hashes of the page and the schema change with every word of them.
            let mut manifest = entry_text(&archive, "manifest.json");
            for name in ["contact.schema.json", "index.html"] {
                let sha256 = Sha256::of(&entry(&archive, name)).to_string();
                manifest = manifest.replace(&sha256, &format!("(SHA-256 of {name})"));
            }
            insta::assert_snapshot!("manifest", manifest);
        }
    }
}

#[test]
fn the_page_has_no_script_and_nothing_from_elsewhere() {
    let (archive, _) = build(documents(), Language::Fr);
    let page = entry_text(&archive, "index.html");
    for absent in [
        "<script",
        "http:",
        "https:",
        "//",
        "url(",
        "javascript",
        "Lefèvre <b>",
    ] {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("Content-Security-Policy"));
    assert!(page.contains("href=\"documents/Export%20%C3%A9t%C3%A9.csv\""));
    assert!(page.contains("<img src=\"photo/_.._Chlo%C3%A9%20_moi_.jpg\""));
}

#[test]
fn contact_json_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let (archive, _) = build(documents(), Language::Fr);
    let full: Value = serde_json::from_str(&entry_text(&archive, "contact.json")).unwrap();
    assert!(
        validator.is_valid(&full),
        "{:?}",
        validator.iter_errors(&full).collect::<Vec<_>>()
    );
    for property in schema["properties"]["contact"]["properties"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(
            full["contact"].get(property).is_some(),
            "{property} is in the schema only"
        );
    }

    let mut least = contact();
    least.fields = ContactFields {
        last_name: "X".to_owned().into(),
        first_name: None,
        job_title: None,
        email: None,
        phone: None,
        mobile: None,
        address: None,
        notes: None,
        custom_fields: None,
        assigned_to: None,
        business: Business::default(),
        photo_document_id: None,
    };
    let least = serde_json::to_value(crate::contact_json::contact_file(&least, &[])).unwrap();
    assert!(
        validator.is_valid(&least),
        "{:?}",
        validator.iter_errors(&least).collect::<Vec<_>>()
    );

    for (pointer, wrong) in [
        ("/format_version", Value::from(1)),
        ("/contact/last_name", Value::Null),
        ("/contact/business/deals", Value::from(-1)),
        ("/contact/created_at", Value::from("yesterday")),
        ("/documents/0/path", Value::from("documents/../x")),
    ] {
        let mut changed = full.clone();
        *changed.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&changed), "{pointer}");
    }
    let mut more = full;
    more["contact"]["shoe_size"] = Value::from(42);
    assert!(!validator.is_valid(&more));
}

/// Builds up to the wrong document and gives the error.
fn refused(change: impl FnOnce(&mut Document), content: &[u8]) -> BuildError {
    let mut wrong = document("d1", "a.pdf", DocumentKind::Document, b"first");
    change(&mut wrong);
    let plan = ArchivePlan::new(contact(), vec![wrong], Language::En).unwrap();
    let mut build = ArchiveBuild::new(plan, 1_000).unwrap();
    let error = match build.start_document(content) {
        Ok(_) => build.finish_document().unwrap_err(),
        Err(error) => error,
    };
    assert!(
        matches!(build.take_part(), Err(BuildError::Zip(ZipError::Poisoned))),
        "nothing comes out"
    );
    assert!(build.finish_manifest(&key()).is_err());
    error
}

#[test]
fn bytes_other_than_those_stored_end_the_archive_and_name_the_document() {
    let other = hashes(b"other");
    for error in [
        refused(|document| document.fields.sha256 = Some(other.sha256), b"first"),
        refused(|document| document.fields.crc32 = Some(other.crc32), b"first"),
        refused(|document| document.fields.size_bytes = 4, b"first"),
        refused(|document| document.fields.size_bytes = 6, b"first"),
    ] {
        assert_eq!(error.reason(), Some(Reason::DocumentUnreadable));
        assert_eq!(error.to_string(), "document d1 is not what was stored");
    }
}

#[test]
fn a_first_reading_that_disagrees_ends_the_archive() {
    let content = noise(PATCH_WINDOW_BYTES as usize + 1);
    let plan = ArchivePlan::new(
        contact(),
        vec![document("d1", "a", DocumentKind::Document, &content)],
        Language::En,
    )
    .unwrap();
    let mut build = ArchiveBuild::new(plan, 1_000).unwrap();
    assert_eq!(
        build.start_document(&content[..TRIAL_BYTES]).unwrap(),
        DocumentStart::CrcNeeded
    );
    let error = build.learn(&hashes(&content[1..])).unwrap_err();
    assert_eq!(error.reason(), Some(Reason::DocumentUnreadable));
    assert!(build.take_part().is_err());
}

#[test]
fn an_archive_without_all_its_documents_is_not_finished() {
    let plan = ArchivePlan::new(contact(), documents(), Language::En).unwrap();
    let mut build = ArchiveBuild::new(plan, 1_000).unwrap();
    assert!(matches!(
        build.finish_manifest(&key()),
        Err(BuildError::OutOfOrder)
    ));
    assert!(build.take_part().is_err());
}

fn without_documents() -> ArchiveBuild {
    let plan = ArchivePlan::new(contact(), Vec::new(), Language::En).unwrap();
    ArchiveBuild::new(plan, 1_000_000).unwrap()
}

#[test]
fn an_archive_ends_with_one_manifest_and_its_signature() {
    let mut build = without_documents();
    assert!(matches!(build.finish(SIGNATURE), Err(BuildError::OutOfOrder)));
    assert!(build.take_part().is_err());
    let mut build = without_documents();
    build.finish_manifest(&key()).unwrap();
    assert!(matches!(
        build.finish_manifest(&key()),
        Err(BuildError::OutOfOrder)
    ));
    assert!(build.take_part().is_err());
    for wrong in [&[][..], &[0; 73]] {
        let mut build = without_documents();
        build.finish_manifest(&key()).unwrap();
        let error = build.finish(wrong).unwrap_err();
        assert!(matches!(error, BuildError::WrongSignature { size_bytes } if size_bytes == wrong.len()));
        assert!(build.take_part().is_err());
    }
}
