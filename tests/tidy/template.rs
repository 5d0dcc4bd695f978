//! What holds for everything in `template.yaml`.

use std::collections::BTreeSet;
use std::fs;

use oubli_local::provision::node::Node;
use oubli_local::provision::template::{Resource, Template};

use crate::root;

pub(crate) fn template() -> &'static Template {
    Template::embedded().unwrap()
}

pub(crate) fn find<'t>(template: &'t Template, logical_id: &str) -> &'t Resource {
    let mut resources = template.resources().iter();
    resources
        .find(|resource| resource.logical_id == logical_id)
        .unwrap_or_else(|| panic!("no `{logical_id}`"))
}

/// The logical id in `!Ref Id` or `!GetAtt Id.Attribute`.
pub(crate) fn referred(node: &Node) -> &str {
    if let Some(choice) = node.tagged("!If") {
        // What holds where no parameter says otherwise.
        return referred(&choice.items()[1]);
    }
    let name = node
        .tagged("!Ref")
        .or_else(|| node.tagged("!GetAtt"))
        .and_then(Node::text);
    name.unwrap_or_else(|| panic!("{node:?} refers to nothing"))
        .split('.')
        .next()
        .unwrap()
}

/// Whether a mapping has this text in one of its values, or items of its values.
fn mentions(node: &Node, text: &str) -> bool {
    match node {
        Node::Text(found) => found.split('.').next() == Some(text),
        Node::Tagged(_, inner) => mentions(inner, text),
        Node::List(items) => items.iter().any(|item| mentions(item, text)),
        Node::Map(entries) => entries.iter().any(|(_, node)| mentions(node, text)),
        _ => false,
    }
}

