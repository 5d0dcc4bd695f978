//! The French contacts of the demo tenant.

use jiff::civil::date;
use oubli_domain::contact::ContactDraft;
use oubli_domain::language::Language;
use serde_json::Value;

use super::amount::Cents;
use super::fields::{address, business, custom, some};
use super::papers::{self, Employer, Employment};
use super::picture::Look;
use super::{DemoContact, DemoDocument, DemoError};

const VERDOYANT: Employer = Employer {
    name: "Maison Verdoyant SARL",
    address: ["18 allée des Tilleuls-Bleus", "44000 Nantes"],
    city: "Nantes",
    language: Language::Fr,
};
const BOREAL: Employer = Employer {
    name: "Boréal & Associés",
    address: ["7 place de l’Étang-Neuf", "69003 Lyon"],
    city: "Lyon",
    language: Language::Fr,
};

pub(super) fn contacts() -> Result<Vec<DemoContact>, DemoError> {
    Ok(vec![
        chloe_lefevre()?,
        jean_baptiste_d_aubigne()?,
        marie_martin_of_rennes(),
        marie_martin_of_lille()?,
        yann_le_goff(),
        noemie_coeurdevey()?,
        berger(),
        mael_n_guessan()?,
        aicha_benhaddou(),
    ])
}

/// The one with every field, and with a document of every kind.
fn chloe_lefevre() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "Lefèvre".to_owned(),
        first_name: some("Chloé"),
        job_title: some("Responsable des achats"),
        email: some("chloe.lefevre@example.fr"),
        phone: some("01 99 00 24 61"),
        mobile: some("06 39 98 17 42"),
        address: address(
            &["Résidence L’Orée, bâtiment B", "12 rue des Chèvrefeuilles"],
            "44100",
            "Nantes",
            "France",
        ),
        notes: some(
            "Rencontrée au salon de Nantes en janvier. Préfère être appelée le matin, avant 10 h.\n\
             Attend notre proposition pour le renouvellement : « au plus tard fin avril ».",
        ),
        custom_fields: custom([
            ("Anniversaire", Value::from("14 juillet")),
            ("Newsletter", Value::from(true)),
            ("N° client", Value::from(20_417)),
            ("Remise (%)", Value::from(7.5)),
        ]),
        assigned_to: some("agent"),
        business: business(3, 2, 1),
        photo_document_id: None,
    };
    let work = Employment {
        employer: VERDOYANT,
        monthly_gross: Cents(324_000),
        since: date(2021, 9, 6),
    };
    let look = Look {
        background: [176, 206, 222],
        skin: [240, 196, 164],
        hair: [126, 72, 38],
        clothes: [44, 92, 120],
        long_hair: true,
        glasses: false,
    };
    let documents = vec![
        papers::photo("photo d'identité.jpg", 160, &look)?,
        papers::contract(&draft, &work, "Contrat de travail signé.pdf"),
        papers::payslip(&draft, &work, date(2026, 2, 1)),
        papers::payslip(&draft, &work, date(2026, 3, 1)),
        papers::cv(
            &draft,
            Language::Fr,
            date(2025, 11, 3),
            &[
                (
                    "Expérience",
                    &[
                        "2021 – aujourd’hui : responsable des achats, Maison Verdoyant SARL, Nantes",
                        "2016 – 2021 : acheteuse, Les Comptoirs de l’Erdre, Nantes",
                        "2014 – 2016 : assistante achats, Quai des Épices, Saint-Nazaire",
                    ],
                ),
                (
                    "Formation",
                    &[
                        "2014 : master « Achats et logistique »",
                        "2011 : baccalauréat ES, mention bien",
                    ],
                ),
                (
                    "Langues",
                    &["Français (langue maternelle), anglais (C1), espagnol (B1)"],
                ),
                (
                    "Centres d’intérêt",
                    &["Voile, cuisine & pâtisserie, chœur amateur"],
                ),
            ],
        )?,
        papers::timesheet(
            "Relevé d'heures – semaine 10.csv",
            Language::Fr,
            date(2026, 3, 2),
            [28, 30, 28, 29, 27],
        ),
    ];
    Ok(DemoContact { draft, documents })
}

