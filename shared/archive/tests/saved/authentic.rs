//! What was exported comes back as it was.

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::rc::Rc;

use oubli_archive::saved::{Refusal, SavedArchive};
use oubli_domain::contact::{Address, Business, Contact, ContactDraft};
use oubli_domain::document::{Document, DocumentKind};
use oubli_domain::{Crc32, Reason, Sha256};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{
    Key, archive, build, contact, document, documents, entries, fields, noise, open, place, tenant,
};

fn read<R: Read + Seek>(saved: &mut SavedArchive<R>, index: usize) -> Vec<u8> {
    let mut content = Vec::new();
    saved
        .read_document(index, |bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
    content
}

/// What a restore would put back: a contact and documents like those that were exported.
fn restored<R: Read + Seek>(
    saved: &mut SavedArchive<R>,
    like: &Contact,
) -> (Contact, Vec<(Document, Vec<u8>)>) {
    let known = saved.contact().clone();
    let documents = saved.documents().to_vec();
    let contact = Contact {
        id: known.id,
        version: known.version + 2,
        fields: known.fields,
        created_at: known.created_at,
        updated_at: known.updated_at,
        ..like.clone()
    };
    let documents = (0..).zip(documents).map(|(index, saved_document)| {
        let content = read(saved, index);
        let name = saved_document.name.expose();
        let mut document = document(saved_document.id.as_str(), name, saved_document.kind, &content);
        document.fields.content_type = saved_document.content_type.to_string();
        document.fields.sha256 = Some(saved_document.sha256);
        document.fields.crc32 = Some(saved_document.crc32);
        document.created_at = saved_document.created_at;
        (document, content)
    });
    (contact, documents.collect())
}

#[test]
fn an_archive_is_read_as_it_was_written() {
    let key = Key::new();
    let bytes = archive(&key);
    let mut saved = open(&bytes, &key).unwrap();
    let entries = entries(&bytes);
    assert_eq!(
        *saved.manifest_sha256(),
        Sha256::of(&entries[place(&entries, "manifest.json")].1)
    );
    let exported = contact(fields());
    assert_eq!(saved.contact().id, exported.id);
    assert_eq!(saved.contact().version, 7);
    assert_eq!(saved.contact().fields, exported.fields);
    assert_eq!(saved.contact().created_at, exported.created_at);
    assert_eq!(saved.contact().updated_at, exported.updated_at);
    let documents = documents();
    assert_eq!(saved.documents().len(), documents.len());
    for (index, (document, content)) in documents.iter().enumerate() {
        let known = saved.documents()[index].clone();
        assert_eq!(
            (&known.id, known.kind),
            (&document.id, document.fields.kind),
            "{index}"
        );
        assert_eq!(known.name, document.fields.name);
        assert_eq!(&*known.content_type, document.fields.content_type);
        assert_eq!(known.size_bytes, document.fields.size_bytes);
        assert_eq!(known.sha256, Sha256::of(content));
        assert_eq!(known.created_at, document.created_at);
        assert_eq!(read(&mut saved, index), *content);
    }
    assert_eq!(saved.documents()[3].crc32, Crc32::new(0));
    // In any order, and as often as is liked.
    assert_eq!(read(&mut saved, 2), documents[2].1);
    assert_eq!(read(&mut saved, 0), documents[0].1);
    assert!(saved.read_document(5, |_| Ok(())).is_err());
}

#[test]
fn one_of_several_keys_is_enough_and_none_is_not() {
    let (old, new) = (Key::new(), Key::new());
    let bytes = archive(&old);
    let keys = [new.public.clone(), old.public.clone()];
    let opened = oubli_archive::saved::open(Cursor::new(&bytes), &keys, &tenant());
    assert!(opened.is_ok());
    let opened = oubli_archive::saved::open(Cursor::new(&bytes), &[], &tenant());
    assert!(matches!(opened, Err(Refusal::NotAuthentic)));
}

/// Fails after a number of reads.
struct Failing<'a> {
    bytes: Cursor<&'a [u8]>,
    reads: usize,
    kind: Option<io::ErrorKind>,
}

