//! Oubli whole on one machine: the AWS endpoint, the functions, a demo tenant.
//!
//! [`engines`] is the AWS endpoint: DynamoDB ([`dynamodb`]), S3 ([`s3`]), SQS ([`sqs`]), SES ([`ses`]) and
//! KMS ([`kms`]) behind one port, all following one [`clock`], with [`faults`] on demand. Programs reach it over HTTP
//! with the AWS SDK, as they reach AWS; it shares no code with the crate that does so, so that one
//! mistake cannot hide in both.

pub mod clock;
pub mod demo;
pub mod dynamodb;
mod endpoint;
pub mod engines;
pub mod faults;
pub mod kms;
pub mod provision;
pub mod runner;
pub mod s3;
pub mod ses;
pub mod sqs;
