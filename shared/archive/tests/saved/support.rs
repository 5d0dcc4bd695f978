//! Archives to be read: built as the product builds them, or written entry by entry and signed all the same.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use oubli_archive::contents::{ArchiveBuild, ArchivePlan, DocumentStart};
use oubli_archive::hashes::ContentHasher;
use oubli_archive::saved::{self, Refusal, SavedArchive};
use oubli_archive::signature::PublicKey;
use oubli_archive::zip64::{ArchiveWriter, DosTime, EntryPlan, TRIAL_BYTES};
use oubli_domain::contact::{Address, Business, Contact, ContactDraft, ContactFields, ContactState};
use oubli_domain::document::{Document, DocumentFields, DocumentKind, DocumentState};
use oubli_domain::{ContactId, DocumentId, Language, Reason, Sha256, TenantId};
use serde_json::{Value, json};

/// A deployment's key.
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    pub(crate) public: PublicKey,
}

impl Key {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let public = PublicKey::from_der(pair.public_key().as_der().unwrap().as_ref()).unwrap();
        Self { pair, public }
    }

    /// A key that signs, and a manifest that names another.
    pub(crate) fn in_place_of(public: PublicKey) -> Self {
        Self {
            public,
            ..Self::new()
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.public.to_pem()
    }

    pub(crate) fn sign(&self, digest: &Sha256) -> Vec<u8> {
        let digest = Digest::import_less_safe(digest.as_bytes(), &SHA256).unwrap();
        self.pair.sign_digest(&digest).unwrap().as_ref().to_vec()
    }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::parse("demo").unwrap()
}

pub(crate) fn open<'a>(archive: &'a [u8], key: &Key) -> Result<SavedArchive<Cursor<&'a [u8]>>, Refusal> {
    saved::open(Cursor::new(archive), std::slice::from_ref(&key.public), &tenant())
}

/// That an archive is refused, and why.
pub(crate) fn refusal(archive: &[u8], key: &Key) -> Refusal {
    match open(archive, key) {
        Ok(_) => panic!("it was accepted"),
        Err(refusal) => refusal,
    }
}

pub(crate) fn reason(archive: &[u8], key: &Key) -> Reason {
    refusal(archive, key).reason().expect("a verdict")
}

pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 7u64;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(len)
    .collect()
}

pub(crate) fn fields() -> ContactFields {
    ContactDraft {
        last_name: "Lefèvre <b>".into(),
        first_name: Some("Chloé".into()),
        job_title: Some("Directrice & associée".into()),
        email: Some("chloe.lefevre@example.fr".into()),
        phone: Some("+33 1 23 45 67 89".into()),
        mobile: Some("0612345678".into()),
        address: Some(Address {
            lines: vec!["Les Lilas".into(), "12 rue de l’Église".into()],
            postal_code: Some("75011".into()),
            city: Some("Paris".into()),
            country: Some("France".into()),
        }),
        notes: Some("Préfère le matin.\n\t\"…\"".into()),
        custom_fields: Some(BTreeMap::from([
            ("Pointure".to_owned(), Value::from(38.5)),
            ("Newsletter".to_owned(), Value::from(true)),
            ("Pays".to_owned(), Value::from("Sénégal")),
        ])),
        assigned_to: Some("agent".into()),
        business: Business {
            opportunities: 3,
            proposals: 2,
            deals: 1,
        },
        photo_document_id: Some("d2".into()),
    }
    .parse()
    .unwrap()
}

