//! Oubli whole in one process: engines, resources from the template, the functions' libraries fed
//! as Lambda feeds them, the API, and the development identity provider.

mod dev_routes;
mod event_sources;
mod functions;
mod http_server;
pub mod identity;
mod object_events;
pub mod seeding;
pub mod state;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use oubli_api::ApiState;
use oubli_api::auth::Issuer;
use oubli_api::cors::AllowedOrigins;
use oubli_archive::signature::PublicKey;
use oubli_workflows::{Clock, Oubli};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::EngineClock;
use crate::engines::{EngineError, EngineOptions, Engines, Swept};
use crate::provision::{ProvisionError, ProvisionParameters, Provisioned, provision};

pub use event_sources::Drained;
pub use functions::Functions;
pub use identity::{Identity, IdentityError, TokenRequest};
pub use state::{StateError, StateFolder};

/// The sender of the local runner's mails.
pub const MAIL_FROM: &str = "oubli@example.com";
/// What the names of the local runner's resources begin with.
const PREFIX: &str = "oubli";

/// How to run.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// Where the state is; `None`: nowhere, it goes with the process.
    pub state: Option<PathBuf>,
    /// On which address to listen.
    pub bind: IpAddr,
    /// The API's port; 0 takes a free one.
    pub port: u16,
    /// The AWS endpoint's port; 0 takes a free one.
    pub aws_port: u16,
    /// The clock that everything follows.
    pub clock: EngineClock,
    /// Whether queues and schedules run by themselves. Tests drain them instead.
    pub by_itself: bool,
    /// Another AWS endpoint than the embedded one, and the prefix of the names to use there.
    pub elsewhere: Option<Elsewhere>,
    /// Where the functions' metrics go.
    pub metrics: MetricsTo,
    /// The KMS key of the endpoint that signs archives; `None`: the one that the template makes.
    pub archive_key_id: Option<String>,
    /// Public keys of archives that other stacks have signed, and that may be restored here.
    pub trusted_archive_keys: Vec<PublicKey>,
}

/// An AWS endpoint that is not ours.
#[derive(Clone, Debug)]
pub struct Elsewhere {
    /// Its URL.
    pub url: String,
    /// What the names of the resources begin with.
    pub prefix: String,
}

/// Where the functions' metrics go.
#[derive(Clone, Debug)]
pub enum MetricsTo {
    /// Standard output, as on Lambda.
    Stdout,
    /// Nowhere.
    Nowhere,
    /// Where a test reads them.
    Memory(Arc<Mutex<Vec<u8>>>),
}

impl RunnerOptions {
    /// What a test wants: nothing kept, free ports, queues that the test drains.
    pub fn ephemeral(clock: EngineClock) -> Self {
        Self {
            state: None,
            bind: IpAddr::from([127, 0, 0, 1]),
            port: 0,
            aws_port: 0,
            clock,
            by_itself: false,
            elsewhere: None,
            metrics: MetricsTo::Nowhere,
            archive_key_id: None,
            trusted_archive_keys: Vec::new(),
        }
    }
}

