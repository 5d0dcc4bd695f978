//! Archives of every format that was ever written, committed with the key that signed them: each is restored for
//! ever, and the writer does not change what it writes without a new version and new archives here.
//!
//! CONTRIBUTING says how a format is changed. `UPDATE_GOLDEN=1` writes those of the present version anew, with a
//! new key; it refuses to change the ones of earlier versions.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Once;

use oubli_archive::manifest::MANIFEST_VERSION;
use oubli_archive::saved::{self, SavedArchive};
use oubli_archive::signature::PublicKey;
use oubli_domain::Language;
use oubli_domain::contact::{Contact, ContactDraft};
use oubli_domain::document::Document;
use serde_json::json;

use crate::support::{Key, build_in, contact, documents, entries, fields, tenant};

/// What an archive holds: its name, the language of its page, the contact, the documents.
type Kind = (&'static str, Language, Contact, Vec<(Document, Vec<u8>)>);

/// Every kind of content that versions 2 and 3 have: they differ in what the manifest says of its key.
fn kinds_of_versions_2_and_3() -> Vec<Kind> {
    let sparse = ContactDraft {
        last_name: "Zola".into(),
        ..ContactDraft::default()
    };
    // Stored and deflated, a photo, an empty one.
    let few = documents().into_iter().take(4).collect();
    vec![
        ("contact-fr", Language::Fr, contact(fields()), Vec::new()),
        (
            "contact-en",
            Language::En,
            contact(sparse.parse().unwrap()),
            Vec::new(),
        ),
        ("documents-fr", Language::Fr, contact(fields()), few),
    ]
}

fn path(version: u32, name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    folder.join(format!("v{version}-{name}"))
}

fn key_of(version: u32) -> PublicKey {
    let pem = fs::read_to_string(path(version, "key.pem")).unwrap();
    PublicKey::all_from_pem(&pem).unwrap().remove(0)
}

/// Writes the archives of the version that is written now anew, when that is asked for.
fn update() {
    static UPDATED: Once = Once::new();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        UPDATED.call_once(write_golden);
    }
}

fn write_golden() {
    let key = Key::new();
    fs::create_dir_all(path(MANIFEST_VERSION, "").parent().unwrap()).unwrap();
    fs::write(path(MANIFEST_VERSION, "key.pem"), key.pem()).unwrap();
    for (name, language, contact, documents) in kinds_of_versions_2_and_3() {
        let archive = build_in(language, contact, &documents, &key);
        fs::write(path(MANIFEST_VERSION, &format!("{name}.zip")), archive).unwrap();
    }
}

fn opened(version: u32, name: &str) -> (Vec<u8>, SavedArchive<Cursor<Vec<u8>>>) {
    let archive = fs::read(path(version, &format!("{name}.zip"))).unwrap();
    let opened = saved::open(Cursor::new(archive.clone()), &[key_of(version)], &tenant());
    (
        archive,
        opened.unwrap_or_else(|refusal| panic!("{name}: {refusal}")),
    )
}

#[test]
fn archives_of_every_version_give_every_field_and_every_document() {
    update();
    let every = [2, 3].map(|version| {
        kinds_of_versions_2_and_3()
            .into_iter()
            .map(move |kind| (version, kind))
    });
    for (version, (name, _, contact, documents)) in every.into_iter().flatten() {
        let (_, mut archive) = opened(version, name);
        let found = archive.contact().clone();
        assert_eq!(
            (&found.id, found.version),
            (&contact.id, contact.version),
            "{name}"
        );
        assert_eq!(found.fields, contact.fields, "{name}");
        assert_eq!(
            (found.created_at, found.updated_at),
            (contact.created_at, contact.updated_at)
        );
        assert!(found.outdated.is_empty(), "{name}");
        let listed = archive.documents().to_vec();
        assert_eq!(listed.len(), documents.len(), "{name}");
        for (index, (found, (document, content))) in listed.iter().zip(&documents).enumerate() {
            let shown = json!([
                found.id,
                found.kind,
                found.name.expose(),
                &*found.content_type,
                found.size_bytes
            ]);
            let wanted = &document.fields;
            let wanted = json!([
                document.id,
                wanted.kind,
                wanted.name.expose(),
                wanted.content_type,
                wanted.size_bytes
            ]);
            assert_eq!(shown, wanted, "{name}");
            assert_eq!(found.created_at, document.created_at);
            let mut bytes = Vec::new();
            let read = archive.read_document(index, |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            });
            read.unwrap();
            assert!(bytes == *content, "{name}: {}", document.id);
        }
    }
}

/// What is written now is what was committed for its version, the signature aside. When this fails, a reader that
/// exists may not read what is written: give the format a new version, with a reader and archives of its own.
#[test]
fn the_writer_changes_nothing_within_a_version() {
    update();
    assert_eq!(
        MANIFEST_VERSION, 3,
        "a new version has kinds and archives of its own"
    );
    // It signs in the place of the one that is named: the private half of that was not kept.
    let key = Key::in_place_of(key_of(MANIFEST_VERSION));
    for (name, language, contact, documents) in kinds_of_versions_2_and_3() {
        let (golden, _) = opened(MANIFEST_VERSION, name);
        let written = build_in(language, contact, &documents, &key);
        let (mut golden_entries, mut entries) = (entries(&golden), entries(&written));
        assert_eq!(
            golden_entries.pop().map(|entry| entry.0).as_deref(),
            Some("manifest.sig")
        );
        entries.pop();
        assert_eq!(
            entries.iter().map(|entry| &entry.0).collect::<Vec<_>>(),
            golden_entries.iter().map(|entry| &entry.0).collect::<Vec<_>>(),
            "{name}"
        );
        assert!(entries == golden_entries, "{name}: a content differs");
        // The records too: all that stands before the signature's own.
        let signature = b"manifest.sig";
        let at = |archive: &[u8]| {
            archive
                .windows(signature.len())
                .position(|window| window == signature)
        };
        let (end, golden_end) = (at(&written).unwrap(), at(&golden).unwrap());
        // The local header of the signature has 30 bytes before its name, of which sizes and CRC-32 differ.
        assert!(
            written[..end - 30] == golden[..golden_end - 30],
            "{name}: a record differs"
        );
    }
}
