//! What the template describes is made at the embedded engines, and is read back over the SDK.

mod archives;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::types::QueueAttributeName;
use oubli_local::clock::EngineClock;
use oubli_local::engines::{EngineOptions, Engines};
use oubli_local::provision::{EventSource, ProvisionError, ProvisionParameters, Schedule, provision};

fn parameters(prefix: &str) -> ProvisionParameters {
    ProvisionParameters {
        prefix: prefix.into(),
        front_end_url: "https://front.example.org/app".into(),
        allowed_origins: vec!["https://front.example.org".into(), "http://localhost:5173".into()],
        issuer: "http://127.0.0.1:3000".into(),
        mail_from: "privacy@example.org".into(),
        log_level: "debug".into(),
        archive_key_id: String::new(),
        trusted_archive_keys: String::new(),
    }
}

async fn engines() -> Engines {
    let clock = EngineClock::frozen("2026-03-01T00:00:00Z".parse().unwrap());
    Engines::start(EngineOptions::ephemeral(clock)).await.unwrap()
}

fn config(engines: &Engines) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(engines.url())
        .region(Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

fn s3(engines: &Engines) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&config(engines)).force_path_style(true);
    aws_sdk_s3::Client::from_conf(config.build())
}

#[tokio::test]
async fn the_functions_get_the_names_of_what_was_made() {
    let engines = engines().await;
    let provisioned = provision(&engines.url(), &parameters("demo")).await.unwrap();

    let functions: Vec<_> = provisioned.environment.keys().map(String::as_str).collect();
    let expected = [
        "anonymiser",
        "api",
        "archive-builder",
        "bulk-planner",
        "janitor",
        "notifier",
        "restorer",
        "tenant-provisioner",
    ];
    assert_eq!(functions, expected);

    let api = &provisioned.environment["api"];
    let queue = |name: &str| format!("{}/000000000000/demo-{name}", engines.url());
    for (name, value) in [
        ("OUBLI_CONTACTS_TABLE", "demo-contacts"),
        ("OUBLI_REQUESTS_TABLE", "demo-requests"),
        ("OUBLI_DOCUMENTS_BUCKET", "demo-documents"),
        ("OUBLI_UPLOADS_BUCKET", "demo-uploads"),
        ("OUBLI_ARCHIVES_BUCKET", "demo-archives"),
        ("OUBLI_BULK_PLANNER_QUEUE_URL", &queue("bulk-planner")),
        ("OUBLI_ISSUER", "http://127.0.0.1:3000"),
        (
            "OUBLI_ALLOWED_ORIGINS",
            "https://front.example.org,http://localhost:5173",
        ),
        ("OUBLI_LOG", "debug"),
    ] {
        assert_eq!(api.get(name).map(String::as_str), Some(value), "{name}");
    }
    let notifier = &provisioned.environment["notifier"];
    assert_eq!(notifier["OUBLI_MAIL_FROM"], "privacy@example.org");
    assert_eq!(notifier["OUBLI_FRONT_END_URL"], "https://front.example.org/app");

    let source = |function: &str, batch_size, max_concurrency| EventSource {
        function: function.into(),
        queue_url: queue(function),
        batch_size,
        max_concurrency,
    };
    let queues = [
        source("bulk-planner", 1, 10),
        source("archive-builder", 10, 50),
        source("anonymiser", 10, 20),
        source("restorer", 1, 20),
        source("notifier", 10, 2),
        EventSource {
            function: "janitor".into(),
            queue_url: queue("archive-events"),
            batch_size: 100,
            max_concurrency: 2,
        },
    ];
    assert_eq!(provisioned.queues, queues);
    let schedule = Schedule {
        function: "janitor".into(),
        every: Duration::from_secs(60),
    };
    assert_eq!(provisioned.schedules, [schedule]);

    let [rule] = provisioned.rules.as_slice() else {
        panic!("{:?}", provisioned.rules);
    };
    assert_eq!(rule.queue_url, queue("archive-events"));
    let deleted = |bucket: &str| {
        serde_json::json!({
            "source": "aws.s3",
            "detail-type": "Object Deleted",
            "detail": { "bucket": { "name": bucket }, "object": { "key": "archives/x" } },
        })
    };
    assert!(rule.pattern.fits(&deleted("demo-archives")));
    assert!(!rule.pattern.fits(&deleted("demo-documents")));
}

