//! The mails Oubli sends, in French and English.
