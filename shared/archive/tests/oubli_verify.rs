//! The program `oubli-verify` as a person runs it.

#![cfg(test)]

use std::path::Path;
use std::process::{Command, Output};

use oubli_archive::contents::{ArchiveBuild, ArchivePlan};
use oubli_domain::contact::{Business, Contact, ContactFields, ContactState};
use oubli_domain::document::{Document, DocumentFields, DocumentKind, DocumentState};
use oubli_domain::{ContactId, DocumentId, Language, TenantId};

fn contact() -> Contact {
    Contact {
        tenant_id: TenantId::parse("demo").unwrap(),
        id: ContactId::parse("c1").unwrap(),
        state: ContactState::Active,
        version: 2,
        fields: ContactFields {
            last_name: "Martin".to_owned().into(),
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
        },
        document_count: 1,
        document_bytes: 5,
        last_archive: None,
        created_at: "2025-01-02T03:04:05Z".parse().unwrap(),
        updated_at: "2026-02-03T04:05:06Z".parse().unwrap(),
    }
}

fn document() -> Document {
    Document {
        tenant_id: TenantId::parse("demo").unwrap(),
        contact_id: ContactId::parse("c1").unwrap(),
        id: DocumentId::parse("d1").unwrap(),
        state: DocumentState::Stored,
        fields: DocumentFields {
            name: "Été.txt".to_owned().into(),
            content_type: "text/plain".into(),
            size_bytes: 5,
            sha256: None,
            crc32: None,
            kind: DocumentKind::Document,
        },
        created_at: "2025-01-02T03:04:05Z".parse().unwrap(),
        stored_at: None,
    }
}

fn archive() -> Vec<u8> {
    let plan = ArchivePlan::new(contact(), vec![document()], Language::Fr).unwrap();
    let mut build = ArchiveBuild::new(plan, 1 << 20).unwrap();
    let _ = build.start_document(b"hello").unwrap();
    build.finish_document().unwrap();
    build.finish().unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = build.take_part().unwrap() {
        bytes.extend_from_slice(&part);
    }
    bytes
}

fn verify(path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_oubli-verify"))
        .arg(path)
        .output()
        .unwrap()
}

fn written(bytes: &[u8]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.zip");
    std::fs::write(&path, bytes).unwrap();
    verify(&path)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_whole_archive_is_told_so_entry_by_entry() {
    let output = written(&archive());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = stdout(&output);
    assert!(told.contains("ok     documents/Été.txt (5 bytes)\n"), "{told}");
    assert!(
        told.contains("intact: 5 entries, each as the manifest says\n"),
        "{told}"
    );
    assert!(told.contains("contact c1, version 2, tenant demo\n"), "{told}");
}

#[test]
fn a_changed_document_is_named() {
    let mut bytes = archive();
    let at = bytes.windows(5).position(|window| window == b"hello").unwrap();
    bytes[at] = b'j';
    let output = written(&bytes);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    assert!(told.contains("FAULT  documents/Été.txt is damaged"), "{told}");
    assert!(told.contains("NOT INTACT: 1 of 5 entries are at fault"), "{told}");
}

#[test]
fn what_is_no_archive_is_refused_in_one_line() {
    let output = written(b"hello");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "refused: the file is not a ZIP archive\n"
    );
    let output = verify(Path::new("no such file.zip"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr).starts_with("refused: `no such file.zip` cannot be opened")
    );
}
