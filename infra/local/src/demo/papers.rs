//! The papers of a working life: payslips, contracts, letters, CVs and lists of hours.

use jiff::civil::Date;
use oubli_domain::contact::ContactDraft;
use oubli_domain::document::DocumentKind;
use oubli_domain::language::Language;

use super::amount::Cents;
use super::pdf::{Face, PAGE_HEIGHT, PAGE_WIDTH, Page, Pdf};
use super::picture::{Look, Picture};
use super::word::{self, Paragraph, WordDocument};
use super::{DemoDocument, DemoError, payslip};

const MARGIN: f32 = 56.0;

/// A company that nobody will find in a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Employer {
    pub(super) name: &'static str,
    pub(super) address: [&'static str; 2],
    pub(super) city: &'static str,
    pub(super) language: Language,
}

/// Who works where, as what, for how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Employment {
    pub(super) employer: Employer,
    pub(super) monthly_gross: Cents,
    pub(super) since: Date,
}

/// `Chloé Lefèvre`, or the last name alone.
pub(super) fn full_name(person: &ContactDraft) -> String {
    match &person.first_name {
        Some(first_name) => format!("{first_name} {}", person.last_name),
        None => person.last_name.clone(),
    }
}

/// `mars 2026`, `March 2026`.
pub(super) fn month_name(date: Date, language: Language) -> String {
    let names = match language {
        Language::Fr => [
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
        Language::En => [
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
    let index = usize::try_from(date.month() - 1).unwrap_or_default();
    format!(
        "{} {}",
        names.get(index).copied().unwrap_or_default(),
        date.year()
    )
}

/// `31 mars 2026`, `1er avril 2026`, `31 March 2026`.
pub(super) fn day_name(date: Date, language: Language) -> String {
    let ordinal = if language == Language::Fr && date.day() == 1 {
        "er"
    } else {
        ""
    };
    format!("{}{ordinal} {}", date.day(), month_name(date, language))
}

fn pdf_document(name: String, bytes: Vec<u8>) -> DemoDocument {
    DemoDocument {
        name,
        content_type: "application/pdf",
        kind: DocumentKind::Document,
        bytes,
    }
}

/// The payslip of the month that holds `date`.
pub(super) fn payslip(person: &ContactDraft, work: &Employment, date: Date) -> DemoDocument {
    let month = month_name(date, work.employer.language);
    let name = match work.employer.language {
        Language::Fr => format!("Bulletin de paie – {month}.pdf"),
        Language::En => format!("Payslip – {month}.pdf"),
    };
    pdf_document(name, payslip::sheet(person, work, date).into_bytes())
}

/// The contract of employment.
pub(super) fn contract(person: &ContactDraft, work: &Employment, name: &str) -> DemoDocument {
    let employer = work.employer;
    let language = employer.language;
    let job = person.job_title.as_deref().unwrap_or("—");
    let (who, since) = (full_name(person), day_name(work.since, language));
    let pay = work.monthly_gross.money(language);
    let (title, articles) = match language {
        Language::Fr => (
            "Contrat de travail à durée indéterminée",
            vec![
                format!("Entre la société {}, {}, {}, ci-après « l’employeur », et {who}, ci-après « le salarié », il a été convenu ce qui suit.", employer.name, employer.address[0], employer.address[1]),
                format!("Article 1 – Engagement. Le salarié est engagé à compter du {since} en qualité de « {job} », sous réserve des résultats de la visite d’information et de prévention."),
                "Article 2 – Période d’essai. Le contrat ne devient définitif qu’à l’issue d’une période d’essai de trois mois, renouvelable une fois par accord écrit.".to_owned(),
                format!("Article 3 – Rémunération. Le salarié perçoit une rémunération mensuelle brute de {pay} pour 151,67 heures, versée le dernier jour ouvré du mois."),
                "Article 4 – Durée du travail. La durée hebdomadaire est de trente-cinq heures, réparties du lundi au vendredi. Deux jours de télétravail par semaine sont possibles après accord.".to_owned(),
                "Article 5 – Congés payés. Le salarié acquiert deux jours et demi ouvrables de congé par mois de travail effectif.".to_owned(),
                "Article 6 – Données personnelles. Les informations recueillies servent à la gestion du personnel et à la paie. Le salarié dispose d’un droit d’accès, de rectification, d’effacement et de limitation.".to_owned(),
            ],
        ),
        Language::En => (
            "Contract of employment",
            vec![
                format!("This agreement is made between {}, {}, {} (“the Employer”) and {who} (“the Employee”).", employer.name, employer.address[0], employer.address[1]),
                format!("1. Appointment. The Employee is appointed as “{job}” with effect from {since}. No employment with a previous employer counts towards continuous employment."),
                "2. Probation. The first three months are a probationary period, during which either party may end the employment on one week’s notice in writing.".to_owned(),
                format!("3. Pay. The Employee is paid {pay} a month before deductions, in arrears, on the last working day of each month."),
                "4. Hours. Normal hours are 37.5 a week, Monday to Friday, with an unpaid lunch break of one hour. Up to two days a week may be worked from home by agreement.".to_owned(),
                "5. Holiday. The Employee is entitled to 25 days of paid holiday a year, and public holidays in addition.".to_owned(),
                "6. Personal data. The Employer keeps the personal data that it needs for payroll and administration. The Employee may ask for access, rectification, erasure and restriction.".to_owned(),
            ],
        ),
    };
    let (place, ours, theirs) = match language {
        Language::Fr => (
            format!("Fait à {}, le {since}, en deux exemplaires.", employer.city),
            "Pour l’employeur",
            "Le salarié",
        ),
        Language::En => (
            format!("Signed in {} on {since}, in two copies.", employer.city),
            "For the Employer",
            "The Employee",
        ),
    };
    let mut page = Page::default();
    page.shade(MARGIN, PAGE_HEIGHT - 92.0, PAGE_WIDTH - 2.0 * MARGIN, 34.0);
    page.text(Face::Bold, 16.0, MARGIN + 10.0, PAGE_HEIGHT - 81.0, title);
    let mut y = PAGE_HEIGHT - 125.0;
    for article in articles {
        y = page.paragraph(10.5, MARGIN, y, PAGE_WIDTH - 2.0 * MARGIN, &article) - 10.0;
    }
    page.text(Face::Regular, 10.5, MARGIN, y - 12.0, &place);
    page.text(Face::Bold, 10.5, MARGIN, y - 48.0, ours);
    page.text(Face::Bold, 10.5, PAGE_WIDTH / 2.0 + 20.0, y - 48.0, theirs);
    page.text(Face::Oblique, 13.0, PAGE_WIDTH / 2.0 + 20.0, y - 80.0, &who);
    page.rule(MARGIN, PAGE_WIDTH / 2.0 - 20.0, y - 86.0);
    page.rule(PAGE_WIDTH / 2.0 + 20.0, PAGE_WIDTH - MARGIN, y - 86.0);
    let pdf = Pdf {
        title: format!("{title} – {who}"),
        author: employer.name.to_owned(),
        language,
        written_on: work.since,
        pages: vec![page],
    };
    pdf_document(name.to_owned(), pdf.into_bytes())
}

/// A letter to the person: a subject and paragraphs.
pub(super) fn letter(
    person: &ContactDraft,
    from: &Employer,
    date: Date,
    name: &str,
    subject: &str,
    paragraphs: &[&str],
) -> DemoDocument {
    let language = from.language;
    let mut page = Page::default();
    let mut y = PAGE_HEIGHT - 70.0;
    page.text(Face::Bold, 13.0, MARGIN, y, from.name);
    for line in from.address {
        y -= 14.0;
        page.text(Face::Regular, 10.0, MARGIN, y, line);
    }
    y -= 40.0;
    let mut to = vec![full_name(person)];
    if let Some(address) = &person.address {
        to.extend(address.lines.iter().cloned());
        let (code, city) = (address.postal_code.as_deref(), address.city.as_deref());
        to.push(match (language, code, city) {
            (Language::Fr, Some(code), Some(city)) => format!("{code} {city}"),
            (Language::En, Some(code), Some(city)) => format!("{city} {code}"),
            (_, code, city) => code.or(city).unwrap_or_default().to_owned(),
        });
    }
    for line in to {
        page.text(Face::Regular, 11.0, PAGE_WIDTH / 2.0, y, &line);
        y -= 15.0;
    }
    y -= 25.0;
    let day = day_name(date, language);
    let (day, about, end) = match language {
        Language::Fr => (
            format!("{}, le {day}", from.city),
            format!("Objet : {subject}"),
            "Cordialement,",
        ),
        Language::En => (day, format!("Re: {subject}"), "Yours sincerely,"),
    };
    page.text(Face::Regular, 11.0, MARGIN, y, &day);
    page.text(Face::Bold, 11.0, MARGIN, y - 30.0, &about);
    y -= 60.0;
    for paragraph in paragraphs {
        y = page.paragraph(11.0, MARGIN, y, PAGE_WIDTH - 2.0 * MARGIN, paragraph) - 8.0;
    }
    page.text(Face::Regular, 11.0, MARGIN, y - 10.0, end);
    page.text(Face::Oblique, 12.0, MARGIN, y - 40.0, from.name);
    let pdf = Pdf {
        title: subject.to_owned(),
        author: from.name.to_owned(),
        language,
        written_on: date,
        pages: vec![page],
    };
    pdf_document(name.to_owned(), pdf.into_bytes())
}

/// A CV as a Word document: sections of lines under the name and the job.
///
/// # Errors
/// When the package cannot be written.
pub(super) fn cv(
    person: &ContactDraft,
    language: Language,
    date: Date,
    sections: &[(&str, &[&str])],
) -> Result<DemoDocument, DemoError> {
    let who = full_name(person);
    let mut paragraphs = vec![Paragraph::Title(who.clone())];
    paragraphs.extend(person.job_title.clone().map(Paragraph::Text));
    let reach = [&person.email, &person.mobile]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>();
    paragraphs.push(Paragraph::Text(reach.join(" · ")));
    for (heading, lines) in sections {
        paragraphs.push(Paragraph::Heading((*heading).to_owned()));
        paragraphs.extend(lines.iter().map(|line| Paragraph::Text((*line).to_owned())));
    }
    let language = match language {
        Language::Fr => "fr-FR",
        Language::En => "en-GB",
    };
    let name = format!("CV {who}.docx");
    let cv = WordDocument {
        title: format!("CV {who}"),
        author: who,
        language,
        written_on: date,
        paragraphs,
    };
    Ok(DemoDocument {
        name,
        content_type: word::MEDIA_TYPE,
        kind: DocumentKind::Document,
        bytes: cv.to_bytes()?,
    })
}

/// A list for a spreadsheet: UTF-8 with its mark, without which Excel takes it for Windows-1252,
/// and the separator that Excel expects in that language.
pub(super) fn table(name: &str, language: Language, rows: &[Vec<String>]) -> DemoDocument {
    let separator = match language {
        Language::Fr => ";",
        Language::En => ",",
    };
    let mut text = String::from("\u{feff}");
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| quote(cell, separator)).collect();
        text.push_str(&cells.join(separator));
        text.push_str("\r\n");
    }
    DemoDocument {
        name: name.to_owned(),
        content_type: "text/csv",
        kind: DocumentKind::Document,
        bytes: text.into_bytes(),
    }
}

/// A cell as RFC 4180 writes it.
fn quote(cell: &str, separator: &str) -> String {
    if cell.contains(separator) || cell.contains(['"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// The hours of one week in a list: a row a day, and their sum. `quarters` are quarter hours.
pub(super) fn timesheet(name: &str, language: Language, monday: Date, quarters: [u32; 5]) -> DemoDocument {
    let hours = |quarters: u32| {
        let figures = format!("{}.{:02}", quarters / 4, quarters % 4 * 25);
        if language == Language::Fr {
            figures.replace('.', ",")
        } else {
            figures
        }
    };
    let (header, total) = match language {
        Language::Fr => (["Date", "Heures", "Lieu"], "Total"),
        Language::En => (["Date", "Hours", "Place"], "Total"),
    };
    let places = match language {
        Language::Fr => ["Télétravail", "Bureau"],
        Language::En => ["Home", "Office"],
    };
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for ((day, quarters), place) in monday
        .series(jiff::Span::new().days(1))
        .zip(quarters)
        .zip(places.into_iter().cycle())
    {
        let day = match language {
            Language::Fr => day.strftime("%d/%m/%Y").to_string(),
            Language::En => day.to_string(),
        };
        rows.push(vec![day, hours(quarters), place.to_owned()]);
    }
    rows.push(vec![
        total.to_owned(),
        hours(quarters.iter().sum()),
        String::new(),
    ]);
    table(name, language, &rows)
}

/// A photo; the end of its name says whether it is a PNG or a JPEG.
///
/// # Errors
/// When it cannot be encoded.
pub(super) fn photo(name: &str, width: u16, look: &Look) -> Result<DemoDocument, DemoError> {
    let picture = Picture::portrait(width, look);
    let (content_type, bytes) = if name.ends_with(".png") {
        ("image/png", picture.to_png()?)
    } else {
        ("image/jpeg", picture.to_jpeg()?)
    };
    Ok(DemoDocument {
        name: name.to_owned(),
        content_type,
        kind: DocumentKind::Photo,
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_timesheet_adds_up_and_opens_in_a_french_excel() {
        let sheet = timesheet("heures.csv", Language::Fr, date(2026, 3, 2), [28, 29, 28, 30, 28]);
        let text = String::from_utf8(sheet.bytes).unwrap();
        let wanted = "\u{feff}Date;Heures;Lieu\r\n02/03/2026;7,00;Télétravail\r\n03/03/2026;7,25;Bureau\r\n\
                      04/03/2026;7,00;Télétravail\r\n05/03/2026;7,50;Bureau\r\n06/03/2026;7,00;Télétravail\r\n\
                      Total;35,75;\r\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn cells_that_need_it_are_quoted() {
        let rows = [vec!["a;b".to_owned(), "say \"yes\"".to_owned(), "a,b".to_owned()]];
        let bytes = table("t.csv", Language::Fr, &rows).bytes;
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "\u{feff}\"a;b\";\"say \"\"yes\"\"\";a,b\r\n"
        );
    }

    #[test]
    fn days_read_as_people_write_them() {
        assert_eq!(day_name(date(2026, 4, 1), Language::Fr), "1er avril 2026");
        assert_eq!(day_name(date(2026, 8, 31), Language::Fr), "31 août 2026");
        assert_eq!(day_name(date(2025, 12, 1), Language::En), "1 December 2025");
    }
}
