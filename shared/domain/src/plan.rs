//! The plan hash: what a member saw in a preview is what runs, or it does not run.

use aws_lc_rs::digest;

use crate::action::ActionKind;
use crate::contact::Contact;
use crate::hash::Sha256;
use crate::ids::ContactId;

/// Hashes, contact by contact, what a preview showed.
pub struct PlanHasher {
    context: digest::Context,
}

impl PlanHasher {
    /// Begins a plan.
    pub fn new(kind: ActionKind) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(match kind {
            ActionKind::Export => b"oubli-plan-1 export\n",
        });
        Self { context }
    }

    /// Adds a contact as it is now.
    pub fn contact(&mut self, contact: &Contact) {
        let (documents, bytes) = (contact.document_count, contact.document_bytes);
        let line = format!("{} {} {documents} {bytes}\n", contact.id, contact.version);
        self.context.update(line.as_bytes());
    }

    /// Adds a contact that was asked for and is not there.
    pub fn absent(&mut self, contact_id: &ContactId) {
        self.context.update(format!("{contact_id} -\n").as_bytes());
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
