use std::fmt::Write as _;

use oubli_domain::ActionId;
use rstest::rstest;

use super::*;
use crate::front_end::FrontEndUrl;

const MEMBER_NAME: &str = "Chloé Lefèvre";
const TENANT_NAME: &str = "Atelier Dubois & Fils";

fn counts_of(ending: Ending) -> Counts {
    match ending {
        Ending::Completed => Counts {
            done: 12_345,
            ..Counts::default()
        },
        Ending::CompletedWithFailures => Counts {
            done: 10,
            failed: 2,
            ..Counts::default()
        },
        Ending::Failed => Counts {
            failed: 2,
            ..Counts::default()
        },
        Ending::Stopped => Counts {
            done: 5,
            failed: 1,
            skipped: 0,
            stopped: 1_494,
        },
    }
}

fn render_with(kind: ActionKind, language: Language, ending: Ending, counts: Counts, name: &str) -> Mail {
    let page = FrontEndUrl::parse("https://crm.example.com/vie-privee").unwrap();
    let page = page.action_page(&ActionId::parse("01930d2e-7f0a-7c3b-9b1e-4d1f0a2b3c4d").unwrap());
    let (member_name, tenant_name) = if name.is_empty() {
        (MEMBER_NAME, TENANT_NAME)
    } else {
        (name, name)
    };
    ActionEnded {
        language,
        kind,
        ending,
        counts,
        total: counts.ended(),
        requested_at: "2026-11-30T23:58:00Z".parse().unwrap(),
        ended_at: "2026-12-01T00:04:59Z".parse().unwrap(),
        member_name: &Personal::new(member_name.to_owned()),
        tenant_name,
        action_page: &page,
    }
    .render()
    .unwrap()
}

fn rendered(kind: ActionKind, language: Language, ending: Ending) -> Mail {
    render_with(kind, language, ending, counts_of(ending), "")
}

fn every_case() -> impl Iterator<Item = (ActionKind, Language, Ending)> {
    ActionKind::ALL.into_iter().flat_map(|kind| {
        Language::ALL
            .into_iter()
            .flat_map(move |language| Ending::ALL.map(|ending| (kind, language, ending)))
    })
}

fn every_mail() -> impl Iterator<Item = (Language, Ending, Mail)> {
    every_case().map(|(kind, language, ending)| (language, ending, rendered(kind, language, ending)))
}

/// The text between the tags, entities resolved as far as the templates use them.
fn words_of(html: &str) -> String {
    let mut words = String::new();
    let mut in_tag = false;
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                words.push(' ');
            }
            c if !in_tag => words.push(c),
            _ => {}
        }
    }
    words.replace("&amp;", "&").replace("&#x27;", "'")
}

/// The text of every kind, language and ending, with nobody, one and several passed over. The parts
/// place the same sentences, so the HTML is looked at once for each kind and language, at its longest.
#[test]
fn every_mail_reads_as_reviewed() {
    for (kind, language, ending) in every_case() {
        let name = format!("{}_{}", kind.code(), language.code());
        for skipped in [0, 1, 2_001] {
            // Who was passed over did not fail, so not everybody failed.
            if ending == Ending::Failed && skipped > 0 {
                continue;
            }
            let counts = Counts {
                skipped,
                ..counts_of(ending)
            };
            let mail = render_with(kind, language, ending, counts, "");
            let text = format!("Subject: {}\n\n{}", mail.subject(), mail.text());
            insta::assert_snapshot!(format!("{name}_{}_{skipped}_skipped", ending.code()), text);
            if ending == Ending::Stopped && skipped == 1 {
                insta::assert_snapshot!(format!("{name}_html"), mail.html());
            }
        }
    }
}

/// Anonymising is the one that cannot be undone for ever: its mail says until when, and how after.
#[rstest]
#[case(Language::Fr, &["10\u{a0}jours à compter de la création de l’archive", "nous ne pourrons plus annuler l’anonymisation", "seule une copie que vous avez sauvegardée"])]
#[case(Language::En, &["10\u{a0}days from the creation of the archive", "we cannot undo the anonymisation", "only a copy that you saved"])]
fn the_end_of_an_anonymisation_warns(#[case] language: Language, #[case] warnings: &[&str]) {
    for ending in Ending::ALL {
        let counts = counts_of(ending);
        let text = rendered(ActionKind::Anonymise, language, ending)
            .text()
            .to_owned();
        for warning in warnings {
            assert_eq!(text.contains(warning), counts.done > 0, "{warning:?} in {text}");
        }
    }
}

