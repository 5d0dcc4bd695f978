use std::collections::{BTreeMap, BTreeSet};

use oubli_domain::document::DocumentDraft;

use super::*;

/// Opens a document with the reader for its kind; gives the text where there is one.
fn open(document: &DemoDocument) -> Option<String> {
    let bytes = &document.bytes;
    match document.content_type {
        "application/pdf" => {
            assert!(document.name.ends_with(".pdf"), "{}", document.name);
            pdf::tests::check(bytes);
            Some(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        word::MEDIA_TYPE => {
            assert!(document.name.ends_with(".docx"), "{}", document.name);
            Some(word::tests::check(bytes))
        }
        "image/png" => {
            assert!(document.name.ends_with(".png"), "{}", document.name);
            picture::tests::read_png(bytes);
            None
        }
        "image/jpeg" => {
            assert!(document.name.ends_with(".jpg"), "{}", document.name);
            picture::tests::read_jpeg(bytes);
            None
        }
        "text/csv" => {
            assert!(document.name.ends_with(".csv"), "{}", document.name);
            let text = std::str::from_utf8(bytes)
                .unwrap()
                .strip_prefix('\u{feff}')
                .unwrap();
            let separator = if text.lines().next().unwrap().contains(';') {
                ';'
            } else {
                ','
            };
            let columns: BTreeSet<_> = text
                .split_terminator("\r\n")
                .map(|row| cells(row, separator))
                .collect();
            assert_eq!(columns.len(), 1, "{}: every row has as many cells", document.name);
            Some(text.to_owned())
        }
        other => panic!("{other}"),
    }
}

/// How many cells a row has; separators between quotation marks do not count.
fn cells(row: &str, separator: char) -> usize {
    let outside: String = row.split('"').step_by(2).collect();
    1 + outside.matches(separator).count()
}

fn all() -> Vec<DemoContact> {
    let mut all = demo_contacts().unwrap();
    all.extend(generated_contacts(100, 7).map(Result::unwrap));
    all
}

#[test]
fn every_contact_and_document_is_accepted_as_a_request_would_be() {
    for contact in all() {
        contact
            .draft
            .clone()
            .parse()
            .unwrap_or_else(|error| panic!("{:?}: {error}", contact.draft));
        for document in contact.documents {
            let draft = DocumentDraft {
                name: document.name,
                content_type: document.content_type.to_owned(),
                size_bytes: document.bytes.len() as u64,
                sha256: None,
                crc32: None,
                kind: document.kind,
            };
            draft.parse().unwrap();
        }
    }
}

#[test]
fn every_document_opens_and_is_small() {
    for contact in all() {
        for document in contact.documents {
            open(&document);
            let size_bytes = document.bytes.len();
            assert!(
                (100..64_000).contains(&size_bytes),
                "{}: {size_bytes}",
                document.name
            );
        }
    }
}

/// The PDF writer puts `?` for what its fonts do not have, and no text here asks a question.
#[test]
fn every_pdf_has_all_its_letters() {
    for contact in all() {
        for document in contact
            .documents
            .iter()
            .filter(|document| document.content_type == "application/pdf")
        {
            assert!(!open(document).unwrap().contains('?'), "{}", document.name);
        }
        let name = papers::full_name(&contact.draft);
        assert!(name.chars().all(|c| pdf::win_ansi_byte(c).is_some()), "{name}");
    }
}

/// Lines must not run over the edge of the page.
#[test]
fn every_pdf_keeps_its_margins() {
    for contact in all() {
        for document in contact
            .documents
            .iter()
            .filter(|document| document.content_type == "application/pdf")
        {
            let text = open(document).unwrap();
            let mut shown = 0;
            for line in text.lines().filter(|line| line.starts_with("BT /F")) {
                let words: Vec<_> = line.splitn(8, ' ').collect();
                let [size, x, y] =
                    [words[2], words[4], words[5]].map(|number| number.parse::<f32>().unwrap());
                let (_, string) = line.split_once("Td (").unwrap();
                let string = string.strip_suffix(") Tj ET").unwrap();
                let end = x + pdf::width(string, size);
                assert!(
                    x >= 40.0 && end <= pdf::PAGE_WIDTH - 20.0,
                    "{}: {line}",
                    document.name
                );
                assert!(
                    (40.0..=pdf::PAGE_HEIGHT - 40.0).contains(&y),
                    "{}: {line}",
                    document.name
                );
                shown += 1;
            }
            assert!(shown > 5, "{}", document.name);
        }
    }
}

#[test]
fn the_demo_shows_what_names_and_fields_can_be() {
    let contacts = demo_contacts().unwrap();
    assert!(contacts.len() >= 14);

    let mut names = BTreeMap::<_, u32>::new();
    for contact in &contacts {
        *names.entry(papers::full_name(&contact.draft)).or_default() += 1;
    }
    assert_eq!(
        names.values().filter(|count| **count == 2).count(),
        1,
        "two people of one name"
    );
    for part in ["'", "-", " ", "œ", "è"] {
        assert!(
            contacts
                .iter()
                .any(|contact| contact.draft.last_name.contains(part))
                || part == "ë",
            "{part}"
        );
    }

    let bare = ContactDraft {
        last_name: "Berger".to_owned(),
        ..ContactDraft::default()
    };
    assert!(
        contacts
            .iter()
            .any(|contact| contact.draft == bare && contact.documents.is_empty())
    );
    let full = contacts.iter().map(|contact| &contact.draft).filter(|draft| {
        draft.first_name.is_some()
            && draft.job_title.is_some()
            && draft.email.is_some()
            && draft.phone.is_some()
            && draft.mobile.is_some()
            && draft.address.is_some()
            && draft.notes.is_some()
            && draft.custom_fields.is_some()
            && draft.assigned_to.is_some()
            && draft.business.deals > 0
    });
    assert_eq!(full.count(), 1);
    let assignees: BTreeSet<_> = contacts
        .iter()
        .map(|contact| contact.draft.assigned_to.as_deref())
        .collect();
    assert_eq!(assignees, BTreeSet::from([None, Some("admin"), Some("agent")]));
}

#[test]
fn the_demo_shows_what_documents_can_be() {
    let contacts = demo_contacts().unwrap();
    let twice = contacts.iter().filter(|contact| {
        let names: BTreeSet<_> = contact.documents.iter().map(|document| &document.name).collect();
        names.len() < contact.documents.len()
    });
    assert_eq!(twice.count(), 2, "two contacts have a document name twice");
    let kinds: BTreeSet<_> = contacts
        .iter()
        .flat_map(|contact| &contact.documents)
        .map(|document| document.content_type)
        .collect();
    assert_eq!(kinds.len(), 5);
    let photos = |contact: &&DemoContact| {
        let photos = contact
            .documents
            .iter()
            .filter(|document| document.kind == DocumentKind::Photo)
            .count();
        assert!(photos <= 1);
        photos == 1
    };
    assert!(contacts.iter().filter(photos).count() >= 5);
}

#[test]
fn nobody_real_can_be_reached() {
    for contact in all() {
        let draft = contact.draft;
        if let Some(email) = &draft.email {
            let (_, domain) = email.split_once('@').unwrap();
            assert!(
                ["example.fr", "example.com", "example.co.uk"].contains(&domain),
                "{email}"
            );
        }
        for number in [draft.phone, draft.mobile].into_iter().flatten() {
            let digits: String = number
                .replace("(0)", "")
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            let national = digits
                .strip_prefix("33")
                .or(digits.strip_prefix("44"))
                .unwrap_or(&digits);
            let national = national.trim_start_matches('0');
            let fictional = [("19900", 9), ("63998", 9), ("2079460", 10), ("7700900", 10)];
            let fits = fictional
                .iter()
                .any(|(range, length)| national.starts_with(range) && national.len() == *length);
            assert!(fits, "{number}");
        }
    }
}

#[test]
fn the_same_call_gives_the_same_bytes() {
    let bytes = |contacts: Vec<DemoContact>| {
        contacts
            .into_iter()
            .map(|contact| (contact.draft, contact.documents))
            .collect::<Vec<_>>()
    };
    assert_eq!(bytes(demo_contacts().unwrap()), bytes(demo_contacts().unwrap()));
    let generated = |count, seed| bytes(generated_contacts(count, seed).map(Result::unwrap).collect());
    let ten = generated(10, 7);
    assert_eq!(ten, generated(10, 7));
    assert_ne!(ten, generated(10, 8));
    assert_eq!(
        ten,
        generated(20, 7)[..10],
        "a contact does not depend on how many there are"
    );
}

#[test]
fn generated_contacts_are_as_many_as_asked_for_and_varied() {
    let contacts: Vec<_> = generated_contacts(300, 1).map(Result::unwrap).collect();
    assert_eq!(contacts.len(), 300);
    assert!(
        contacts
            .iter()
            .all(|contact| (1..=3).contains(&contact.documents.len()))
    );
    let names: BTreeSet<_> = contacts
        .iter()
        .map(|contact| papers::full_name(&contact.draft))
        .collect();
    assert!(names.len() > 150, "{}", names.len());
    let emails: BTreeSet<_> = contacts
        .iter()
        .map(|contact| contact.draft.email.clone())
        .collect();
    assert_eq!(emails.len(), 300);
}
