//! An engine of one's own behind a free port, and a client for it.

use std::path::{Path, PathBuf};

use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region, RequestChecksumCalculation};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use hyper_util::rt::TokioIo;
use oubli_local::clock::EngineClock;
use oubli_local::s3::S3Engine;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) struct TestS3 {
    pub(crate) client: Client,
    pub(crate) engine: S3Engine,
    pub(crate) url: String,
    folder: TempDir,
}

impl TestS3 {
    /// A new store, whose clock stands at `now` until it is moved.
    pub(crate) async fn at(now: &str) -> (Self, EngineClock) {
        let clock = EngineClock::frozen(now.parse().unwrap());
        (
            Self::in_folder(tempfile::tempdir().unwrap(), clock.clone()).await,
            clock,
        )
    }

    /// A new store with a bucket `b`, by the system's time.
    pub(crate) async fn with_bucket() -> Self {
        let s3 = Self::in_folder(tempfile::tempdir().unwrap(), EngineClock::system(0)).await;
        s3.client.create_bucket().bucket("b-1").send().await.unwrap();
        s3
    }

    pub(crate) async fn in_folder(folder: TempDir, clock: EngineClock) -> Self {
        let engine = S3Engine::open(folder.path().join("s3"), clock).await.unwrap();
        let url = serve(engine.clone()).await;
        Self {
            client: client(&url),
            engine,
            url,
            folder,
        }
    }

    /// Closes this store and gives its folder for another.
    pub(crate) fn stop(self) -> TempDir {
        self.engine.close();
        self.folder
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("s3")
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        let body = ByteStream::from(body.into());
        self.client
            .put_object()
            .bucket("b-1")
            .key(key)
            .body(body)
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let output = self
            .client
            .get_object()
            .bucket("b-1")
            .key(key)
            .send()
            .await
            .unwrap();
        output.body.collect().await.unwrap().to_vec()
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let output = self.client.list_objects_v2().bucket("b-1").send().await.unwrap();
        output
            .contents()
            .iter()
            .map(|object| object.key().unwrap().to_owned())
            .collect()
    }
}

pub(crate) fn client(url: &str) -> Client {
    Client::from_conf(config(url).build())
}

/// A client that sends the checksums that it is told, and no others.
pub(crate) fn client_without_checksums(url: &str) -> Client {
    let config = config(url).request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    Client::from_conf(config.build())
}

fn config(url: &str) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-3"))
        .credentials_provider(Credentials::new("any", "test", None, None, "test"))
        .endpoint_url(url)
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
}

async fn serve(engine: S3Engine) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let engine = engine.clone();
            let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let engine = engine.clone();
                async move { engine.call(request.map(s3s::Body::from)).await }
            });
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    url
}

/// The code of an error answer.
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata, R>(
    answer: Result<T, SdkError<E, R>>,
) -> String {
    match answer {
        Ok(output) => panic!("expected an error, got {output:?}"),
        Err(error) => error
            .as_service_error()
            .and_then(|e| e.code())
            .expect("an answer of the service")
            .to_owned(),
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path))
        } else {
            found.push(path)
        }
    }
    found.sort();
    found
}

/// Bytes that repeat nowhere near.
pub(crate) fn pattern(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| step()).collect()
}
