//! Archives of which the contents lie: what was changed behind the signature's back, and what would have to
//! be refused even if the key had signed it.

use oubli_domain::Sha256;
use oubli_tests::forging::{
    Entry, Key, MANIFEST, SIGNATURE, change_json, document, place, relist, rename, zip_of,
};
use serde_json::{Value, json};

use super::Case;

const UNREADABLE: &str = "archive_unreadable";
const FORMAT_UNKNOWN: &str = "archive_format_unknown";
const DAMAGED: &str = "archive_damaged";
const NOT_AUTHENTIC: &str = "archive_not_authentic";
const FOREIGN: &str = "archive_foreign";

/// Names that would be unpacked elsewhere, hide what they are, or are no names.
const UNSAFE: [&str; 42] = [
    "../evil.txt",
    "documents/../evil.txt",
    "documents/../../evil.txt",
    "documents/..",
    "documents/.",
    "documents/",
    "documents//evil.txt",
    "documents/a/evil.txt",
    "./documents/evil.txt",
    "/documents/evil.txt",
    "/etc/passwd",
    "//server/share/evil.txt",
    "\\\\server\\share\\evil.txt",
    "C:\\Windows\\evil.txt",
    "C:/evil.txt",
    "C:evil.txt",
    "documents\\evil.txt",
    "documents/..\\..\\evil.txt",
    "documents/a\\b.txt",
    "documents/a:b.txt",
    "documents/evil.txt:stream",
    "documents/a\u{0}b.txt",
    "documents/a\nb.txt",
    "documents/a\u{7}b.txt",
    "documents/a\u{1b}[31mb.txt",
    "documents/a\u{202e}txt.exe",
    "documents/a\u{200b}b.txt",
    "documents/con",
    "documents/CON.txt",
    "documents/nul",
    "documents/com1.txt",
    "documents/evil.txt.",
    "documents/evil.txt ",
    "documents/ evil.txt",
    "documents/a<b>.txt",
    "documents/a|b?.txt",
    "Documents/evil.txt",
    "elsewhere/evil.txt",
    "evil.txt",
    "Contact.json",
    "~/.ssh/authorized_keys",
    "",
];

/// Every unsafe name, in an archive that is right in all else, signature included.
pub(super) async fn names(base: &[Entry], key: &Key) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut hostile: Vec<String> = UNSAFE.map(str::to_owned).to_vec();
    hostile.push(format!("documents/{}.txt", "a".repeat(200)));
    for name in hostile {
        let mut entries = base.to_vec();
        rename(&mut entries, document(base), &name);
        let bytes = key.archive(entries).await;
        cases.push(Case::new(
            format!("a document called {name:?}"),
            bytes,
            UNREADABLE,
        ));
    }
    for (one, other) in [
        ("documents/evil.txt", "documents/evil.txt"),
        ("documents/evil.txt", "documents/EVIL.TXT"),
        ("documents/\u{e9}.txt", "documents/e\u{301}.txt"),
        ("documents/\u{e9}.txt", "documents/E\u{301}.txt"),
        ("documents/stra\u{df}e.txt", "documents/STRASSE.txt"),
        ("documents/\u{fb01}n.txt", "documents/FIN.txt"),
        ("documents/\u{3c3}.txt", "documents/\u{3c2}.txt"),
    ] {
        let mut entries = base.to_vec();
        let at = document(base);
        rename(&mut entries, at, one);
        entries.insert(at + 1, Entry::of(other, b"other bytes"));
        let bytes = key.archive(entries).await;
        cases.push(Case::new(format!("{one:?} beside {other:?}"), bytes, UNREADABLE));
    }
    for twice in ["contact.json", "index.html", MANIFEST, SIGNATURE] {
        let mut entries = base.to_vec();
        let twin = entries[place(base, twice)].clone();
        entries.insert(0, twin);
        let bytes = zip_of(&entries);
        cases.push(Case::new(format!("{twice} twice"), bytes, UNREADABLE));
    }
    cases
}

