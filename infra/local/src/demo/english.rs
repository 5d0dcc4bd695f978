//! The English contacts of the demo tenant.

use jiff::civil::date;
use oubli_domain::contact::ContactDraft;
use oubli_domain::language::Language;
use serde_json::Value;

use super::amount::Cents;
use super::fields::{address, business, custom, some};
use super::papers::{self, Employer, Employment};
use super::picture::Look;
use super::{DemoContact, DemoError};

const HARBOUR: Employer = Employer {
    name: "Harbour & Finch Ltd",
    address: ["Unit 6, Old Ropeworks Yard", "Bristol BS1 9ZZ"],
    city: "Bristol",
    language: Language::En,
};

pub(super) fn contacts() -> Result<Vec<DemoContact>, DemoError> {
    Ok(vec![
        james_whitfield_hughes(),
        zoe_o_connor()?,
        priya_ramanathan()?,
        sian_llewellyn()?,
        oluwaseun_adeyemi(),
        van_der_berg(),
        john_smith(),
    ])
}

/// Two payslips of the same month under the same name, the second corrected.
fn james_whitfield_hughes() -> DemoContact {
    let draft = ContactDraft {
        last_name: "Whitfield-Hughes".to_owned(),
        first_name: some("James"),
        job_title: some("Head of Operations"),
        email: some("james.whitfield-hughes@example.co.uk"),
        phone: some("020 7946 0182"),
        mobile: some("07700 900318"),
        address: address(
            &["The Old Dairy", "22 Larkspur Lane"],
            "BS8 9ZY",
            "Bristol",
            "United Kingdom",
        ),
        notes: some("March payslip was issued twice: the first had last year's pay."),
        assigned_to: some("admin"),
        business: business(2, 2, 3),
        ..ContactDraft::default()
    };
    let before = Employment {
        employer: HARBOUR,
        monthly_gross: Cents(468_000),
        since: date(2019, 5, 7),
    };
    let after = Employment {
        monthly_gross: Cents(482_040),
        ..before
    };
    let documents = vec![
        papers::payslip(&draft, &before, date(2026, 3, 1)),
        papers::payslip(&draft, &after, date(2026, 3, 1)),
        papers::contract(&draft, &before, "Contract of employment (signed).pdf"),
    ];
    DemoContact { draft, documents }
}

fn zoe_o_connor() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "O'Connor".to_owned(),
        first_name: some("Zoë"),
        job_title: some("Office Manager"),
        email: some("zoe.oconnor@example.com"),
        phone: some("+44 20 7946 0735"),
        mobile: some("+44 7700 900452"),
        address: address(
            &["Flat 3", "118 Marigold Terrace"],
            "N1 9ZX",
            "London",
            "United Kingdom",
        ),
        custom_fields: custom([
            ("Preferred contact", Value::from("e-mail")),
            ("Newsletter", Value::from(false)),
        ]),
        assigned_to: some("agent"),
        business: business(1, 1, 0),
        ..ContactDraft::default()
    };
    let work = Employment {
        employer: HARBOUR,
        monthly_gross: Cents(291_667),
        since: date(2022, 8, 15),
    };
    let look = Look {
        background: [196, 186, 220],
        skin: [248, 212, 190],
        hair: [178, 74, 38],
        clothes: [58, 110, 84],
        long_hair: true,
        glasses: false,
    };
    let documents = vec![
        papers::photo("Zoë O'Connor - staff badge.jpg", 160, &look)?,
        papers::payslip(&draft, &work, date(2026, 2, 1)),
        papers::payslip(&draft, &work, date(2026, 3, 1)),
    ];
    Ok(DemoContact { draft, documents })
}

