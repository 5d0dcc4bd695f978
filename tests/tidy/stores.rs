//! What holds for the tables, the buckets and the key of `template.yaml`: what is kept, for how long, and who
//! may use it.

use std::collections::BTreeSet;

use oubli_local::provision::node::Node;

use crate::template::{find, referred, statements, template, texts};

#[test]
fn buckets_are_closed_encrypted_swept_and_keep_no_versions() {
    let template = template();
    for bucket in template.of_kind("AWS::S3::Bucket") {
        let id = &bucket.logical_id;
        let access = bucket
            .property(&["PublicAccessBlockConfiguration"])
            .unwrap()
            .entries();
        assert_eq!(access.len(), 4, "{id}");
        assert!(
            access.iter().all(|(_, blocked)| blocked.bool() == Some(true)),
            "{id}"
        );
        let encryption = ["BucketEncryption", "ServerSideEncryptionConfiguration"];
        assert!(
            bucket
                .property(&encryption)
                .is_some_and(|rules| !rules.items().is_empty()),
            "{id}"
        );
        assert!(
            bucket.property(&["VersioningConfiguration"]).is_none(),
            "{id}: deleted means gone"
        );

        let rules = bucket
            .property(&["LifecycleConfiguration", "Rules"])
            .unwrap()
            .items();
        assert!(
            rules
                .iter()
                .all(|rule| rule.get("Status").and_then(Node::text) == Some("Enabled")),
            "{id}"
        );
        let abort = rules.iter().find_map(|rule| {
            rule.at(&["AbortIncompleteMultipartUpload", "DaysAfterInitiation"])?
                .integer()
        });
        assert_eq!(abort, Some(1), "{id}");
        let expiry = rules.iter().find_map(|rule| {
            Some((
                rule.get("Prefix")?.text()?,
                rule.get("ExpirationInDays")?.integer()?,
            ))
        });
        let expected = match id.as_str() {
            "ArchivesBucket" => Some(("archives/", 10)),
            "UploadsBucket" => Some(("uploads/", 1)),
            _ => None,
        };
        assert_eq!(expiry, expected, "{id}");

        let mut policies = template.of_kind("AWS::S3::BucketPolicy");
        assert!(
            policies.any(|policy| referred(policy.property(&["Bucket"]).unwrap()) == id),
            "{id}: TLS only"
        );
    }
}

#[test]
fn tables_can_be_brought_back_and_outlive_the_stack() {
    let template = template();
    for table in template.of_kind("AWS::DynamoDB::Table") {
        let id = &table.logical_id;
        for path in [
            ["PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"].as_slice(),
            &["SSESpecification", "SSEEnabled"],
            &["TimeToLiveSpecification", "Enabled"],
            &["DeletionProtectionEnabled"],
        ] {
            assert_eq!(
                table.property(path).and_then(Node::bool),
                Some(true),
                "{id}: {path:?}"
            );
        }
        assert_eq!(
            table.property(&["BillingMode"]).and_then(Node::text),
            Some("PAY_PER_REQUEST"),
            "{id}"
        );
    }
    let lasting = template
        .of_kind("AWS::DynamoDB::Table")
        .chain(["DocumentsBucket", "ArchiveKey", "HashKey"].map(|id| find(template, id)));
    for resource in lasting {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            let found = resource.node.get(policy).and_then(Node::text);
            assert_eq!(found, Some("Retain"), "{}: {policy}", resource.logical_id);
        }
    }
}

