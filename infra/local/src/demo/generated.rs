//! Any number of contacts, for lists of a real length and for measurements.

use jiff::civil::{Date, date};
use oubli_domain::contact::{Address, Business, ContactDraft};
use oubli_domain::language::Language;
use oubli_domain::search::fold;

use super::amount::Cents;
use super::papers::{self, Employer, Employment};
use super::picture::{Colour, Look};
use super::{DemoContact, DemoError};

const ATELIERS: Employer = Employer {
    name: "Les Ateliers du Val-Perché",
    address: ["2 chemin du Moulin-Sec", "37000 Tours"],
    city: "Tours",
    language: Language::Fr,
};
const BRUME: Employer = Employer {
    name: "Brume & Fils SAS",
    address: ["55 avenue des Grands-Pins", "33000 Bordeaux"],
    city: "Bordeaux",
    language: Language::Fr,
};
const THISTLEDOWN: Employer = Employer {
    name: "Thistledown Services Ltd",
    address: ["14 Quarry Mews", "Leeds LS1 9ZZ"],
    city: "Leeds",
    language: Language::En,
};

const FRENCH_FIRST_NAMES: [&str; 20] = [
    "Agnès",
    "Anaïs",
    "Benoît",
    "Camille",
    "Cédric",
    "Élodie",
    "Émile",
    "Fatou",
    "François",
    "Gaëlle",
    "Hélène",
    "Inès",
    "Jérôme",
    "Léa",
    "Loïc",
    "Marie-Ange",
    "Mathéo",
    "Océane",
    "Rémi",
    "Zélie",
];
const FRENCH_LAST_NAMES: [&str; 24] = [
    "Arnaud",
    "Bérenger",
    "Boisgontier",
    "Chaput",
    "D'Hérouville",
    "Dupré",
    "Estève",
    "Fauçon",
    "Garçonnet",
    "Hénaff",
    "Jégou",
    "L'Hermitte",
    "La Bruyère",
    "Le Tallec",
    "Lœuillet",
    "Mérigot",
    "Niçaise",
    "Ouédraogo",
    "Pélissier",
    "Quéméner",
    "Rivière",
    "Saint-Aubin",
    "Traoré",
    "Vasseur",
];
const ENGLISH_FIRST_NAMES: [&str; 18] = [
    "Adaeze",
    "Alice",
    "Arjun",
    "Beth",
    "Callum",
    "Dylan",
    "Eleanor",
    "Fergus",
    "Grace",
    "Harriet",
    "Imogen",
    "Kwame",
    "Mary-Jane",
    "Niamh",
    "Owen",
    "Rhys",
    "Sunita",
    "Tom",
];
const ENGLISH_LAST_NAMES: [&str; 22] = [
    "Ashworth",
    "Blackwood",
    "Chaudhry",
    "Davenport",
    "Ellery",
    "Fairbairn",
    "Goodfellow",
    "Hartley-Jones",
    "Ibekwe",
    "Kettlewell",
    "Lockhart",
    "MacAllister",
    "Mc Bride",
    "Nightingale",
    "O'Dowd",
    "Pemberton",
    "Quayle",
    "Ravenscroft",
    "St John",
    "Thackeray",
    "Underhill",
    "Wainwright",
];
const FRENCH_JOBS: [&str; 8] = [
    "Assistante de direction",
    "Chargé d’affaires",
    "Commercial",
    "Contrôleuse de gestion",
    "Électricien",
    "Ingénieure qualité",
    "Préparateur de commandes",
    "Technicienne",
];
const ENGLISH_JOBS: [&str; 8] = [
    "Account Executive",
    "Buyer",
    "Carpenter",
    "Customer Adviser",
    "Finance Partner",
    "Lab Technician",
    "Project Manager",
    "Receptionist",
];
const FRENCH_STREETS: [&str; 6] = [
    "allée des Érables",
    "avenue du Pré-Fleuri",
    "impasse de la Forge",
    "place de l’Église-Vieille",
    "rue du Four-à-Chaux",
    "rue Notre-Dame-des-Vignes",
];
const FRENCH_CITIES: [(&str, &str); 6] = [
    ("21000", "Dijon"),
    ("34000", "Montpellier"),
    ("38000", "Grenoble"),
    ("42000", "Saint-Étienne"),
    ("64000", "Pau"),
    ("67000", "Strasbourg"),
];
const ENGLISH_STREETS: [&str; 6] = [
    "Alder Close",
    "Bramble Way",
    "Chapel Rise",
    "Millpond Road",
    "Orchard View",
    "Weaver's Row",
];
const ENGLISH_CITIES: [(&str, &str); 5] = [
    ("NE1 9ZZ", "Newcastle"),
    ("NR1 9ZZ", "Norwich"),
    ("S1 9ZZ", "Sheffield"),
    ("SO14 9ZZ", "Southampton"),
    ("YO1 9ZZ", "York"),
];
const SKINS: [Colour; 5] = [
    [250, 216, 192],
    [236, 188, 150],
    [206, 150, 110],
    [160, 106, 74],
    [110, 72, 50],
];
const HAIRS: [Colour; 5] = [
    [34, 28, 28],
    [84, 52, 34],
    [150, 92, 46],
    [214, 176, 104],
    [160, 158, 156],
];

