//! The demo tenants, their members, and contacts with real documents: all through the code that
//! production uses.

use futures::stream::{self, StreamExt, TryStreamExt};
use oubli_domain::document::DocumentDraft;
use oubli_domain::member::MemberDraft;
use oubli_domain::{MemberId, Sha256, TenantId};
use oubli_workflows::{Conflict, GroupDraft, Idempotency, WorkflowError};
use serde_json::json;

use super::Runner;
use crate::demo::{DemoContact, DemoDocument, DemoError};

/// The tenants of the demo; members are looked for in this order.
pub const DEMO_TENANTS: [&str; 2] = ["demo", "other"];
/// How many contacts are entered side by side.
const AT_ONCE: usize = 8;

/// Why the demo could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The demo's own data cannot be made.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A tenant could not be opened.
    #[error("a demo tenant cannot be opened: {0}")]
    Tenant(String),
    /// A use case failed.
    #[error("the demo cannot be filled: {0}")]
    Workflow(String),
    /// An upload was refused.
    #[error("the upload of a demo document failed: {0}")]
    Upload(String),
}

impl From<WorkflowError> for SeedError {
    fn from(error: WorkflowError) -> Self {
        let cause = std::error::Error::source(&error)
            .map(|cause| format!(": {cause}"))
            .unwrap_or_default();
        Self::Workflow(format!("{error}{cause}"))
    }
}

struct DemoMember {
    id: &'static str,
    name: &'static str,
    email: &'static str,
    in_group: bool,
}

/// Opens the demo tenants with their members and groups. What is there already is left alone.
///
/// # Errors
/// [`SeedError`].
pub async fn seed_tenants(runner: &Runner) -> Result<(), SeedError> {
    let demo = [
        DemoMember {
            id: "agent",
            name: "Agnès Agent",
            email: "agent@demo.example.com",
            in_group: true,
        },
        DemoMember {
            id: "guest",
            name: "Gaspard Guest",
            email: "guest@demo.example.com",
            in_group: false,
        },
    ];
    let administrator =
        json!({ "member_id": "admin", "name": "Alix Admin", "email": "admin@demo.example.com" });
    seed_tenant(runner, "demo", "Démo SARL", "fr", administrator, &demo).await?;
    let other = [DemoMember {
        id: "other-agent",
        name: "Olivia Other",
        email: "other-agent@other.example.com",
        in_group: true,
    }];
    let administrator = json!({ "member_id": "other-admin", "name": "Oscar Other", "email": "other-admin@other.example.com" });
    seed_tenant(runner, "other", "Other Ltd", "en", administrator, &other).await
}

async fn seed_tenant(
    runner: &Runner,
    id: &str,
    name: &str,
    language: &str,
    administrator: serde_json::Value,
    members: &[DemoMember],
) -> Result<(), SeedError> {
    let event = json!({
        "tenant": { "id": id, "name": name, "language": language },
        "administrator": administrator
    });
    let opened = runner.functions().provision_tenant(event).await;
    opened.map_err(|error| SeedError::Tenant(error.to_string()))?;
    let tenant = TenantId::parse(id).map_err(|error| SeedError::Tenant(error.to_string()))?;
    let oubli = runner.oubli();
    for member in members {
        let id = MemberId::parse(member.id).map_err(|error| SeedError::Tenant(error.to_string()))?;
        let draft = MemberDraft {
            name: member.name.to_owned(),
            email: member.email.to_owned(),
        };
        match oubli
            .create_member(&tenant, id, draft, &Idempotency::none())
            .await
        {
            Ok(_) => {}
            Err(WorkflowError::Conflict(Conflict::AlreadyExists)) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    let member_ids = members
        .iter()
        .filter(|member| member.in_group)
        .map(|member| member.id.to_owned())
        .collect();
    let draft = GroupDraft {
        name: "RGPD Contacts Clients".to_owned(),
        rights: vec!["client_contacts_privacy".to_owned()],
        member_ids,
    };
    oubli.create_group(&tenant, draft, &Idempotency::none()).await?;
    Ok(())
}

/// Enters contacts with their documents into a demo tenant, several side by side. `entered` is
/// called after each. `label` keeps a run that was cut off from entering the same contacts twice.
///
/// # Errors
/// [`SeedError`].
pub async fn seed_contacts(
    runner: &Runner,
    tenant: &str,
    label: &str,
    contacts: impl Iterator<Item = Result<DemoContact, DemoError>>,
    entered: impl Fn(),
) -> Result<(), SeedError> {
    let tenant = TenantId::parse(tenant).map_err(|error| SeedError::Tenant(error.to_string()))?;
    let http = reqwest::Client::new();
    let seeds = contacts.enumerate().map(|(index, contact)| {
        let (tenant, http, entered) = (&tenant, &http, &entered);
        async move {
            seed_contact(runner, tenant, http, &format!("{label}-{index}"), contact?).await?;
            entered();
            Ok(())
        }
    });
    stream::iter(seeds).buffer_unordered(AT_ONCE).try_collect().await
}

async fn seed_contact(
    runner: &Runner,
    tenant: &TenantId,
    http: &reqwest::Client,
    key: &str,
    contact: DemoContact,
) -> Result<(), SeedError> {
    let oubli = runner.oubli();
    let once = |what: &str| Idempotency {
        key: Some(format!("{key}-{what}")),
        fingerprint: Sha256::of(b"demo"),
    };
    let created = oubli
        .create_contact(tenant, contact.draft, &once("contact"))
        .await?;
    for (index, document) in contact.documents.into_iter().enumerate() {
        let DemoDocument {
            name,
            content_type,
            kind,
            bytes,
        } = document;
        let draft = DocumentDraft {
            name,
            content_type: content_type.to_owned(),
            size_bytes: bytes.len() as u64,
            sha256: Some(Sha256::of(&bytes).to_string()),
            crc32: None,
            kind,
        };
        let new = oubli
            .create_document(tenant, &created.id, draft, &once(&format!("document-{index}")))
            .await?;
        let mut request = http.put(&new.upload.url).body(bytes);
        for (name, value) in &new.upload.headers {
            request = request.header(name, value);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| SeedError::Upload(error.to_string()))?;
        if !answer.status().is_success() {
            return Err(SeedError::Upload(answer.status().to_string()));
        }
        oubli
            .complete_document(tenant, &created.id, &new.document.id)
            .await?;
    }
    Ok(())
}