pub(crate) fn contact(fields: ContactFields) -> Contact {
    Contact {
        tenant_id: tenant(),
        id: ContactId::parse("c0ffee").unwrap(),
        state: ContactState::Active,
        version: 7,
        fields,
        generation: None,
        document_count: 0,
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

pub(crate) fn document(id: &str, name: &str, kind: DocumentKind, content: &[u8]) -> Document {
    let content_type = match kind {
        DocumentKind::Document => "application/pdf",
        DocumentKind::Photo => "image/jpeg",
    };
    Document {
        tenant_id: tenant(),
        contact_id: ContactId::parse("c0ffee").unwrap(),
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
        created_at: "2025-06-01T10:00:00.5Z".parse().unwrap(),
        stored_at: None,
    }
}

/// Builds an archive as the product does, but for where the bytes come from.
pub(crate) fn build(contact: Contact, documents: &[(Document, Vec<u8>)], key: &Key) -> Vec<u8> {
    build_in(Language::Fr, contact, documents, key)
}

/// The same for members who read this language.
pub(crate) fn build_in(
    language: Language,
    contact: Contact,
    documents: &[(Document, Vec<u8>)],
    key: &Key,
) -> Vec<u8> {
    let contents: BTreeMap<&DocumentId, &[u8]> = documents
        .iter()
        .map(|(document, content)| (&document.id, content.as_slice()))
        .collect();
    let listed = documents.iter().map(|(document, _)| document.clone()).collect();
    let plan = ArchivePlan::new(contact, listed, language).unwrap();
    let mut build = ArchiveBuild::new(plan, 1 << 20).unwrap();
    while let Some(current) = build.current() {
        let content = contents[&current.id];
        let (head, rest) = content.split_at(content.len().min(TRIAL_BYTES));
        if build.start_document(head).unwrap() == DocumentStart::CrcNeeded {
            let mut hasher = ContentHasher::new();
            hasher.update(content);
            build.learn(&hasher.finish()).unwrap();
            assert_eq!(build.start_document(head).unwrap(), DocumentStart::Started);
        }
        build.write(rest).unwrap();
        build.finish_document().unwrap();
    }
    let manifest = build.finish_manifest(&key.public).unwrap();
    build.finish(&key.sign(&manifest)).unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = build.take_part().unwrap() {
        bytes.extend_from_slice(&part);
    }
    bytes
}

pub(crate) type Entries = Vec<(String, Vec<u8>)>;

/// The entries of an archive, by another reader than the one under test.
pub(crate) fn entries(archive: &[u8]) -> Entries {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let count = zip.len();
    let read = |index| {
        let mut file = zip.by_index(index).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        (file.name().unwrap().into_owned(), content)
    };
    (0..count).map(read).collect()
}

/// Writes entries as they are: one after the other, by the product's own writer.
pub(crate) fn zip_of(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(1 << 20);
    for (name, content) in entries {
        let plan = EntryPlan {
            name,
            size_bytes: content.len() as u64,
            crc32: None,
            modified: DosTime::EARLIEST,
        };
        let (head, rest) = content.split_at(content.len().min(TRIAL_BYTES));
        writer.start_entry(&plan, head).unwrap();
        writer.write(rest).unwrap();
        writer.finish_entry().unwrap();
    }
    writer.finish().unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = writer.take_part().unwrap() {
        bytes.extend_from_slice(&part);
    }
    bytes
}

/// The place of an entry among others.
pub(crate) fn place(entries: &[(String, Vec<u8>)], name: &str) -> usize {
    entries.iter().position(|(entry, _)| entry == name).unwrap()
}

/// Signs the manifest that stands in the entries, and writes them.
pub(crate) fn signed(mut entries: Entries, key: &Key) -> Vec<u8> {
    let (manifest, signature) = (place(&entries, "manifest.json"), place(&entries, "manifest.sig"));
    entries[signature].1 = key.sign(&Sha256::of(&entries[manifest].1));
    zip_of(&entries)
}

/// Changes the manifest that stands in the entries.
pub(crate) fn with_manifest(entries: &mut Entries, change: impl FnOnce(&mut Value)) {
    let manifest = place(entries, "manifest.json");
    let mut value = serde_json::from_slice(&entries[manifest].1).unwrap();
    change(&mut value);
    entries[manifest].1 = value.to_string().into_bytes();
}

/// Has the manifest say of every entry that it lists what the entry is, and signs it: only what the entries
/// are is wrong.
pub(crate) fn listed_and_signed(mut entries: Entries, key: &Key) -> Vec<u8> {
    let actual: BTreeMap<String, Vec<u8>> = entries.iter().cloned().collect();
    with_manifest(&mut entries, |manifest| {
        for entry in manifest["entries"].as_array_mut().unwrap() {
            if let Some(content) = actual.get(entry["name"].as_str().unwrap()) {
                entry["size_bytes"] = json!(content.len());
                entry["sha256"] = json!(Sha256::of(content).to_string());
            }
        }
    });
    signed(entries, key)
}

/// Changes `contact.json`, and has the manifest list it as it is then.
pub(crate) fn with_contact(mut entries: Entries, key: &Key, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let contact = place(&entries, "contact.json");
    let mut value = serde_json::from_slice(&entries[contact].1).unwrap();
    change(&mut value);
    entries[contact].1 = value.to_string().into_bytes();
    listed_and_signed(entries, key)
}

/// The documents of the contact, one of them a photo.
pub(crate) fn documents() -> Vec<(Document, Vec<u8>)> {
    let described = |id, name, kind, content: Vec<u8>| (document(id, name, kind, &content), content);
    vec![
        described("d1", "Contrat signé.pdf", DocumentKind::Document, noise(3_000)),
        described("d2", "../Chloé \"moi\".jpg", DocumentKind::Photo, noise(500)),
        described(
            "d3",
            "Relevé.csv",
            DocumentKind::Document,
            "a;b;oublié\n".repeat(800).into_bytes(),
        ),
        described("d4", "vide", DocumentKind::Document, Vec::new()),
        described("d5", "scan.tiff", DocumentKind::Document, noise(100_000)),
    ]
}

pub(crate) fn archive(key: &Key) -> Vec<u8> {
    build(contact(fields()), &documents(), key)
}