#[tokio::test]
async fn tables_have_their_keys_indexes_and_time_to_live() {
    let engines = engines().await;
    provision(&engines.url(), &parameters("demo")).await.unwrap();
    let client = aws_sdk_dynamodb::Client::new(&config(&engines));

    for (table, indexes) in [
        (
            "demo-contacts",
            vec![
                ("by_name", "INCLUDE"),
                ("by_created", "INCLUDE"),
                ("by_email", "KEYS_ONLY"),
            ],
        ),
        (
            "demo-requests",
            vec![("by_time", "ALL"), ("open_work", "KEYS_ONLY")],
        ),
    ] {
        let described = client
            .describe_table()
            .table_name(table)
            .send()
            .await
            .unwrap()
            .table
            .unwrap();
        let keys: Vec<_> = described
            .key_schema()
            .iter()
            .map(|key| key.attribute_name())
            .collect();
        assert_eq!(keys, ["pk", "sk"]);
        assert_eq!(described.global_secondary_indexes().len(), indexes.len());
        for (name, projection) in indexes {
            let index = described
                .global_secondary_indexes()
                .iter()
                .find(|i| i.index_name() == Some(name));
            let index = index.unwrap_or_else(|| panic!("no index {name}"));
            let keys: Vec<_> = index
                .key_schema()
                .iter()
                .map(|key| key.attribute_name().to_owned())
                .collect();
            assert_eq!(keys, [format!("{name}_pk"), format!("{name}_sk")]);
            let projected = index.projection().unwrap();
            assert_eq!(projected.projection_type().unwrap().as_str(), projection);
            if projection == "INCLUDE" {
                let attributes = projected.non_key_attributes();
                assert!(
                    attributes.iter().any(|name| name == "last_name"),
                    "{attributes:?}"
                );
                assert!(!attributes.iter().any(|name| name == "notes"), "{attributes:?}");
            }
        }
        let ttl = client
            .describe_time_to_live()
            .table_name(table)
            .send()
            .await
            .unwrap();
        let ttl = ttl.time_to_live_description.unwrap();
        assert_eq!(ttl.attribute_name(), Some("ttl"));
        assert_eq!(ttl.time_to_live_status().unwrap().as_str(), "ENABLED");
    }
}

#[tokio::test]
async fn buckets_have_their_lifecycle_cors_encryption_and_no_public_access() {
    let engines = engines().await;
    provision(&engines.url(), &parameters("demo")).await.unwrap();
    let client = s3(&engines);

    for (bucket, expiry, method) in [
        ("demo-documents", None, "GET"),
        ("demo-uploads", Some(("uploads/", 1)), "PUT"),
        ("demo-archives", Some(("archives/", 10)), "GET"),
    ] {
        let lifecycle = client
            .get_bucket_lifecycle_configuration()
            .bucket(bucket)
            .send()
            .await
            .unwrap();
        let expiring = lifecycle.rules().iter().find_map(|rule| {
            let days = rule.expiration()?.days()?;
            Some((rule.filter()?.prefix()?.to_owned(), days))
        });
        assert_eq!(
            expiring,
            expiry.map(|(prefix, days)| (prefix.to_owned(), days)),
            "{bucket}"
        );
        let abort = lifecycle
            .rules()
            .iter()
            .find_map(|rule| rule.abort_incomplete_multipart_upload());
        assert_eq!(abort.unwrap().days_after_initiation(), Some(1), "{bucket}");

        let cors = client.get_bucket_cors().bucket(bucket).send().await.unwrap();
        assert_eq!(cors.cors_rules()[0].allowed_methods(), [method], "{bucket}");
        // What follows the API's redirect to a link has no origin; what uploads is a front end.
        let origins = match method {
            "GET" => vec!["*".to_owned()],
            _ => parameters("").allowed_origins,
        };
        assert_eq!(cors.cors_rules()[0].allowed_origins(), origins, "{bucket}");

        let encryption = client
            .get_bucket_encryption()
            .bucket(bucket)
            .send()
            .await
            .unwrap();
        let rules = encryption.server_side_encryption_configuration.unwrap().rules;
        let default = rules[0].apply_server_side_encryption_by_default().unwrap();
        assert_eq!(default.sse_algorithm().as_str(), "AES256", "{bucket}");

        let access = client
            .get_public_access_block()
            .bucket(bucket)
            .send()
            .await
            .unwrap();
        let access = access.public_access_block_configuration.unwrap();
        let all = [
            access.block_public_acls,
            access.block_public_policy,
            access.ignore_public_acls,
            access.restrict_public_buckets,
        ];
        assert_eq!(all, [Some(true); 4], "{bucket}");

        let versioning = client
            .get_bucket_versioning()
            .bucket(bucket)
            .send()
            .await
            .unwrap();
        assert_eq!(
            versioning.status(),
            None,
            "{bucket}: what is deleted must be gone"
        );
    }
}

