//! Which types of resources are made here, and which have no meaning outside AWS.

use super::ProvisionError;
use super::template::Resource;

/// What is done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    Bucket,
    Queue,
    MailIdentity,
    Key,
    KeyAlias,
    Function,
    /// Events that go to a queue.
    EventRule,
    /// Nothing: it has a meaning on AWS only.
    Elsewhere,
}

/// Types that nothing is made of here, and why.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "AWS::ApiGatewayV2::Api",
        "the router of the function `api` serves HTTP by itself",
    ),
    (
        "AWS::ApiGatewayV2::Stage",
        "the router of the function `api` serves HTTP by itself",
    ),
    (
        "AWS::ApiGatewayV2::Integration",
        "the router of the function `api` serves HTTP by itself",
    ),
    (
        "AWS::ApiGatewayV2::Route",
        "a test compares the routes with the router's",
    ),
    (
        "AWS::CloudWatch::Alarm",
        "nobody is paged by a development machine",
    ),
    ("AWS::IAM::ManagedPolicy", "local endpoints ask for no rights"),
    ("AWS::IAM::Role", "local endpoints ask for no rights"),
    ("AWS::Lambda::Permission", "local endpoints ask for no rights"),
    ("AWS::Logs::LogGroup", "logs go to the terminal"),
    (
        "AWS::S3::BucketPolicy",
        "it demands TLS, and the loopback has none",
    ),
    (
        "AWS::SNS::Subscription",
        "nobody is paged by a development machine",
    ),
    ("AWS::SNS::Topic", "nobody is paged by a development machine"),
    (
        "AWS::SQS::QueuePolicy",
        "it demands TLS, and the loopback has none",
    ),
];

impl Kind {
    /// What is done with this resource.
    ///
    /// # Errors
    /// [`ProvisionError::Resource`] for a type that is not known here.
    pub(super) fn of(resource: &Resource) -> Result<Self, ProvisionError> {
        match resource.kind.as_str() {
            "AWS::DynamoDB::Table" => Ok(Self::Table),
            "AWS::S3::Bucket" => Ok(Self::Bucket),
            "AWS::SQS::Queue" => Ok(Self::Queue),
            "AWS::SES::EmailIdentity" => Ok(Self::MailIdentity),
            "AWS::KMS::Key" => Ok(Self::Key),
            "AWS::KMS::Alias" => Ok(Self::KeyAlias),
            "AWS::Serverless::Function" => Ok(Self::Function),
            "AWS::Events::Rule" => Ok(Self::EventRule),
            kind if ELSEWHERE.iter().any(|(known, _)| *known == kind) => Ok(Self::Elsewhere),
            kind => Err(ProvisionError::Resource {
                resource: resource.logical_id.clone(),
                detail: format!("nothing is known about the type `{kind}`"),
            }),
        }
    }

    /// A resource's name without the stack's prefix: `BulkPlannerQueue` is `bulk-planner`.
    pub(super) fn short_name(self, logical_id: &str) -> String {
        let suffix = match self {
            Self::Table => "Table",
            Self::Bucket => "Bucket",
            Self::Queue => "Queue",
            Self::MailIdentity
            | Self::Key
            | Self::KeyAlias
            | Self::Function
            | Self::EventRule
            | Self::Elsewhere => "",
        };
        let mut name = String::new();
        for letter in logical_id.strip_suffix(suffix).unwrap_or(logical_id).chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provision::template::Template;

    #[test]
    fn a_type_that_is_not_known_is_an_error() {
        let template =
            Template::parse("Resources:\n  Cluster:\n    Type: AWS::EKS::Cluster\n    Properties: {}\n")
                .unwrap();
        let error = Kind::of(&template.resources()[0]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "resource `Cluster` of the template: nothing is known about the type `AWS::EKS::Cluster`"
        );
    }

    #[test]
    fn every_type_that_is_left_out_stands_in_the_template() {
        let template = Template::embedded().unwrap();
        for (kind, reason) in ELSEWHERE {
            assert!(template.of_kind(kind).next().is_some(), "{kind}: {reason}");
        }
    }

    #[test]
    fn names_are_those_of_the_template() {
        assert_eq!(
            Kind::Queue.short_name("BulkPlannerDeadLetterQueue"),
            "bulk-planner-dead-letter"
        );
        assert_eq!(Kind::Table.short_name("ContactsTable"), "contacts");
        assert_eq!(Kind::Bucket.short_name("UploadsBucket"), "uploads");
    }
}
