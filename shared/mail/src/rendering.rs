//! From templates to a mail.

use std::collections::BTreeMap;
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior, context};
use oubli_domain::Language;

use crate::wording;

/// Longest subject, in characters. Mail readers cut earlier; RFC 5322 (2.1.1) bounds a header line
/// at 998 bytes.
const MAX_SUBJECT_CHARS: usize = 150;

/// Why a mail could not be rendered: a fault of a template, which the tests of this crate exclude.
#[derive(Debug, thiserror::Error)]
#[error("the mail could not be rendered")]
pub struct MailError(#[from] minijinja::Error);

/// A mail, ready to be sent. Only this crate makes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    subject: String,
    text: String,
    html: String,
}

impl Mail {
    /// The subject: one line of at most 150 characters, without control characters.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The body as plain text, lines ended by LF.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The body as a whole HTML document.
    pub fn html(&self) -> &str {
        &self.html
    }
}

impl fmt::Debug for Mail {
    /// Tells nothing: the mail greets a person by name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mail(redacted)")
    }
}

/// The templates of one mail.
///
/// The words of a mail stand apart from its two parts, each said once: a file of words sets a
/// variable for each sentence, empty where it has nothing to say, and the parts place them.
#[derive(Clone, Copy)]
pub(crate) struct Templates {
    /// Words in one language that mails of this sort share: `phrases` to the parts.
    pub(crate) phrases: &'static str,
    /// Words in the same language that this mail alone has: `own` to the parts. One is `subject`.
    pub(crate) own: &'static str,
    /// The text part.
    pub(crate) text: &'static str,
    /// What stands between the layout's head and foot.
    pub(crate) html: &'static str,
}

/// Renders subject and parts from one context.
///
/// The engine is set up anew for each mail: parsing these few kilobytes is nothing beside sending.
pub(crate) fn render(language: Language, templates: Templates, context: &Value) -> Result<Mail, MailError> {
    let mut environment = environment(language)?;
    environment.add_template("body.txt", templates.text)?;
    environment.add_template("body.html", templates.html)?;
    environment.add_template("layout.html", include_str!("../templates/layout.html"))?;

    let context = context! {
        phrases => words(&environment, templates.phrases, context)?,
        own => words(&environment, templates.own, context)?,
        ..context.clone()
    };
    let subject = environment.render_named_str("subject.txt", "{{ own.subject }}", &context)?;
    let subject: String = subject.chars().take(MAX_SUBJECT_CHARS).collect();
    let text = environment.get_template("body.txt")?.render(&context)?;
    let body = environment.get_template("body.html")?.render(&context)?;
    let html = environment.get_template("layout.html")?.render(context! {
        language => language.code(),
        subject => subject.as_str(),
        body => Value::from_safe_string(body),
    })?;
    Ok(Mail { subject, text, html })
}

/// The variables that a file of words sets, each one line.
fn words(
    environment: &Environment<'_>,
    source: &str,
    context: &Value,
) -> Result<BTreeMap<String, String>, MailError> {
    // Named as text, so that nothing is escaped here: the parts do it.
    let rendered = environment
        .template_from_named_str("words.txt", source)?
        .render_captured(context)?;
    let state = rendered.state();
    let word = |name: &str| {
        let value = state.lookup(name).unwrap_or_default();
        (name.to_owned(), wording::one_line(&value.to_string()))
    };
    Ok(state.exports().into_iter().map(word).collect())
}

fn environment(language: Language) -> Result<Environment<'static>, MailError> {
    // Escaping goes by the template's name: HTML for `.html`, nothing for `.txt`.
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    environment.add_function("number", move |value: u64| wording::number(language, value));
    environment.add_function("plural", move |value: u64, one: &str, other: &str| {
        wording::plural(language, value, one, other).to_owned()
    });
    environment.add_function("count", move |value: u64, one: &str, other: &str| {
        wording::count(language, value, one, other)
    });
    Ok(environment)
}
