//! What a function is told of the stack, what it asks for, and what its role lets it reach: the same.

use std::collections::BTreeSet;
use std::fs;

use oubli_local::provision::node::Node;
use oubli_local::provision::template::{Resource, Template};

use crate::root;

/// Types of what the environment names.
const REACHED: [&str; 4] = [
    "AWS::DynamoDB::Table",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
    "AWS::KMS::Key",
];

/// Settings that name no resource.
const PLAIN: [&str; 5] = [
    "OUBLI_TRUSTED_ARCHIVE_KEYS",
    "OUBLI_MAIL_FROM",
    "OUBLI_FRONT_END_URL",
    "OUBLI_ISSUER",
    "OUBLI_ALLOWED_ORIGINS",
];

/// Every logical id in a node: `!Ref Id`, `!GetAtt Id.Arn`, `!Sub "${Id.Arn}/…"`.
fn referred(node: &Node, found: &mut BTreeSet<String>) {
    match node {
        Node::Tagged(tag, inner) => match (tag.as_str(), inner.text()) {
            ("!Ref" | "!GetAtt", Some(name)) => {
                found.insert(name.split('.').next().unwrap().to_owned());
            }
            ("!Sub", Some(text)) => {
                for placeholder in text.split("${").skip(1) {
                    let name = placeholder.split(['.', '}']).next().unwrap();
                    found.insert(name.to_owned());
                }
            }
            _ => referred(inner, found),
        },
        Node::List(items) => items.iter().for_each(|item| referred(item, found)),
        Node::Map(entries) => entries.iter().for_each(|(_, node)| referred(node, found)),
        _ => {}
    }
}

fn variables(function: &Resource) -> &[(String, Node)] {
    function
        .property(&["Environment", "Variables"])
        .map(Node::entries)
        .unwrap_or_default()
}

#[test]
fn a_role_reaches_what_the_environment_names_and_nothing_else() {
    let template = Template::embedded().unwrap();
    let resources: BTreeSet<_> = REACHED
        .iter()
        .flat_map(|kind| template.of_kind(kind))
        .map(|resource| resource.logical_id.clone())
        .collect();
    for function in template.of_kind("AWS::Serverless::Function") {
        let mut named = BTreeSet::new();
        for (_, value) in variables(function) {
            referred(value, &mut named);
        }
        let mut reached = BTreeSet::new();
        let role = function.logical_id.replace("Function", "Role");
        let role = template
            .of_kind("AWS::IAM::Role")
            .find(|found| found.logical_id == role)
            .unwrap();
        for policy in role.property(&["Policies"]).unwrap().items() {
            for statement in policy.at(&["PolicyDocument", "Statement"]).unwrap().items() {
                // The queue that Lambda reads for the function is none that the function names.
                if statement.get("Sid").and_then(Node::text) != Some("Consume") {
                    referred(statement.get("Resource").unwrap(), &mut reached);
                }
            }
        }
        let only_resources = |ids: &BTreeSet<String>| ids & &resources;
        assert_eq!(
            only_resources(&named),
            only_resources(&reached),
            "{}",
            function.logical_id
        );
    }
}

#[test]
fn a_function_asks_for_what_it_is_told() {
    let template = Template::embedded().unwrap();
    for function in template.of_kind("AWS::Serverless::Function") {
        let folder = function.property(&["CodeUri"]).and_then(Node::text).unwrap();
        let main = fs::read_to_string(root().join(folder).join("src/main.rs")).unwrap();
        let asked: BTreeSet<_> = main
            .split("CloudSettings::")
            .skip(1)
            .map(|rest| {
                rest.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
                    .next()
                    .unwrap()
            })
            .filter(|name| !name.is_empty() && *name != "MAIL_FROM")
            .map(|name| {
                if name.ends_with("_QUEUE") {
                    format!("OUBLI_{name}_URL")
                } else {
                    format!("OUBLI_{name}")
                }
            })
            .collect();
        let told: BTreeSet<_> = variables(function)
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| !PLAIN.contains(&name.as_str()))
            .collect();
        assert_eq!(asked, told, "{folder}");
    }
}
