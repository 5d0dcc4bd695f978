//! What stands in queue messages: ids, and nothing else.

use serde::{Deserialize, Serialize};

use crate::ids::{ActionId, ItemId, MailId, TenantId};

/// To `bulk-planner`: do the next step of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanMessage {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which action.
    pub action_id: ActionId,
}

/// To `archive-builder`, `anonymiser` or `restorer`, as the action's kind says: do one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemMessage {
    /// Whose.
    pub tenant_id: TenantId,
    /// For which action.
    pub action_id: ActionId,
    /// In which chunk of it.
    pub chunk: u32,
    /// Which item: a contact, an archive or an upload, as the action's subject says.
    pub item_id: ItemId,
    /// Whether the items of the chunk are to be counted after it: a worker that died may have told the chunk
    /// nothing of what it had ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recount: bool,
}

/// To `notifier`: send one mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifyMessage {
    /// Whose.
    pub tenant_id: TenantId,
    /// About which action.
    pub action_id: ActionId,
    /// Which mail.
    pub mail_id: MailId,
}
