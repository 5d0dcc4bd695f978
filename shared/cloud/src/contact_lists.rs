//! Lists of contacts: pages in an order, and the walk over a whole selection.

use jiff::Timestamp;
use oubli_domain::contact::{Contact, ContactState, ContactSummary};
use oubli_domain::paging::ContactSort;
use oubli_domain::search::Search;
use oubli_domain::{ContactId, HashKey, HashPurpose, MemberId, TenantId};

use crate::connect::Cloud;
use crate::contacts::read_contact;
use crate::error::CloudError;
use crate::expression::{Attributes, Condition, text};
use crate::items::{self, text_of};
use crate::keys;
use crate::table::{Query, Table};

/// What a list of contacts asks for.
#[derive(Clone, Debug, Default)]
pub struct ContactQuery {
    /// By name or address.
    pub search: Option<Search>,
    /// In which state.
    pub state: Option<ContactState>,
    /// Whose.
    pub assigned_to: Option<MemberId>,
}

impl ContactQuery {
    fn admits(&self, contact: &Contact) -> bool {
        let assigned_to = contact.fields.assigned_to.as_ref();
        self.state.is_none_or(|state| contact.state == state)
            && self
                .assigned_to
                .as_ref()
                .is_none_or(|member| assigned_to == Some(member))
    }
}

/// A page of a list of contacts.
#[derive(Clone, Debug)]
pub struct ContactPage {
    /// The contacts, with what lists show.
    pub contacts: Vec<Contact>,
    /// Where the next page begins. It holds an id and a keyed hash, never a name: it stands in a URL.
    pub next: Option<String>,
}

/// Why a position is refused.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// It is no position, or the contact that it stood at has moved or gone.
    #[error("the list has moved on from this position")]
    Invalid,
    /// DynamoDB failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
}

/// How many pages of up to 1 MB a step of the walk reads at most.
const STEP_PAGES: u32 = 20;

/// A step of the walk over a whole selection, in the order of entry.
#[derive(Clone, Debug)]
pub struct ScanPage {
    /// The contacts.
    pub contacts: Vec<Contact>,
    /// Where the walk goes on; it names nobody. `None` at the end.
    pub next: Option<String>,
}

/// What a preview reads of each contact; the ids stand in the key.
const SUMMARY: &str = "pk, state, version, document_count, document_bytes, last_archive.id, \
    last_archive.contact_version, last_archive.expires_at, last_archive.document_count, \
    last_archive.document_bytes, last_archive.downloaded_at, hold, anonymised, sealed_at";

/// A step of the walk over a whole selection, as a preview reads it.
#[derive(Clone, Debug)]
pub struct SummaryPage {
    /// The contacts.
    pub contacts: Vec<ContactSummary>,
    /// Where the walk goes on; it names nobody. `None` at the end.
    pub next: Option<String>,
}

fn read_summary(mut attributes: Attributes) -> Result<ContactSummary, CloudError> {
    let id = text_of(&attributes, "pk").and_then(|pk| pk.split_once("#C#"));
    let id = id.map(|(_, id)| text(id));
    let id = id.ok_or(CloudError::Corrupt { what: "contact" })?;
    attributes.insert("contact_id".to_owned(), id);
    items::read("contact", attributes)
}

impl Cloud {
    /// One page of a tenant's contacts.
    ///
    /// # Errors
    /// [`CursorError`] when `position` does not fit any more, or DynamoDB fails.
    pub async fn list_contacts(
        &self,
        tenant: &TenantId,
        query: &ContactQuery,
        sort: ContactSort,
        position: Option<&str>,
        limit: u32,
    ) -> Result<ContactPage, CursorError> {
        let before = match position {
            None => None,
            Some(position) => Some(self.contact_at(tenant, sort, position).await?),
        };
        // DynamoDB refuses to begin outside of what is asked for: a cursor of another search.
        if let (Some(Search::LastName(prefix)), Some(before)) = (&query.search, &before)
            && by_name(sort)
            && !before.name_key().starts_with(prefix)
        {
            return Err(CursorError::Invalid);
        }
        if let Some(Search::Email(email)) = &query.search {
            return Ok(self
                .list_by_email(tenant, query, email, sort, before, limit)
                .await?);
        }
        let mut request = index_query(tenant, query, sort);
        request.after = before.map(|contact| start_key(&contact, sort));
        let (found, more) = self.contacts.query_filled(request, limit).await?;
        let contacts: Result<Vec<_>, _> = found.into_iter().map(read_contact).collect();
        let contacts = contacts?;
        let last = contacts.last().filter(|_| more);
        let next = self.position_after(last, sort).await?;
        Ok(ContactPage { contacts, next })
    }

