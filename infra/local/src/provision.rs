//! Makes at any AWS endpoint what `template.yaml` describes, so that the local runner, the tests and
//! production cannot drift apart.
//!
//! The template stands in the binary. Tables, buckets, queues, the mail identity and the key are made over
//! the real SDK; what has no meaning outside AWS (roles, alarms, log groups …) is left out by name, with
//! its reason, in [`resources`]. A type or a property that is not known here is an error.
//!
//! Running it twice is fine: what is there is compared. What AWS can change in place (lifecycle,
//! CORS, queue attributes) is changed; a table whose keys or indexes differ is an error.

mod buckets;
mod evaluate;
mod event_pattern;
mod functions;
mod keys;
mod mail;
pub mod node;
mod queues;
mod resources;
mod tables;
pub mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use futures::future::try_join_all;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::evaluate::{Evaluator, Made};
pub use self::event_pattern::EventPattern;
use self::functions::Functions;
use self::resources::Kind;
use self::template::{Resource, Template};

/// The region that is claimed; local endpoints do not mind.
const REGION: &str = "eu-west-1";

/// What differs from one local stack to another.
#[derive(Clone, Debug)]
pub struct ProvisionParameters {
    /// What the names of all resources begin with: lower-case letters, digits and hyphens.
    pub prefix: String,
    /// Address of the staff front end, which mails link to.
    pub front_end_url: String,
    /// Origins that browsers may call from; at least one.
    pub allowed_origins: Vec<String>,
    /// OIDC issuer of the tokens.
    pub issuer: String,
    /// Sender of the mails.
    pub mail_from: String,
    /// What the functions log: `error`, `warn`, `info` or `debug`.
    pub log_level: String,
    /// The KMS key that signs archives; empty: the one that the template makes.
    pub archive_key_id: String,
    /// Public keys of archives that others have signed, each as base64 of its DER, separated by commas.
    pub trusted_archive_keys: String,
}

/// A queue that a function reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSource {
    /// The function's name, as its folder under `functions/`.
    pub function: String,
    /// The queue.
    pub queue_url: String,
    /// How many messages one event holds at most.
    pub batch_size: u32,
    /// How many events are worked on at once, at most.
    pub max_concurrency: u32,
}

/// A function that is started again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The function's name, as its folder under `functions/`.
    pub function: String,
    /// From one start to the next.
    pub every: Duration,
}

/// Events that go to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRule {
    /// The queue.
    pub queue_url: String,
    /// Which events.
    pub pattern: EventPattern,
}

/// What was made, or found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// For each function, by the name of its folder, its environment variables.
    pub environment: BTreeMap<String, BTreeMap<String, String>>,
    /// The queues and who reads them.
    pub queues: Vec<EventSource>,
    /// What runs by the clock.
    pub schedules: Vec<Schedule>,
    /// What runs when something happens.
    pub rules: Vec<EventRule>,
}

/// Why resources cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The template is not what it should be.
    #[error("the template cannot be read: {0}")]
    Template(String),
    /// A resource says what is not known here.
    #[error("resource `{resource}` of the template: {detail}")]
    Resource {
        /// Its logical id.
        resource: String,
        /// What is wrong.
        detail: String,
    },
    /// A parameter is missing or cannot be.
    #[error("parameter `{parameter}` of the template: {detail}")]
    Parameter {
        /// Its name.
        parameter: String,
        /// What is wrong.
        detail: String,
    },
    /// The endpoint refused or could not be reached.
    #[error("{operation} for `{name}` failed: {detail}")]
    Call {
        /// The operation of the AWS API.
        operation: &'static str,
        /// The resource's name at the endpoint.
        name: String,
        /// What the endpoint says.
        detail: String,
    },
    /// What is there is not what the template says, and cannot be changed in place.
    #[error("`{name}` differs in its {what}: {found} is there, {wanted} is needed")]
    Differs {
        /// The resource's name at the endpoint.
        name: String,
        /// Which part.
        what: &'static str,
        /// What is there.
        found: String,
        /// What the template says.
        wanted: String,
    },
}

/// Makes the tables, buckets, queues, mail identity and key of the template at this endpoint, or finds them
/// there, and says how the functions are set up for them.
///
/// # Errors
/// [`ProvisionError`] when the template says what is not known here, when the endpoint refuses, or when
/// what is there is different and cannot be changed.
pub async fn provision(
    endpoint_url: &str,
    parameters: &ProvisionParameters,
) -> Result<Provisioned, ProvisionError> {
    let template = Template::embedded()?;
    let mut evaluator = Evaluator::new(template, parameters)?;
    let endpoint = Endpoint::new(endpoint_url);

    let mut pending = Vec::new();
    let (mut functions, mut rules) = (Vec::new(), Vec::new());
    for resource in template.resources() {
        if !evaluator.holds(resource)? {
            continue;
        }
        match Kind::of(resource)? {
            Kind::Function => functions.push(resource),
            Kind::EventRule => rules.push(resource),
            Kind::Elsewhere => {}
            kind => pending.push((resource, kind)),
        }
    }

    // What refers to something that is not made yet waits for the next round.
    while !pending.is_empty() {
        let mut ready = Vec::new();
        let mut waiting = Vec::new();
        for (resource, kind) in &pending {
            let (properties, missing) = evaluator.properties(resource)?;
            if pending
                .iter()
                .any(|(other, _)| missing.contains(&other.logical_id))
            {
                waiting.push((*resource, *kind));
            } else {
                let name = match kind {
                    // A key has no name of its own: a second run finds it by its alias.
                    Kind::Key => evaluator.alias_of(resource)?,
                    _ => format!("{}-{}", parameters.prefix, kind.short_name(&resource.logical_id)),
                };
                ready.push((*resource, *kind, name, properties));
            }
        }
        if ready.is_empty() {
            let names: Vec<_> = waiting
                .iter()
                .map(|(resource, _)| resource.logical_id.as_str())
                .collect();
            return Err(ProvisionError::Template(format!(
                "`{}` refer to one another",
                names.join("`, `")
            )));
        }
        let made = ready.into_iter().map(|(resource, kind, name, properties)| {
            let endpoint = &endpoint;
            async move {
                let made = endpoint.make(resource, kind, name, properties).await?;
                Ok((resource.logical_id.clone(), made))
            }
        });
        for (logical_id, made) in try_join_all(made).await? {
            evaluator.add(logical_id, made);
        }
        pending = waiting;
    }

    let mut set_up = Functions::new(&evaluator)?;
    for function in functions {
        set_up.add(function)?;
    }
    for rule in rules {
        set_up.add_rule(rule)?;
    }
    Ok(set_up.finish())
}

