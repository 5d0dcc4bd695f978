//! Archives that were changed after they were signed, or signed by somebody else.

use std::io::Cursor;

use oubli_archive::saved::{self, Damage, Refusal};
use oubli_archive::zip64::{DirectoryError, MAX_ENTRIES};
use oubli_domain::document::DocumentKind;
use oubli_domain::{Reason, Sha256, TenantId};
use serde_json::json;

use crate::support::{
    Entries, Key, archive, build, contact, document, entries, fields, noise, open, place, reason, refusal,
    signed, tenant, with_manifest, zip_of,
};

/// Small, so that each of its bytes can be tried; with a document that compresses and one that does not.
fn small(key: &Key) -> Vec<u8> {
    let (stored, deflated) = (noise(120), "oublié ".repeat(60).into_bytes());
    let documents = vec![
        (document("d1", "a.bin", DocumentKind::Document, &stored), stored),
        (document("d2", "b.txt", DocumentKind::Photo, &deflated), deflated),
    ];
    build(contact(fields()), &documents, key)
}

/// Which part of the archive each byte belongs to: records, what the manifest lists, or what is signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Records,
    Listed,
    Signed,
}

fn parts(archive: &[u8]) -> Vec<Part> {
    let mut parts = vec![Part::Records; archive.len()];
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    for index in 0..zip.len() {
        let file = zip.by_index(index).unwrap();
        let part = if file.name().unwrap().starts_with("manifest.") {
            Part::Signed
        } else {
            Part::Listed
        };
        let start = file.data_start().unwrap() as usize;
        let end = start + file.compressed_size() as usize;
        parts[start..end].fill(part);
    }
    parts
}

#[test]
fn no_changed_byte_goes_unseen_and_the_reason_says_where_it_was() {
    let key = Key::new();
    let good = small(&key);
    let original = open(&good, &key).unwrap();
    let (contact, documents) = (original.contact().clone(), original.documents().to_vec());
    let parts = parts(&good);
    let mut same = 0;
    for (at, part) in parts.iter().enumerate() {
        let mut changed = good.clone();
        changed[at] ^= [0x01, 0x80, 0xFF][at % 3];
        match open(&changed, &key) {
            Err(refusal) => {
                let expected = match (part, &refusal) {
                    // A directory that is whole in itself, but not the one whose names and sizes were signed.
                    (Part::Records, Refusal::Damaged(Damage::Listing)) => Reason::ArchiveDamaged,
                    // An end that tells of more than 100,000 entries.
                    (Part::Records, Refusal::Records(DirectoryError::TooManyEntries { entries, .. }))
                        if *entries > MAX_ENTRIES =>
                    {
                        Reason::ArchiveTooLarge
                    }
                    (Part::Records, _) => Reason::ArchiveUnreadable,
                    (Part::Listed, _) => Reason::ArchiveDamaged,
                    (Part::Signed, _) => Reason::ArchiveNotAuthentic,
                };
                assert_eq!(refusal.reason(), Some(expected), "byte {at}, {part:?}: {refusal}");
            }
            // Deflate has bits that say nothing: there the contents are what they were.
            Ok(saved) => {
                assert_ne!(*part, Part::Records);
                assert_eq!((saved.contact(), saved.documents()), (&contact, &documents[..]));
                same += 1;
            }
        }
    }
    assert!(same < 5, "{same} changes say the same");
}

#[test]
fn cut_short_anywhere_it_is_unreadable() {
    let key = Key::new();
    let good = archive(&key);
    let percents = (0..100).map(|percent| good.len() * percent / 100);
    let ends = good.len() - 300..good.len();
    for length in percents.chain(ends) {
        assert_eq!(
            reason(&good[..length], &key),
            Reason::ArchiveUnreadable,
            "{length} of {}",
            good.len()
        );
    }
}

#[test]
fn a_signature_is_of_the_key_and_of_these_very_bytes() {
    let key = Key::new();
    let good = entries(&small(&key));
    let (manifest, signature) = (place(&good, "manifest.json"), place(&good, "manifest.sig"));
    let with_signature = |bytes: Vec<u8>| {
        let mut entries = good.clone();
        entries[signature].1 = bytes;
        zip_of(&entries)
    };
    let signature = good[signature].1.clone();
    assert!(open(&with_signature(signature.clone()), &key).is_ok());
    for at in 0..signature.len() {
        let mut changed = signature.clone();
        changed[at] ^= 0x10;
        assert_eq!(
            reason(&with_signature(changed), &key),
            Reason::ArchiveNotAuthentic,
            "byte {at}"
        );
    }
    let digest = Sha256::of(&good[manifest].1);
    for wrong in [
        Vec::new(),
        signature[..signature.len() - 1].to_vec(),
        [&signature[..], b"\0"].concat(),
        vec![0; 72],
        vec![0x30; 73],
        vec![0x30; 1 << 20],
        key.sign(&Sha256::of(b"another manifest")),
        Key::new().sign(&digest),
    ] {
        assert_eq!(reason(&with_signature(wrong), &key), Reason::ArchiveNotAuthentic);
    }
    assert!(open(&with_signature(key.sign(&digest)), &key).is_ok());
}

