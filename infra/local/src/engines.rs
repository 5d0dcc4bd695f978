//! The embedded AWS endpoint: the five engines, their state on disk, and the listener in front of them.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::clock::EngineClock;
use crate::dynamodb::{DynamoDbEngine, DynamoDbError};
use crate::endpoint::Endpoint;
use crate::faults::FaultPlan;
use crate::kms::{KmsEngine, KmsError};
use crate::s3::{RemovedObject, S3Engine, S3EngineError};
use crate::ses::{SesEngine, SesError};
use crate::sqs::{SqsEngine, SqsError};

/// How long the listener rests after the system refused it a connection (too many open files).
const REST_AFTER_REFUSAL: Duration = Duration::from_millis(50);

/// Where and how to start the engines.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The folder of the state, made if it is absent. `None`: tables, queues and keys in memory, objects
    /// and mails in a temporary folder that goes with the engines.
    pub state: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    pub bind: SocketAddr,
    /// The clock that all engines follow.
    pub clock: EngineClock,
}

impl EngineOptions {
    /// What a test wants: nothing kept, a free port of the loopback.
    pub fn ephemeral(clock: EngineClock) -> Self {
        Self {
            state: None,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            clock,
        }
    }
}

/// Why the engines cannot start, or not be swept.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The address is taken, or is not ours.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        error: io::Error,
    },
    /// The folder of the state cannot be used.
    #[error("the state folder `{path}` cannot be used: {error}")]
    State {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The tables cannot be used.
    #[error(transparent)]
    Tables(#[from] DynamoDbError),
    /// The objects cannot be used.
    #[error(transparent)]
    Objects(#[from] S3EngineError),
    /// The queues cannot be used.
    #[error(transparent)]
    Queues(#[from] SqsError),
    /// The mails cannot be used.
    #[error(transparent)]
    Mails(#[from] SesError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KmsError),
}

/// What a sweep removed.
#[derive(Debug)]
pub struct Swept {
    /// Items whose time to live had passed.
    pub items: usize,
    /// Objects that a lifecycle rule said were due.
    pub objects: Vec<RemovedObject>,
}

/// The running engines. Dropping them stops the listener.
pub struct Engines {
    endpoint: Arc<Endpoint>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    listener: JoinHandle<()>,
    /// Deleted with the engines.
    _temporary: Option<TempDir>,
}

impl Engines {
    /// Opens the state and starts to listen.
    ///
    /// # Errors
    /// When the address is in use, or the state is damaged or of a newer format.
    pub async fn start(options: EngineOptions) -> Result<Self, EngineError> {
        let EngineOptions { state, bind, clock } = options;
        let listener = TcpListener::bind(bind)
            .await
            .map_err(|error| EngineError::Bind { address: bind, error })?;
        let address = listener
            .local_addr()
            .map_err(|error| EngineError::Bind { address: bind, error })?;

        let temporary = match &state {
            Some(_) => None,
            None => Some(
                TempDir::with_prefix("oubli-engines-").map_err(|error| EngineError::State {
                    path: std::env::temp_dir(),
                    error,
                })?,
            ),
        };
        let root = match (&state, &temporary) {
            (Some(root), _) => root.as_path(),
            (None, Some(temporary)) => temporary.path(),
            (None, None) => Path::new("."),
        };
        std::fs::create_dir_all(root).map_err(|error| EngineError::State {
            path: root.to_owned(),
            error,
        })?;
        // The objects first: their store refuses a folder that another process has open.
        let s3 = S3Engine::open(root.join("s3"), clock.clone()).await?;
        let (tables, queues, keys) = if state.is_some() {
            (
                DynamoDbEngine::open(root, clock.clone())?,
                SqsEngine::open(&root.join("queues.jsonl"), clock.clone())?,
                KmsEngine::open(&root.join("keys.json"), clock.clone())?,
            )
        } else {
            (
                DynamoDbEngine::in_memory(clock.clone())?,
                SqsEngine::in_memory(clock.clone()),
                KmsEngine::in_memory(clock.clone()),
            )
        };
        let mails = SesEngine::open(root, clock)?;
        let endpoint = Arc::new(Endpoint {
            tables,
            s3,
            queues,
            mails,
            keys,
            faults: FaultPlan::default(),
        });

        let (stop, stopped) = watch::channel(false);
        let listener = tokio::spawn(accept(listener, Arc::clone(&endpoint), stopped));
        Ok(Self {
            endpoint,
            address,
            stop,
            listener,
            _temporary: temporary,
        })
    }

    /// Where clients find the engines: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Faults to inject, and the record of calls.
    pub fn faults(&self) -> &FaultPlan {
        &self.endpoint.faults
    }

    /// The objects.
    pub fn s3(&self) -> &S3Engine {
        &self.endpoint.s3
    }

    /// The queues.
    pub fn queues(&self) -> &SqsEngine {
        &self.endpoint.queues
    }

    /// The mails.
    pub fn mails(&self) -> &SesEngine {
        &self.endpoint.mails
    }

    /// The tables.
    pub fn tables(&self) -> &DynamoDbEngine {
        &self.endpoint.tables
    }

    /// Removes what is due by the clock: items by their time to live, objects by lifecycle rules.
    ///
    /// # Errors
    /// When an engine cannot read or write its state.
    pub async fn sweep(&self) -> Result<Swept, EngineError> {
        let items = self.endpoint.tables.sweep_ttl().await?;
        let objects = self.endpoint.s3.sweep_lifecycle().await?;
        Ok(Swept { items, objects })
    }

    /// Stops listening, cuts what is still connected, and waits for both.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.listener).await {
            tracing::error!(%error, "the listener of the engines failed");
        }
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        self.listener.abort();
        // Connections end a moment later; what they still hold must not change the state any more, which
        // other engines may open now.
        self.endpoint.queues.close();
        self.endpoint.s3.close();
    }
}

async fn accept(listener: TcpListener, endpoint: Arc<Endpoint>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // Also when the sender is gone: nobody could stop us any more.
            _ = stop.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&endpoint)));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    tokio::time::sleep(REST_AFTER_REFUSAL).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, endpoint: Arc<Endpoint>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection takes no options");
    }
    let service = service_fn(move |request| Arc::clone(&endpoint).answer(request));
    // A client that hangs up, and an injected cut, end here; both are what they should be.
    if let Err(error) = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
    {
        tracing::trace!(%error, "connection ended");
    }
}

/// Reads a small JSON file; `None` if there is none.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a small JSON file whole: a reader, or a restart, sees the old text or the new.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(
        &draft,
        serde_json::to_vec_pretty(value).map_err(io::Error::other)?,
    )?;
    std::fs::rename(&draft, path)
}
