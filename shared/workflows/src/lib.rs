//! What Oubli does: the steps of each use case over domain and cloud.
//!
//! A method here is a use case: it reads, lets the domain decide, writes. HTTP and queues are the
//! functions' affair; AWS is `oubli-cloud`'s. Time and ids come from [`Clock`] and [`Ids`].

mod access;
mod actions;
mod anonymising;
mod approval;
mod archive_uploads;
mod archives;
mod audit;
mod clock;
mod contacts;
mod documents;
mod error;
mod exporting;
mod groups;
mod idempotency;
mod memberships;
mod names;
mod notifying;
mod paging;
mod planning;
mod preview;
mod provisioning;
mod redelivering;
mod restoring;
mod settling;
mod signing;
mod sweeping;
mod working;

use std::sync::Arc;

use jiff::Timestamp;
use oubli_archive::signature::PublicKey;
use oubli_cloud::Cloud;
use oubli_domain::{MemberId, TenantId};
pub use oubli_mail::{FrontEndUrl, FrontEndUrlError};

pub use access::{Me, MemberChange};
pub use actions::{ItemDetail, NewAction};
pub use archive_uploads::{ArchiveUploadLinks, NewArchiveUpload, UploadPart};
pub use clock::{Clock, Ids, SystemClock, SystemIds};
pub use contacts::{ContactCard, ContactListQuery, Expected};
pub use documents::{NewDocument, Upload};
pub use error::{Conflict, WorkflowError};
pub use groups::GroupDraft;
pub use idempotency::Idempotency;
pub use names::MemberNames;
pub use oubli_cloud::{PastAction, WorkQueue};
pub use paging::PageRequest;
pub use preview::{Blocked, ContactArchive, Preview};
pub use provisioning::NewTenant;
pub use redelivering::redelivery_pause;
pub use signing::{ArchiveKey, ArchiveKeyState, TrustedArchiveKeys};
pub use sweeping::Swept;
pub use working::ItemBatch;

/// Who asks: read from a verified token, and from nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant that the token is for.
    pub tenant_id: TenantId,
    /// The member who signed in.
    pub member_id: MemberId,
}

/// Oubli's use cases. Cheap to clone.
#[derive(Clone)]
pub struct Oubli {
    cloud: Cloud,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    front_end: Option<FrontEndUrl>,
    trusted_archive_keys: Arc<[PublicKey]>,
}

impl Oubli {
    /// Oubli over AWS, with the system's clock and ids.
    pub fn new(cloud: Cloud) -> Self {
        Self {
            cloud,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            front_end: None,
            trusted_archive_keys: Arc::default(),
        }
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// With other ids.
    #[must_use]
    pub fn with_ids(self, ids: Arc<dyn Ids>) -> Self {
        Self { ids, ..self }
    }

    /// With the front end to which mails lead. Only the notifier needs it.
    #[must_use]
    pub fn with_front_end(self, front_end: FrontEndUrl) -> Self {
        Self {
            front_end: Some(front_end),
            ..self
        }
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Where the present comes from.
    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Where new ids come from.
    pub fn ids(&self) -> &dyn Ids {
        self.ids.as_ref()
    }
}
