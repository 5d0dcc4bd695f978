use std::io::Cursor;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use oubli_domain::Sha256;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::zip64::{ArchiveWriter, DosTime, EntryPlan, PATCH_WINDOW_BYTES};

type Entries = Vec<(String, Vec<u8>)>;

fn contents() -> Entries {
    vec![
        ("contact.json".into(), b"{}".to_vec()),
        ("documents/a.txt".into(), "oublié ".repeat(300).into_bytes()),
        ("photo/Zoé 🦀.jpg".into(), (0..=255).collect()),
    ]
}

fn manifest_of(entries: &[(String, Vec<u8>)]) -> Value {
    let listed: Vec<Value> = entries
        .iter()
        .map(|(name, content)| {
            json!({
                "name": name, "content": "document",
                "size_bytes": content.len(), "sha256": Sha256::of(content).to_string(),
            })
        })
        .collect();
    json!({
        "format": "oubli-archive", "format_version": 1, "tenant_id": "demo", "contact_id": "c1",
        "contact_version": 3, "entries": listed, "missing": [],
    })
}

fn zip_of(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(1 << 20);
    for (name, content) in entries {
        let plan = EntryPlan {
            name,
            size_bytes: content.len() as u64,
            crc32: None,
            modified: DosTime::EARLIEST,
        };
        writer.start_entry(&plan, content).unwrap();
        writer.finish_entry().unwrap();
    }
    writer.finish().unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = writer.take_part().unwrap() {
        bytes.extend_from_slice(&part);
    }
    bytes
}

fn with_manifest(mut entries: Entries, manifest: &Value) -> Vec<u8> {
    entries.push(("manifest.json".into(), manifest.to_string().into_bytes()));
    zip_of(&entries)
}

fn good() -> Vec<u8> {
    with_manifest(contents(), &manifest_of(&contents()))
}

fn faults(archive: &[u8]) -> Result<Vec<(String, EntryFault)>, VerifyError> {
    let mut faults = Vec::new();
    let verification = verify(Cursor::new(archive), &[], |entry| {
        if let Some(fault) = &entry.fault {
            faults.push((entry.name.to_owned(), fault.clone()));
        }
    })?;
    assert_eq!(verification.faults, faults.len() as u64);
    Ok(faults)
}

fn refusal(archive: &[u8]) -> String {
    faults(archive).unwrap_err().to_string()
}

