//! The plan hash: what a member saw in a preview is what runs, or it does not run.

use aws_lc_rs::digest;

use crate::action::ActionKind;
use crate::contact::ContactSummary;
use crate::hash::Sha256;
use crate::ids::ItemId;
use crate::reason::Reason;

/// Hashes, item by item, what a preview showed.
pub struct PlanHasher {
    context: digest::Context,
}

impl PlanHasher {
    /// Begins a plan.
    pub fn new(kind: ActionKind) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(format!("oubli-plan-2 {}\n", kind.code()).as_bytes());
        Self { context }
    }

    /// Adds a contact as it is now, and why it cannot be acted on, if it cannot.
    pub fn contact(&mut self, contact: &ContactSummary, refused: Option<Reason>) {
        let (documents, bytes) = (contact.document_count, contact.document_bytes);
        let archive = contact
            .last_archive
            .as_ref()
            .map_or("-", |archive| archive.id.as_str());
        let refused = refused.map_or("-", Reason::code);
        let line = format!(
            "{} {} {documents} {bytes} {archive} {refused}\n",
            contact.id, contact.version
        );
        self.context.update(line.as_bytes());
    }

    /// Adds an archive or an upload of this size, the version of the contact that it would replace (0: of none,
    /// or not known), and why it cannot be restored, if it cannot.
    pub fn source(&mut self, id: &ItemId, size_bytes: u64, replaced_version: u64, refused: Option<Reason>) {
        let refused = refused.map_or("-", Reason::code);
        self.context
            .update(format!("{id} {size_bytes} {replaced_version} {refused}\n").as_bytes());
    }

    /// Adds something that was asked for and is not there.
    pub fn absent(&mut self, id: &ItemId) {
        self.context.update(format!("{id} -\n").as_bytes());
    }

    /// The hash of the plan.
    pub fn finish(self) -> Sha256 {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.context.finish().as_ref()) {
            *to = *from;
        }
        Sha256::from_bytes(bytes)
    }
}