/// Contacts that nobody entered: `count` of them, always the same for a `seed`, each with one to
/// three small documents. Made one at a time as they are asked for.
///
/// An item is an error when its photo cannot be encoded.
pub fn generated_contacts(count: usize, seed: u64) -> impl Iterator<Item = Result<DemoContact, DemoError>> {
    (0_u64..)
        .take(count)
        .map(move |index| generated_contact(index, seed))
}

fn generated_contact(index: u64, seed: u64) -> Result<DemoContact, DemoError> {
    // Each contact has its own sequence, so that it stays the same whatever comes before it.
    let mut draw = Draw::new(seed ^ index.wrapping_mul(0xD134_2543_DE82_EF95));
    let employer = match draw.below(3) {
        0 => ATELIERS,
        1 => BRUME,
        _ => THISTLEDOWN,
    };
    let draft = match employer.language {
        Language::Fr => french_draft(&mut draw, index),
        Language::En => english_draft(&mut draw, index),
    };
    let work = Employment {
        employer,
        monthly_gross: Cents(200_000 + 500 * i64::from(draw.below(500))),
        since: date(2015 + draw.small::<i16>(10), 1 + draw.small::<i8>(12), 1),
    };
    let first = date(2026, 1 + draw.small::<i8>(4), 1);
    let mut documents = vec![papers::payslip(&draft, &work, first)];
    if draw.chance(60) {
        let (name, monday) = match employer.language {
            Language::Fr => ("Relevé d'heures.csv", first_monday(first)),
            Language::En => ("Timesheet.csv", first_monday(first)),
        };
        let quarters = [(); 5].map(|()| 26 + draw.below(8));
        documents.push(papers::timesheet(name, employer.language, monday, quarters));
    }
    if draw.chance(40) {
        let look = Look {
            background: [(); 3].map(|()| 160 + draw.small::<u8>(80)),
            skin: draw.one_of(&SKINS),
            hair: draw.one_of(&HAIRS),
            clothes: [(); 3].map(|()| 40 + draw.small::<u8>(140)),
            long_hair: draw.chance(50),
            glasses: draw.chance(30),
        };
        documents.push(papers::photo("photo.jpg", 48, &look)?);
    }
    Ok(DemoContact { draft, documents })
}

fn french_draft(draw: &mut Draw, index: u64) -> ContactDraft {
    let (first_name, last_name) = (draw.one_of(&FRENCH_FIRST_NAMES), draw.one_of(&FRENCH_LAST_NAMES));
    let (postal_code, city) = draw.one_of(&FRENCH_CITIES);
    let line = format!("{} {}", 1 + draw.below(120), draw.one_of(&FRENCH_STREETS));
    let mut pair = || draw.below(100);
    let phone = format!("01 99 00 {:02} {:02}", pair(), pair());
    let mobile = format!("06 39 98 {:02} {:02}", pair(), pair());
    let job = draw.one_of(&FRENCH_JOBS);
    let address = (line, postal_code, city, "France");
    draft(
        draw,
        index,
        (first_name, last_name, job),
        (phone, mobile),
        address,
        "example.fr",
    )
}

