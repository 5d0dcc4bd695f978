//! Whether a contact is what the model says.

use jiff::Timestamp;
use oubli_domain::Reason;
use oubli_domain::contact::MASK;
use oubli_domain::contact::{Contact, ContactState};

use crate::plain::{DONE, Facts, Life, Plain, Work};
use crate::world::Seen;

macro_rules! same {
    ($what:literal, $found:expr, $expected:expr) => {
        let (found, expected) = (&$found, &$expected);
        if found != expected {
            return Err(format!("{}: {found:?}, expected {expected:?}", $what));
        }
    };
}

impl Plain {
    /// Compares a contact with what was found of it; learns what only that can tell.
    pub(crate) fn compare(
        &mut self,
        number: usize,
        seen: Option<&Seen>,
        now: Timestamp,
    ) -> Result<(), String> {
        let what = format!("contact {number}");
        let compared = match (seen, matches!(self.contacts[number].life, Life::Absent)) {
            (None, true) => Ok(()),
            (None, false) => Err("is not there".to_owned()),
            (Some(_), true) => Err("is there, though it was deleted".to_owned()),
            (Some(seen), false) => self.compare_present(number, seen, now),
        };
        compared.map_err(|difference| format!("{what}: {difference}"))
    }

    fn compare_present(&mut self, number: usize, seen: &Seen, now: Timestamp) -> Result<(), String> {
        let found = &seen.contact;
        if !self.learn_version(number, found.version) {
            return Err(format!(
                "version {}, expected {}",
                found.version, self.contacts[number].version
            ));
        }
        self.learn_time(number, found);
        self.compare_hold(number, found, now)?;
        let contact = &self.contacts[number];
        match &contact.life {
            Life::Absent => {}
            Life::Active {
                content,
                last_archive,
                ..
            } => {
                same!("state", found.state, ContactState::Active);
                same!(
                    "fields",
                    shown(found),
                    serde_json::to_string(&content.fields).unwrap()
                );
                same!("documents", seen.documents, content.documents);
                same!("created", found.created_at, content.created_at);
                same!("updated", found.updated_at, content.updated_at);
                let archive = found.last_archive.as_ref().map(|archive| archive.id.clone());
                same!("last archive", archive, *last_archive);
                same!("anonymised", found.anonymised, None);
                same!("restorable until", found.restorable_until_at(now), None);
            }
            Life::Anonymised {
                content,
                archive,
                version,
                ..
            } => {
                same!("state", found.state, ContactState::Anonymised);
                let shown = shown(found);
                if shown.contains(&contact.marker) {
                    return Err(format!("still names the person: {shown}"));
                }
                same!("last name", found.fields.last_name.expose(), MASK);
                let first_name = found
                    .fields
                    .first_name
                    .as_ref()
                    .map(|name| name.expose().as_str());
                let is_alias = |name: &str| name.strip_prefix("XXXXX_").is_some_and(|hex| !hex.is_empty());
                same!(
                    "first name",
                    first_name.map(is_alias),
                    content.fields.first_name.as_ref().map(|_| true)
                );
                same!(
                    "notes",
                    found.fields.notes.is_some(),
                    content.fields.notes.is_some()
                );
                same!(
                    "e-mail",
                    found.fields.email.is_some(),
                    content.fields.email.is_some()
                );
                same!("business", found.fields.business, content.fields.business);
                same!("photo", found.fields.photo_document_id, None);
                same!("documents", seen.documents.len(), 0);
                same!("created", found.created_at, content.created_at);
                let anonymised = found.anonymised.as_ref().ok_or("does not say how")?;
                same!("its archive", anonymised.archive_id, *archive);
                same!("its version", anonymised.contact_version, *version);
                let ends = self.archives[self.archive_number(archive)].expires_at;
                let until = (!self.is_sealed(archive, now)).then_some(ends);
                same!("restorable until", found.restorable_until_at(now), until);
                same!("sealed", found.is_sealed_at(now), until.is_none());
            }
        }
        let bytes = seen.documents.len() as u64;
        same!("document count", found.document_count, bytes);
        self.compare_possible(number, found, now)
    }

    /// The actions that a card or a list says are possible.
    fn compare_possible(&self, number: usize, found: &Contact, now: Timestamp) -> Result<(), String> {
        let nobody = Facts::of_nobody();
        let possible = |work| match self.judge(&work, &nobody, now) {
            DONE => Ok(()),
            (_, reason) => Err(reason),
        };
        let told = |result: Result<(), Reason>| result.map_err(Some);
        same!(
            "may be exported",
            told(found.may_export()),
            possible(Work::Export(number))
        );
        let anonymise = found.may_anonymise(now).map(|_| ());
        same!(
            "may be anonymised",
            told(anonymise),
            possible(Work::Anonymise(number))
        );
        let restore = found.may_restore(now).map(|_| ());
        same!("may be restored", told(restore), possible(Work::Restore(number)));
        Ok(())
    }

    /// Only an export that has not ended may keep others waiting, and not for ever.
    fn compare_hold(&mut self, number: usize, found: &Contact, now: Timestamp) -> Result<(), String> {
        let contact = &mut self.contacts[number];
        let until = found.hold.as_ref().map_or(Timestamp::MIN, |hold| {
            Timestamp::from_millisecond(hold.until_ms).unwrap()
        });
        if until > now && until > contact.may_be_held_until {
            return Err(format!("is held until {until} by nobody"));
        }
        contact.held_until = until;
        Ok(())
    }
}

fn shown(contact: &Contact) -> String {
    serde_json::to_string(&contact.fields).unwrap()
}
