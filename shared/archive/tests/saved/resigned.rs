//! Archives that the right key signed, and that are wrong all the same: what stands behind the signature.

use oubli_archive::saved::{Damage, Refusal};
use oubli_domain::{Reason, Sha256};
use serde_json::{Value, json};

use crate::support::{
    Entries, Key, archive, entries, listed_and_signed, open, place, refusal, signed, with_contact,
    with_manifest,
};

fn damage(archive: &[u8], key: &Key) -> Damage {
    let refusal = refusal(archive, key);
    assert_eq!(refusal.reason(), Some(Reason::ArchiveDamaged), "{refusal}");
    match refusal {
        Refusal::Damaged(damage) => damage,
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_only_written_anew_is_accepted() {
    let key = Key::new();
    let good = entries(&archive(&key));
    let again = listed_and_signed(good.clone(), &key);
    let (first, second) = (archive(&key), with_contact(good, &key, |_| {}));
    let (first, again, second) = (
        open(&first, &key).unwrap(),
        open(&again, &key).unwrap(),
        open(&second, &key).unwrap(),
    );
    assert_eq!(again.documents(), first.documents());
    assert_eq!(again.contact(), first.contact());
    assert_eq!(second.contact(), first.contact());
}

#[test]
fn contents_other_than_the_listed_ones_are_damage() {
    let key = Key::new();
    let good = entries(&archive(&key));
    for index in 0..good.len() - 2 {
        let mut changed = good.clone();
        match changed[index].1.last_mut() {
            Some(byte) => *byte ^= 1,
            None => continue,
        }
        let number = index as u64 + 1;
        assert_eq!(damage(&signed(changed, &key), &key), Damage::Content { number });

        let mut longer = good.clone();
        longer[index].1.push(b' ');
        assert_eq!(damage(&signed(longer, &key), &key), Damage::Listing, "{number}");
    }
}

#[test]
fn entries_other_than_the_listed_ones_are_damage() {
    let key = Key::new();
    let good = entries(&archive(&key));
    let listed = good.len() - 2;
    let altered = |change: &dyn Fn(&mut Entries)| {
        let mut entries = good.clone();
        change(&mut entries);
        assert_eq!(damage(&signed(entries, &key), &key), Damage::Listing);
    };
    for index in 0..listed {
        altered(&|entries| drop(entries.remove(index)));
        altered(&|entries| entries.insert(index, ("documents/more.txt".into(), b"more".to_vec())));
    }
    altered(&|entries| entries.insert(listed, ("documents/more.txt".into(), Vec::new())));
    altered(&|entries| entries.swap(0, 1));
    altered(&|entries| entries.swap(3, listed - 1));
    altered(&|entries| entries[3].0 = "photo/Contrat signé.pdf".into());
    altered(&|entries| {
        entries.drain(..listed);
    });
}

#[test]
fn a_manifest_that_does_not_fit_is_damage() {
    let key = Key::new();
    let good = entries(&archive(&key));
    let altered = |expected: Damage, change: &dyn Fn(&mut Value)| {
        let mut entries = good.clone();
        with_manifest(&mut entries, change);
        assert_eq!(damage(&signed(entries, &key), &key), expected);
    };
    let other = || json!(Sha256::of(b"other").to_string());
    altered(Damage::Content { number: 4 }, &|manifest| {
        manifest["entries"][3]["sha256"] = other();
    });
    altered(Damage::Listing, &|manifest| {
        manifest["entries"][3]["size_bytes"] = json!(2)
    });
    altered(Damage::Listing, &|manifest| {
        manifest["entries"].as_array_mut().unwrap().swap(3, 5);
    });
    altered(Damage::Listing, &|manifest| {
        manifest["entries"].as_array_mut().unwrap().pop();
    });
    altered(Damage::Listing, &|manifest| manifest["entries"] = json!([]));
    altered(Damage::Listing, &|manifest| {
        let list = manifest["entries"].as_array_mut().unwrap();
        list.push(list[3].clone());
    });
    altered(Damage::Listing, &|manifest| {
        let list = manifest["entries"].as_array_mut().unwrap();
        list[3] = list[4].clone();
    });
    for content in ["photo", "contact", "index", "contact_schema"] {
        altered(Damage::Listing, &|manifest| {
            manifest["entries"][3]["content"] = json!(content);
        });
    }
    altered(Damage::Listing, &|manifest| {
        manifest["entries"][0]["content"] = json!("document");
    });
    altered(Damage::Listing, &|manifest| {
        manifest["entries"][0]["document_id"] = json!("d1");
    });
    altered(Damage::Listing, &|manifest| {
        let entry = manifest["entries"][3].as_object_mut().unwrap();
        entry.remove("document_id");
    });
    altered(Damage::Incomplete, &|manifest| {
        manifest["missing"] = json!([{ "document_id": "d9", "name": "x", "reason": "document_unreadable" }]);
    });
    // Documents under each other's ids, and one under none of the contact's.
    altered(Damage::Contact, &|manifest| {
        manifest["entries"][3]["document_id"] = json!("d3");
        manifest["entries"][5]["document_id"] = json!("d1");
    });
    altered(Damage::Contact, &|manifest| {
        manifest["entries"][3]["document_id"] = json!("d9");
    });
    altered(Damage::Contact, &|manifest| manifest["contact_id"] = json!("c1"));
    for (member, wrong) in [
        ("format", json!("oubli-contact")),
        ("format_version", json!("2")),
        ("tenant_id", json!("../demo")),
        ("contact_id", json!("a#b")),
        ("contact_version", json!(-1)),
        ("entries", json!({})),
        ("entries", json!([1])),
        ("missing", json!(null)),
        ("more", json!(1)),
    ] {
        altered(Damage::Manifest, &|manifest| manifest[member] = wrong.clone());
    }
    altered(Damage::Manifest, &|manifest| {
        manifest["entries"][3]["sha256"] = json!("00");
    });
    altered(Damage::Manifest, &|manifest| {
        manifest["entries"][3]["document_id"] = json!("../d1");
    });
}

#[test]
fn a_signed_manifest_that_is_no_manifest_is_damage() {
    let key = Key::new();
    let good = entries(&archive(&key));
    let manifest = place(&good, "manifest.json");
    let text = String::from_utf8(good[manifest].1.clone()).unwrap();
    let twice = text.replacen(
        "\"contact_version\"",
        "\"contact_version\": 1, \"contact_version\"",
        1,
    );
    assert_ne!(twice, text);
    for wrong in [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        text.trim_end().trim_end_matches('}').to_owned(),
        format!("{text}{text}"),
        "[".repeat(1_000_000),
        format!("{{\"format\":{}", "[".repeat(100_000)),
        twice,
    ] {
        let mut entries = good.clone();
        entries[manifest].1 = wrong.into_bytes();
        assert_eq!(damage(&signed(entries, &key), &key), Damage::Manifest);
    }
}

#[test]
fn a_contact_that_could_not_be_put_back_is_damage() {
    let key = Key::new();
    let good = entries(&archive(&key));
    let altered = |change: &dyn Fn(&mut Value)| {
        let archive = with_contact(good.clone(), &key, change);
        assert_eq!(damage(&archive, &key), Damage::Contact);
    };
    let set = |pointer: &str, wrong: &Value| {
        altered(&|value| {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = value.pointer_mut(parent).unwrap();
            match name.parse::<usize>() {
                Ok(index) => parent[index] = wrong.clone(),
                Err(_) => parent[name] = wrong.clone(),
            }
        });
    };
    for (pointer, wrong) in [
        ("/$schema", json!("other.json")),
        ("/format", json!("oubli-archive")),
        ("/format_version", json!(1)),
        ("/format_version", json!(3)),
        ("/more", json!(1)),
        ("/contact", json!([])),
        ("/contact/id", json!("c1")),
        ("/contact/id", json!("a/b")),
        ("/contact/version", json!(7)),
        ("/contact/state", json!("active")),
        ("/contact/last_name", json!(null)),
        ("/contact/last_name", json!(7)),
        ("/contact/first_name", json!(null)),
        ("/contact/email", json!("XXXXX")),
        ("/contact/mobile", json!(33)),
        ("/contact/address", json!({})),
        ("/contact/address/street", json!("x")),
        ("/contact/notes", json!("x".repeat(450_000))),
        ("/contact/custom_fields", json!({ "a": [1] })),
        ("/contact/custom_fields", json!({ "a": 1e200 })),
        ("/contact/custom_fields", json!({ "": 1 })),
        ("/contact/assigned_to", json!("a b")),
        ("/contact/business", json!(null)),
        ("/contact/business/deals", json!(-1)),
        ("/contact/business/more", json!(1)),
        ("/contact/photo_document_id", json!("../d2")),
        ("/contact/created_at", json!("yesterday")),
        ("/contact/updated_at", json!(0)),
        ("/documents", json!({})),
        ("/documents", json!([])),
        ("/documents/0", json!("d1")),
        ("/documents/0/id", json!("d3")),
        ("/documents/0/kind", json!("folder")),
        ("/documents/0/kind", json!("photo")),
        ("/documents/0/name", json!("")),
        ("/documents/0/name", json!("x".repeat(4_097))),
        ("/documents/0/path", json!("documents/vide")),
        ("/documents/0/path", json!("../Contrat signé.pdf")),
        ("/documents/0/content_type", json!("")),
        ("/documents/0/content_type", json!("x".repeat(256))),
        ("/documents/0/content_type", json!("été/x")),
        ("/documents/0/content_type", json!(" text/plain")),
        ("/documents/0/content_type", json!("text/plain\r\nX: y")),
        ("/documents/0/size_bytes", json!(1)),
        ("/documents/0/created_at", json!(null)),
        ("/documents/0/more", json!(1)),
    ] {
        set(pointer, &wrong);
    }
    for (parent, name) in [
        ("", "$schema"),
        ("", "contact"),
        ("", "documents"),
        ("/contact", "id"),
        ("/contact", "last_name"),
        ("/contact", "business"),
        ("/contact", "updated_at"),
        ("/documents/0", "path"),
        ("/documents/0", "created_at"),
    ] {
        altered(&|value| {
            let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            parent.remove(name).unwrap();
        });
    }
    altered(&|value| value["documents"].as_array_mut().unwrap().swap(0, 1));
    altered(&|value| drop(value["documents"].as_array_mut().unwrap().pop()));
    altered(&|value| {
        let documents = value["documents"].as_array_mut().unwrap();
        documents.push(documents[0].clone());
    });
}

#[test]
fn two_documents_of_one_id_are_damage() {
    let key = Key::new();
    let mut entries = entries(&archive(&key));
    with_manifest(&mut entries, |manifest| {
        manifest["entries"][5]["document_id"] = json!("d1");
    });
    let archive = with_contact(entries, &key, |value| value["documents"][2]["id"] = json!("d1"));
    assert_eq!(damage(&archive, &key), Damage::Contact);
}

#[test]
fn a_contact_that_is_no_json_is_damage() {
    let key = Key::new();
    let good = entries(&archive(&key));
    for wrong in ["", "{", "null", "{} {}", "\u{FEFF}{}"] {
        let mut entries = good.clone();
        entries[0].1 = wrong.as_bytes().to_vec();
        assert_eq!(damage(&listed_and_signed(entries, &key), &key), Damage::Contact);
    }
    let mut nested = good.clone();
    nested[0].1 = format!("{{\"contact\":{}", "[".repeat(2_000_000)).into_bytes();
    assert_eq!(damage(&listed_and_signed(nested, &key), &key), Damage::Contact);
}

/// A reader judges by the rules of its own time: what nobody could enter today was entered once.
#[test]
fn what_older_rules_allowed_is_kept_and_named() {
    let key = Key::new();
    let good = entries(&archive(&key));
    for (name, value) in [
        ("last_name", json!("")),
        ("last_name", json!(" Lefèvre")),
        ("last_name", json!("x".repeat(201))),
        ("first_name", json!("a\u{0}b")),
        ("email", json!("nobody")),
        ("phone", json!("call me")),
        ("address", json!({ "lines": [] })),
        ("notes", json!("")),
    ] {
        let archive = with_contact(good.clone(), &key, |contact: &mut Value| {
            contact["contact"][name] = value.clone();
        });
        let opened = open(&archive, &key).unwrap();
        assert_eq!(opened.contact().outdated, [name], "{value}");
        let fields = serde_json::to_value(&opened.contact().fields).unwrap();
        assert_eq!(fields[name], value);
    }
    assert!(open(&archive(&key), &key).unwrap().contact().outdated.is_empty());
}

/// What was a name and a media type under the rules of its day is restored, and the result names it.
#[test]
fn documents_of_older_rules_come_back_as_they_were() {
    let key = Key::new();
    let good = entries(&archive(&key));
    let long = "x".repeat(1_025);
    for (member, value) in [("name", long.as_str()), ("content_type", "pdf")] {
        let archive = with_contact(good.clone(), &key, |contact| {
            contact["documents"][0][member] = json!(value);
        });
        let opened = open(&archive, &key).unwrap();
        assert_eq!(opened.contact().outdated, ["documents"], "{member}");
        let document = &opened.documents()[0];
        let found = match member {
            "name" => document.name.expose().as_str(),
            _ => &document.content_type,
        };
        assert_eq!(found, value);
    }
    assert!(open(&archive(&key), &key).unwrap().contact().outdated.is_empty());
}