/// What anybody can change, and nobody can sign. `other` is another archive of this deployment.
pub(super) fn unsigned(base: &[Entry], other: &[Entry]) -> Vec<Case> {
    let (manifest, signature) = (place(base, MANIFEST), place(base, SIGNATURE));
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = base.to_vec();
        change(&mut entries);
        zip_of(&entries)
    };
    let signed_as = |bytes: &[u8]| with(&|entries| entries[signature] = Entry::of(SIGNATURE, bytes));
    let genuine = &base[signature].data;
    let of_other = &other[place(other, SIGNATURE)];
    let json = |name: &'static str, member: &'static str, value: Value| {
        with(&|entries| {
            change_json(entries, name, |json| json[member] = value.clone());
            relist(entries);
        })
    };
    let mut flipped = genuine.clone();
    flipped[20] ^= 1;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("no signature", with(&|entries| drop(entries.remove(signature)))),
        ("no manifest", with(&|entries| drop(entries.remove(manifest)))),
        ("neither", with(&|entries| entries.truncate(manifest))),
        (
            "signature before manifest",
            with(&|entries| entries.swap(manifest, signature)),
        ),
        ("manifest first", with(&|entries| entries.rotate_right(2))),
        ("an empty signature", signed_as(b"")),
        ("a signature of zeroes", signed_as(&[0; 70])),
        ("a signature of 73 bytes", signed_as(&[0x30; 73])),
        ("the zero signature", signed_as(&[0x30, 6, 2, 1, 0, 2, 1, 0])),
        ("a changed signature", signed_as(&flipped)),
        ("half a signature", signed_as(&genuine[..genuine.len() / 2])),
        (
            "a signature and a byte",
            signed_as(&[genuine, [0].as_slice()].concat()),
        ),
        (
            "the signature twice",
            signed_as(&[genuine.as_slice(), genuine].concat()),
        ),
        (
            "the signature of another archive",
            with(&|entries| entries[signature] = of_other.clone()),
        ),
        (
            "the hash as the signature",
            signed_as(Sha256::of(&base[manifest].data).as_bytes()),
        ),
        (
            "another tenant in the manifest",
            json(MANIFEST, "tenant_id", json!("other")),
        ),
        (
            "another contact in the manifest",
            json(MANIFEST, "contact_id", json!("x")),
        ),
        (
            "another version in the manifest",
            json(MANIFEST, "contact_version", json!(9)),
        ),
        (
            "the manifest in other words",
            json(MANIFEST, "missing", json!([])),
        ),
        (
            "an empty manifest",
            with(&|entries| entries[manifest] = Entry::of(MANIFEST, b"")),
        ),
        (
            "a space behind the manifest",
            with(&|entries| {
                let bytes = [entries[manifest].data.as_slice(), b" "].concat();
                entries[manifest] = Entry::of(MANIFEST, &bytes);
            }),
        ),
        (
            "a changed contact, listed as it is",
            with(&|entries| {
                change_json(entries, "contact.json", |json| {
                    json["contact"]["notes"] = json!("x")
                });
                relist(entries);
            }),
        ),
        (
            "a changed document, listed as it is",
            with(&|entries| {
                let at = document(entries);
                let name = entries[at].text();
                entries[at] = Entry::of(&name, b"signed by somebody else");
                relist(entries);
            }),
        ),
    ];
    cases
        .into_iter()
        .map(|(what, bytes)| Case::new(what, bytes, NOT_AUTHENTIC))
        .collect()
}

/// Manifest and signature are genuine; what they speak of was changed.
pub(super) fn exchanged(base: &[Entry], other: &[Entry]) -> Vec<Case> {
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = base.to_vec();
        change(&mut entries);
        zip_of(&entries)
    };
    let at = document(base);
    let name = base[at].text();
    let length = base[at].data.len();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "a document of as many bytes",
            with(&|entries| entries[at] = Entry::of(&name, &vec![b'x'; length])),
        ),
        (
            "nothing but manifest and signature",
            with(&|entries| drop(entries.drain(..entries.len() - 2))),
        ),
        (
            "an empty document",
            with(&|entries| entries[at] = Entry::of(&name, b"")),
        ),
        ("no document", with(&|entries| drop(entries.remove(at)))),
        (
            "a document besides",
            with(&|entries| entries.insert(at, Entry::of("documents/0.txt", b"0"))),
        ),
        (
            "two documents changed round",
            with(&|entries| {
                let (one, other) = (entries[at].name.clone(), entries[at + 1].name.clone());
                entries.swap(at, at + 1);
                (entries[at].name, entries[at + 1].name) = (one, other);
            }),
        ),
        (
            "documents in another order",
            with(&|entries| entries.swap(at, at + 1)),
        ),
        (
            "a document of another name",
            with(&|entries| entries[at].name = b"documents/other.txt".to_vec()),
        ),
        (
            "a document as a photo",
            with(&|entries| entries[at].name = b"photo/Contrat.txt".to_vec()),
        ),
        (
            "the contact of another archive",
            with(&|entries| entries[0] = other[0].clone()),
        ),
        (
            "an empty contact",
            with(&|entries| entries[0] = Entry::of("contact.json", b"")),
        ),
        (
            "another page",
            with(&|entries| entries[2] = Entry::of("index.html", b"<script>alert(1)</script>")),
        ),
        (
            "another schema",
            with(&|entries| {
                let name = entries[1].text();
                entries[1] = Entry::of(&name, b"true");
            }),
        ),
    ];
    cases
        .into_iter()
        .map(|(what, bytes)| Case::new(what, bytes, DAMAGED))
        .collect()
}