    /// How many contacts match; counted up to a little over 10,000.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn count_contacts(
        &self,
        tenant: &TenantId,
        query: &ContactQuery,
        sort: ContactSort,
    ) -> Result<u64, CloudError> {
        if let Some(Search::Email(email)) = &query.search {
            let found = self.contacts_by_email(tenant, email).await?;
            return Ok(found.iter().filter(|contact| query.admits(contact)).count() as u64);
        }
        self.contacts.count(index_query(tenant, query, sort)).await
    }

    /// A step of the walk over all contacts that match and were entered before an instant: `limit`
    /// of them, unless the end comes first, or so much was read that a step would take too long.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn scan_contacts(
        &self,
        tenant: &TenantId,
        query: &ContactQuery,
        created_before: Option<Timestamp>,
        position: Option<&str>,
        limit: u32,
    ) -> Result<ScanPage, CloudError> {
        if let Some(Search::Email(email)) = &query.search {
            let mut page = self.scan_by_email(tenant, query, email, position, limit).await?;
            page.contacts
                .retain(|contact| created_before.is_none_or(|before| contact.created_at < before));
            return Ok(page);
        }
        let mut request = walk_query(tenant, query, created_before, position);
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut contacts = Vec::new();
        let mut pages = 0;
        loop {
            pages += 1;
            // DynamoDB counts what it looks at, not what passes a filter: then whole pages are read.
            let left = u32::try_from(wanted.saturating_sub(contacts.len())).unwrap_or(u32::MAX);
            let read = request.filter.is_none().then_some(left.max(1));
            let (found, next) = self.contacts.query_page(request.clone(), read).await?;
            for attributes in found {
                contacts.push(read_contact(attributes)?);
            }
            if contacts.len() >= wanted || next.is_none() {
                let more = contacts.len() > wanted || next.is_some();
                contacts.truncate(wanted);
                let last = contacts.last().filter(|_| more);
                let next = last.map(|last| keys::by_created(tenant, last.created_at, &last.id).1);
                return Ok(ScanPage { contacts, next });
            }
            if pages == STEP_PAGES {
                let next = next.as_ref().and_then(|next| text_of(next, "by_created_sk"));
                let next = next.map(str::to_owned);
                return Ok(ScanPage { contacts, next });
            }
            request.after = next;
        }
    }

    /// A step of the same walk, as long as DynamoDB makes it, that reads of each contact what a preview asks: of
    /// what was read, nothing is read again. It may find nobody and still not be the last.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn summarise_contacts(
        &self,
        tenant: &TenantId,
        query: &ContactQuery,
        created_before: Option<Timestamp>,
        position: Option<&str>,
    ) -> Result<SummaryPage, CloudError> {
        if matches!(query.search, Some(Search::Email(_))) {
            let scan = self.scan_contacts(tenant, query, created_before, position, u32::MAX);
            let page = scan.await?;
            return Ok(SummaryPage {
                contacts: page.contacts.into_iter().map(ContactSummary::from).collect(),
                next: page.next,
            });
        }
        let request = Query {
            projection: Some(SUMMARY),
            ..walk_query(tenant, query, created_before, position)
        };
        let (found, next) = self.contacts.query_page(request, None).await?;
        let contacts: Result<Vec<_>, _> = found.into_iter().map(read_summary).collect();
        let next = next.as_ref().and_then(|next| text_of(next, "by_created_sk"));
        Ok(SummaryPage {
            contacts: contacts?,
            next: next.map(str::to_owned),
        })
    }

    async fn scan_by_email(
        &self,
        tenant: &TenantId,
        query: &ContactQuery,
        email: &str,
        position: Option<&str>,
        limit: u32,
    ) -> Result<ScanPage, CloudError> {
        let mut contacts = self.contacts_by_email(tenant, email).await?;
        contacts.retain(|contact| query.admits(contact));
        contacts.sort_by(|a, b| a.id.cmp(&b.id));
        contacts.retain(|contact| position.is_none_or(|position| contact.id.as_str() > position));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = contacts.len() > limit;
        contacts.truncate(limit);
        let next = contacts
            .last()
            .filter(|_| more)
            .map(|contact| contact.id.to_string());
        Ok(ScanPage { contacts, next })
    }

    /// Every contact with this address, of any state.
    async fn contacts_by_email(&self, tenant: &TenantId, email: &str) -> Result<Vec<Contact>, CloudError> {
        let query = Query {
            index: Some("by_email"),
            partition: ("by_email_pk", keys::by_email_partition(tenant, email)),
            ..Query::partition(String::new())
        };
        let found = self.contacts.query_all(query).await?;
        let ids = found.iter().filter_map(|keys| text_of(keys, "by_email_sk"));
        let ids: Vec<_> = ids.filter_map(|id| ContactId::parse(id).ok()).collect();
        let contacts = self.contacts_by_id(tenant, &ids).await?;
        // The index follows the table with a delay: what has changed since does not match.
        let matches = |contact: &Contact| {
            contact
                .fields
                .email
                .as_ref()
                .is_some_and(|own| own.expose().normalised() == email)
        };
        Ok(contacts.into_iter().flatten().filter(matches).collect())
    }

    async fn list_by_email(
        &self,
        tenant: &TenantId,
        query: &ContactQuery,
        email: &str,
        sort: ContactSort,
        before: Option<Contact>,
        limit: u32,
    ) -> Result<ContactPage, CloudError> {
        let mut contacts = self.contacts_by_email(tenant, email).await?;
        contacts.retain(|contact| query.admits(contact));
        contacts.sort_by_cached_key(|contact| sort_key(contact, sort));
        if is_backwards(sort) {
            contacts.reverse();
        }
        if let Some(before) = before {
            let key = sort_key(&before, sort);
            let is_after = |contact: &Contact| {
                let own = sort_key(contact, sort);
                if is_backwards(sort) { own < key } else { own > key }
            };
            contacts.retain(is_after);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = contacts.len() > limit;
        contacts.truncate(limit);
        contacts.iter_mut().for_each(drop_what_lists_leave_out);
        let last = contacts.last().filter(|_| more);
        let next = self.position_after(last, sort).await?;
        Ok(ContactPage { contacts, next })
    }

    /// Where the page after this contact begins.
    async fn position_after(
        &self,
        last: Option<&Contact>,
        sort: ContactSort,
    ) -> Result<Option<String>, CloudError> {
        match last {
            None => Ok(None),
            Some(last) => Ok(Some(position_of(self.hash_key().await?, last, sort))),
        }
    }

    /// The contact at which a page ended, if it still stands where it stood.
    async fn contact_at(
        &self,
        tenant: &TenantId,
        sort: ContactSort,
        position: &str,
    ) -> Result<Contact, CursorError> {
        let id = position
            .split_once('.')
            .map(|(id, _)| id)
            .ok_or(CursorError::Invalid)?;
        let id = ContactId::parse(id).map_err(|_| CursorError::Invalid)?;
        let contact = self.contact(tenant, &id).await?.ok_or(CursorError::Invalid)?;
        if position_of(self.hash_key().await?, &contact, sort) == position {
            Ok(contact)
        } else {
            Err(CursorError::Invalid)
        }
    }
}