impl Read for Failing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.reads == 0 {
            // A connection that is cut may also just end.
            return self.kind.map_or(Ok(0), |kind| Err(kind.into()));
        }
        self.reads -= 1;
        let len = out.len().min(500);
        self.bytes.read(&mut out[..len])
    }
}

impl Seek for Failing<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

#[test]
fn a_reader_that_fails_at_any_read_is_no_verdict() {
    let key = Key::new();
    let bytes = build(contact(fields()), &documents()[1..4], &key);
    let kinds = [
        None,
        Some(io::ErrorKind::TimedOut),
        Some(io::ErrorKind::UnexpectedEof),
        Some(io::ErrorKind::Other),
        Some(io::ErrorKind::InvalidData),
    ];
    for kind in kinds {
        let mut reads = 0;
        loop {
            let failing = Failing {
                bytes: Cursor::new(&bytes),
                reads,
                kind,
            };
            let keys = std::slice::from_ref(&key.public);
            match oubli_archive::saved::open(failing, keys, &tenant()) {
                Ok(_) => break,
                Err(refusal) => {
                    assert!(
                        matches!(refusal, Refusal::Unavailable(_)),
                        "read {reads}, {kind:?}: {refusal:?}"
                    );
                    assert_eq!(refusal.reason(), None);
                }
            }
            reads += 1;
        }
        assert!(reads > 20, "{reads}");
    }
}

#[test]
fn who_takes_a_document_may_fail() {
    let key = Key::new();
    let bytes = archive(&key);
    let mut saved = open(&bytes, &key).unwrap();
    let failed = saved.read_document(0, |_| Err(io::ErrorKind::BrokenPipe.into()));
    assert_eq!(failed.unwrap_err().reason(), None);
    assert_eq!(read(&mut saved, 0), documents()[0].1, "the next is not harmed");
}

/// Gives other bytes from one moment on.
struct Swapped<'a> {
    bytes: [Cursor<&'a [u8]>; 2],
    swapped: Rc<Cell<bool>>,
}

impl Read for Swapped<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.bytes[usize::from(self.swapped.get())].read(out)
    }
}

impl Seek for Swapped<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes[usize::from(self.swapped.get())].seek(to)
    }
}

#[test]
fn a_document_that_changed_since_is_told_at_its_end() {
    let key = Key::new();
    let intact = archive(&key);
    let content = &documents()[0].1;
    let at = intact
        .windows(content.len())
        .position(|window| window == content)
        .unwrap();
    let mut changed = intact.clone();
    changed[at + 100] ^= 1;
    let swapped = Rc::new(Cell::new(false));
    let reader = Swapped {
        bytes: [Cursor::new(&intact), Cursor::new(&changed)],
        swapped: Rc::clone(&swapped),
    };
    let opened = oubli_archive::saved::open(reader, std::slice::from_ref(&key.public), &tenant());
    let mut saved = opened.unwrap();
    assert_eq!(read(&mut saved, 0), *content);
    // Far enough away that nothing of it is still at hand.
    assert_eq!(read(&mut saved, 4), documents()[4].1);
    swapped.set(true);
    let refusal = saved.read_document(0, |_| Ok(())).unwrap_err();
    assert_eq!(refusal.reason(), Some(Reason::ArchiveDamaged), "{refusal}");
}

fn line(max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 1..max).prop_map(|characters| {
        let text: String = characters.into_iter().filter(|c| !c.is_control()).collect();
        let text = text.trim().to_owned();
        if text.is_empty() { "é".to_owned() } else { text }
    })
}

fn value() -> impl Strategy<Value = Value> {
    let number = any::<f64>().prop_filter_map("a number of the table", |number| {
        ((1e-130..1e125).contains(&number.abs()) || number == 0.0).then(|| Value::from(number))
    });
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        number,
        ".{0,30}".prop_map(Value::from),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    let part = || proptest::option::of(line(10));
    (proptest::collection::vec(line(20), 1..=6), part(), part(), part()).prop_map(
        |(lines, postal_code, city, country)| Address {
            lines,
            postal_code,
            city,
            country,
        },
    )
}

