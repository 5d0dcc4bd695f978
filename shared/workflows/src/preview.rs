//! What an action would do, before it is started.

use oubli_cloud::ContactQuery;
use oubli_domain::action::{ActionKind, ContactFilter, Selection};
use oubli_domain::contact::Contact;
use oubli_domain::plan::PlanHasher;
use oubli_domain::search::Search;
use oubli_domain::{ContactId, FieldErrors, Reason, Sha256, TenantId};

use crate::Oubli;
use crate::error::WorkflowError;

/// How many contacts are read at a time.
const PAGE: u32 = 1_000;
/// How many contacts that cannot be acted on are listed; all are counted.
const MAX_LISTED: usize = 1_000;

/// A contact on which the action is not possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Which.
    pub contact_id: ContactId,
    /// Why.
    pub reason: Reason,
}

/// What an action would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Contacts that would be acted on.
    pub contacts: u64,
    /// Their documents.
    pub documents: u64,
    /// The bytes of these.
    pub bytes: u64,
    /// Contacts on which it is not possible; at most 1,000 are listed.
    pub blocked: Vec<Blocked>,
    /// How many those are.
    pub blocked_count: u64,
    /// Codes of what the member should be told before starting.
    pub notices: Vec<&'static str>,
    /// The hash of exactly this plan.
    pub plan_hash: Sha256,
}

struct Tally {
    kind: ActionKind,
    hasher: PlanHasher,
    contacts: u64,
    documents: u64,
    bytes: u64,
    blocked: Vec<Blocked>,
    blocked_count: u64,
}

impl Tally {
    fn new(kind: ActionKind) -> Self {
        let hasher = PlanHasher::new(kind);
        Self {
            kind,
            hasher,
            contacts: 0,
            documents: 0,
            bytes: 0,
            blocked: Vec::new(),
            blocked_count: 0,
        }
    }

    fn contact(&mut self, contact: &Contact) {
        self.hasher.contact(contact);
        let possible = match self.kind {
            ActionKind::Export => contact.may_export(),
        };
        match possible {
            Ok(()) => {
                self.contacts += 1;
                self.documents += contact.document_count;
                self.bytes += contact.document_bytes;
            }
            Err(reason) => self.block(contact.id.clone(), reason),
        }
    }

    fn absent(&mut self, contact_id: ContactId) {
        self.hasher.absent(&contact_id);
        self.block(contact_id, Reason::ContactAbsent);
    }

    fn block(&mut self, contact_id: ContactId, reason: Reason) {
        self.blocked_count += 1;
        if self.blocked.len() < MAX_LISTED {
            self.blocked.push(Blocked { contact_id, reason });
        }
    }

    fn finish(self) -> Preview {
        let mut notices = match self.kind {
            // The archives live ten days; they should be saved in a safe place.
            ActionKind::Export => vec!["archives_live_ten_days", "save_the_archives"],
        };
        if self.blocked_count > 0 {
            notices.push("some_contacts_are_blocked");
        }
        Preview {
            contacts: self.contacts,
            documents: self.documents,
            bytes: self.bytes,
            blocked: self.blocked,
            blocked_count: self.blocked_count,
            notices,
            plan_hash: self.hasher.finish(),
        }
    }
}

/// The question that a filter asks of the lists. A search text in which there is nothing to search
/// for must not select everybody.
pub(crate) fn query_of(filter: &ContactFilter) -> Result<ContactQuery, FieldErrors> {
    let search = filter.q.as_ref().map(|q| {
        Search::parse(q.expose())
            .ok_or_else(|| FieldErrors::one("/selection/filter/q", "must hold a letter or a digit"))
    });
    Ok(ContactQuery {
        search: search.transpose()?,
        state: filter.state,
        assigned_to: filter.assigned_to.clone(),
    })
}

impl Oubli {
    /// Says what an action would do: how many persons, documents and bytes, and who is left out.
    ///
    /// # Errors
    /// [`WorkflowError::Busy`], [`WorkflowError::Internal`].
    pub async fn preview(
        &self,
        tenant: &TenantId,
        kind: ActionKind,
        selection: &Selection,
    ) -> Result<Preview, WorkflowError> {
        let mut tally = Tally::new(kind);
        match selection {
            Selection::ContactIds(ids) => {
                // The order in which they were named is no part of the plan.
                let mut ids = ids.clone();
                ids.sort();
                // A hundred at a time: a contact may take 400 KB.
                for ids in ids.chunks(100) {
                    let contacts = self.cloud.contacts_by_id(tenant, ids).await?;
                    for (id, contact) in ids.iter().zip(contacts) {
                        match contact {
                            Some(contact) => tally.contact(&contact),
                            None => tally.absent(id.clone()),
                        }
                    }
                }
            }
            Selection::Filter(filter) => {
                let query = query_of(filter)?;
                let mut position: Option<String> = None;
                loop {
                    let page = self
                        .cloud
                        .scan_contacts(tenant, &query, filter.created_before, position.as_deref(), PAGE)
                        .await?;
                    page.contacts.iter().for_each(|contact| tally.contact(contact));
                    position = page.next;
                    if position.is_none() {
                        break;
                    }
                }
            }
        }
        Ok(tally.finish())
    }
}
