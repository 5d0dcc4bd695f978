//! A saved archive of unknown origin, as a restore reads it.
//!
//! The first byte of the input says what the rest is:
//!
//! | | |
//! |---|---|
//! | 0 | the bytes of the file |
//! | 1 | changes of the bytes of a good archive |
//! | 2 | changes of its `contact.json`; the manifest lists the new one and is signed |
//! | 3 | changes of its manifest, which is then signed |
//!
//! Whatever it is: nothing panics; what is accepted can be read to its end; and without the key, what is
//! accepted holds what was signed.

#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use libfuzzer_sys::fuzz_target;
use oubli_archive::contents::{ArchiveBuild, ArchivePlan};
use oubli_archive::saved::{self, SavedArchive};
use oubli_archive::signature::PublicKey;
use oubli_archive::zip64::{ArchiveWriter, DosTime, EntryPlan};
use oubli_domain::contact::{Address, Business, Contact, ContactDraft, ContactState};
use oubli_domain::document::{Document, DocumentFields, DocumentKind, DocumentState};
use oubli_domain::{ContactId, DocumentId, Language, Sha256, TenantId};

/// An archive that is accepted, and the entries that it is made of.
struct Good {
    pair: EcdsaKeyPair,
    key: PublicKey,
    bytes: Vec<u8>,
    entries: Vec<(&'static str, Vec<u8>)>,
}

static GOOD: LazyLock<Good> = LazyLock::new(Good::new);

fuzz_target!(|input: &[u8]| {
    let Some((mode, rest)) = input.split_first() else {
        return;
    };
    match mode {
        0 => drop(read(rest).map(|mut archive| read_documents(&mut archive))),
        1 => unsigned(&edited(&GOOD.bytes, rest)),
        2 => drop(read(&with_contact(rest)).map(|mut archive| read_documents(&mut archive))),
        3 => drop(read(&with_manifest(rest)).map(|mut archive| read_documents(&mut archive))),
        _ => {}
    }
});

fn tenant() -> TenantId {
    TenantId::parse("demo").unwrap()
}

fn read(bytes: &[u8]) -> Option<SavedArchive<Cursor<&[u8]>>> {
    let opened = saved::open(Cursor::new(bytes), std::slice::from_ref(&GOOD.key), &tenant());
    // Nothing fails here but the archive.
    opened
        .map_err(|refusal| assert!(refusal.reason().is_some(), "{refusal}"))
        .ok()
}

fn read_documents(archive: &mut SavedArchive<Cursor<&[u8]>>) {
    for index in 0..archive.documents().len() {
        let mut size_bytes = 0;
        let read = archive.read_document(index, |bytes| {
            size_bytes += bytes.len() as u64;
            Ok(())
        });
        assert!(read.is_ok());
        assert_eq!(archive.documents()[index].size_bytes, size_bytes);
    }
}

/// Only ways to say the same may be accepted.
fn unsigned(bytes: &[u8]) {
    let (Some(mut archive), Some(good)) = (read(bytes), read(&GOOD.bytes)) else {
        return;
    };
    assert_eq!(archive.manifest_sha256(), good.manifest_sha256());
    assert_eq!(archive.contact(), good.contact());
    assert_eq!(archive.documents(), good.documents());
    read_documents(&mut archive);
}

/// Changes bytes: each change is what to do, where (two bytes), how long it is, and its bytes.
fn edited(original: &[u8], mut edits: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    while let [what, high, low, length, rest @ ..] = edits {
        let at = usize::from(u16::from_be_bytes([*high, *low]));
        // From the end too, where the directory is.
        let at = if what & 0x80 == 0 {
            at
        } else {
            bytes.len().saturating_sub(at)
        }
        .min(bytes.len());
        let (new, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let end = (at + usize::from(*length)).min(bytes.len());
        match what & 3 {
            0 => drop(bytes.splice(at..(at + new.len()).min(bytes.len()), new.iter().copied())),
            1 => drop(bytes.splice(at..at, new.iter().copied())),
            2 => drop(bytes.drain(at..end)),
            _ => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
        edits = rest;
    }
    bytes
}

fn with_contact(edits: &[u8]) -> Vec<u8> {
    let mut entries = GOOD.entries.clone();
    entries[0].1 = edited(&entries[0].1, edits);
    let mut manifest: serde_json::Value = serde_json::from_slice(&entries[entries.len() - 2].1).unwrap();
    manifest["entries"][0]["size_bytes"] = entries[0].1.len().into();
    manifest["entries"][0]["sha256"] = Sha256::of(&entries[0].1).to_string().into();
    let place = entries.len() - 2;
    entries[place].1 = manifest.to_string().into_bytes();
    signed(entries)
}

fn with_manifest(edits: &[u8]) -> Vec<u8> {
    let mut entries = GOOD.entries.clone();
    let place = entries.len() - 2;
    entries[place].1 = edited(&entries[place].1, edits);
    signed(entries)
}

fn signed(mut entries: Vec<(&'static str, Vec<u8>)>) -> Vec<u8> {
    let place = entries.len() - 2;
    entries[place + 1].1 = sign(&GOOD.pair, &Sha256::of(&entries[place].1));
    let mut writer = ArchiveWriter::new(1 << 20);
    for (name, content) in &entries {
        let plan = EntryPlan {
            name,
            size_bytes: content.len() as u64,
            crc32: None,
            modified: DosTime::EARLIEST,
        };
        // Inputs of libFuzzer are far below the 64 KiB of the trial.
        writer.start_entry(&plan, content).unwrap();
        writer.finish_entry().unwrap();
    }
    writer.finish().unwrap();
    parts(|| writer.take_part().unwrap())
}

fn parts<B: AsRef<[u8]>>(mut take: impl FnMut() -> Option<B>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(part) = take() {
        bytes.extend_from_slice(part.as_ref());
    }
    bytes
}

fn sign(pair: &EcdsaKeyPair, digest: &Sha256) -> Vec<u8> {
    let digest = Digest::import_less_safe(digest.as_bytes(), &SHA256).unwrap();
    pair.sign_digest(&digest).unwrap().as_ref().to_vec()
}

impl Good {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let key = PublicKey::from_der(pair.public_key().as_der().unwrap().as_ref()).unwrap();
        let contents = [b"abc".to_vec(), b"oubli ".repeat(40)];
        let plan = ArchivePlan::new(contact(), documents(&contents), Language::En).unwrap();
        let mut build = ArchiveBuild::new(plan, 1 << 20).unwrap();
        for content in &contents {
            let _ = build.start_document(content).unwrap();
            build.finish_document().unwrap();
        }
        let manifest = build.finish_manifest(&key).unwrap();
        build.finish(&sign(&pair, &manifest)).unwrap();
        let bytes = parts(|| build.take_part().unwrap());
        let mut entries: Vec<(&'static str, Vec<u8>)> = Vec::new();
        let own = ["contact.json", "contact.schema.json", "index.html"];
        let names =
            own.into_iter()
                .chain(["documents/a.pdf", "photo/b.jpg", "manifest.json", "manifest.sig"]);
        let mut contents = contents_of(&bytes).into_iter();
        for name in names {
            entries.push((name, contents.next().unwrap()));
        }
        Self {
            pair,
            key,
            bytes,
            entries,
        }
    }
}

/// The contents of an archive of which every entry is as its directory says, by a reader of another hand.
fn contents_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    use std::io::Read as _;
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut contents = Vec::new();
    for index in 0..zip.len() {
        let mut content = Vec::new();
        zip.by_index(index).unwrap().read_to_end(&mut content).unwrap();
        contents.push(content);
    }
    contents
}

fn contact() -> Contact {
    let fields = ContactDraft {
        last_name: "Lefèvre".into(),
        first_name: Some("Chloé".into()),
        email: Some("chloe@example.fr".into()),
        phone: Some("+33123456789".into()),
        address: Some(Address {
            lines: vec!["1 rue A".into()],
            postal_code: Some("75001".into()),
            city: None,
            country: None,
        }),
        notes: Some("Le matin.".into()),
        custom_fields: Some([("Pointure".to_owned(), 38.5.into())].into()),
        assigned_to: Some("agent".into()),
        business: Business::default(),
        photo_document_id: Some("d2".into()),
        ..ContactDraft::default()
    };
    Contact {
        tenant_id: tenant(),
        id: ContactId::parse("c1").unwrap(),
        state: ContactState::Active,
        version: 7,
        fields: fields.parse().unwrap(),
        generation: None,
        document_count: 2,
        document_bytes: 0,
        last_archive: None,
        hold: None,
        anonymised: None,
        sealed_at: None,
        restored: None,
        created_at: "2025-01-02T03:04:05Z".parse().unwrap(),
        updated_at: "2026-02-03T04:05:06Z".parse().unwrap(),
    }
}

fn documents(contents: &[Vec<u8>; 2]) -> Vec<Document> {
    let document = |id: &str, name: &str, kind, content_type: &str, content: &[u8]| Document {
        tenant_id: tenant(),
        contact_id: ContactId::parse("c1").unwrap(),
        generation: None,
        id: DocumentId::parse(id).unwrap(),
        state: DocumentState::Stored,
        fields: DocumentFields {
            name: name.to_owned().into(),
            content_type: content_type.into(),
            size_bytes: content.len() as u64,
            sha256: None,
            crc32: None,
            kind,
        },
        created_at: "2025-06-01T10:00:00Z".parse().unwrap(),
        stored_at: None,
    };
    let [first, second] = contents;
    vec![
        document("d1", "a.pdf", DocumentKind::Document, "application/pdf", first),
        document("d2", "b.jpg", DocumentKind::Photo, "image/jpeg", second),
    ]
}
