//! S3 buckets.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    CorsConfiguration, CorsRule, CreateBucketConfiguration, EventBridgeConfiguration, ExpirationStatus,
    LifecycleExpiration, LifecycleRule, LifecycleRuleFilter, NotificationConfiguration,
    PublicAccessBlockConfiguration, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::evaluate::Made;
use super::{ProvisionError, REGION, failed, is_code, settle, unwritable};

/// What the template says of a bucket.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct BucketProperties {
    public_access_block_configuration: PublicAccess,
    bucket_encryption: Encryption,
    lifecycle_configuration: Rules<Lifecycle>,
    cors_configuration: Cors,
    #[serde(default)]
    notification_configuration: Notifications,
    /// Every new bucket has this ownership; local ones know no other.
    #[serde(rename = "OwnershipControls")]
    _ownership_controls: IgnoredAny,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct PublicAccess {
    block_public_acls: bool,
    block_public_policy: bool,
    ignore_public_acls: bool,
    restrict_public_buckets: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Encryption {
    server_side_encryption_configuration: Vec<EncryptionRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct EncryptionRule {
    server_side_encryption_by_default: EncryptionByDefault,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncryptionByDefault {
    #[serde(rename = "SSEAlgorithm")]
    algorithm: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Rules<T> {
    rules: Vec<T>,
}

/// A lifecycle rule, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Lifecycle {
    id: String,
    status: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    expiration_in_days: Option<i32>,
    #[serde(default)]
    abort_incomplete_multipart_upload: Option<Abort>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Abort {
    days_after_initiation: i32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Cors {
    cors_rules: Vec<CorsEntry>,
}

/// Who is told what happens to objects.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Notifications {
    #[serde(default)]
    event_bridge_configuration: EventBridge,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct EventBridge {
    event_bridge_enabled: bool,
}

/// A CORS rule, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct CorsEntry {
    allowed_origins: Vec<String>,
    allowed_methods: Vec<String>,
    allowed_headers: Vec<String>,
    exposed_headers: Vec<String>,
    max_age: i32,
}

/// Makes a bucket, or finds it; sets it up as it should be.
pub(super) async fn make(
    client: &Client,
    name: String,
    properties: BucketProperties,
) -> Result<Made, ProvisionError> {
    create(client, &name).await?;
    let access = &properties.public_access_block_configuration;
    let tells = properties
        .notification_configuration
        .event_bridge_configuration
        .event_bridge_enabled;
    let encryption = properties.bucket_encryption.server_side_encryption_configuration;
    let algorithms: Vec<_> = encryption
        .into_iter()
        .map(|rule| rule.server_side_encryption_by_default.algorithm)
        .collect();
    futures::try_join!(
        settle(
            &name,
            "public access block",
            access,
            async || read_access(client, &name).await,
            async || write_access(client, &name, access).await,
        ),
        settle(
            &name,
            "encryption",
            &algorithms,
            async || read_encryption(client, &name).await,
            async || write_encryption(client, &name, &algorithms).await,
        ),
        settle(
            &name,
            "lifecycle rules",
            &properties.lifecycle_configuration.rules,
            async || read_lifecycle(client, &name).await,
            async || write_lifecycle(client, &name, &properties.lifecycle_configuration.rules).await,
        ),
        settle(
            &name,
            "CORS rules",
            &properties.cors_configuration.cors_rules,
            async || read_cors(client, &name).await,
            async || write_cors(client, &name, &properties.cors_configuration.cors_rules).await,
        ),
        settle(
            &name,
            "notifications",
            &tells,
            async || read_notifications(client, &name).await.map(Some),
            async || write_notifications(client, &name, tells).await,
        ),
    )?;
    let arn = format!("arn:aws:s3:::{name}");
    Ok(Made {
        reference: name,
        attributes: BTreeMap::from([("Arn", arn)]),
    })
}

async fn create(client: &Client, name: &str) -> Result<(), ProvisionError> {
    let found = client.head_bucket().bucket(name).send().await;
    match found {
        Ok(_) => return Ok(()),
        // A HEAD has no body that could hold a code.
        Err(error)
            if error
                .raw_response()
                .is_some_and(|answer| answer.status().as_u16() == 404) => {}
        Err(error) => return Err(failed("HeadBucket", name)(error)),
    }
    let place =
        CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(REGION));
    let request = client
        .create_bucket()
        .bucket(name)
        .create_bucket_configuration(place.build());
    request
        .send()
        .await
        .map(|_| ())
        .map_err(failed("CreateBucket", name))
}

async fn read_access(client: &Client, name: &str) -> Result<Option<PublicAccess>, ProvisionError> {
    let answer = match client.get_public_access_block().bucket(name).send().await {
        Ok(answer) => answer,
        Err(error) if is_code(&error, &["NoSuchPublicAccessBlockConfiguration"]) => return Ok(None),
        Err(error) => return Err(failed("GetPublicAccessBlock", name)(error)),
    };
    Ok(answer
        .public_access_block_configuration
        .map(|found| PublicAccess {
            block_public_acls: found.block_public_acls.unwrap_or_default(),
            block_public_policy: found.block_public_policy.unwrap_or_default(),
            ignore_public_acls: found.ignore_public_acls.unwrap_or_default(),
            restrict_public_buckets: found.restrict_public_buckets.unwrap_or_default(),
        }))
}

async fn write_access(client: &Client, name: &str, access: &PublicAccess) -> Result<(), ProvisionError> {
    let configuration = PublicAccessBlockConfiguration::builder()
        .block_public_acls(access.block_public_acls)
        .block_public_policy(access.block_public_policy)
        .ignore_public_acls(access.ignore_public_acls)
        .restrict_public_buckets(access.restrict_public_buckets);
    let request = client.put_public_access_block().bucket(name);
    let answer = request
        .public_access_block_configuration(configuration.build())
        .send()
        .await;
    answer.map(|_| ()).map_err(failed("PutPublicAccessBlock", name))
}

async fn read_encryption(client: &Client, name: &str) -> Result<Option<Vec<String>>, ProvisionError> {
    let answer = match client.get_bucket_encryption().bucket(name).send().await {
        Ok(answer) => answer,
        Err(error) if is_code(&error, &["ServerSideEncryptionConfigurationNotFoundError"]) => {
            return Ok(None);
        }
        Err(error) => return Err(failed("GetBucketEncryption", name)(error)),
    };
    Ok(answer.server_side_encryption_configuration.map(|found| {
        let algorithms = found
            .rules
            .into_iter()
            .filter_map(|rule| rule.apply_server_side_encryption_by_default);
        algorithms
            .map(|default| default.sse_algorithm.as_str().to_owned())
            .collect()
    }))
}

async fn write_encryption(client: &Client, name: &str, algorithms: &[String]) -> Result<(), ProvisionError> {
    let wrong = || unwritable("PutBucketEncryption", name);
    let rules = algorithms.iter().map(|algorithm| {
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(ServerSideEncryption::from(algorithm.as_str()))
            .build()
            .map_err(wrong())?;
        Ok(ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .build())
    });
    let rules = rules.collect::<Result<_, ProvisionError>>()?;
    let configuration = ServerSideEncryptionConfiguration::builder()
        .set_rules(Some(rules))
        .build();
    let request = client.put_bucket_encryption().bucket(name);
    let request = request.server_side_encryption_configuration(configuration.map_err(wrong())?);
    request
        .send()
        .await
        .map(|_| ())
        .map_err(failed("PutBucketEncryption", name))
}

async fn read_lifecycle(client: &Client, name: &str) -> Result<Option<Vec<Lifecycle>>, ProvisionError> {
    let answer = match client
        .get_bucket_lifecycle_configuration()
        .bucket(name)
        .send()
        .await
    {
        Ok(answer) => answer,
        Err(error) if is_code(&error, &["NoSuchLifecycleConfiguration"]) => return Ok(None),
        Err(error) => return Err(failed("GetBucketLifecycleConfiguration", name)(error)),
    };
    let rules = answer.rules().iter().map(|rule| Lifecycle {
        id: rule.id().unwrap_or_default().to_owned(),
        status: rule.status().as_str().to_owned(),
        prefix: rule
            .filter()
            .and_then(LifecycleRuleFilter::prefix)
            .unwrap_or_default()
            .to_owned(),
        expiration_in_days: rule.expiration().and_then(LifecycleExpiration::days),
        abort_incomplete_multipart_upload: rule
            .abort_incomplete_multipart_upload()
            .and_then(AbortIncompleteMultipartUpload::days_after_initiation)
            .map(|days_after_initiation| Abort {
                days_after_initiation,
            }),
    });
    Ok(Some(rules.collect()))
}

async fn write_lifecycle(client: &Client, name: &str, rules: &[Lifecycle]) -> Result<(), ProvisionError> {
    let wrong = || unwritable("PutBucketLifecycleConfiguration", name);
    let rules = rules.iter().map(|rule| {
        let expiration = rule
            .expiration_in_days
            .map(|days| LifecycleExpiration::builder().days(days).build());
        let abort = rule.abort_incomplete_multipart_upload.as_ref().map(|abort| {
            AbortIncompleteMultipartUpload::builder()
                .days_after_initiation(abort.days_after_initiation)
                .build()
        });
        LifecycleRule::builder()
            .id(&rule.id)
            .status(ExpirationStatus::from(rule.status.as_str()))
            .filter(LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
            .set_expiration(expiration)
            .set_abort_incomplete_multipart_upload(abort)
            .build()
            .map_err(wrong())
    });
    let rules = rules.collect::<Result<_, _>>()?;
    let configuration = BucketLifecycleConfiguration::builder()
        .set_rules(Some(rules))
        .build();
    let request = client.put_bucket_lifecycle_configuration().bucket(name);
    let request = request.lifecycle_configuration(configuration.map_err(wrong())?);
    request
        .send()
        .await
        .map(|_| ())
        .map_err(failed("PutBucketLifecycleConfiguration", name))
}

async fn read_cors(client: &Client, name: &str) -> Result<Option<Vec<CorsEntry>>, ProvisionError> {
    let answer = match client.get_bucket_cors().bucket(name).send().await {
        Ok(answer) => answer,
        Err(error) if is_code(&error, &["NoSuchCORSConfiguration"]) => return Ok(None),
        Err(error) => return Err(failed("GetBucketCors", name)(error)),
    };
    let rules = answer.cors_rules().iter().map(|rule| CorsEntry {
        allowed_origins: rule.allowed_origins().to_vec(),
        allowed_methods: rule.allowed_methods().to_vec(),
        allowed_headers: rule.allowed_headers().to_vec(),
        exposed_headers: rule.expose_headers().to_vec(),
        max_age: rule.max_age_seconds().unwrap_or_default(),
    });
    Ok(Some(rules.collect()))
}

async fn write_cors(client: &Client, name: &str, rules: &[CorsEntry]) -> Result<(), ProvisionError> {
    let wrong = || unwritable("PutBucketCors", name);
    let rules = rules.iter().map(|rule| {
        CorsRule::builder()
            .set_allowed_origins(Some(rule.allowed_origins.clone()))
            .set_allowed_methods(Some(rule.allowed_methods.clone()))
            .set_allowed_headers(Some(rule.allowed_headers.clone()))
            .set_expose_headers(Some(rule.exposed_headers.clone()))
            .max_age_seconds(rule.max_age)
            .build()
            .map_err(wrong())
    });
    let rules = rules.collect::<Result<_, _>>()?;
    let configuration = CorsConfiguration::builder().set_cors_rules(Some(rules)).build();
    let request = client
        .put_bucket_cors()
        .bucket(name)
        .cors_configuration(configuration.map_err(wrong())?);
    request
        .send()
        .await
        .map(|_| ())
        .map_err(failed("PutBucketCors", name))
}

/// Whether EventBridge is told.
async fn read_notifications(client: &Client, name: &str) -> Result<bool, ProvisionError> {
    let request = client.get_bucket_notification_configuration().bucket(name);
    let answer = request.send().await;
    let answer = answer.map_err(failed("GetBucketNotificationConfiguration", name))?;
    Ok(answer.event_bridge_configuration.is_some())
}

async fn write_notifications(client: &Client, name: &str, tells: bool) -> Result<(), ProvisionError> {
    let configuration = NotificationConfiguration::builder()
        .set_event_bridge_configuration(tells.then(|| EventBridgeConfiguration::builder().build()));
    let request = client
        .put_bucket_notification_configuration()
        .bucket(name)
        .notification_configuration(configuration.build());
    request
        .send()
        .await
        .map(|_| ())
        .map_err(failed("PutBucketNotificationConfiguration", name))
}