/// The address of the page of actions is the only one.
#[test]
fn no_mail_links_anywhere_else() {
    for (_, _, mail) in every_mail() {
        let page = "https://crm.example.com/vie-privee/data-actions/01930d2e-7f0a-7c3b-9b1e-4d1f0a2b3c4d";
        for (part, times) in [(mail.text(), 1), (mail.html(), 3)] {
            assert_eq!(part.matches("://").count(), times, "{part}");
            assert_eq!(part.matches(page).count(), times, "{part}");
        }
    }
}

#[rstest]
#[case(Language::Fr, 0, 1, "0\u{a0}archive, 1\u{a0}échec", &["Contact exporté\u{a0}: 0", "Échec\u{a0}: 1", "l’échec et permet de relancer cet export"])]
#[case(Language::Fr, 1, 0, "1\u{a0}archive, 0\u{a0}échec", &["Contact exporté\u{a0}: 1", "l’archive ZIP", "Cette archive", "ce contact."])]
#[case(Language::Fr, 2, 2, "2\u{a0}archives, 2\u{a0}échecs", &["Contacts exportés\u{a0}: 2", "les archives ZIP", "Échecs\u{a0}: 2", "chaque échec et permet de relancer ces exports", "l’un de ces contacts."])]
#[case(Language::En, 0, 1, "0\u{a0}archives, 1\u{a0}failure", &["Contacts exported: 0", "Failure: 1", "the failure and lets you run that export"])]
#[case(Language::En, 1, 0, "1\u{a0}archive, 0\u{a0}failures", &["Contact exported: 1", "the ZIP archive from", "This archive", "this contact back"])]
#[case(Language::En, 2, 2, "2\u{a0}archives, 2\u{a0}failures", &["Contacts exported: 2", "the ZIP archives from", "Failures: 2", "each failure and lets you run those exports", "one of these contacts back"])]
fn words_agree_with_their_numbers(
    #[case] language: Language,
    #[case] done: u64,
    #[case] failed: u64,
    #[case] subject: &str,
    #[case] phrases: &[&str],
) {
    let counts = Counts {
        done,
        failed,
        ..Counts::default()
    };
    let mail = render_with(
        ActionKind::Export,
        language,
        Ending::CompletedWithFailures,
        counts,
        "",
    );
    assert!(mail.subject().ends_with(subject), "{}", mail.subject());
    for phrase in phrases {
        assert!(
            mail.text().contains(phrase),
            "{phrase:?} is not in {}",
            mail.text()
        );
    }
    assert_eq!(
        mail.text().contains("ZIP"),
        done > 0,
        "archives are promised only when there are some"
    );
}

#[rstest]
#[case(
    ActionKind::Export,
    Language::Fr,
    "Export des données terminé\u{a0}: aucun contact à exporter"
)]
#[case(
    ActionKind::Export,
    Language::En,
    "Data export finished: no contact to export"
)]
#[case(
    ActionKind::Anonymise,
    Language::Fr,
    "Anonymisation terminée\u{a0}: aucun contact à anonymiser"
)]
#[case(
    ActionKind::Anonymise,
    Language::En,
    "Anonymisation finished: no contact to anonymise"
)]
#[case(
    ActionKind::Restore,
    Language::Fr,
    "Restauration terminée\u{a0}: aucun contact à restaurer"
)]
#[case(
    ActionKind::Restore,
    Language::En,
    "Restoration finished: no contact to restore"
)]
fn a_filter_that_matched_nobody_is_said_plainly(
    #[case] kind: ActionKind,
    #[case] language: Language,
    #[case] subject: &str,
) {
    let mail = render_with(kind, language, Ending::Completed, Counts::default(), "Acme");
    assert_eq!(mail.subject(), format!("[Acme] {subject}"));
    let sentence = match language {
        Language::Fr => "Il n’y avait aucun contact",
        Language::En => "There was no contact",
    };
    for part in [mail.text(), mail.html()] {
        assert!(part.contains(sentence) && !part.contains("rchive"), "{part}");
    }
}

#[test]
fn both_parts_say_the_same() {
    for (language, ending, mail) in every_mail() {
        let html = words_of(mail.html());
        let counts = counts_of(ending);
        let said = [counts.done, counts.failed, counts.ended()].map(|value| wording::number(language, value));
        let page = "https://crm.example.com/vie-privee/data-actions/01930d2e-7f0a-7c3b-9b1e-4d1f0a2b3c4d";
        for word in said
            .iter()
            .map(String::as_str)
            .chain([page, MEMBER_NAME, TENANT_NAME])
        {
            assert!(mail.text().contains(word), "{word:?} is not in {}", mail.text());
            assert!(html.contains(word), "{word:?} is not in {html}");
        }
        let lines = mail
            .text()
            .lines()
            .flat_map(|line| match line.strip_prefix("- ") {
                Some(row) => row.rsplitn(2, ' ').collect(),
                None => vec![line],
            });
        for line in lines {
            let line = line.trim_end_matches([':', '\u{a0}']);
            assert!(html.contains(line), "{line:?} is not in {html}");
        }
    }
}