/// Leaves of a contact that was read whole what the indexes project, so that a row says the same
/// whichever way it was found.
fn drop_what_lists_leave_out(contact: &mut Contact) {
    contact.fields.address = None;
    contact.fields.notes = None;
    contact.fields.custom_fields = None;
}

fn is_backwards(sort: ContactSort) -> bool {
    matches!(
        sort,
        ContactSort::LastNameDescending | ContactSort::CreatedAtDescending
    )
}

fn by_name(sort: ContactSort) -> bool {
    matches!(sort, ContactSort::LastName | ContactSort::LastNameDescending)
}

fn sort_key(contact: &Contact, sort: ContactSort) -> String {
    let (_, key) = if by_name(sort) {
        keys::by_name(&contact.tenant_id, &contact.name_key(), &contact.id)
    } else {
        keys::by_created(&contact.tenant_id, contact.created_at, &contact.id)
    };
    key
}

fn position_of(key: &HashKey, contact: &Contact, sort: ContactSort) -> String {
    let hash = key.hash(HashPurpose::ListPosition, sort_key(contact, sort).as_bytes());
    let short: String = hash.to_string().chars().take(12).collect();
    format!("{}.{short}", contact.id)
}

fn start_key(contact: &Contact, sort: ContactSort) -> Attributes {
    let mut key = Table::key_attributes(&keys::contact(&contact.tenant_id, &contact.id));
    let (pk, sk) = if by_name(sort) {
        ("by_name_pk", "by_name_sk")
    } else {
        ("by_created_pk", "by_created_sk")
    };
    key.insert(pk.into(), text(keys::tenant_partition(&contact.tenant_id)));
    key.insert(sk.into(), text(sort_key(contact, sort)));
    key
}