fn priya_ramanathan() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "Ramanathan".to_owned(),
        first_name: some("Priya"),
        job_title: some("Data Analyst"),
        email: some("priya.ramanathan@example.co.uk"),
        mobile: some("07700 900764"),
        address: address(&["5 Juniper Court"], "M2 9ZW", "Manchester", "United Kingdom"),
        assigned_to: some("agent"),
        business: business(3, 1, 1),
        ..ContactDraft::default()
    };
    let look = Look {
        background: [226, 204, 164],
        skin: [174, 120, 84],
        hair: [36, 26, 26],
        clothes: [132, 46, 86],
        long_hair: true,
        glasses: true,
    };
    let documents = vec![
        papers::photo("profile picture.png", 128, &look)?,
        papers::cv(
            &draft,
            Language::En,
            date(2025, 12, 8),
            &[
                (
                    "Experience",
                    &[
                        "2020 – present: data analyst, Harbour & Finch Ltd",
                        "2017 – 2020: junior analyst, Pennine Research Collective",
                    ],
                ),
                (
                    "Education",
                    &["2017: BSc Mathematics and Statistics, first class"],
                ),
                (
                    "Skills",
                    &["SQL, R, dashboards, explaining < and > to colleagues"],
                ),
            ],
        )?,
        papers::timesheet(
            "Timesheet w-c 9 March 2026.csv",
            Language::En,
            date(2026, 3, 9),
            [30, 30, 31, 29, 30],
        ),
    ];
    Ok(DemoContact { draft, documents })
}

fn sian_llewellyn() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "Llewellyn".to_owned(),
        first_name: some("Siân"),
        job_title: some("Solicitor"),
        email: some("sian.llewellyn@example.co.uk"),
        phone: some("020 7946 0409"),
        address: address(
            &["Tŷ Gwyn Chambers", "1 Harbourside Walk"],
            "CF10 9ZV",
            "Cardiff",
            "United Kingdom",
        ),
        notes: some("Acts for two of our suppliers: check for conflicts first."),
        assigned_to: some("admin"),
        business: business(0, 1, 1),
        ..ContactDraft::default()
    };
    let documents = vec![papers::cv(
        &draft,
        Language::En,
        date(2024, 6, 17),
        &[
            (
                "Practice",
                &[
                    "Employment law, data protection",
                    "Speaks Welsh (“Cymraeg”) and English",
                ],
            ),
            ("Admitted", &["2009"]),
        ],
    )?];
    Ok(DemoContact { draft, documents })
}

fn oluwaseun_adeyemi() -> DemoContact {
    let draft = ContactDraft {
        last_name: "Adeyemi".to_owned(),
        first_name: some("Oluwaseun"),
        job_title: some("Warehouse Supervisor"),
        email: some("o.adeyemi@example.com"),
        mobile: some("07700 900587"),
        address: address(&["64 Foundry Road"], "B5 9ZU", "Birmingham", "United Kingdom"),
        assigned_to: some("agent"),
        business: business(0, 0, 2),
        ..ContactDraft::default()
    };
    let work = Employment {
        employer: HARBOUR,
        monthly_gross: Cents(241_250),
        since: date(2025, 1, 13),
    };
    let rows = [
        ["Course", "Date", "Hours", "Result"],
        ["Manual handling, level 2", "2025-02-11", "3.5", "passed"],
        ["First aid at work", "2025-05-20", "18", "passed"],
        ["Forklift \"refresher\"", "2025-11-04", "7", "passed"],
    ];
    let documents = vec![
        papers::contract(&draft, &work, "Adeyemi contract.pdf"),
        papers::table(
            "Training record.csv",
            Language::En,
            &rows.map(|row| row.map(str::to_owned).to_vec()),
        ),
    ];
    DemoContact { draft, documents }
}

fn van_der_berg() -> DemoContact {
    let draft = ContactDraft {
        last_name: "van der Berg".to_owned(),
        first_name: some("Annelies"),
        job_title: some("Import/Export Co-ordinator"),
        email: some("annelies@example.com"),
        phone: some("020 7946 0956"),
        business: business(2, 0, 0),
        ..ContactDraft::default()
    };
    let documents = vec![papers::letter(
        &draft,
        &HARBOUR,
        date(2026, 1, 30),
        "Welcome letter.pdf",
        "Your account with us",
        &[
            "Dear Ms van der Berg,",
            "Thank you for opening an account with us. Your credit limit is £5,000.00, and invoices are payable within thirty days.",
            "Please tell us in writing which of your colleagues may place orders on the account.",
        ],
    )];
    DemoContact { draft, documents }
}

fn john_smith() -> DemoContact {
    let draft = ContactDraft {
        last_name: "Smith".to_owned(),
        first_name: some("John"),
        phone: some("(020) 7946-0023"),
        notes: some("Rang the front desk; left no e-mail address."),
        assigned_to: some("agent"),
        business: business(1, 0, 0),
        ..ContactDraft::default()
    };
    DemoContact {
        draft,
        documents: Vec::new(),
    }
}