/// Whoever may write to the table of requests may add entries to the audit, and change none.
#[test]
fn the_audit_is_added_to_and_never_changed() {
    let template = template();
    let policy = find(template, "AuditPolicy");
    let statements = policy.property(&["PolicyDocument", "Statement"]).unwrap();
    let [statement] = statements.items() else {
        panic!("{statements:?}")
    };
    assert_eq!(statement.get("Effect").and_then(Node::text), Some("Deny"));
    assert_eq!(referred(statement.get("Resource").unwrap()), "RequestsTable");
    let denied: BTreeSet<_> = texts(statement.get("Action").unwrap()).into_iter().collect();
    for action in [
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:BatchWriteItem",
    ] {
        assert!(denied.contains(action), "{action}");
    }
    assert!(!denied.contains("dynamodb:PutItem"), "entries are added");
    let condition = ["Condition", "ForAnyValue:StringLike", "dynamodb:LeadingKeys"];
    assert_eq!(texts(statement.at(&condition).unwrap()), ["T#*#AUDIT#*"]);

    let mut writers = BTreeSet::new();
    for (place, statement) in self::statements(template) {
        let resource = statement.get("Resource").unwrap();
        let is_table = resource.tagged("!GetAtt").is_some() && referred(resource) == "RequestsTable";
        let actions = statement.get("Action").map(texts).unwrap_or_default();
        let writes = ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"];
        if is_table && place != "AuditPolicy/AppendOnly" && writes.iter().any(|write| actions.contains(write))
        {
            writers.insert(place.split('/').next().unwrap().to_owned());
        }
    }
    assert!(writers.len() >= 7, "{writers:?}");
    for role in writers {
        let bound = find(template, &role).property(&["ManagedPolicyArns"]);
        let bound = bound.map(Node::items).unwrap_or_default();
        assert!(
            bound.iter().any(|policy| referred(policy) == "AuditPolicy"),
            "{role}"
        );
    }
}

/// DynamoDB refuses an index that projects more ("Projection", Amazon DynamoDB API Reference).
#[test]
fn an_index_projects_twenty_attributes_at_most() {
    let mut read = 0;
    for table in template().of_kind("AWS::DynamoDB::Table") {
        for index in table.property(&["GlobalSecondaryIndexes"]).unwrap().items() {
            let name = index.get("IndexName").and_then(Node::text).unwrap();
            let attributes = index.at(&["Projection", "NonKeyAttributes"]);
            let count = attributes.map(texts).unwrap_or_default().len();
            assert!(count <= 20, "{name}: {count}");
            read += count;
        }
    }
    assert!((1..=100).contains(&read), "{read} attributes in all indexes");
}

#[test]
fn keys_never_leave_and_each_function_may_use_what_it_needs() {
    let template = template();
    let key = find(template, "ArchiveKey");
    let property = |name: &str| key.property(&[name]).and_then(Node::text);
    assert_eq!(property("KeySpec"), Some("ECC_NIST_P256"));
    assert_eq!(property("KeyUsage"), Some("SIGN_VERIFY"));
    let key = find(template, "HashKey");
    let property = |name: &str| key.property(&[name]).and_then(Node::text);
    assert_eq!(property("KeySpec"), Some("HMAC_256"));
    assert_eq!(property("KeyUsage"), Some("GENERATE_VERIFY_MAC"));
    let mut allowed = BTreeSet::new();
    for (place, statement) in statements(template) {
        let actions = statement.get("Action").map(texts).unwrap_or_default();
        for action in actions.into_iter().filter(|action| action.starts_with("kms:")) {
            let key = referred(statement.get("Resource").unwrap()).to_owned();
            let role = place.split('/').next().unwrap().to_owned();
            allowed.insert((role, action.to_owned(), key));
        }
    }
    let expected = [
        ("ApiRole", "kms:GenerateMac", "HashKey"),
        ("ApiRole", "kms:GetPublicKey", "ArchiveKey"),
        ("ArchiveBuilderRole", "kms:GetPublicKey", "ArchiveKey"),
        ("ArchiveBuilderRole", "kms:Sign", "ArchiveKey"),
        ("RestorerRole", "kms:GetPublicKey", "ArchiveKey"),
    ];
    let expected = expected.map(|(role, action, key)| (role.to_owned(), action.to_owned(), key.to_owned()));
    assert_eq!(allowed, BTreeSet::from(expected));
}