fn english_draft(draw: &mut Draw, index: u64) -> ContactDraft {
    let (first_name, last_name) = (
        draw.one_of(&ENGLISH_FIRST_NAMES),
        draw.one_of(&ENGLISH_LAST_NAMES),
    );
    let (postal_code, city) = draw.one_of(&ENGLISH_CITIES);
    let line = format!("{} {}", 1 + draw.below(120), draw.one_of(&ENGLISH_STREETS));
    let phone = format!("020 7946 0{:03}", draw.below(1_000));
    let mobile = format!("07700 900{:03}", draw.below(1_000));
    let job = draw.one_of(&ENGLISH_JOBS);
    let address = (line, postal_code, city, "United Kingdom");
    draft(
        draw,
        index,
        (first_name, last_name, job),
        (phone, mobile),
        address,
        "example.co.uk",
    )
}

fn draft(
    draw: &mut Draw,
    index: u64,
    (first_name, last_name, job): (&str, &str, &str),
    (phone, mobile): (String, String),
    (line, postal_code, city, country): (String, &str, &str, &str),
    domain: &str,
) -> ContactDraft {
    let mailbox = |name: &str| fold(name).replace(' ', "-");
    let address = Address {
        lines: vec![line],
        postal_code: Some(postal_code.to_owned()),
        city: Some(city.to_owned()),
        country: Some(country.to_owned()),
    };
    ContactDraft {
        last_name: last_name.to_owned(),
        first_name: Some(first_name.to_owned()),
        job_title: Some(job.to_owned()),
        email: Some(format!(
            "{}.{}.{index}@{domain}",
            mailbox(first_name),
            mailbox(last_name)
        )),
        phone: draw.chance(60).then_some(phone),
        mobile: draw.chance(70).then_some(mobile),
        address: draw.chance(80).then_some(address),
        assigned_to: draw
            .one_of(&[Some("agent"), Some("agent"), Some("admin"), None])
            .map(str::to_owned),
        business: Business {
            opportunities: draw.below(5),
            proposals: draw.below(4),
            deals: draw.below(3),
        },
        ..ContactDraft::default()
    }
}

/// The first Monday of a month, from its first day.
fn first_monday(first: Date) -> Date {
    let days = (7 - first.weekday().to_monday_zero_offset()) % 7;
    first.saturating_add(jiff::Span::new().days(i64::from(days)))
}

/// A sequence of draws that a seed fixes: SplitMix64 (Steele, Lea, Flood, "Fast splittable
/// pseudorandom number generators", 2014). A crate's generator may change with its version; the
/// demo data must not.
struct Draw(u64);

impl Draw {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// From 0 to below `end`, which is small against 2^32: the bias does not matter here.
    fn below(&mut self, end: u32) -> u32 {
        let high = (self.next() >> 32) * u64::from(end);
        // Below `end`, as both factors are below 2^32.
        u32::try_from(high >> 32).unwrap_or_default()
    }

    /// From 0 to below `end`, in a narrow type.
    fn small<T: TryFrom<u32> + Default>(&mut self, end: u8) -> T {
        T::try_from(self.below(u32::from(end))).unwrap_or_default()
    }

    /// Whether something of this probability, in per cent, happens.
    fn chance(&mut self, per_cent: u32) -> bool {
        self.below(100) < per_cent
    }

    /// One of `choices`, all alike probable; the default of nothing.
    fn one_of<T: Copy + Default>(&mut self, choices: &[T]) -> T {
        let end = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        let chosen = usize::try_from(self.below(end)).unwrap_or_default();
        choices.get(chosen).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_published_sequence() {
        // The first outputs of SplitMix64 for the seed 1234567, as the reference code gives them.
        let mut draw = Draw::new(1_234_567);
        assert_eq!(
            [draw.next(), draw.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]
        );
    }

    #[test]
    fn draws_reach_every_choice_and_no_other() {
        let mut draw = Draw::new(1);
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| draw.one_of(&[1, 2, 3])).collect();
        assert_eq!(Vec::from_iter(drawn), [1, 2, 3]);
    }

    #[test]
    fn weeks_begin_on_monday() {
        assert_eq!(first_monday(date(2026, 3, 1)), date(2026, 3, 2));
        assert_eq!(first_monday(date(2026, 6, 1)), date(2026, 6, 1));
    }
}