/// Why it cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The API's address is taken, or is not ours.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The AWS endpoint cannot run.
    #[error(transparent)]
    Engines(#[from] EngineError),
    /// The resources cannot be made.
    #[error(transparent)]
    Provision(#[from] ProvisionError),
    /// The identity provider cannot run.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A function cannot be set up.
    #[error("function `{function}` cannot be set up: {detail}")]
    Function {
        /// Which.
        function: String,
        /// Why.
        detail: String,
    },
}

/// The functions follow the engines' clock.
struct FollowedClock(EngineClock);

impl Clock for FollowedClock {
    fn now(&self) -> jiff::Timestamp {
        let now = self.0.now();
        jiff::Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }
}

/// All of it, running.
pub struct Runner {
    engines: Option<Engines>,
    aws_url: String,
    provisioned: Provisioned,
    functions: Arc<Functions>,
    identity: Arc<Identity>,
    clock: EngineClock,
    api_address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Runner {
    /// Starts everything.
    ///
    /// # Errors
    /// [`RunnerError`]: a port in use, a state folder that cannot be used.
    pub async fn start(options: RunnerOptions) -> Result<Self, RunnerError> {
        let state = options.state.as_deref().map(StateFolder::open).transpose()?;
        let saved = state
            .as_ref()
            .map(StateFolder::clock_offset)
            .transpose()?
            .unwrap_or_default();
        options.clock.advance(saved);
        let address = SocketAddr::new(options.bind, options.port);
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| RunnerError::Bind { address, error })?;
        let api_address = listener
            .local_addr()
            .map_err(|error| RunnerError::Bind { address, error })?;
        let (engines, aws_url, prefix) = match &options.elsewhere {
            Some(elsewhere) => (None, elsewhere.url.clone(), elsewhere.prefix.clone()),
            None => {
                let engines = start_engines(&options, state.as_ref()).await?;
                let url = engines.url();
                (Some(engines), url, PREFIX.to_owned())
            }
        };
        let issuer = format!("http://{}", reachable(api_address));
        let trusted = options.trusted_archive_keys.iter().map(PublicKey::to_base64);
        let parameters = ProvisionParameters {
            archive_key_id: options.archive_key_id.clone().unwrap_or_default(),
            trusted_archive_keys: trusted.collect::<Vec<_>>().join(","),
            ..parameters(prefix, &issuer)
        };
        let provisioned = provision(&aws_url, &parameters).await?;
        let key = state.as_ref().map(StateFolder::identity_key).transpose()?;
        let identity = Arc::new(Identity::new(issuer.clone(), key)?);
        let clock = Arc::new(FollowedClock(options.clock.clone()));
        // Clients for eight functions, which makes a large future.
        let functions = Functions::connect(&provisioned, &aws_url, clock, options.metrics);
        let functions = Box::pin(functions).await?;
        let functions = Arc::new(functions);

        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let router = oubli_api::router(api_state(&functions, &issuer, &parameters)?).merge(
            dev_routes::router(dev_routes::DevState {
                identity: identity.clone(),
                clock: options.clock.clone(),
                mails: engines.as_ref().map(|engines| engines.mails().clone()),
                state: state.clone(),
                oubli: functions.api.clone(),
            }),
        );
        tasks.spawn(http_server::serve(listener, router, stopped.clone()));
        if options.by_itself {
            event_sources::start(&mut tasks, &provisioned, &functions, &aws_url, &stopped).await;
        }
        Ok(Self {
            engines,
            aws_url,
            provisioned,
            functions,
            identity,
            clock: options.clock,
            api_address,
            stop,
            tasks,
        })
    }

    /// Where the API answers.
    pub fn api_url(&self) -> String {
        format!("http://{}", reachable(self.api_address))
    }

    /// Where the AWS endpoint answers.
    pub fn aws_url(&self) -> &str {
        &self.aws_url
    }

    /// The embedded engines, unless another endpoint is used.
    pub fn engines(&self) -> Option<&Engines> {
        self.engines.as_ref()
    }

    /// What was made from the template.
    pub fn provisioned(&self) -> &Provisioned {
        &self.provisioned
    }

    /// The functions.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// The use cases, as the API has them.
    pub fn oubli(&self) -> &Oubli {
        &self.functions.api
    }

    /// The development identity provider.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The clock that everything follows.
    pub fn clock(&self) -> &EngineClock {
        &self.clock
    }

    /// Feeds the functions from their queues until none has a message to be seen.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub async fn drain(&self) -> Result<Drained, event_sources::QueueError> {
        let queues = self.engines.as_ref().map(Engines::queues);
        event_sources::drain(&self.provisioned, &self.functions, &self.aws_url, queues).await
    }

    /// Feeds one function, by the name of its folder, from its queues until none has a message to be seen.
    ///
    /// # Errors
    /// When a queue cannot be read.
    pub async fn drain_one(&self, function: &str) -> Result<Drained, event_sources::QueueError> {
        let queues = self.engines.as_ref().map(Engines::queues);
        let mut provisioned = self.provisioned.clone();
        provisioned.queues.retain(|source| source.function == function);
        event_sources::drain(&provisioned, &self.functions, &self.aws_url, queues).await
    }

    /// Lets the engines remove what is due by the clock, and tells the queues of the objects that are gone, as
    /// EventBridge does. Another endpoint has brooms of its own: `None`.
    ///
    /// # Errors
    /// When an engine cannot read or write its state.
    pub async fn sweep_engines(&self) -> Result<Option<Swept>, EngineError> {
        let Some(engines) = &self.engines else {
            return Ok(None);
        };
        let swept = engines.sweep().await?;
        let now = self.clock.now();
        let client = event_sources::client(&self.aws_url).await;
        object_events::tell(engines, &self.provisioned, &client, &swept.objects, now).await?;
        Ok(Some(swept))
    }

    /// Stops: no new work is begun, what is under way is given up as a killed function would be.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        if let Some(engines) = self.engines.take() {
            engines.shutdown().await;
        }
    }
}

async fn start_engines(options: &RunnerOptions, state: Option<&StateFolder>) -> Result<Engines, EngineError> {
    Engines::start(EngineOptions {
        state: state.map(StateFolder::engines),
        bind: SocketAddr::new(options.bind, options.aws_port),
        clock: options.clock.clone(),
    })
    .await
}

/// The parameters of the template on one machine.
pub fn parameters(prefix: String, issuer: &str) -> ProvisionParameters {
    ProvisionParameters {
        prefix,
        front_end_url: "http://localhost:8080".to_owned(),
        allowed_origins: vec![
            "http://localhost:8080".to_owned(),
            "http://localhost:5173".to_owned(),
        ],
        issuer: issuer.to_owned(),
        mail_from: MAIL_FROM.to_owned(),
        log_level: "info".to_owned(),
        archive_key_id: String::new(),
        trusted_archive_keys: String::new(),
    }
}

fn api_state(
    functions: &Functions,
    issuer: &str,
    parameters: &ProvisionParameters,
) -> Result<ApiState, RunnerError> {
    let failed = |detail: String| RunnerError::Function {
        function: "api".to_owned(),
        detail,
    };
    let issuer = Issuer::parse(issuer).map_err(|error| failed(error.to_string()))?;
    let origins = AllowedOrigins::parse(&parameters.allowed_origins.join(","));
    let origins = origins.map_err(|error| failed(error.to_string()))?;
    ApiState::new(functions.api.clone(), issuer, origins).map_err(|error| failed(error.to_string()))
}

/// An address that a client on this machine can call: "all addresses" is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::from([127, 0, 0, 1]), address.port())
    } else {
        address
    }
}