fn jean_baptiste_d_aubigne() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "d'Aubigné-Noël".to_owned(),
        first_name: some("Jean-Baptiste"),
        job_title: some("Directeur général"),
        email: some("jb.daubigne-noel@example.fr"),
        phone: some("+33 1 99 00 80 15"),
        mobile: some("+33 6 39 98 55 03"),
        address: address(&["3 bis, quai de l’Île-aux-Moines"], "69005", "Lyon", "France"),
        notes: some("Ne jamais écrire « Monsieur Noël ». Vouvoiement de rigueur."),
        assigned_to: some("admin"),
        business: business(1, 1, 4),
        ..ContactDraft::default()
    };
    let work = Employment {
        employer: BOREAL,
        monthly_gross: Cents(815_050),
        since: date(2012, 1, 2),
    };
    let look = Look {
        background: [206, 198, 180],
        skin: [232, 186, 156],
        hair: [150, 148, 146],
        clothes: [40, 42, 54],
        long_hair: false,
        glasses: true,
    };
    let documents = vec![
        papers::photo("Portrait JB d’Aubigné-Noël.png", 128, &look)?,
        papers::payslip(&draft, &work, date(2026, 3, 1)),
        papers::letter(
            &draft,
            &BOREAL,
            date(2026, 1, 19),
            "Courrier – renouvellement du mandat (1).pdf",
            "Renouvellement de votre mandat",
            &[
                "Monsieur,",
                "Le conseil réuni le 15 janvier a décidé à l’unanimité de renouveler votre mandat pour trois ans à compter du 1er février 2026.",
                "Vous trouverez le procès-verbal auprès du secrétariat. Nous vous remercions de votre engagement.",
            ],
        ),
    ];
    Ok(DemoContact { draft, documents })
}

/// One of two people of the same name.
fn marie_martin_of_rennes() -> DemoContact {
    let draft = ContactDraft {
        last_name: "Martin".to_owned(),
        first_name: some("Marie"),
        job_title: some("Comptable"),
        email: some("marie.martin@example.fr"),
        mobile: some("06 39 98 40 08"),
        address: address(&["41 boulevard du Vieux-Lavoir"], "35000", "Rennes", "France"),
        assigned_to: some("agent"),
        business: business(0, 1, 0),
        ..ContactDraft::default()
    };
    let work = Employment {
        employer: VERDOYANT,
        monthly_gross: Cents(248_500),
        since: date(2023, 3, 1),
    };
    let documents = vec![
        papers::contract(&draft, &work, "CDI Marie Martin.pdf"),
        papers::payslip(&draft, &work, date(2026, 3, 1)),
    ];
    DemoContact { draft, documents }
}

/// The other of two people of the same name.
fn marie_martin_of_lille() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "Martin".to_owned(),
        first_name: some("Marie"),
        job_title: some("Infirmière libérale"),
        email: some("cabinet.martin@example.com"),
        phone: some("01 99 00 53 77"),
        address: address(
            &["Cabinet du Beffroi", "9 rue Grande-Chaussée"],
            "59800",
            "Lille",
            "France",
        ),
        notes: some("Attention à l’homonyme de Rennes."),
        assigned_to: some("admin"),
        business: business(2, 0, 0),
        ..ContactDraft::default()
    };
    let look = Look {
        background: [214, 190, 200],
        skin: [246, 208, 182],
        hair: [214, 172, 98],
        clothes: [236, 240, 242],
        long_hair: true,
        glasses: true,
    };
    let documents = vec![papers::photo("IMG_0412.jpg", 160, &look)?];
    Ok(DemoContact { draft, documents })
}

/// Two of the documents have the same name.
fn yann_le_goff() -> DemoContact {
    let draft = ContactDraft {
        last_name: "Le Goff".to_owned(),
        first_name: some("Yann"),
        job_title: some("Chef de chantier"),
        email: some("yann.legoff@example.fr"),
        mobile: some("0639985216"),
        address: address(&["Lieu-dit Kerhuon"], "29200", "Brest", "France"),
        custom_fields: custom([
            ("Taille de casque", Value::from("58")),
            ("CACES", Value::from(true)),
        ]),
        assigned_to: some("agent"),
        business: business(1, 0, 2),
        ..ContactDraft::default()
    };
    let first = Employment {
        employer: BOREAL,
        monthly_gross: Cents(271_000),
        since: date(2024, 4, 2),
    };
    let second = Employment {
        employer: VERDOYANT,
        monthly_gross: Cents(289_900),
        since: date(2025, 10, 1),
    };
    let documents = vec![
        papers::contract(&draft, &first, "Contrat.pdf"),
        papers::contract(&draft, &second, "Contrat.pdf"),
        papers::timesheet(
            "heures S11.csv",
            Language::Fr,
            date(2026, 3, 9),
            [32, 32, 30, 32, 26],
        ),
    ];
    DemoContact { draft, documents }
}