#[tokio::test]
async fn queues_have_their_visibility_and_redrive() {
    let engines = engines().await;
    let provisioned = provision(&engines.url(), &parameters("demo")).await.unwrap();
    let client = aws_sdk_sqs::Client::new(&config(&engines));

    let visibility = BTreeMap::from([
        ("bulk-planner", "720"),
        ("archive-builder", "5400"),
        ("anonymiser", "1800"),
        ("restorer", "5400"),
        ("notifier", "360"),
        ("archive-events", "1830"),
    ]);
    for source in &provisioned.queues {
        let queue = source.queue_url.rsplit_once("/demo-").unwrap().1;
        let request = client.get_queue_attributes().queue_url(&source.queue_url);
        let attributes = request
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let attributes = attributes.attributes.unwrap();
        assert_eq!(
            attributes[&QueueAttributeName::VisibilityTimeout],
            visibility[queue]
        );
        let redrive: serde_json::Value =
            serde_json::from_str(&attributes[&QueueAttributeName::RedrivePolicy]).unwrap();
        assert_eq!(redrive["maxReceiveCount"].to_string().trim_matches('"'), "20");

        let dead_letters = format!("demo-{queue}-dead-letter");
        let dead_letters = client
            .get_queue_url()
            .queue_name(dead_letters)
            .send()
            .await
            .unwrap();
        let request = client
            .get_queue_attributes()
            .queue_url(dead_letters.queue_url.unwrap());
        let attributes = request
            .attribute_names(QueueAttributeName::All)
            .send()
            .await
            .unwrap();
        let attributes = attributes.attributes.unwrap();
        assert_eq!(
            redrive["deadLetterTargetArn"],
            attributes[&QueueAttributeName::QueueArn].as_str()
        );
        assert_eq!(attributes[&QueueAttributeName::MessageRetentionPeriod], "1209600");
    }
}

#[tokio::test]
async fn the_sender_can_send() {
    let engines = engines().await;
    provision(&engines.url(), &parameters("demo")).await.unwrap();
    let client = aws_sdk_sesv2::Client::new(&config(&engines));
    let identity = client
        .get_email_identity()
        .email_identity("privacy@example.org")
        .send()
        .await
        .unwrap();
    assert!(identity.verified_for_sending_status);
}

#[tokio::test]
async fn a_second_run_finds_what_the_first_made_and_changes_what_may_change() {
    let engines = engines().await;
    let first = provision(&engines.url(), &parameters("demo")).await.unwrap();
    let second = provision(&engines.url(), &parameters("demo")).await.unwrap();
    assert_eq!(first, second);

    let mut moved = parameters("demo");
    moved.allowed_origins = vec!["https://moved.example.org".into()];
    provision(&engines.url(), &moved).await.unwrap();
    let cors = s3(&engines)
        .get_bucket_cors()
        .bucket("demo-uploads")
        .send()
        .await
        .unwrap();
    assert_eq!(
        cors.cors_rules()[0].allowed_origins(),
        ["https://moved.example.org"]
    );
}

#[tokio::test]
async fn two_prefixes_share_an_endpoint_and_nothing_else() {
    let engines = engines().await;
    let one = provision(&engines.url(), &parameters("one")).await.unwrap();
    let two = provision(&engines.url(), &parameters("two")).await.unwrap();
    for name in [
        "OUBLI_CONTACTS_TABLE",
        "OUBLI_DOCUMENTS_BUCKET",
        "OUBLI_NOTIFIER_QUEUE_URL",
    ] {
        assert_ne!(one.environment["janitor"][name], two.environment["janitor"][name]);
    }
}

#[tokio::test]
async fn a_table_with_other_keys_is_an_error() {
    let engines = engines().await;
    let client = aws_sdk_dynamodb::Client::new(&config(&engines));
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash)
        .build()
        .unwrap();
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S)
        .build()
        .unwrap();
    let request = client
        .create_table()
        .table_name("demo-contacts")
        .billing_mode(BillingMode::PayPerRequest);
    request
        .key_schema(key)
        .attribute_definitions(attribute)
        .send()
        .await
        .unwrap();

    let error = provision(&engines.url(), &parameters("demo"))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("`demo-contacts` differs in its keys and indexes: "),
        "{error}"
    );
}

#[tokio::test]
async fn parameters_are_judged_by_the_template() {
    let engines = engines().await;
    let mut loud = parameters("demo");
    loud.log_level = "loud".into();
    let error = provision(&engines.url(), &loud).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "parameter `LogLevel` of the template: is not one of the values that are allowed"
    );

    let mut nobody = parameters("demo");
    nobody.allowed_origins.clear();
    let error = provision(&engines.url(), &nobody).await.unwrap_err().to_string();
    assert_eq!(error, "parameter `AllowedOrigins` of the template: is empty");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_is_named_with_what_was_asked_of_it() {
    let error = provision("http://127.0.0.1:9", &parameters("demo"))
        .await
        .unwrap_err();
    // Several are asked at once; any of them may be the first to fail.
    assert!(matches!(error, ProvisionError::Call { .. }), "{error:?}");
    let error = error.to_string();
    assert!(
        error.contains(" failed: ") && error.contains("Connection refused"),
        "{error}"
    );
}
