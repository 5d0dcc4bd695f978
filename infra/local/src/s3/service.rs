//! The operations, each handed to the part that does it.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketLifecycleConfiguration,
    BucketLocationConstraint, CORSConfiguration, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteBucketCorsInput, DeleteBucketCorsOutput, DeleteBucketEncryptionInput,
    DeleteBucketEncryptionOutput, DeleteBucketInput, DeleteBucketLifecycleInput, DeleteBucketLifecycleOutput,
    DeleteBucketOutput, DeleteBucketOwnershipControlsInput, DeleteBucketOwnershipControlsOutput,
    DeleteBucketPolicyInput, DeleteBucketPolicyOutput, DeleteBucketTaggingInput, DeleteBucketTaggingOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletePublicAccessBlockInput, DeletePublicAccessBlockOutput,
    GetBucketCorsInput, GetBucketCorsOutput, GetBucketEncryptionInput, GetBucketEncryptionOutput,
    GetBucketLifecycleConfigurationInput, GetBucketLifecycleConfigurationOutput, GetBucketLocationInput,
    GetBucketLocationOutput, GetBucketNotificationConfigurationInput,
    GetBucketNotificationConfigurationOutput, GetBucketOwnershipControlsInput,
    GetBucketOwnershipControlsOutput, GetBucketPolicyInput, GetBucketPolicyOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectAttributesInput,
    GetObjectAttributesOutput, GetObjectInput, GetObjectOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, GetPublicAccessBlockInput, GetPublicAccessBlockOutput, HeadBucketInput,
    HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListBucketsInput, ListBucketsOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput,
    ListPartsOutput, NotificationConfiguration, PutBucketCorsInput, PutBucketCorsOutput,
    PutBucketEncryptionInput, PutBucketEncryptionOutput, PutBucketLifecycleConfigurationInput,
    PutBucketLifecycleConfigurationOutput, PutBucketNotificationConfigurationInput,
    PutBucketNotificationConfigurationOutput, PutBucketOwnershipControlsInput,
    PutBucketOwnershipControlsOutput, PutBucketPolicyInput, PutBucketPolicyOutput, PutBucketTaggingInput,
    PutBucketTaggingOutput, PutBucketVersioningInput, PutBucketVersioningOutput, PutObjectInput,
    PutObjectOutput, PutObjectTaggingInput, PutObjectTaggingOutput, PutPublicAccessBlockInput,
    PutPublicAccessBlockOutput, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput, VersioningConfiguration,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::record::{Record, Setting};
use super::refusal::refusal;
use super::store::Store;

/// The S3 service over a store.
pub(super) struct Service(pub(super) Arc<Store>);

type Answer<T> = S3Result<S3Response<T>>;

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

fn wire_tags(tags: &super::record::Tags) -> Vec<Tag> {
    tags.iter()
        .map(|(key, value)| Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        })
        .collect()
}