fn draft() -> impl Strategy<Value = ContactDraft> {
    let line = || proptest::option::of(line(30));
    let names = (self::line(30), line(), line());
    let reached = (
        proptest::option::of("[a-z]{1,10}(\\.[a-z]{1,5})?@[a-z]{1,8}\\.(fr|example)"),
        proptest::option::of("\\+?[0-9]{3,15}"),
        proptest::option::of("[0-9 ]{0,3}[0-9]{5}"),
        proptest::option::of(address()),
    );
    let more = (
        proptest::option::of("[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f]{1,80}x"),
        proptest::option::of(proptest::collection::btree_map(self::line(12), value(), 1..6)),
        proptest::option::of("[A-Za-z0-9_.:|-]{1,30}"),
        any::<(u32, u32, u32)>(),
    );
    (names, reached, more).prop_map(
        |(
            (last_name, first_name, job_title),
            (email, phone, mobile, address),
            (notes, custom_fields, assigned_to, (opportunities, proposals, deals)),
        )| ContactDraft {
            last_name,
            first_name,
            job_title,
            email,
            phone: phone.map(|phone| phone.trim().to_owned()),
            mobile: mobile.map(|mobile| mobile.trim().to_owned()),
            address,
            notes,
            custom_fields,
            assigned_to,
            business: Business {
                opportunities,
                proposals,
                deals,
            },
            photo_document_id: None,
        },
    )
}

prop_compose! {
    fn attached()(
        name in ".{1,40}",
        is_photo in any::<bool>(),
        size in prop_oneof![0..2_000usize, 60_000..70_000usize],
        compresses in any::<bool>(),
        created_ms in 0..2_000_000_000_000i64,
    ) -> (String, DocumentKind, Vec<u8>, i64) {
        let kind = if is_photo { DocumentKind::Photo } else { DocumentKind::Document };
        let content = if compresses { b"oubli\xC3\xA9 ".repeat(size / 8) } else { noise(size) };
        (name, kind, content, created_ms)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_comes_back_is_what_was_exported(
        draft in draft(),
        attached in proptest::collection::vec(attached(), 0..6),
        (created_ms, updated_ms) in (0..2_000_000_000_000i64, 0..2_000_000_000_000i64),
        photo in any::<prop::sample::Index>(),
    ) {
        let key = Key::new();
        let at = |ms| jiff::Timestamp::from_millisecond(ms).unwrap();
        let mut draft = draft;
        if !attached.is_empty() {
            draft.photo_document_id = Some(format!("d{}", photo.index(attached.len())));
        }
        let fields = draft.parse().map_err(|errors| TestCaseError::fail(errors.to_string()))?;
        let mut exported = contact(fields);
        (exported.created_at, exported.updated_at) = (at(created_ms), at(updated_ms));
        let documents: Vec<_> = (0..).zip(attached).map(|(number, (name, kind, content, created_ms))| {
            let mut document = document(&format!("d{number}"), &name, kind, &content);
            document.created_at = at(created_ms);
            (document, content)
        }).collect();
        let bytes = build(exported.clone(), &documents, &key);

        let mut saved = open(&bytes, &key).map_err(|refusal| TestCaseError::fail(refusal.to_string()))?;
        prop_assert_eq!(&saved.contact().fields, &exported.fields);
        let (contact, documents_again) = restored(&mut saved, &exported);
        prop_assert_eq!(documents_again.len(), documents.len());
        for (document, content) in &documents {
            let (again, same) = documents_again.iter().find(|(again, _)| again.id == document.id).unwrap();
            prop_assert!(same == content);
            prop_assert_eq!(&again.fields.name, &document.fields.name);
        }
        let again = build(contact, &documents_again, &key);
        let (first, second) = (entries(&bytes), entries(&again));
        // The page tells the version; what is said of the contact, and its documents, are the same bytes.
        for ((name, content), (name_again, content_again)) in first.iter().zip(&second) {
            prop_assert_eq!(name, name_again);
            let varies = ["index.html", "manifest.json", "manifest.sig"].contains(&name.as_str());
            prop_assert!(varies || content == content_again, "{} differs", name);
        }
    }
}
