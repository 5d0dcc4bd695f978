//! The program `oubli-verify` as a person runs it.

#![cfg(test)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use oubli_archive::contents::{ArchiveBuild, ArchivePlan};
use oubli_archive::signature::PublicKey;
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

fn document() -> Document {
    Document {
        tenant_id: TenantId::parse("demo").unwrap(),
        contact_id: ContactId::parse("c1").unwrap(),
        generation: None,
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

fn key_pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()
}

fn public_key(pair: &EcdsaKeyPair) -> PublicKey {
    PublicKey::from_der(pair.public_key().as_der().unwrap().as_ref()).unwrap()
}

fn archive(pair: &EcdsaKeyPair) -> Vec<u8> {
    let plan = ArchivePlan::new(contact(), vec![document()], Language::Fr).unwrap();
    let mut build = ArchiveBuild::new(plan, 1 << 20).unwrap();
    let _ = build.start_document(b"hello").unwrap();
    build.finish_document().unwrap();
    let manifest = build.finish_manifest(&public_key(pair)).unwrap();
    let digest = Digest::import_less_safe(manifest.as_bytes(), &SHA256).unwrap();
    build.finish(pair.sign_digest(&digest).unwrap().as_ref()).unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = build.take_part().unwrap() {
        bytes.extend_from_slice(&part);
    }
    bytes
}

fn verify(path: &Path, keys: &[PathBuf]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oubli-verify"));
    for key in keys {
        command.arg("--key").arg(key);
    }
    command.arg(path).output().unwrap()
}

/// Runs the program over an archive, with a file for each text of keys.
fn written(bytes: &[u8], keys: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.zip");
    std::fs::write(&path, bytes).unwrap();
    let mut files = Vec::new();
    for (number, text) in keys.iter().enumerate() {
        files.push(folder.path().join(format!("{number}.pem")));
        std::fs::write(&files[number], text).unwrap();
    }
    verify(&path, &files)
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_whole_archive_is_told_so_entry_by_entry() {
    let output = written(&archive(&key_pair()), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = stdout(&output);
    assert!(told.contains("ok     documents/Été.txt (5 bytes)\n"), "{told}");
    assert!(
        told.contains("intact: 6 entries, each as the manifest says\n"),
        "{told}"
    );
    assert!(
        told.contains("signed; to check by whom, give the public key with --key\n"),
        "{told}"
    );
    assert!(told.contains("contact c1, version 2, tenant demo\n"), "{told}");
}

#[test]
fn a_key_tells_who_wrote_it() {
    let (pair, other) = (key_pair(), public_key(&key_pair()).to_pem());
    let (archive, key) = (archive(&pair), public_key(&pair).to_pem());
    let both = format!("{other}{key}");
    for keys in [&[key.as_str()][..], &[&other, &key], &[&both]] {
        let output = written(&archive, keys);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            stdout(&output).contains("authentic: signed by a key that was given\n"),
            "{output:?}"
        );
        let named = format!("key {}: ", public_key(&pair).fingerprint());
        assert!(stdout(&output).contains(&named), "{output:?}");
    }
    let output = written(&archive, &[&other]);
    assert!(refusal(&output).starts_with("refused: the archive is not authentic"));
    assert_eq!(stdout(&output), "", "nothing of it is looked at");
    assert!(refusal(&written(&archive, &["no key"])).contains("0.pem` is no key: "));
}

#[test]
fn a_changed_document_is_named() {
    let pair = key_pair();
    let mut bytes = archive(&pair);
    let at = bytes.windows(5).position(|window| window == b"hello").unwrap();
    bytes[at] = b'j';
    let output = written(&bytes, &[&public_key(&pair).to_pem()]);
    assert_eq!(output.status.code(), Some(1));
    let told = stdout(&output);
    assert!(told.contains("FAULT  documents/Été.txt is damaged"), "{told}");
    assert!(told.contains("NOT INTACT: 1 of 6 entries are at fault"), "{told}");
}

#[test]
fn what_is_no_archive_is_refused_in_one_line() {
    assert_eq!(
        refusal(&written(b"hello", &[])),
        "refused: the file is not a ZIP archive\n"
    );
    let absent = refusal(&verify(Path::new("no such file.zip"), &[]));
    assert!(absent.starts_with("refused: `no such file.zip` cannot be opened"));
    let absent = refusal(&verify(Path::new("any.zip"), &["no such key.pem".into()]));
    assert!(
        absent.starts_with("refused: `any.zip` cannot be opened"),
        "{absent}"
    );
}