#[async_trait]
impl S3 for Service {
    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let input = request.input;
        let location = input
            .create_bucket_configuration
            .and_then(|given| given.location_constraint);
        let location = location
            .map(|location| location.as_str().to_owned())
            .filter(|location| !location.is_empty());
        self.0.change(|index| {
            if index.buckets.contains_key(&input.bucket) {
                let text =
                    "Your previous request to create the named bucket succeeded and you already own it.";
                return Err(s3_error!(BucketAlreadyOwnedByYou, "{text}"));
            }
            let (bucket, created_at) = (input.bucket.clone(), self.0.clock.now());
            Ok((
                vec![Record::BucketCreated {
                    bucket,
                    created_at,
                    location,
                }],
                (),
            ))
        })?;
        answer(CreateBucketOutput {
            location: Some(format!("/{}", input.bucket)),
        })
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        let bucket = request.input.bucket;
        self.0.change(|index| {
            let found = index.existing(&bucket)?;
            if !found.objects.is_empty() || !found.uploads.is_empty() {
                return Err(s3_error!(
                    BucketNotEmpty,
                    "The bucket you tried to delete is not empty"
                ));
            }
            Ok((vec![Record::BucketDeleted { bucket }], ()))
        })?;
        answer(DeleteBucketOutput {})
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        let location = self
            .0
            .look(|index| Ok(index.existing(&request.input.bucket)?.location.clone()))?;
        let bucket_region = Some(location.unwrap_or_else(|| "us-east-1".to_owned()));
        answer(HeadBucketOutput {
            bucket_region,
            ..HeadBucketOutput::default()
        })
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        let location = self
            .0
            .look(|index| Ok(index.existing(&request.input.bucket)?.location.clone()))?;
        answer(GetBucketLocationOutput {
            location_constraint: location.map(BucketLocationConstraint::from),
        })
    }

    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        answer(self.0.list_buckets(&request.input)?)
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        answer(self.0.list_objects(request.input)?)
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        answer(self.0.list_objects_v2(request.input)?)
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        answer(self.0.list_object_versions(request.input)?)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        answer(self.0.list_multipart_uploads(request.input)?)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        answer(self.0.list_parts(request.input)?)
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        answer(self.0.create_multipart_upload(request.input)?)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        answer(self.0.complete_multipart_upload(request.input)?)
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        answer(Box::pin(self.0.put_object(request)).await?)
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        answer(Box::pin(self.0.upload_part(request)).await?)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        answer(Box::pin(self.0.get_object(request.input)).await?)
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        answer(Box::pin(self.0.copy_object(request.input)).await?)
    }

    async fn upload_part_copy(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        answer(Box::pin(self.0.upload_part_copy(request.input)).await?)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        answer(self.0.head_object(&request.input)?)
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        answer(self.0.delete_object(&request.input)?)
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        answer(self.0.delete_objects(&request.input)?)
    }

    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        answer(self.0.get_object_attributes(&request.input)?)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let input = request.input;
        self.0
            .abort_multipart_upload(&input.bucket, &input.key, &input.upload_id)?;
        answer(AbortMultipartUploadOutput::default())
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        let input = request.input;
        let found = self
            .0
            .find(&input.bucket, &input.key, input.version_id.as_deref())?;
        let tag_set = wire_tags(&found.content()?.tags);
        answer(GetObjectTaggingOutput {
            tag_set,
            version_id: found.shown_id,
        })
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        let input = request.input;
        let tags = input.tagging.tag_set;
        let version_id = self
            .0
            .put_tags(&input.bucket, &input.key, input.version_id.as_deref(), tags)?;
        answer(PutObjectTaggingOutput { version_id })
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        let input = request.input;
        let version_id =
            self.0
                .put_tags(&input.bucket, &input.key, input.version_id.as_deref(), Vec::new())?;
        answer(DeleteObjectTaggingOutput { version_id })
    }

    async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        let input = request.input;
        self.0.put_setting(
            &input.bucket,
            Setting::Versioning,
            &input.versioning_configuration,
        )?;
        answer(PutBucketVersioningOutput::default())
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        let document = self.0.document(&request.input.bucket, Setting::Versioning)?;
        let stored = document
            .as_deref()
            .map(super::settings::parse::<VersioningConfiguration>)
            .transpose();
        let status = stored
            .map_err(|error| s3_error!(error, InternalError))?
            .and_then(|stored| stored.status);
        answer(GetBucketVersioningOutput {
            status,
            ..GetBucketVersioningOutput::default()
        })
    }

    async fn put_bucket_lifecycle_configuration(
        &self,
        request: S3Request<PutBucketLifecycleConfigurationInput>,
    ) -> Answer<PutBucketLifecycleConfigurationOutput> {
        let input = request.input;
        let configuration = input
            .lifecycle_configuration
            .ok_or_else(|| s3_error!(MalformedXML))?;
        self.0
            .put_setting(&input.bucket, Setting::Lifecycle, &configuration)?;
        answer(PutBucketLifecycleConfigurationOutput::default())
    }

    async fn get_bucket_lifecycle_configuration(
        &self,
        request: S3Request<GetBucketLifecycleConfigurationInput>,
    ) -> Answer<GetBucketLifecycleConfigurationOutput> {
        let absent = || {
            s3_error!(
                NoSuchLifecycleConfiguration,
                "The lifecycle configuration does not exist"
            )
        };
        let stored: BucketLifecycleConfiguration =
            self.0
                .setting(&request.input.bucket, Setting::Lifecycle, absent)?;
        let rules = Some(stored.rules);
        answer(GetBucketLifecycleConfigurationOutput {
            rules,
            ..GetBucketLifecycleConfigurationOutput::default()
        })
    }

    async fn delete_bucket_lifecycle(
        &self,
        request: S3Request<DeleteBucketLifecycleInput>,
    ) -> Answer<DeleteBucketLifecycleOutput> {
        self.0.delete_setting(&request.input.bucket, Setting::Lifecycle)?;
        answer(DeleteBucketLifecycleOutput::default())
    }

    async fn put_bucket_cors(&self, request: S3Request<PutBucketCorsInput>) -> Answer<PutBucketCorsOutput> {
        let input = request.input;
        self.0
            .put_setting(&input.bucket, Setting::Cors, &input.cors_configuration)?;
        answer(PutBucketCorsOutput::default())
    }

    async fn get_bucket_cors(&self, request: S3Request<GetBucketCorsInput>) -> Answer<GetBucketCorsOutput> {
        let absent = || s3_error!(NoSuchCORSConfiguration, "The CORS configuration does not exist");
        let stored: CORSConfiguration = self.0.setting(&request.input.bucket, Setting::Cors, absent)?;
        answer(GetBucketCorsOutput {
            cors_rules: Some(stored.cors_rules),
        })
    }

    async fn delete_bucket_cors(
        &self,
        request: S3Request<DeleteBucketCorsInput>,
    ) -> Answer<DeleteBucketCorsOutput> {
        self.0.delete_setting(&request.input.bucket, Setting::Cors)?;
        answer(DeleteBucketCorsOutput::default())
    }

    async fn put_bucket_encryption(
        &self,
        request: S3Request<PutBucketEncryptionInput>,
    ) -> Answer<PutBucketEncryptionOutput> {
        let input = request.input;
        self.0.put_setting(
            &input.bucket,
            Setting::Encryption,
            &input.server_side_encryption_configuration,
        )?;
        answer(PutBucketEncryptionOutput::default())
    }

    async fn get_bucket_encryption(
        &self,
        request: S3Request<GetBucketEncryptionInput>,
    ) -> Answer<GetBucketEncryptionOutput> {
        let document = self.0.document(&request.input.bucket, Setting::Encryption)?;
        let stored = match document {
            Some(document) => {
                super::settings::parse(&document).map_err(|error| s3_error!(error, InternalError))?
            }
            None => {
                let sse_algorithm = ServerSideEncryption::from(ServerSideEncryption::AES256.to_owned());
                let default = ServerSideEncryptionByDefault {
                    kms_master_key_id: None,
                    sse_algorithm,
                };
                let rule = ServerSideEncryptionRule {
                    apply_server_side_encryption_by_default: Some(default),
                    bucket_key_enabled: Some(false),
                };
                ServerSideEncryptionConfiguration { rules: vec![rule] }
            }
        };
        answer(GetBucketEncryptionOutput {
            server_side_encryption_configuration: Some(stored),
        })
    }

    async fn delete_bucket_encryption(
        &self,
        request: S3Request<DeleteBucketEncryptionInput>,
    ) -> Answer<DeleteBucketEncryptionOutput> {
        self.0
            .delete_setting(&request.input.bucket, Setting::Encryption)?;
        answer(DeleteBucketEncryptionOutput::default())
    }

    async fn put_public_access_block(
        &self,
        request: S3Request<PutPublicAccessBlockInput>,
    ) -> Answer<PutPublicAccessBlockOutput> {
        let input = request.input;
        self.0.put_setting(
            &input.bucket,
            Setting::PublicAccessBlock,
            &input.public_access_block_configuration,
        )?;
        answer(PutPublicAccessBlockOutput::default())
    }

    async fn get_public_access_block(
        &self,
        request: S3Request<GetPublicAccessBlockInput>,
    ) -> Answer<GetPublicAccessBlockOutput> {
        let absent = || {
            let text = "The public access block configuration was not found";
            refusal(
                "NoSuchPublicAccessBlockConfiguration",
                StatusCode::NOT_FOUND,
                text,
            )
        };
        let stored = self
            .0
            .setting(&request.input.bucket, Setting::PublicAccessBlock, absent)?;
        answer(GetPublicAccessBlockOutput {
            public_access_block_configuration: Some(stored),
        })
    }

    async fn delete_public_access_block(
        &self,
        request: S3Request<DeletePublicAccessBlockInput>,
    ) -> Answer<DeletePublicAccessBlockOutput> {
        self.0
            .delete_setting(&request.input.bucket, Setting::PublicAccessBlock)?;
        answer(DeletePublicAccessBlockOutput::default())
    }

    async fn put_bucket_tagging(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> Answer<PutBucketTaggingOutput> {
        let input = request.input;
        self.0
            .put_setting(&input.bucket, Setting::Tagging, &input.tagging)?;
        answer(PutBucketTaggingOutput::default())
    }

    async fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> Answer<GetBucketTaggingOutput> {
        let absent = || s3_error!(NoSuchTagSet, "The TagSet does not exist");
        let stored: Tagging = self.0.setting(&request.input.bucket, Setting::Tagging, absent)?;
        answer(GetBucketTaggingOutput {
            tag_set: stored.tag_set,
        })
    }

    async fn delete_bucket_tagging(
        &self,
        request: S3Request<DeleteBucketTaggingInput>,
    ) -> Answer<DeleteBucketTaggingOutput> {
        self.0.delete_setting(&request.input.bucket, Setting::Tagging)?;
        answer(DeleteBucketTaggingOutput::default())
    }

    async fn put_bucket_policy(
        &self,
        request: S3Request<PutBucketPolicyInput>,
    ) -> Answer<PutBucketPolicyOutput> {
        let input = request.input;
        if serde_json::from_str::<serde_json::Value>(&input.policy).is_err() {
            return Err(s3_error!(MalformedPolicy, "Policies must be valid JSON"));
        }
        self.0
            .put_document(&input.bucket, Setting::Policy, input.policy)?;
        answer(PutBucketPolicyOutput::default())
    }

    async fn get_bucket_policy(
        &self,
        request: S3Request<GetBucketPolicyInput>,
    ) -> Answer<GetBucketPolicyOutput> {
        let policy = self.0.document(&request.input.bucket, Setting::Policy)?;
        if policy.is_none() {
            return Err(s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"));
        }
        answer(GetBucketPolicyOutput { policy })
    }

    async fn delete_bucket_policy(
        &self,
        request: S3Request<DeleteBucketPolicyInput>,
    ) -> Answer<DeleteBucketPolicyOutput> {
        self.0.delete_setting(&request.input.bucket, Setting::Policy)?;
        answer(DeleteBucketPolicyOutput::default())
    }

    async fn put_bucket_ownership_controls(
        &self,
        request: S3Request<PutBucketOwnershipControlsInput>,
    ) -> Answer<PutBucketOwnershipControlsOutput> {
        let input = request.input;
        self.0.put_setting(
            &input.bucket,
            Setting::OwnershipControls,
            &input.ownership_controls,
        )?;
        answer(PutBucketOwnershipControlsOutput::default())
    }

    async fn get_bucket_ownership_controls(
        &self,
        request: S3Request<GetBucketOwnershipControlsInput>,
    ) -> Answer<GetBucketOwnershipControlsOutput> {
        let absent = || {
            s3_error!(
                OwnershipControlsNotFoundError,
                "The bucket ownership controls were not found"
            )
        };
        let stored = self
            .0
            .setting(&request.input.bucket, Setting::OwnershipControls, absent)?;
        answer(GetBucketOwnershipControlsOutput {
            ownership_controls: Some(stored),
        })
    }

    async fn delete_bucket_ownership_controls(
        &self,
        request: S3Request<DeleteBucketOwnershipControlsInput>,
    ) -> Answer<DeleteBucketOwnershipControlsOutput> {
        self.0
            .delete_setting(&request.input.bucket, Setting::OwnershipControls)?;
        answer(DeleteBucketOwnershipControlsOutput::default())
    }

    async fn put_bucket_notification_configuration(
        &self,
        request: S3Request<PutBucketNotificationConfigurationInput>,
    ) -> Answer<PutBucketNotificationConfigurationOutput> {
        let input = request.input;
        self.0.put_setting(
            &input.bucket,
            Setting::Notification,
            &input.notification_configuration,
        )?;
        answer(PutBucketNotificationConfigurationOutput::default())
    }

    async fn get_bucket_notification_configuration(
        &self,
        request: S3Request<GetBucketNotificationConfigurationInput>,
    ) -> Answer<GetBucketNotificationConfigurationOutput> {
        let document = self.0.document(&request.input.bucket, Setting::Notification)?;
        let stored = document
            .as_deref()
            .map(super::settings::parse::<NotificationConfiguration>)
            .transpose();
        let stored = stored
            .map_err(|error| s3_error!(error, InternalError))?
            .unwrap_or_default();
        answer(GetBucketNotificationConfigurationOutput {
            event_bridge_configuration: stored.event_bridge_configuration,
            lambda_function_configurations: stored.lambda_function_configurations,
            queue_configurations: stored.queue_configurations,
            topic_configurations: stored.topic_configurations,
        })
    }
}
