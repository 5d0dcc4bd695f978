//! The memory of an archive with as many documents as a contact may have: written in one process, read in
//! another, because what a process took at most is all that the kernel tells (`VmHWM`, proc(5)).

#![cfg(test)]
#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use oubli_archive::contents::{ArchiveBuild, ArchivePlan};
use oubli_archive::saved;
use oubli_archive::signature::PublicKey;
use oubli_archive::zip64::DEFAULT_PART_BYTES;
use oubli_domain::contact::{Contact, ContactDraft, ContactState};
use oubli_domain::document::{Document, DocumentFields, DocumentKind, DocumentState, MAX_DOCUMENTS};
use oubli_domain::{ContactId, DocumentId, Language, TenantId};

/// What builder and restorer may take, everything else that they do included.
const LIMIT_BYTES: u64 = 128 * 1024 * 1024;
const STEP: &str = "OUBLI_MEMORY_STEP";
const FOLDER: &str = "OUBLI_MEMORY_FOLDER";
const THIS_TEST: &str = "the_most_documents_take_less_than_the_function_has";

fn tenant() -> TenantId {
    TenantId::parse("demo").unwrap()
}

fn contact() -> Contact {
    let draft = ContactDraft {
        last_name: "Lefèvre".into(),
        ..ContactDraft::default()
    };
    Contact {
        tenant_id: tenant(),
        id: ContactId::parse("01a1ffbf1f5372ae8c6eb058de704e40").unwrap(),
        state: ContactState::Active,
        version: 7,
        fields: draft.parse().unwrap(),
        generation: None,
        document_count: MAX_DOCUMENTS,
        document_bytes: 0,
        last_archive: None,
        hold: None,
        anonymised: None,
        sealed_at: None,
        restored: None,
        created_at: "2025-01-02T03:04:05.678Z".parse().unwrap(),
        updated_at: "2026-02-03T04:05:06Z".parse().unwrap(),
    }
}

fn content(number: u64) -> Vec<u8> {
    format!("document {number}").into_bytes()
}

/// A name as people give them, 60 to 70 bytes.
fn document(number: u64) -> Document {
    Document {
        tenant_id: tenant(),
        contact_id: ContactId::parse("01a1ffbf1f5372ae8c6eb058de704e40").unwrap(),
        generation: None,
        id: DocumentId::parse(format!("01a1ffbf202671a794f71c6f{number:08x}")).unwrap(),
        state: DocumentState::Stored,
        fields: DocumentFields {
            name: format!("Bulletin de paie de Chloé Lefèvre, {number} – à conserver.pdf").into(),
            content_type: "application/pdf".into(),
            size_bytes: content(number).len() as u64,
            sha256: None,
            crc32: None,
            kind: DocumentKind::Document,
        },
        created_at: "2025-06-01T10:00:00.5Z".parse().unwrap(),
        stored_at: None,
    }
}

fn write(folder: &Path) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let mut file = BufWriter::new(File::create(folder.join("archive.zip")).unwrap());
    let plan = ArchivePlan::new(
        contact(),
        (0..MAX_DOCUMENTS).map(document).collect(),
        Language::Fr,
    )
    .unwrap();
    let mut build = ArchiveBuild::new(plan, DEFAULT_PART_BYTES).unwrap();
    for number in 0..MAX_DOCUMENTS {
        let _ = build.start_document(&content(number)).unwrap();
        build.finish_document().unwrap();
        while let Some(part) = build.take_part().unwrap() {
            file.write_all(&part).unwrap();
        }
    }
    let manifest = build.finish_manifest().unwrap();
    let digest = Digest::import_less_safe(manifest.as_bytes(), &SHA256).unwrap();
    build.finish(pair.sign_digest(&digest).unwrap().as_ref()).unwrap();
    while let Some(part) = build.take_part().unwrap() {
        file.write_all(&part).unwrap();
    }
    file.flush().unwrap();
    let der = pair.public_key().as_der().unwrap();
    std::fs::write(folder.join("key.der"), der.as_ref()).unwrap();
}

fn read(folder: &Path) {
    let key = PublicKey::from_der(&std::fs::read(folder.join("key.der")).unwrap()).unwrap();
    let file = BufReader::new(File::open(folder.join("archive.zip")).unwrap());
    let mut archive = saved::open(file, &[key], &tenant()).unwrap();
    assert_eq!(archive.documents().len() as u64, MAX_DOCUMENTS);
    let mut size_bytes = 0;
    for index in 0..archive.documents().len() {
        archive
            .read_document(index, |bytes| {
                size_bytes += bytes.len() as u64;
                Ok(())
            })
            .unwrap();
    }
    assert_eq!(
        size_bytes,
        (0..MAX_DOCUMENTS)
            .map(|number| content(number).len() as u64)
            .sum::<u64>()
    );
}

fn most_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[test]
fn the_most_documents_take_less_than_the_function_has() {
    if let (Ok(step), Some(folder)) = (std::env::var(STEP), std::env::var_os(FOLDER)) {
        match step.as_str() {
            "write" => write(Path::new(&folder)),
            _ => read(Path::new(&folder)),
        }
        let most = most_bytes();
        println!("{step}: {MAX_DOCUMENTS} documents, at most {} MiB", most >> 20);
        assert!(most < LIMIT_BYTES, "{most} bytes");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for step in ["write", "read"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", THIS_TEST, "--nocapture"])
            .env(STEP, step)
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        println!("{told}");
        assert!(
            output.status.success() && told.contains(&format!("{step}: {MAX_DOCUMENTS} documents")),
            "{told}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