#[test]
fn no_change_of_the_manifest_keeps_its_signature() {
    let key = Key::new();
    let good = entries(&small(&key));
    let refused = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut entries = good.clone();
        with_manifest(&mut entries, change);
        assert_eq!(reason(&zip_of(&entries), &key), Reason::ArchiveNotAuthentic);
    };
    refused(&|manifest| manifest["tenant_id"] = json!("other"));
    refused(&|manifest| manifest["contact_id"] = json!("c1"));
    refused(&|manifest| manifest["contact_version"] = json!(8));
    refused(&|manifest| manifest["format_version"] = json!(2));
    refused(&|manifest| manifest["signed_by"] = json!(Sha256::of(b"x").to_string()));
    refused(&|manifest| manifest["entries"][3]["sha256"] = json!(Sha256::of(b"x").to_string()));
    // The same members, but not the same bytes.
    refused(&|_| {});
}

#[test]
fn without_manifest_and_signature_at_the_end_it_is_not_signed() {
    let key = Key::new();
    let good = entries(&small(&key));
    let last = good.len() - 1;
    let without = |names: &[&str]| -> Entries {
        let kept = good.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        kept.cloned().collect()
    };
    let mut swapped = good.clone();
    swapped.swap(last, last - 1);
    let mut first = good.clone();
    let signature = first.remove(last);
    first.insert(0, signature);
    let mut behind = good.clone();
    behind.push(("documents/more.txt".into(), b"more".to_vec()));
    for entries in [
        without(&["manifest.sig"]),
        without(&["manifest.json"]),
        without(&["manifest.json", "manifest.sig"]),
        Vec::new(),
        vec![good[last].clone()],
        swapped,
        first,
        behind,
    ] {
        let refusal = refusal(&zip_of(&entries), &key);
        assert!(matches!(refusal, Refusal::NotSigned), "{refusal}");
        assert_eq!(refusal.reason(), Some(Reason::ArchiveNotAuthentic));
    }
}

#[test]
fn another_tenants_and_another_deployments_are_told_apart() {
    let (key, other) = (Key::new(), Key::new());
    let mut of_other_tenant = contact(fields());
    of_other_tenant.tenant_id = TenantId::parse("other").unwrap();
    let foreign = build(of_other_tenant, &[], &key);
    assert_eq!(reason(&foreign, &key), Reason::ArchiveForeign);
    assert_eq!(reason(&foreign, &other), Reason::ArchiveNotAuthentic);
    assert_eq!(reason(&small(&key), &other), Reason::ArchiveNotAuthentic);
    // What else may be wrong with it is nobody's business here.
    let mut entries = entries(&foreign);
    entries[0].1 = b"{}".to_vec();
    assert_eq!(reason(&zip_of(&entries), &key), Reason::ArchiveForeign);
}

#[test]
fn other_formats_are_told_apart_even_when_signed() {
    let key = Key::new();
    let good = entries(&small(&key));
    for version in [0, 1, 4, 4_000_000_000u32] {
        let mut entries = good.clone();
        with_manifest(&mut entries, |manifest| {
            manifest["format_version"] = json!(version);
            manifest["entries"][0]["of_later"] = json!("member");
        });
        let refusal = refusal(&signed(entries, &key), &key);
        assert!(
            matches!(refusal, Refusal::OtherFormat { version: told } if told == version),
            "{refusal}"
        );
        let wanted = if version > 3 {
            Reason::ArchiveFormatUnknown
        } else {
            Reason::ArchiveUnreadable
        };
        assert_eq!(refusal.reason(), Some(wanted));
    }
}

/// A key of the ring signed it, and the manifest names another, or none.
#[test]
fn a_manifest_names_the_key_that_signed_it() {
    let (key, other) = (Key::new(), Key::new());
    let good = entries(&small(&key));
    let opened = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut entries = good.clone();
        with_manifest(&mut entries, change);
        let archive = signed(entries, &key);
        let keys = [other.public.clone(), key.public.clone()];
        saved::open(Cursor::new(archive), &keys, &tenant()).map(|_| ())
    };
    opened(&|_| {}).unwrap();
    let refused = opened(&|manifest| manifest["signed_by"] = json!(other.public.fingerprint().to_string()));
    assert!(matches!(refused, Err(Refusal::NotAuthentic)));
    for change in [
        &(|manifest: &mut serde_json::Value| drop(manifest.as_object_mut().unwrap().remove("signed_by")))
            as &dyn Fn(&mut serde_json::Value),
        &|manifest| manifest["signed_by"] = json!(null),
        // Version 2 does not know it.
        &|manifest| manifest["format_version"] = json!(2),
    ] {
        assert!(matches!(opened(change), Err(Refusal::Damaged(Damage::Manifest))));
    }
}
