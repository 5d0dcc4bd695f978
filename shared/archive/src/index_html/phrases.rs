//! The words of `index.html`, in each language.

use jiff::Timestamp;
use jiff::tz::Offset;
use oubli_domain::Language;
use oubli_domain::contact::Field;

pub(super) struct Phrases {
    language: Language,
    pub(super) title: &'static str,
    pub(super) introduction: &'static str,
    pub(super) photo_of: &'static str,
    pub(super) identity: &'static str,
    last_name: &'static str,
    first_name: &'static str,
    job_title: &'static str,
    email: &'static str,
    phone: &'static str,
    mobile: &'static str,
    address: &'static str,
    notes: &'static str,
    custom_fields: &'static str,
    business: &'static str,
    pub(super) opportunities: &'static str,
    pub(super) proposals: &'static str,
    pub(super) deals: &'static str,
    assigned_to: &'static str,
    photo: &'static str,
    pub(super) created_at: &'static str,
    pub(super) updated_at: &'static str,
    pub(super) version: &'static str,
    pub(super) documents: &'static str,
    pub(super) no_documents: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) size: &'static str,
    pub(super) added_at: &'static str,
    pub(super) yes: &'static str,
    pub(super) no: &'static str,
    pub(super) other_files: &'static str,
    pub(super) contact_file: &'static str,
    pub(super) schema_file: &'static str,
    pub(super) manifest_file: &'static str,
    pub(super) signature_file: &'static str,
    byte: &'static str,
    decimal: char,
    months: [&'static str; 12],
}

const ENGLISH: Phrases = Phrases {
    language: Language::En,
    title: "Personal data",
    introduction: "All the personal data held about this person, with the attached documents.",
    photo_of: "Photo of",
    identity: "Person",
    last_name: "Last name",
    first_name: "First name",
    job_title: "Job title",
    email: "E-mail",
    phone: "Phone",
    mobile: "Mobile",
    address: "Address",
    notes: "Notes",
    custom_fields: "Other information",
    business: "File",
    opportunities: "Opportunities",
    proposals: "Proposals",
    deals: "Deals",
    assigned_to: "Assigned to",
    photo: "Photo",
    created_at: "Entered on",
    updated_at: "Last changed on",
    version: "Version",
    documents: "Documents",
    no_documents: "No document is attached.",
    name: "Name",
    kind: "Type",
    size: "Size",
    added_at: "Added on",
    yes: "yes",
    no: "no",
    other_files: "Files for computers",
    contact_file: "the same data in a form that other software can read (JSON)",
    schema_file: "the description of that form (JSON Schema)",
    manifest_file: "the list of all files with their SHA-256 fingerprints, to check that nothing was changed",
    signature_file: "the signature of that list, to check who made it",
    byte: "B",
    decimal: '.',
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
};

const FRENCH: Phrases = Phrases {
    language: Language::Fr,
    title: "Données personnelles",
    introduction: "Toutes les données personnelles détenues sur cette personne, avec les documents joints.",
    photo_of: "Photo de",
    identity: "Personne",
    last_name: "Nom",
    first_name: "Prénom",
    job_title: "Fonction",
    email: "E-mail",
    phone: "Téléphone",
    mobile: "Mobile",
    address: "Adresse",
    notes: "Notes",
    custom_fields: "Autres informations",
    business: "Dossier",
    opportunities: "Opportunités",
    proposals: "Propositions",
    deals: "Affaires",
    assigned_to: "Suivi par",
    photo: "Photo",
    created_at: "Créé le",
    updated_at: "Modifié le",
    version: "Version",
    documents: "Documents",
    no_documents: "Aucun document n’est joint.",
    name: "Nom",
    kind: "Type",
    size: "Taille",
    added_at: "Ajouté le",
    yes: "oui",
    no: "non",
    other_files: "Fichiers pour les logiciels",
    contact_file: "les mêmes données dans un format lisible par d’autres logiciels (JSON)",
    schema_file: "la description de ce format (JSON Schema)",
    manifest_file: "la liste de tous les fichiers avec leur empreinte SHA-256, pour vérifier que rien n’a été modifié",
    signature_file: "la signature de cette liste, pour vérifier qui l’a établie",
    byte: "o",
    decimal: ',',
    months: [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
};

impl Phrases {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::Fr => &FRENCH,
            Language::En => &ENGLISH,
        }
    }

    /// What a field is called.
    pub(super) fn field(&self, field: Field) -> &'static str {
        match field {
            Field::LastName => self.last_name,
            Field::FirstName => self.first_name,
            Field::JobTitle => self.job_title,
            Field::Email => self.email,
            Field::Phone => self.phone,
            Field::Mobile => self.mobile,
            Field::Address => self.address,
            Field::Notes => self.notes,
            Field::CustomFields => self.custom_fields,
            Field::AssignedTo => self.assigned_to,
            Field::Business => self.business,
            Field::PhotoDocumentId => self.photo,
        }
    }

    /// A size for a person: three digits or so, in powers of 1,000 as file managers show it.
    pub(super) fn bytes(&self, size_bytes: u64) -> String {
        let mut unit = "";
        let (mut whole, mut tenth) = (size_bytes, None);
        for larger in ["k", "M", "G"] {
            if whole < 1_000 {
                break;
            }
            tenth = Some(whole % 1_000 / 100);
            whole /= 1_000;
            unit = larger;
        }
        let byte = self.byte;
        match tenth {
            Some(tenth) if whole < 100 => format!("{whole}{}{tenth}\u{A0}{unit}{byte}", self.decimal),
            _ => format!("{whole}\u{A0}{unit}{byte}"),
        }
    }

    /// A date and time in UTC for a person.
    pub(super) fn time(&self, timestamp: Timestamp) -> String {
        let utc = Offset::UTC.to_datetime(timestamp);
        let month = usize::from(utc.month().unsigned_abs()).saturating_sub(1);
        let month = self.months.get(month).copied().unwrap_or_default();
        let (day, year, hour, minute) = (utc.day(), utc.year(), utc.hour(), utc.minute());
        match self.language {
            Language::Fr => {
                let first = if day == 1 { "er" } else { "" };
                format!("{day}{first} {month} {year} à {hour:02}:{minute:02} UTC")
            }
            Language::En => format!("{day} {month} {year}, {hour:02}:{minute:02} UTC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_as_people_write_them() {
        let (fr, en) = (Phrases::of(Language::Fr), Phrases::of(Language::En));
        for (size, french, english) in [
            (0, "0\u{A0}o", "0\u{A0}B"),
            (999, "999\u{A0}o", "999\u{A0}B"),
            (1_000, "1,0\u{A0}ko", "1.0\u{A0}kB"),
            (123_456, "123\u{A0}ko", "123\u{A0}kB"),
            (4_831_838_208, "4,8\u{A0}Go", "4.8\u{A0}GB"),
        ] {
            assert_eq!(
                (fr.bytes(size).as_str(), en.bytes(size).as_str()),
                (french, english)
            );
        }
        let first = "2026-08-01T07:05:00Z".parse().unwrap();
        assert_eq!(fr.time(first), "1er août 2026 à 07:05 UTC");
        assert_eq!(en.time(first), "1 August 2026, 07:05 UTC");
    }
}
