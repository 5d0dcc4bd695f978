//! From request to archive and mail, over HTTP, as front ends and their users meet Oubli.
#![cfg(test)]

mod access;
mod access_earlier_form;
mod access_limits;
mod actions;
mod anonymise;
mod archives;
mod audit;
mod bulk;
mod contact_lists;
mod contacts;
mod contents;
mod costs;
mod development;
mod documents;
mod export;
mod idempotency;
mod input;
mod large;
mod mails;
mod member_names;
mod outside;
mod restore;
mod selections;
mod surface;
mod user_guide;
