//! DynamoDB, S3, SQS and SES behind types of the domain.