/// Every policy statement, with where it stands.
pub(crate) fn statements(template: &Template) -> Vec<(String, Node)> {
    let mut found = Vec::new();
    for resource in template.resources() {
        let mut documents: Vec<_> = resource.property(&["PolicyDocument"]).into_iter().collect();
        for policy in resource
            .property(&["Policies"])
            .map(Node::items)
            .unwrap_or_default()
        {
            documents.extend(policy.get("PolicyDocument"));
        }
        for document in documents {
            for statement in document.get("Statement").unwrap().items() {
                let sid = statement.get("Sid").and_then(Node::text).unwrap_or_default();
                found.push((format!("{}/{sid}", resource.logical_id), statement.clone()));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// One text, or several.
pub(crate) fn texts(node: &Node) -> Vec<&str> {
    node.text()
        .into_iter()
        .chain(node.items().iter().filter_map(Node::text))
        .collect()
}

#[test]
fn a_queue_hides_a_message_six_times_as_long_as_its_function_may_run() {
    let template = template();
    let mut read = 0;
    for function in template.of_kind("AWS::Serverless::Function") {
        let timeout = function.property(&["Timeout"]).and_then(Node::integer).unwrap();
        for (_, event) in function
            .property(&["Events"])
            .map(Node::entries)
            .unwrap_or_default()
        {
            if event.get("Type").and_then(Node::text) != Some("SQS") {
                continue;
            }
            read += 1;
            let queue = find(template, referred(event.at(&["Properties", "Queue"]).unwrap()));
            let visibility = queue
                .property(&["VisibilityTimeout"])
                .and_then(Node::integer)
                .unwrap();
            assert!(visibility >= 6 * timeout, "{}: {visibility} s", queue.logical_id);
            let reports = event.at(&["Properties", "FunctionResponseTypes"]).unwrap();
            assert_eq!(
                texts(reports),
                ["ReportBatchItemFailures"],
                "{}",
                function.logical_id
            );
        }
    }
    assert_eq!(
        read, 6,
        "bulk-planner, archive-builder, anonymiser, restorer, notifier and janitor read queues"
    );
}

#[test]
fn what_keeps_failing_is_kept_apart_and_somebody_is_told() {
    let template = template();
    let (letters, queues): (Vec<_>, Vec<_>) = template
        .of_kind("AWS::SQS::Queue")
        .partition(|queue| queue.logical_id.ends_with("DeadLetterQueue"));
    assert_eq!(letters.len(), queues.len());
    for queue in queues {
        let policy = queue
            .property(&["RedrivePolicy"])
            .unwrap_or_else(|| panic!("{}", queue.logical_id));
        assert_eq!(
            policy.get("maxReceiveCount").and_then(Node::integer),
            Some(20),
            "{}",
            queue.logical_id
        );
        let target = referred(policy.get("deadLetterTargetArn").unwrap());
        assert!(
            letters.iter().any(|letters| letters.logical_id == target),
            "{}",
            queue.logical_id
        );
        let mut alarms = template.of_kind("AWS::CloudWatch::Alarm");
        let alarm = alarms.find(|alarm| mentions(alarm.property(&["Dimensions"]).unwrap(), target));
        assert!(alarm.is_some(), "nobody is told of {target}");
        let kept = |queue: &Resource| {
            queue
                .property(&["MessageRetentionPeriod"])
                .and_then(Node::integer)
        };
        assert!(
            kept(find(template, target)) > kept(queue),
            "{target} forgets before its queue does"
        );
    }
}

#[test]
fn rights_are_named_one_by_one() {
    for (place, statement) in statements(template()) {
        let actions = statement.get("Action").map(texts).unwrap_or_default();
        assert!(!actions.is_empty(), "{place}");
        match statement.get("Effect").and_then(Node::text) {
            Some("Allow") => {
                for action in actions {
                    assert!(!action.contains('*'), "{place}: {action}");
                }
                let resources = statement.get("Resource").unwrap();
                assert!(!texts(resources).contains(&"*"), "{place}: any resource");
            }
            Some("Deny") => {
                let tls = statement
                    .at(&["Condition", "Bool", "aws:SecureTransport"])
                    .and_then(Node::text);
                let is_audit = place == "AuditPolicy/AppendOnly";
                assert!(tls == Some("false") || is_audit, "{place}");
            }
            effect => panic!("{place}: {effect:?}"),
        }
    }
}

#[test]
fn functions_have_a_role_a_log_and_a_timeout_of_their_own() {
    let template = template();
    let mut roles = BTreeSet::new();
    for function in template.of_kind("AWS::Serverless::Function") {
        let id = &function.logical_id;
        assert!(
            function.property(&["Policies"]).is_none(),
            "{id}: SAM would write its role"
        );
        let role = find(template, referred(function.property(&["Role"]).unwrap()));
        let others = role.property(&["ManagedPolicyArns"]).map(Node::items);
        for other in others.unwrap_or_default() {
            assert_eq!(referred(other), "AuditPolicy", "{id}");
        }
        assert!(roles.insert(role.logical_id.clone()), "{id} shares its role");
        let log = find(
            template,
            referred(function.property(&["LoggingConfig", "LogGroup"]).unwrap()),
        );
        assert!(function.property(&["Timeout"]).is_some() && function.property(&["MemorySize"]).is_some());
        let own_log = statements(template).into_iter().any(|(place, statement)| {
            place == format!("{}/Log", role.logical_id)
                && mentions(statement.get("Resource").unwrap(), &log.logical_id)
        });
        assert!(own_log, "{id} cannot log");
    }
    for log in template.of_kind("AWS::Logs::LogGroup") {
        assert!(
            log.property(&["RetentionInDays"]).is_some(),
            "{} is kept for ever",
            log.logical_id
        );
    }
}

#[test]
fn every_function_of_the_repository_is_deployed_under_its_own_name() {
    let template = template();
    let mut deployed = BTreeSet::new();
    for function in template.of_kind("AWS::Serverless::Function") {
        let folder = function.property(&["CodeUri"]).and_then(Node::text).unwrap();
        let name = folder.strip_prefix("functions/").unwrap();
        let binary = function
            .node
            .at(&["Metadata", "BuildProperties", "Binary"])
            .and_then(Node::text);
        assert_eq!(binary, Some(name));
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains(&format!("[[bin]]\nname = \"{name}\"\n")),
            "{folder}"
        );
        deployed.insert(name.to_owned());
    }
    let folders = fs::read_dir(root().join("functions")).unwrap();
    let folders: BTreeSet<_> = folders
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(deployed, folders);
}

#[test]
fn queues_are_encrypted_and_nobody_speaks_to_queue_or_bucket_in_the_clear() {
    let template = template();
    let denies = |policy: &Resource, actions: &str| {
        let statements = policy.property(&["PolicyDocument", "Statement"]).unwrap().items();
        let found = statements.iter().find(|statement| {
            let text = |key: &str| statement.get(key).and_then(Node::text);
            let condition = statement.at(&["Condition", "Bool", "aws:SecureTransport"]);
            text("Effect") == Some("Deny")
                && text("Principal") == Some("*")
                && text("Action") == Some(actions)
                && condition.and_then(Node::text) == Some("false")
        });
        found
            .unwrap_or_else(|| panic!("{} lets everybody in the clear", policy.logical_id))
            .clone()
    };
    for queue in template.of_kind("AWS::SQS::Queue") {
        let id = &queue.logical_id;
        let encrypted = queue.property(&["SqsManagedSseEnabled"]).and_then(Node::bool);
        assert_eq!(encrypted, Some(true), "{id}");
        let mut policies = template.of_kind("AWS::SQS::QueuePolicy");
        let policy = policies.find(|policy| mentions(policy.property(&["Queues"]).unwrap(), id));
        denies(policy.unwrap_or_else(|| panic!("{id}")), "sqs:*");
    }
    for policy in template.of_kind("AWS::S3::BucketPolicy") {
        let bucket = referred(policy.property(&["Bucket"]).unwrap());
        let statement = denies(policy, "s3:*");
        let resources = statement.get("Resource").unwrap().items();
        let objects = format!("${{{bucket}.Arn}}/*");
        assert_eq!(referred(&resources[0]), bucket);
        assert_eq!(
            resources[1].tagged("!Sub").and_then(Node::text),
            Some(objects.as_str())
        );
    }
}

#[test]
fn browsers_are_let_in_from_the_named_front_ends_only_and_logs_name_no_caller() {
    let template = template();
    for bucket in template.of_kind("AWS::S3::Bucket") {
        let rules = bucket
            .property(&["CorsConfiguration", "CorsRules"])
            .unwrap()
            .items();
        // What a signed link opens may be read from anywhere: after a redirect a browser names no origin.
        for rule in rules {
            let methods = texts(rule.get("AllowedMethods").unwrap());
            let origins = rule.get("AllowedOrigins").unwrap();
            let is_for_front_ends = origins.tagged("!Ref").and_then(Node::text) == Some("AllowedOrigins");
            assert!(methods == ["GET"] || is_for_front_ends, "{}", bucket.logical_id);
        }
    }
    for stage in template.of_kind("AWS::ApiGatewayV2::Stage") {
        let format = stage
            .property(&["AccessLogSettings", "Format"])
            .and_then(Node::text);
        let format = format.unwrap();
        for telling in ["identity", "path", "authorizer", "queryString", "header"] {
            assert!(
                !format.to_lowercase().contains(&telling.to_lowercase()),
                "{telling}"
            );
        }
        let throttled = stage.property(&["DefaultRouteSettings", "ThrottlingRateLimit"]);
        assert!(throttled.is_some(), "{}", stage.logical_id);
    }
    // The API's function is reached through the gateway, and invoked by hand by who may: by nobody else.
    for function in template.of_kind("AWS::Serverless::Function") {
        assert!(
            function.property(&["FunctionUrlConfig"]).is_none(),
            "{}",
            function.logical_id
        );
        let variables = function.property(&["Environment", "Variables"]);
        for (name, _) in variables.map(Node::entries).unwrap_or_default() {
            let telling = ["SECRET", "PASSWORD", "TOKEN", "PRIVATE"];
            assert!(!telling.iter().any(|word| name.contains(word)), "{name}");
        }
    }
    for permission in template.of_kind("AWS::Lambda::Permission") {
        let principal = permission.property(&["Principal"]).and_then(Node::text);
        assert_eq!(
            principal,
            Some("apigateway.amazonaws.com"),
            "{}",
            permission.logical_id
        );
        assert!(
            permission.property(&["SourceArn"]).is_some(),
            "{}",
            permission.logical_id
        );
    }
}

#[test]
fn every_route_leads_to_the_one_function() {
    let template = template();
    let routes = template.routes().unwrap();
    let distinct: BTreeSet<_> = routes.iter().collect();
    assert_eq!(distinct.len(), routes.len(), "a route stands twice");
    for route in template.of_kind("AWS::ApiGatewayV2::Route") {
        let target = route
            .property(&["Target"])
            .and_then(|target| target.tagged("!Sub"))
            .and_then(Node::text);
        assert_eq!(
            target,
            Some("integrations/${HttpApiIntegration}"),
            "{}",
            route.logical_id
        );
    }
}

/// The numbers that `Stage=prod` refuses for `ApiReservedConcurrency`, read from the rule itself.
#[test]
fn production_reserves_room_for_the_api() {
    let rule = template().at(&["Rules", "ProductionReservesForApi"]).unwrap();
    let condition = rule
        .get("RuleCondition")
        .and_then(|node| node.tagged("!Equals"))
        .unwrap();
    let [stage, prod] = condition.items() else {
        panic!("{condition:?}")
    };
    assert_eq!((referred(stage), prod.text()), ("Stage", Some("prod")));
    let [assertion] = rule.get("Assertions").unwrap().items() else {
        panic!("one assertion expected")
    };
    let refused = assertion
        .get("Assert")
        .and_then(|node| node.tagged("!Not"))
        .unwrap();
    let [refused] = refused.items() else {
        panic!("{refused:?}")
    };
    let [numbers, parameter] = refused.get("Fn::Contains").unwrap().items() else {
        panic!("{refused:?}")
    };
    assert_eq!(referred(parameter), "ApiReservedConcurrency");
    let numbers: Vec<_> = numbers
        .items()
        .iter()
        .map(|number| number.text().unwrap().to_owned())
        .collect();
    assert_eq!(
        numbers,
        (0..10).map(|number| number.to_string()).collect::<Vec<_>>()
    );
}
