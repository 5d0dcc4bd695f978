//! The endpoint that is looked at, and the resources of the template on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use futures::future::LocalBoxFuture;
use oubli_local::provision::provision;
use oubli_local::runner::parameters;
use oubli_tests::Stack;

/// One check: the operations that it looks at, and what it does.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) operations: &'static [&'static str],
    pub(crate) run: fn(Arc<Aws>) -> LocalBoxFuture<'static, ()>,
}

/// A list of checks: the function, then the operations that it looks at.
macro_rules! declare_checks {
    ($($function:ident: $($operation:literal)+;)+) => {
        pub(crate) fn checks() -> Vec<crate::aws::Check> {
            vec![$(crate::aws::Check {
                name: stringify!($function),
                operations: &[$($operation),+],
                run: |aws| Box::pin($function(aws)),
            }),+]
        }
    };
}
pub(crate) use declare_checks;

/// Clients of the endpoint.
pub(crate) struct Aws {
    pub(crate) stack: Stack,
    pub(crate) tables: aws_sdk_dynamodb::Client,
    pub(crate) buckets: aws_sdk_s3::Client,
    pub(crate) queues: aws_sdk_sqs::Client,
    pub(crate) mail: aws_sdk_sesv2::Client,
    pub(crate) keys: aws_sdk_kms::Client,
    pub(crate) http: reqwest::Client,
    names: AtomicU32,
}

impl Aws {
    pub(crate) async fn start() -> Arc<Self> {
        let stack = Stack::start().await;
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(stack.runner.aws_url())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "test", "test", None, None, "test",
            )))
            .build();
        let by_path = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .build();
        Arc::new(Self {
            tables: aws_sdk_dynamodb::Client::new(&config),
            buckets: aws_sdk_s3::Client::from_conf(by_path),
            queues: aws_sdk_sqs::Client::new(&config),
            mail: aws_sdk_sesv2::Client::new(&config),
            keys: aws_sdk_kms::Client::new(&config),
            http: reqwest::Client::new(),
            stack,
            names: AtomicU32::new(0),
        })
    }

    /// The name of a resource, by the setting that tells it.
    pub(crate) fn setting(&self, name: &str) -> &str {
        let environment = &self.stack.runner.provisioned().environment;
        let functions = environment.values();
        functions
            .filter_map(|variables| variables.get(name))
            .next()
            .unwrap()
    }

    pub(crate) fn contacts(&self) -> &str {
        self.setting("OUBLI_CONTACTS_TABLE")
    }

    pub(crate) fn requests(&self) -> &str {
        self.setting("OUBLI_REQUESTS_TABLE")
    }

    pub(crate) fn uploads(&self) -> &str {
        self.setting("OUBLI_UPLOADS_BUCKET")
    }

    pub(crate) fn documents(&self) -> &str {
        self.setting("OUBLI_DOCUMENTS_BUCKET")
    }

    pub(crate) fn archives(&self) -> &str {
        self.setting("OUBLI_ARCHIVES_BUCKET")
    }

    /// A name that nothing else on this endpoint has.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{what}-{}", self.names.fetch_add(1, Ordering::SeqCst))
    }
}

/// The error code of a call that must fail.
#[track_caller]
pub(crate) fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    answer: Result<T, SdkError<E>>,
) -> String {
    let error = answer.unwrap_err();
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code.unwrap_or_else(|| panic!("{error:?}")).to_owned()
}

declare_checks! {
    the_template_is_made_once_and_found_again:
        "DynamoDB.CreateTable" "DynamoDB.DescribeTable" "DynamoDB.UpdateTimeToLive" "DynamoDB.DescribeTimeToLive"
        "S3.CreateBucket" "S3.HeadBucket" "S3.PutPublicAccessBlock" "S3.GetPublicAccessBlock"
        "S3.GetBucketEncryption" "S3.PutBucketLifecycleConfiguration"
        "S3.GetBucketLifecycleConfiguration" "S3.PutBucketCors" "S3.GetBucketCors"
        "S3.PutBucketNotificationConfiguration" "S3.GetBucketNotificationConfiguration"
        "KMS.CreateKey" "KMS.CreateAlias" "KMS.DescribeKey"
        "SQS.GetQueueUrl" "SQS.CreateQueue" "SQS.GetQueueAttributes" "SES.GetEmailIdentity";
}

/// `provision` reads back whatever it writes, and fails where the endpoint forgot it.
async fn the_template_is_made_once_and_found_again(aws: Arc<Aws>) {
    let prefix = format!("oubli-again-{}", std::process::id());
    let parameters = parameters(prefix, "http://127.0.0.1:9");
    let made = provision(aws.stack.runner.aws_url(), &parameters).await.unwrap();
    let found = provision(aws.stack.runner.aws_url(), &parameters).await.unwrap();
    assert_eq!(made, found);
}
