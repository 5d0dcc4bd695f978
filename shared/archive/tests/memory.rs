//! The memory of an archive with as many documents as a contact may have: written in one process, read in
//! another, because what a process took at most is all that the kernel tells (`VmHWM`, proc(5)).
//!
//! It grows with the documents, each of which stands in the directory and in the manifest. Two archives of
//! different sizes show by how much for each document; `OUBLI_MEMORY_WHOLE=1`, as in the long run, makes the
//! largest there may be.

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
/// Documents of the two archives: the most, halved four and three times. Vectors that double are as full with
/// them as with the most.
const SMALLER: u64 = MAX_DOCUMENTS / 16;
const LARGER: u64 = MAX_DOCUMENTS / 8;
const STEP: &str = "OUBLI_MEMORY_STEP";
const DOCUMENTS: &str = "OUBLI_MEMORY_DOCUMENTS";
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

fn write(folder: &Path, documents: u64) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let der = pair.public_key().as_der().unwrap();
    let public = PublicKey::from_der(der.as_ref()).unwrap();
    let mut file = BufWriter::new(File::create(folder.join("archive.zip")).unwrap());
    let plan = ArchivePlan::new(contact(), (0..documents).map(document).collect(), Language::Fr).unwrap();
    let mut build = ArchiveBuild::new(plan, DEFAULT_PART_BYTES).unwrap();
    for number in 0..documents {
        let _ = build.start_document(&content(number)).unwrap();
        build.finish_document().unwrap();
        while let Some(part) = build.take_part().unwrap() {
            file.write_all(&part).unwrap();
        }
    }
    let manifest = build.finish_manifest(&public).unwrap();
    let digest = Digest::import_less_safe(manifest.as_bytes(), &SHA256).unwrap();
    build.finish(pair.sign_digest(&digest).unwrap().as_ref()).unwrap();
    while let Some(part) = build.take_part().unwrap() {
        file.write_all(&part).unwrap();
    }
    file.flush().unwrap();
    std::fs::write(folder.join("key.der"), der.as_ref()).unwrap();
}

fn read(folder: &Path, documents: u64) {
    let key = PublicKey::from_der(&std::fs::read(folder.join("key.der")).unwrap()).unwrap();
    let file = BufReader::new(File::open(folder.join("archive.zip")).unwrap());
    let mut archive = saved::open(file, &[key], &tenant()).unwrap();
    assert_eq!(archive.documents().len() as u64, documents);
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
        (0..documents)
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

/// Takes a step in a process of its own; answers the most bytes that it had resident.
fn peak_bytes(step: &str, folder: &Path, documents: u64) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", THIS_TEST, "--nocapture"])
        .env(STEP, step)
        .env(FOLDER, folder)
        .env(DOCUMENTS, documents.to_string())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let line = printed
        .lines()
        .find_map(|line| line.split_once("resident bytes: "));
    let Some((_, bytes)) = line.filter(|_| output.status.success()) else {
        panic!("{step}: {printed}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    bytes.parse().unwrap()
}

#[test]
fn the_most_documents_take_less_than_the_function_has() {
    if let (Ok(step), Some(folder)) = (std::env::var(STEP), std::env::var_os(FOLDER)) {
        let documents = std::env::var(DOCUMENTS).unwrap().parse().unwrap();
        match step.as_str() {
            "write" => write(Path::new(&folder), documents),
            _ => read(Path::new(&folder), documents),
        }
        println!("resident bytes: {}", most_bytes());
        return;
    }
    let is_whole = std::env::var_os("OUBLI_MEMORY_WHOLE").is_some();
    let (smaller, larger, whole) = (tempfile::tempdir(), tempfile::tempdir(), tempfile::tempdir());
    for step in ["write", "read"] {
        let small = peak_bytes(step, smaller.as_ref().unwrap().path(), SMALLER);
        let large = peak_bytes(step, larger.as_ref().unwrap().path(), LARGER);
        assert!(large > small, "{step}: {large} bytes, no more than {small}");
        let each = (large - small) / (LARGER - SMALLER);
        let most = large + each * (MAX_DOCUMENTS - LARGER);
        println!(
            "{step}: {each} bytes for each document, {} MiB for the most",
            most >> 20
        );
        assert!(most < LIMIT_BYTES, "{step}: {most} bytes");
        if is_whole {
            let measured = peak_bytes(step, whole.as_ref().unwrap().path(), MAX_DOCUMENTS);
            println!("{step}: {MAX_DOCUMENTS} documents, {} MiB", measured >> 20);
            assert!(measured < LIMIT_BYTES, "{step}: {measured} bytes");
            // Every change relies on the estimate.
            assert!(
                measured <= most,
                "{step}: {measured} bytes, {most} were estimated"
            );
        }
    }
}