/// Replaces bytes wherever they stand: in the local header and in the directory alike.
fn replaced(archive: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = archive.to_vec();
    let mut found = 0;
    for at in 0..=archive.len() - from.len() {
        if &archive[at..at + from.len()] == from {
            changed[at..at + from.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    changed
}

#[test]
fn a_good_archive_is_intact() {
    let mut seen = Vec::new();
    let verification = verify(Cursor::new(good()), &[], |entry| seen.push(entry.name.to_owned())).unwrap();
    assert_eq!((verification.entries, verification.faults), (4, 0));
    assert_eq!(
        seen,
        [
            "contact.json",
            "documents/a.txt",
            "photo/Zoé 🦀.jpg",
            "manifest.json"
        ]
    );
    assert_eq!(verification.manifest.contact_version, 3);
    assert_eq!(verification.origin, Origin::Unsigned);
}

fn key_pair() -> (EcdsaKeyPair, PublicKey) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let key = PublicKey::from_der(pair.public_key().as_der().unwrap().as_ref()).unwrap();
    (pair, key)
}

fn signed(pair: &EcdsaKeyPair, manifest: &Value) -> Vec<u8> {
    let manifest = manifest.to_string().into_bytes();
    let signature = pair.sign(&SystemRandom::new(), &manifest).unwrap();
    let mut entries = contents();
    entries.push(("manifest.json".into(), manifest));
    entries.push(("manifest.sig".into(), signature.as_ref().to_vec()));
    zip_of(&entries)
}

#[test]
fn a_signature_is_checked_when_there_is_a_key() {
    let ((pair, key), (_, other)) = (key_pair(), key_pair());
    let archive = signed(&pair, &manifest_of(&contents()));
    let origin = |archive: &[u8], keys: &[PublicKey]| {
        verify(Cursor::new(archive), keys, |entry| assert_eq!(entry.fault, None))
            .map(|verification| verification.origin)
            .map_err(|error| error.to_string())
    };
    let not_authentic =
        "the archive is not authentic: its signature does not fit the manifest and any of the keys";
    assert_eq!(origin(&archive, &[]), Ok(Origin::Unchecked));
    assert_eq!(
        origin(&archive, std::slice::from_ref(&key)),
        Ok(Origin::Authentic)
    );
    assert_eq!(
        origin(&archive, &[other.clone(), key.clone()]),
        Ok(Origin::Authentic)
    );
    assert_eq!(origin(&archive, &[other]), Err(not_authentic.into()));
    assert_eq!(
        origin(&good(), std::slice::from_ref(&key)),
        Err("the archive is not signed".into())
    );

    let mut altered = contents();
    let manifest = manifest_of(&altered).to_string();
    let signature = pair.sign(&SystemRandom::new(), manifest.as_bytes()).unwrap();
    altered.push((
        "manifest.json".into(),
        manifest
            .replace("\"contact_version\":3", "\"contact_version\":4")
            .into(),
    ));
    altered.push(("manifest.sig".into(), signature.as_ref().to_vec()));
    assert_eq!(origin(&zip_of(&altered), &[]), Ok(Origin::Unchecked));
    assert_eq!(
        origin(&zip_of(&altered), std::slice::from_ref(&key)),
        Err(not_authentic.into())
    );
    let last = altered.len() - 1;
    altered[last].1 = vec![0x30; MAX_SIGNATURE_BYTES + 1];
    assert_eq!(origin(&zip_of(&altered), &[key]), Err(not_authentic.into()));
}

#[test]
fn a_signed_manifest_is_still_held_against_the_contents() {
    let (pair, key) = key_pair();
    let mut manifest = manifest_of(&contents());
    manifest["entries"][1]["size_bytes"] = json!(1);
    let mut faulty = Vec::new();
    let archive = signed(&pair, &manifest);
    let verification = verify(Cursor::new(archive), &[key], |entry| {
        if entry.fault.is_some() {
            faulty.push(entry.name.to_owned());
        }
    });
    assert_eq!(verification.unwrap().origin, Origin::Authentic);
    assert_eq!(faulty, ["documents/a.txt"]);
}

#[test]
fn a_large_deflated_entry_with_its_descriptor_is_intact() {
    let entries = vec![(
        "documents/large.txt".to_owned(),
        vec![b'x'; PATCH_WINDOW_BYTES as usize + 1],
    )];
    let archive = with_manifest(entries.clone(), &manifest_of(&entries));
    assert_eq!(archive[6] & 8, 8);
    assert_eq!(faults(&archive).unwrap(), []);
}

#[test]
fn what_contradicts_the_manifest_is_told_by_entry() {
    let mut changed = contents();
    changed[0].1 = b"[]".to_vec();
    changed[1].1.pop();
    changed.remove(2);
    changed.push(("documents/more.txt".into(), Vec::new()));
    let archive = with_manifest(changed, &manifest_of(&contents()));
    let expected = [
        ("contact.json", EntryFault::Hash),
        (
            "documents/a.txt",
            EntryFault::Size {
                listed: 2400,
                actual: 2399,
            },
        ),
        ("documents/more.txt", EntryFault::NotListed),
        ("photo/Zoé 🦀.jpg", EntryFault::Absent),
    ];
    assert_eq!(
        faults(&archive).unwrap(),
        expected.map(|(name, fault)| (name.to_owned(), fault))
    );
}

#[test]
fn content_changed_in_place_is_damaged() {
    let mut archive = good();
    let data = archive.windows(2).position(|pair| pair == b"{}").unwrap();
    archive[data] = b'[';
    assert_eq!(
        faults(&archive).unwrap(),
        [("contact.json".to_owned(), EntryFault::Damaged)]
    );
}

#[test]
fn hostile_names_are_refused() {
    for (name, expected) in [
        (
            "documents/con.txt",
            "entry 1 has a name that is not safe to unpack",
        ),
        (
            "documents/a/b.txt",
            "entry 1 has a name that is not safe to unpack",
        ),
        ("elsewhere.txt", "entry 1 has a name that is not safe to unpack"),
        ("secrets/a.txt", "entry 1 has a name that is not safe to unpack"),
        (
            "documents/\u{202E}txt.exe",
            "entry 1 has a name that is not safe to unpack",
        ),
        (
            "documents/A.TXT",
            "entry 3 has a name that differs from an earlier one only in case or accents",
        ),
        ("documents/a.txt", "entry 3 has the name of an earlier one"),
    ] {
        let mut entries = contents();
        entries.insert(0, (name.to_owned(), Vec::new()));
        assert_eq!(refusal(&with_manifest(entries, &json!({}))), expected, "{name:?}");
    }
    let climbing = replaced(&good(), b"documents/a.txt", b"../../../../a.t");
    assert_eq!(
        refusal(&climbing),
        "entry 2 has a name that is not safe to unpack"
    );
    let not_text = replaced(&good(), b"documents/a.txt", b"documents/\xFF.txt");
    assert_eq!(
        refusal(&not_text),
        "entry 2 has a name that is not UTF-8 or too long"
    );
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    let refused = |manifest: &Value| refusal(&with_manifest(contents(), manifest));
    let changed = |pointer: &str, value: Value| {
        let mut manifest = manifest_of(&contents());
        *manifest.pointer_mut(pointer).unwrap() = value;
        refused(&manifest)
    };
    assert_eq!(
        refusal(&zip_of(&contents())),
        "the archive does not end in `manifest.json`"
    );
    assert_eq!(
        refusal(&zip_of(&[])),
        "the archive does not end in `manifest.json`"
    );
    assert!(refused(&json!([1])).contains("is not a manifest that can be read"));
    assert!(changed("/format", json!("other")).contains("of another format"));
    assert!(changed("/entries/0/sha256", json!("00")).contains("hexadecimal"));
    assert!(changed("/format_version", json!(4)).contains("this program reads up to 3"));
    assert_eq!(
        changed("/entries/1/name", json!("contact.json")),
        "`manifest.json` lists a name twice"
    );
}

#[test]
fn what_is_no_archive_or_not_whole_is_refused() {
    let good = good();
    assert_eq!(refusal(b""), "the file is not a ZIP archive");
    assert_eq!(refusal(b"%PDF-1.7"), "the file is not a ZIP archive");
    assert_eq!(
        refusal(b"PK\x03\x04"),
        "the archive is cut short, or bytes were added behind its end"
    );
    assert_eq!(
        refusal(&good[..good.len() - 1]),
        "the archive is cut short, or bytes were added behind its end"
    );
    let longer = [&good[..], b"x"].concat();
    assert_eq!(
        refusal(&longer),
        "the archive is cut short, or bytes were added behind its end"
    );
    let hidden = [b"PK\x03\x04 hidden", &good[..]].concat();
    assert_eq!(
        refusal(&hidden),
        "the end of the archive contradicts the rest of it"
    );
}

#[test]
fn lies_in_the_records_are_refused() {
    let good = good();
    let directory = good.windows(4).position(|bytes| bytes == b"PK\x01\x02").unwrap();
    let lie = |at: usize, bytes: &[u8]| {
        let mut changed = good.clone();
        changed[directory + at..directory + at + bytes.len()].copy_from_slice(bytes);
        refusal(&changed)
    };
    assert_eq!(lie(8, &[1]), "entry 1 is encrypted");
    assert_eq!(
        lie(10, &[14]),
        "entry 1 is compressed by method 14, which is not used here"
    );
    assert_eq!(lie(41, &[0xA1]), "entry 1 is not a regular file");
    assert_eq!(lie(24, &[3]), "entry 1 claims 3 bytes, which 2 cannot hold");
    assert_eq!(
        lie(42, &[5]),
        "entry 1 overlaps another one or leaves a gap before it"
    );
    assert!(lie(16, &[0xAA]).starts_with("the records of entry 1 contradict"));
    let mut many = good.clone();
    let end = many.len() - 22;
    many[end + 8..end + 12].copy_from_slice(&[0xFE, 0xFF, 0xFE, 0xFF]);
    many[end + 12..end + 16].copy_from_slice(&[0, 0, 0, 0x10]);
    assert!(refusal(&many).starts_with("the archive claims 65534 entries in a directory of 268435456 bytes"));
}

fn extracted(archive: &[u8]) -> Entries {
    let mut archive = ZipArchive::new(Cursor::new(archive)).unwrap();
    let read = |index| {
        let mut file = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        (file.name().unwrap().into_owned(), content)
    };
    (0..4).map(read).collect()
}

/// Deflate has several ways to say the same, and bits that say nothing: only there may bytes change, and
/// only if the content does not.
fn judged_rightly(original: &[u8], changed: &[u8]) -> bool {
    match faults(changed).as_deref() {
        Ok([]) => changed == original || extracted(changed) == extracted(original),
        _ => changed != original,
    }
}

#[test]
fn no_changed_byte_goes_unseen() {
    let good = good();
    assert_eq!(faults(&good).unwrap(), []);
    let mut unseen = 0;
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x11;
        assert!(judged_rightly(&good, &changed), "byte {at} of {}", good.len());
        unseen += u32::from(faults(&changed).is_ok_and(|faults| faults.is_empty()));
    }
    assert!(unseen < 5, "{unseen} changes say the same");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_the_bytes_the_verdict_is_right(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in any::<prop::sample::Index>(),
        keep in any::<bool>(),
    ) {
        let good = good();
        let mut bytes = good.clone();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if !keep {
            bytes.truncate(cut.index(bytes.len()));
        }
        prop_assert!(judged_rightly(&good, &bytes));
    }
}

#[test]
fn the_named_key_is_the_one_that_signed() {
    let ((pair, key), (_, other)) = (key_pair(), key_pair());
    let of_version_3 = |named: Option<&PublicKey>| {
        let mut manifest = manifest_of(&contents());
        manifest["format_version"] = json!(3);
        if let Some(named) = named {
            manifest["signed_by"] = json!(named.fingerprint().to_string());
        }
        signed(&pair, &manifest)
    };
    let both = [other.clone(), key.clone()];
    let judged = |archive: Vec<u8>, keys: &[PublicKey]| verify(Cursor::new(archive), keys, |_| {});
    let good = judged(of_version_3(Some(&key)), &both).unwrap();
    assert_eq!(
        (good.origin, good.manifest.signed_by),
        (Origin::Authentic, Some(key.fingerprint()))
    );
    // Signed by a known key that is not the one it names: nobody but the signer could have written it, and Oubli
    // does not.
    let refused = judged(of_version_3(Some(&other)), &both);
    assert!(matches!(refused, Err(VerifyError::NotAuthentic)));
    for keys in [&both[..], &[]] {
        assert!(matches!(
            judged(of_version_3(None), keys),
            Err(VerifyError::NoKeyNamed)
        ));
    }
}