/// What the key itself signed, and must be refused all the same.
pub(super) async fn signed(base: &[Entry], key: &Key) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut with = async |what: &str, reason: &'static str, entries: Vec<Entry>| {
        let bytes = zip_of(&key.resign(entries).await);
        cases.push(Case::new(what, bytes, reason));
    };
    let json = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut entries = base.to_vec();
        change_json(&mut entries, name, change);
        relist(&mut entries);
        entries
    };
    let raw = |name: &str, bytes: &[u8]| {
        let mut entries = base.to_vec();
        let at = place(base, name);
        entries[at] = Entry::of(name, bytes);
        if name != MANIFEST {
            relist(&mut entries);
        }
        entries
    };
    for tenant in ["other", "DEMO", "demo2", "dem"] {
        let entries = json(MANIFEST, &|manifest| manifest["tenant_id"] = json!(tenant));
        with(&format!("for the tenant {tenant}"), FOREIGN, entries).await;
    }
    for tenant in [json!("demo#C"), json!(""), json!(null), json!(["demo"])] {
        let entries = json(MANIFEST, &|manifest| manifest["tenant_id"] = tenant.clone());
        with(&format!("for the tenant {tenant}"), DAMAGED, entries).await;
    }
    let entries = json(MANIFEST, &|manifest| manifest["format_version"] = json!(99));
    with("of a later format", FORMAT_UNKNOWN, entries).await;
    let another = Sha256::of(b"another key").to_string();
    let entries = json(MANIFEST, &|manifest| manifest["signed_by"] = json!(another));
    with("naming another key", NOT_AUTHENTIC, entries).await;
    let entries = json(MANIFEST, &|manifest| manifest["signed_by"] = json!(null));
    with("naming no key", DAMAGED, entries).await;
    let entries = json(MANIFEST, &|manifest| manifest["format"] = json!("x"));
    with("of another format", DAMAGED, entries).await;
    let deep = "[".repeat(200_000);
    for (what, name, bytes) in [
        ("a manifest that is no JSON", MANIFEST, "PK".to_owned()),
        ("a manifest of brackets", MANIFEST, deep.clone()),
        (
            "a manifest that lists brackets",
            MANIFEST,
            format!("{{\"entries\": [{deep}"),
        ),
        ("a manifest of null", MANIFEST, "null".to_owned()),
        ("a contact of brackets", "contact.json", deep.clone()),
        (
            "a contact that lists brackets",
            "contact.json",
            format!("{{\"documents\": [{deep}"),
        ),
        ("a contact of null", "contact.json", "null".to_owned()),
        (
            "a contact of 60 MB of space",
            "contact.json",
            " ".repeat(60_000_000),
        ),
    ] {
        with(what, DAMAGED, raw(name, bytes.as_bytes())).await;
    }
    let missing = json!([{ "document_id": "x", "name": "x", "reason": "document_unreadable" }]);
    type Change = (&'static str, &'static str, Box<dyn Fn(&mut Value)>);
    let changes: Vec<Change> = vec![
        (
            "that misses a document",
            MANIFEST,
            Box::new(move |json| json["missing"] = missing.clone()),
        ),
        (
            "of another contact, by its manifest",
            MANIFEST,
            Box::new(|json| json["contact_id"] = json!("x")),
        ),
        (
            "of another contact, by its contact",
            "contact.json",
            Box::new(|json| json["contact"]["id"] = json!("x")),
        ),
        (
            "of a contact whose id is a key",
            "contact.json",
            Box::new(|json| {
                json["contact"]["id"] = json!("x#DOC#y");
            }),
        ),
        (
            "of a version below zero",
            MANIFEST,
            Box::new(|json| json["contact_version"] = json!(-1)),
        ),
        (
            "that lists nothing",
            MANIFEST,
            Box::new(|json| json["entries"] = json!([])),
        ),
        (
            "that lists a million times",
            MANIFEST,
            Box::new(|json| {
                let first = json["entries"][0].clone();
                json["entries"] = json!(vec![first; 100_000]);
            }),
        ),
        (
            "of a contact with a field too many",
            "contact.json",
            Box::new(|json| {
                json["contact"]["is_admin"] = json!(true);
            }),
        ),
        (
            "of a contact without a name",
            "contact.json",
            Box::new(|json| {
                json["contact"].as_object_mut().unwrap().remove("last_name");
            }),
        ),
        (
            "of a contact with a name that no table takes",
            "contact.json",
            Box::new(|json| {
                json["contact"]["last_name"] = json!("x".repeat(450_000));
            }),
        ),
        (
            "of a contact that is anonymised",
            "contact.json",
            Box::new(|json| {
                json["contact"]["state"] = json!("anonymised");
            }),
        ),
        (
            "with a document twice",
            "contact.json",
            Box::new(|json| {
                let first = json["documents"][0].clone();
                json["documents"].as_array_mut().unwrap().push(first);
            }),
        ),
        (
            "with a document whose id is a key",
            "contact.json",
            Box::new(|json| {
                json["documents"][0]["id"] = json!("../../x");
            }),
        ),
        (
            "with a document of another size",
            "contact.json",
            Box::new(|json| {
                json["documents"][0]["size_bytes"] = json!(1);
            }),
        ),
        (
            "with a media type that forges a header",
            "contact.json",
            Box::new(|json| {
                json["documents"][0]["content_type"] = json!("text/html\r\nx-evil: 1");
            }),
        ),
        (
            "without its documents",
            "contact.json",
            Box::new(|json| json["documents"] = json!([])),
        ),
    ];
    for (what, name, change) in &changes {
        with(what, DAMAGED, json(name, change)).await;
    }
    cases
}
