//! The mails Oubli sends, in French and English.
//!
//! A mail is rendered from a typed input and leaves as a [`Mail`]: subject, text and HTML. It says
//! nothing of any contact and holds no download link, only the address of a page of the tenant's
//! front end, where the reader signs in first. Who it goes to, and how, is not decided here.
//!
//! The words stand in `templates/`: for each mail a text part and an HTML part that place them, and
//! for each language and kind of action a file that says them, once for both parts. What is put into
//! the HTML is escaped by the template engine; every sentence is made one line, so that no name can
//! add a header or forge a paragraph.

mod action_ended;
mod front_end;
mod rendering;
mod wording;

pub use action_ended::{ActionEnded, Ending, NotEnded};
pub use front_end::{ActionPage, FrontEndUrl, FrontEndUrlError};
pub use rendering::{Mail, MailError};