/// Mail clients drop style sheets and scripts and do not load images; screen readers need the
/// language, a heading, row headers, and layout tables marked as such.
#[test]
fn the_html_renders_in_mail_clients_and_screen_readers() {
    for (language, ending, mail) in every_mail() {
        let html = mail.html();
        for absent in ["<style", "<script", "<img", "class=", "{{", "{%", "cid:", "data:"] {
            assert!(!html.contains(absent), "{absent} in {language:?} {ending:?}");
        }
        assert_eq!(html.matches(&format!("lang=\"{}\"", language.code())).count(), 2);
        assert_eq!(html.matches("<h1 ").count(), 1);
        assert_eq!(
            html.matches("<table ").count(),
            html.matches("role=\"presentation\"").count() + 1
        );
        assert_eq!(html.matches("<caption ").count(), 1);
        assert_eq!(
            html.matches("<th ").count(),
            html.matches("<th scope=\"row\" ").count()
        );
        assert_eq!(
            html.matches("<p>").count() + html.matches("<td>").count(),
            0,
            "every block is styled inline"
        );
        assert_eq!(
            html.matches("href=\"").count(),
            html.matches("href=\"https://crm.example.com/").count()
        );
        assert_balanced(html);
    }
}

fn assert_balanced(html: &str) {
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let name: String = tag
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '/')
            .collect();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop().as_deref(), Some(closed), "in {html}"),
            None if tag.starts_with('!') || ["meta", "br"].contains(&name.as_str()) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
}

#[test]
fn french_signs_never_stand_at_the_start_of_a_line() {
    for (_, _, mail) in every_mail().filter(|(language, ..)| *language == Language::Fr) {
        for part in [mail.subject(), mail.text(), &words_of(mail.html())] {
            for sign in [" :", " ;", " !", " ?", " »", "« "] {
                assert!(!part.contains(sign), "{sign:?} in {part}");
            }
            assert!(!part.contains('\''), "a typewriter apostrophe in {part}");
        }
    }
}

#[test]
fn names_add_no_header_no_paragraph_and_no_markup() {
    let name = "Eve\r\nBcc: all@example.com\r\n\r\n<script>alert(1)</script>\u{2028}\u{202e}\"'&";
    for (kind, language, ending) in every_case() {
        let mail = render_with(kind, language, ending, counts_of(ending), name);
        assert!(
            !mail.subject().chars().any(char::is_control),
            "{:?}",
            mail.subject()
        );
        assert!(
            mail.text().lines().all(|line| !line.starts_with("Bcc")),
            "{}",
            mail.text()
        );
        assert!(!mail.text().contains(['\r', '\u{2028}', '\u{202e}', '\0']));
        assert!(!mail.html().contains("<script"), "{}", mail.html());
        assert_balanced(mail.html());
    }
}

#[test]
fn long_names_are_cut() {
    let name = "é".repeat(5_000);
    for (kind, language, ending) in every_case() {
        let mail = render_with(kind, language, ending, counts_of(ending), &name);
        let whole = rendered(kind, language, ending);
        let news = whole.subject().rsplit_once("] ").map(|(_, news)| news);
        assert!(mail.subject().chars().count() <= 150);
        assert!(
            mail.subject().ends_with(news.unwrap()),
            "the cut name leaves room for the news"
        );
        assert!(mail.text().len() < 3_500);
    }
}

#[test]
fn debug_names_nobody() {
    let mut debug = String::new();
    write!(
        debug,
        "{:?}",
        rendered(ActionKind::Export, Language::Fr, Ending::Completed)
    )
    .unwrap();
    assert!(!debug.contains("Chlo"), "{debug}");
}

#[test]
fn only_an_ended_action_has_an_ending() {
    assert_eq!(Ending::try_from(ActionState::Running), Err(NotEnded));
    assert_eq!(Ending::try_from(ActionState::Queued), Err(NotEnded));
    for state in [
        ActionState::Completed,
        ActionState::CompletedWithFailures,
        ActionState::Failed,
        ActionState::Stopped,
    ] {
        assert!(Ending::try_from(state).is_ok());
    }
}
