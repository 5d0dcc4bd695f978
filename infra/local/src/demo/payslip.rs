//! What stands on a payslip.

use jiff::civil::Date;
use oubli_domain::contact::ContactDraft;
use oubli_domain::language::Language;

use super::amount::Cents;
use super::papers::{Employment, full_name, month_name};
use super::pdf::{Face, PAGE_HEIGHT, PAGE_WIDTH, Page, Pdf};

const LEFT: f32 = 50.0;
const RIGHT: f32 = PAGE_WIDTH - 50.0;
const LINE: f32 = 17.0;

/// What is taken from the gross pay: name and rate in hundredths of a per cent.
fn deductions(language: Language) -> &'static [(&'static str, i64)] {
    match language {
        Language::Fr => &[
            ("Sécurité sociale plafonnée", 690),
            ("Sécurité sociale déplafonnée", 40),
            ("Retraite complémentaire (tranche 1)", 315),
            ("Contribution d’équilibre général", 86),
            ("CSG déductible de l’impôt sur le revenu", 668),
            ("CSG/CRDS non déductible", 285),
            ("Complémentaire santé", 95),
        ],
        Language::En => &[
            ("Income tax (PAYE)", 1_190),
            ("National Insurance", 512),
            ("Pension contribution (employee)", 500),
        ],
    }
}

/// The rate of the income tax withheld at source, in hundredths of a per cent.
const WITHHOLDING: i64 = 520;

/// The words of a payslip.
struct Words {
    title: &'static str,
    period: &'static str,
    employee: &'static str,
    post: &'static str,
    columns: [&'static str; 4],
    gross: &'static str,
    taken: &'static str,
    before_tax: &'static str,
    withheld: &'static str,
    net: &'static str,
    keep: &'static str,
}

fn words(language: Language) -> Words {
    match language {
        Language::Fr => Words {
            title: "BULLETIN DE PAIE",
            period: "Période :",
            employee: "Salarié(e)",
            post: "Emploi :",
            columns: ["Désignation", "Base", "Taux", "Montant"],
            gross: "Salaire brut",
            taken: "Total des cotisations salariales",
            before_tax: "Net à payer avant impôt",
            withheld: "Impôt sur le revenu prélevé à la source",
            net: "NET PAYÉ",
            keep: "Dans votre intérêt, et pour faire valoir vos droits, conservez ce bulletin de paie sans limitation de durée.",
        },
        Language::En => Words {
            title: "PAYSLIP",
            period: "Pay period:",
            employee: "Employee",
            post: "Job title:",
            columns: ["Description", "Base", "Rate", "Amount"],
            gross: "Gross pay",
            taken: "Total deductions",
            before_tax: "",
            withheld: "",
            net: "NET PAY",
            keep: "Please keep this payslip: you may need it to prove your earnings or for your tax return.",
        },
    }
}

/// The payslip of the month that holds `date`, written on its last day.
pub(super) fn sheet(person: &ContactDraft, work: &Employment, date: Date) -> Pdf {
    let employer = work.employer;
    let language = employer.language;
    let words = words(language);
    let month = month_name(date, language);
    let mut page = Page::default();

    let mut y = PAGE_HEIGHT - 60.0;
    page.text(Face::Bold, 13.0, LEFT, y, employer.name);
    page.text_ending(Face::Bold, 15.0, RIGHT - 12.0, y, words.title);
    y -= 15.0;
    page.text(Face::Regular, 9.5, LEFT, y, employer.address[0]);
    page.text_ending(
        Face::Regular,
        10.0,
        RIGHT,
        y,
        &format!("{} {month}", words.period),
    );
    y -= 13.0;
    page.text(Face::Regular, 9.5, LEFT, y, employer.address[1]);

    y -= 50.0;
    page.shade(LEFT, y - 44.0, RIGHT - LEFT, 62.0);
    page.text(Face::Oblique, 9.0, LEFT + 10.0, y + 3.0, words.employee);
    page.text(Face::Bold, 12.0, LEFT + 10.0, y - 14.0, &full_name(person));
    let post = person.job_title.as_deref().unwrap_or("—");
    page.text(
        Face::Regular,
        10.0,
        LEFT + 10.0,
        y - 31.0,
        &format!("{} {post}", words.post),
    );

    y -= 80.0;
    let mut table = Table { page, y, language };
    let [name, base, rate, amount] = words.columns;
    table.row(Face::Bold, [name, base, rate, amount]);
    table.rule();
    let gross = work.monthly_gross;
    table.sum(Face::Bold, words.gross, gross);
    let mut taken = Cents(0);
    for (name, rate) in deductions(language) {
        let share = gross.share(*rate);
        taken = Cents(taken.0 + share.0);
        let rate = per_cent(*rate, language);
        let (base, share) = (gross.figures(language), Cents(-share.0).figures(language));
        table.row(Face::Regular, [name, &base, &rate, &share]);
    }
    table.rule();
    table.sum(Face::Bold, words.taken, Cents(-taken.0));
    let mut net = Cents(gross.0 - taken.0);
    if language == Language::Fr {
        table.sum(Face::Bold, words.before_tax, net);
        let tax = net.share(WITHHOLDING);
        let rate = per_cent(WITHHOLDING, language);
        let (base, share) = (net.figures(language), Cents(-tax.0).figures(language));
        table.row(Face::Regular, [words.withheld, &base, &rate, &share]);
        net = Cents(net.0 - tax.0);
    }
    let Table { mut page, mut y, .. } = table;
    y -= 16.0;
    page.shade(LEFT, y - 9.0, RIGHT - LEFT, 28.0);
    page.text(Face::Bold, 13.0, LEFT + 10.0, y, words.net);
    page.text_ending(Face::Bold, 13.0, RIGHT - 10.0, y, &net.money(language));
    page.paragraph(8.5, LEFT, y - 40.0, RIGHT - LEFT, words.keep);

    Pdf {
        title: format!("{} – {month} – {}", words.title, full_name(person)),
        author: employer.name.to_owned(),
        language,
        written_on: date.last_of_month(),
        pages: vec![page],
    }
}

/// A rate in hundredths of a per cent: `6,90 %`, `6.90%`.
fn per_cent(rate: i64, language: Language) -> String {
    let space = if language == Language::Fr { "\u{a0}" } else { "" };
    format!("{}{space}%", Cents(rate).figures(language))
}

/// The rows, from the top of the page down.
struct Table {
    page: Page,
    y: f32,
    language: Language,
}

impl Table {
    fn row(&mut self, face: Face, [name, base, rate, amount]: [&str; 4]) {
        self.page.text(face, 10.0, LEFT + 10.0, self.y, name);
        self.page.text_ending(face, 10.0, 380.0, self.y, base);
        self.page.text_ending(face, 10.0, 450.0, self.y, rate);
        self.page.text_ending(face, 10.0, RIGHT - 10.0, self.y, amount);
        self.y -= LINE;
    }

    fn sum(&mut self, face: Face, name: &str, amount: Cents) {
        let amount = amount.figures(self.language);
        self.row(face, [name, "", "", &amount]);
    }

    fn rule(&mut self) {
        self.page.rule(LEFT, RIGHT, self.y + LINE - 5.0);
        self.y -= 3.0;
    }
}