/// The clients for one endpoint.
struct Endpoint {
    tables: aws_sdk_dynamodb::Client,
    buckets: aws_sdk_s3::Client,
    queues: aws_sdk_sqs::Client,
    mail: aws_sdk_sesv2::Client,
    keys: aws_sdk_kms::Client,
}

impl Endpoint {
    fn new(url: &str) -> Self {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(url)
            .region(Region::from_static(REGION))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "local",
            )))
            .build();
        let by_path = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build();
        Self {
            tables: aws_sdk_dynamodb::Client::new(&config),
            buckets: aws_sdk_s3::Client::from_conf(by_path),
            queues: aws_sdk_sqs::Client::new(&config),
            mail: aws_sdk_sesv2::Client::new(&config),
            keys: aws_sdk_kms::Client::new(&config),
        }
    }

    async fn make(
        &self,
        resource: &Resource,
        kind: Kind,
        name: String,
        properties: Value,
    ) -> Result<Made, ProvisionError> {
        match kind {
            Kind::Table => tables::make(&self.tables, name, typed(resource, properties)?).await,
            // Four parts are set up at once, which makes a large future.
            Kind::Bucket => Box::pin(buckets::make(&self.buckets, name, typed(resource, properties)?)).await,
            Kind::Queue => queues::make(&self.queues, name, typed(resource, properties)?).await,
            Kind::MailIdentity => mail::make(&self.mail, typed(resource, properties)?).await,
            Kind::Key => keys::make(&self.keys, name, typed(resource, properties)?).await,
            Kind::KeyAlias => keys::name(&self.keys, typed(resource, properties)?).await,
            Kind::Function | Kind::EventRule | Kind::Elsewhere => Err(ProvisionError::Resource {
                resource: resource.logical_id.clone(),
                detail: "is nothing that an endpoint makes".into(),
            }),
        }
    }
}

/// Reads properties into a shape that knows each of them.
fn typed<T: DeserializeOwned>(resource: &Resource, properties: Value) -> Result<T, ProvisionError> {
    serde_json::from_value(properties).map_err(|error| ProvisionError::Resource {
        resource: resource.logical_id.clone(),
        detail: error.to_string(),
    })
}

/// Turns an SDK's error into ours.
fn failed<E>(operation: &'static str, name: &str) -> impl FnOnce(SdkError<E>) -> ProvisionError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let name = name.to_owned();
    move |error| {
        let detail = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => chain(&error),
        };
        ProvisionError::Call {
            operation,
            name,
            detail,
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Turns what is wrong with a request, before it is sent or while its effect is awaited, into our error.
fn unwritable<E: Display>(operation: &'static str, name: &str) -> impl FnOnce(E) -> ProvisionError {
    let name = name.to_owned();
    move |error| ProvisionError::Call {
        operation,
        name,
        detail: error.to_string(),
    }
}

/// Whether the endpoint answered with one of these error codes.
fn is_code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, codes: &[&str]) -> bool {
    error.code().is_some_and(|code| codes.contains(&code))
}

/// Brings one part of a resource to what is wanted: reads it, writes it where it differs, and reads it
/// again, since an endpoint may say yes and forget.
async fn settle<T: PartialEq + Debug>(
    name: &str,
    what: &'static str,
    wanted: &T,
    read: impl AsyncFn() -> Result<Option<T>, ProvisionError>,
    write: impl AsyncFn() -> Result<(), ProvisionError>,
) -> Result<(), ProvisionError> {
    if read().await?.as_ref() == Some(wanted) {
        return Ok(());
    }
    write().await?;
    same(name, what, wanted, read().await?.as_ref())
}

/// Nothing but what is wanted may be there.
fn same<T: PartialEq + Debug>(
    name: &str,
    what: &'static str,
    wanted: &T,
    found: Option<&T>,
) -> Result<(), ProvisionError> {
    if found == Some(wanted) {
        return Ok(());
    }
    Err(ProvisionError::Differs {
        name: name.to_owned(),
        what,
        found: found.map_or_else(|| "nothing".into(), |found| format!("{found:?}")),
        wanted: format!("{wanted:?}"),
    })
}

/// Logical ids that an expression refers to and that are not made.
type Missing = BTreeSet<String>;
