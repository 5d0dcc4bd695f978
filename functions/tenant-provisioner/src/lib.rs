//! Function `tenant-provisioner`: opens a tenant, invoked by hand.
//!
//! The same event twice changes nothing. An operator reads the answer, so what is wrong is said
//! field by field, and never with the value: errors are logged, and a name or an address is not.

mod event;

use lambda_runtime::Diagnostic;
use oubli_domain::TenantId;
use oubli_runtime::error_chain::ErrorChain;
use oubli_workflows::{Oubli, WorkflowError};
use serde::Serialize;
use serde_json::Value;

pub use event::EventError;

/// Why no tenant was opened.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The event cannot be used as it is.
    #[error(transparent)]
    Event(#[from] EventError),
    /// It could be used, and the work failed.
    #[error("the tenant could not be opened")]
    Workflow(#[from] WorkflowError),
}

/// What Lambda tells the invoker and logs: the error with its causes, not its inner shape.
impl From<ProvisionError> for Diagnostic {
    fn from(error: ProvisionError) -> Self {
        Self {
            error_type: "ProvisionError".to_owned(),
            error_message: ErrorChain(&error).to_string(),
        }
    }
}

/// The answer to the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProvisionedBody {
    /// The tenant.
    pub tenant_id: TenantId,
    /// Whether this event opened it; `false` when it was there already.
    pub created: bool,
}

/// Opens the tenant of the event, with its administrator and a group that has every right.
///
/// # Errors
/// [`ProvisionError`] when the event is wrong or the work fails.
pub async fn handle(oubli: &Oubli, event: Value) -> Result<ProvisionedBody, ProvisionError> {
    let new_tenant = event::parse(event)?;
    let tenant_id = new_tenant.tenant_id.clone();
    let created = oubli.provision_tenant(new_tenant).await?;
    tracing::info!(%tenant_id, created, "a tenant was provisioned");
    Ok(ProvisionedBody { tenant_id, created })
}