fn noemie_coeurdevey() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "Cœurdevey".to_owned(),
        first_name: some("Noémie"),
        job_title: some("Architecte d’intérieur"),
        email: some("noemie+projets@example.com"),
        mobile: some("+33 (0)6 39 98 71 29"),
        address: address(
            &["Atelier 4, passage du Grand-Œuvre"],
            "25000",
            "Besançon",
            "France",
        ),
        assigned_to: some("agent"),
        business: business(4, 3, 1),
        ..ContactDraft::default()
    };
    let documents = vec![
        papers::cv(
            &draft,
            Language::Fr,
            date(2026, 2, 12),
            &[
                (
                    "Parcours",
                    &[
                        "Depuis 2019 : atelier à son nom, Besançon",
                        "2015 – 2019 : agence Trait & Matière, Dijon",
                    ],
                ),
                (
                    "Réalisations",
                    &[
                        "Médiathèque des Prés-Hauts (2024)",
                        "Hôtel « La Clef d’Or » (2022)",
                    ],
                ),
            ],
        )?,
        papers::letter(
            &draft,
            &VERDOYANT,
            date(2026, 3, 24),
            "Lettre de mission – été 2026.pdf",
            "Mission d’aménagement de nos bureaux",
            &[
                "Madame,",
                "Nous avons le plaisir de vous confier l’aménagement du deuxième étage (240 m²), pour un montant de 18 500,00 € hors taxes.",
                "Les travaux commencent le 1er juin 2026 et durent huit semaines.",
            ],
        ),
    ];
    Ok(DemoContact { draft, documents })
}

/// Nothing but a last name, and no document.
fn berger() -> DemoContact {
    let draft = ContactDraft {
        last_name: "Berger".to_owned(),
        ..ContactDraft::default()
    };
    DemoContact {
        draft,
        documents: Vec::new(),
    }
}

fn mael_n_guessan() -> Result<DemoContact, DemoError> {
    let draft = ContactDraft {
        last_name: "N'Guessan".to_owned(),
        first_name: some("Maël"),
        job_title: some("Développeur"),
        email: some("mael.nguessan@example.fr"),
        mobile: some("06 39 98 03 64"),
        notes: some("Candidature spontanée du 3 mars ; à rappeler."),
        assigned_to: some("agent"),
        business: business(1, 0, 0),
        ..ContactDraft::default()
    };
    let look = Look {
        background: [188, 214, 186],
        skin: [122, 78, 54],
        hair: [32, 26, 24],
        clothes: [204, 120, 50],
        long_hair: false,
        glasses: false,
    };
    let documents = vec![
        papers::photo("photo.png", 128, &look)?,
        papers::cv(
            &draft,
            Language::Fr,
            date(2026, 3, 3),
            &[
                (
                    "Compétences",
                    &["Rust, Python, SQL", "Conception d’API, tests, accessibilité"],
                ),
                (
                    "Expérience",
                    &["2022 – 2026 : développeur, coopérative L’Établi numérique"],
                ),
            ],
        )?,
    ];
    Ok(DemoContact { draft, documents })
}

fn aicha_benhaddou() -> DemoContact {
    let draft = ContactDraft {
        last_name: "Benhaddou".to_owned(),
        first_name: some("Aïcha"),
        job_title: some("Gérante"),
        email: some("contact.benhaddou@example.fr"),
        phone: some("01.99.00.36.90"),
        address: address(
            &["Épicerie fine « Le Safran »", "27 rue de la Halle-aux-Blés"],
            "13001",
            "Marseille",
            "France",
        ),
        business: business(0, 2, 5),
        ..ContactDraft::default()
    };
    let rows = [
        ["Facture", "Date", "Objet", "Montant TTC (€)"],
        ["F-2026-0031", "12/01/2026", "Huile d’olive ; lot de 24", "412,80"],
        ["F-2026-0077", "09/02/2026", "Épices « du marché »", "1 036,50"],
        ["F-2026-0112", "16/03/2026", "Thés et infusions", "288,00"],
    ];
    let rows = rows.map(|row| row.map(str::to_owned).to_vec());
    let documents: Vec<DemoDocument> = vec![
        papers::table("Factures 1er trimestre 2026.csv", Language::Fr, &rows),
        papers::letter(
            &draft,
            &VERDOYANT,
            date(2026, 2, 20),
            "Relance F-2026-0031.pdf",
            "Votre facture F-2026-0031",
            &[
                "Madame,",
                "Sauf erreur de notre part, la facture F-2026-0031 du 12 janvier, d’un montant de 412,80 €, n’est pas réglée à ce jour.",
                "Si votre paiement nous est parvenu entre-temps, ne tenez pas compte de ce courrier.",
            ],
        ),
    ];
    DemoContact { draft, documents }
}