/// The start key of the walk from its position, the sort key of index `by_created`.
fn created_key(tenant: &TenantId, position: &str) -> Attributes {
    let id = position.rsplit_once('#').map_or("", |(_, id)| id);
    let mut key = Attributes::from([
        ("by_created_pk".to_owned(), text(keys::tenant_partition(tenant))),
        ("by_created_sk".to_owned(), text(position)),
    ]);
    if let Ok(id) = ContactId::parse(id) {
        key.extend(Table::key_attributes(&keys::contact(tenant, &id)));
    }
    key
}

/// The walk over contacts in the order in which they were entered.
fn walk_query(
    tenant: &TenantId,
    query: &ContactQuery,
    created_before: Option<Timestamp>,
    position: Option<&str>,
) -> Query {
    let before = created_before.map(|before| Condition::Less("by_created_sk", text(keys::sortable(before))));
    Query {
        range: before,
        after: position.map(|position| created_key(tenant, position)),
        ..index_query(tenant, query, ContactSort::CreatedAt)
    }
}

fn index_query(tenant: &TenantId, query: &ContactQuery, sort: ContactSort) -> Query {
    let (index, pk) = if by_name(sort) {
        ("by_name", "by_name_pk")
    } else {
        ("by_created", "by_created_pk")
    };
    let mut range = None;
    let mut filters = Vec::new();
    match &query.search {
        Some(Search::LastName(prefix)) if by_name(sort) => {
            range = Some(Condition::BeginsWith("by_name_sk", text(prefix)));
        }
        Some(Search::LastName(prefix)) => filters.push(Condition::BeginsWith("name_key", text(prefix))),
        Some(Search::Email(_)) | None => {}
    }
    if let Some(state) = query.state {
        let code = match state {
            ContactState::Active => "active",
            ContactState::Anonymised => "anonymised",
        };
        filters.push(Condition::Equal("state", text(code)));
    }
    if let Some(member) = &query.assigned_to {
        filters.push(Condition::Equal("assigned_to", text(member)));
    }
    Query {
        index: Some(index),
        partition: (pk, keys::tenant_partition(tenant)),
        range,
        filter: (!filters.is_empty()).then_some(Condition::All(filters)),
        projection: None,
        backwards: is_backwards(sort),
        after: None,
    }
}
