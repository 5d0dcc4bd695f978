//! From request to archive and mail, over HTTP, as front ends and their users meet Oubli.
#![cfg(test)]

mod export;
