use std::fmt::Write as _;

use oubli_domain::ActionId;
use rstest::rstest;

use super::*;
use crate::front_end::FrontEndUrl;

const MEMBER_NAME: &str = "Chloé Lefèvre";

fn counts_of(ending: Ending) -> Counts {
    match ending {
        Ending::Completed => Counts {
            done: 12_345,
            ..Counts::default()
        },
        Ending::CompletedWithFailures => Counts {
            done: 10,
            failed: 2,
            skipped: 1,
            stopped: 0,
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

fn render_with(
    language: Language,
    ending: Ending,
    counts: Counts,
    member_name: &str,
    tenant_name: &str,
) -> Mail {
    let page = FrontEndUrl::parse("https://crm.example.com/vie-privee").unwrap();
    let page = page.action_page(&ActionId::parse("01930d2e-7f0a-7c3b-9b1e-4d1f0a2b3c4d").unwrap());
    ActionEnded {
        language,
        kind: ActionKind::Export,
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

fn rendered(language: Language, ending: Ending) -> Mail {
    render_with(
        language,
        ending,
        counts_of(ending),
        MEMBER_NAME,
        "Atelier Dubois & Fils",
    )
}

fn every_mail() -> impl Iterator<Item = (Language, Ending, Mail)> {
    Language::ALL.into_iter().flat_map(|language| {
        Ending::ALL
            .into_iter()
            .map(move |ending| (language, ending, rendered(language, ending)))
    })
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

#[test]
fn every_mail_reads_as_reviewed() {
    for (language, ending, mail) in every_mail() {
        let name = format!("{}_{}", language.code(), ending.code());
        let text = format!("Subject: {}\n\n{}", mail.subject(), mail.text());
        insta::assert_snapshot!(format!("{name}_text"), text);
        insta::assert_snapshot!(format!("{name}_html"), mail.html());
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
        language,
        Ending::CompletedWithFailures,
        counts,
        MEMBER_NAME,
        "Acme",
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
    Language::Fr,
    "[Acme] Export des données terminé\u{a0}: aucun contact à exporter",
    "Il n’y avait aucun contact"
)]
#[case(
    Language::En,
    "[Acme] Data export finished: no contact to export",
    "There was no contact"
)]
fn a_filter_that_matched_nobody_is_said_plainly(
    #[case] language: Language,
    #[case] subject: &str,
    #[case] sentence: &str,
) {
    let mail = render_with(
        language,
        Ending::Completed,
        Counts::default(),
        MEMBER_NAME,
        "Acme",
    );
    assert_eq!(mail.subject(), subject);
    for part in [mail.text(), mail.html()] {
        assert!(part.contains(sentence) && !part.contains("ZIP"), "{part}");
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
            .chain([page, MEMBER_NAME, "Atelier Dubois & Fils"])
        {
            assert!(mail.text().contains(word), "{word:?} is not in {}", mail.text());
            assert!(html.contains(word), "{word:?} is not in {html}");
        }
        assert_eq!(mail.text().contains("10\u{a0}"), html.contains("10\u{a0}"));
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
    for ending in Ending::ALL {
        let mail = rendered(Language::Fr, ending);
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
    for language in Language::ALL {
        for ending in Ending::ALL {
            let mail = render_with(language, ending, counts_of(ending), name, name);
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
}

#[test]
fn long_names_are_cut() {
    let name = "é".repeat(5_000);
    let mail = render_with(
        Language::Fr,
        Ending::Failed,
        counts_of(Ending::Failed),
        &name,
        &name,
    );
    assert!(mail.subject().chars().count() <= 150);
    assert!(
        mail.subject().ends_with("2\u{a0}contacts"),
        "the cut name leaves room for the news"
    );
    assert!(mail.text().len() < 3_000);
}

#[test]
fn debug_names_nobody() {
    let mut debug = String::new();
    write!(debug, "{:?}", rendered(Language::Fr, Ending::Completed)).unwrap();
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
