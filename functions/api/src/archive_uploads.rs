//! `/v1/archive-uploads`: saved archives on their way back.
//!
//! Bytes never pass through here. What was uploaded is looked at by the restore that names it.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use oubli_domain::{FieldErrors, Sha256};
use oubli_workflows::{ArchiveUploadLinks, NewArchiveUpload};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::answer;
use crate::auth::{ClientContactsPrivacy, Staff};
use crate::input::Command;
use crate::input::body::Input;
use crate::problem::{Problem, problems};
use crate::state::ApiState;
use crate::upload::UploadView;

problems!(CreateProblems: STAFF + BODY + IDEMPOTENT + []);

/// A saved archive to be uploaded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewArchiveUpload)]
pub struct NewArchiveUploadBody {
    /// The size in bytes; what no archive can have is refused when it is restored.
    #[schema(minimum = 1)]
    size_bytes: u64,
    /// SHA-256 of the file, 64 hexadecimal digits: storage then refuses other bytes, if one request sends them.
    sha256: Option<String>,
}
impl Input for NewArchiveUploadBody {}

impl NewArchiveUploadBody {
    fn parse(self) -> Result<(u64, Option<Sha256>), FieldErrors> {
        let mut errors = FieldErrors::default();
        if self.size_bytes == 0 {
            errors.push("/size_bytes", "must be at least 1");
        }
        let sha256 = self
            .sha256
            .and_then(|text| errors.take("/sha256", Sha256::parse(&text)));
        errors.into_result()?;
        Ok((self.size_bytes, sha256))
    }
}

/// An upload that awaits its bytes, and where they go.
#[derive(Serialize, ToSchema)]
#[schema(as = NewArchiveUploadAnswer)]
pub struct NewArchiveUploadView {
    /// Which: what a restore names in `upload_ids`.
    upload_id: String,
    /// How to upload the bytes.
    upload: ArchiveUploadView,
}

/// How to upload a saved archive: in one request up to 5 GiB, in parts up to 20 GiB. No archive is larger.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ArchiveUpload)]
pub enum ArchiveUploadView {
    /// In one request.
    Single(UploadView),
    /// In parts, in any order. There is nothing to complete: the restore does that.
    Parts(UploadPartsView),
}

/// How to upload bytes in parts.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadParts)]
pub struct UploadPartsView {
    /// How many bytes each part has; the last has what is left.
    part_size_bytes: u64,
    /// The parts, in the order of the bytes.
    parts: Vec<UploadPartView>,
    /// When the links end.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// How to upload one part.
#[derive(Serialize, ToSchema)]
#[schema(as = UploadPart)]
pub struct UploadPartView {
    /// Its number, from 1.
    number: u32,
    /// The HTTP method.
    #[schema(example = "PUT")]
    method: String,
    /// The signed link.
    url: String,
    /// The headers that the client must send, exactly these.
    headers: BTreeMap<String, String>,
}

impl NewArchiveUploadView {
    fn new(new: NewArchiveUpload) -> Self {
        let upload = match new.upload {
            ArchiveUploadLinks::Single(upload) => ArchiveUploadView::Single(UploadView::new(upload)),
            ArchiveUploadLinks::Parts {
                part_size_bytes,
                parts,
                expires_at,
            } => ArchiveUploadView::Parts(UploadPartsView {
                part_size_bytes,
                parts: parts
                    .into_iter()
                    .map(|part| UploadPartView {
                        number: part.number,
                        method: part.method,
                        url: part.url,
                        headers: part.headers,
                    })
                    .collect(),
                expires_at,
            }),
        };
        Self {
            upload_id: new.id.into(),
            upload,
        }
    }
}

/// Announce a saved archive.
///
/// The answer says how to upload its bytes. Start a `restore` with its `upload_id` then. What no restore has
/// taken up within a day is removed.
#[utoipa::path(post, path = "/v1/archive-uploads", operation_id = "create_archive_upload", tag = "archives",
    security(("staff_token" = [])),
    params(("Idempotency-Key" = inline(Option<String>), Header, nullable = false, max_length = 255, description = "Makes a repetition harmless for 24 hours")),
    request_body = NewArchiveUploadBody,
    responses((status = 201, description = "The upload, and how to upload its bytes", body = NewArchiveUploadView), CreateProblems))]
pub async fn create(
    staff: Staff<ClientContactsPrivacy>,
    State(state): State<ApiState>,
    command: Command<NewArchiveUploadBody>,
) -> Result<Response, Problem> {
    let (size_bytes, sha256) = command.body.parse().map_err(|errors| Problem::refused(&errors))?;
    let idempotency = &command.idempotency.of(&staff.caller.member_id);
    let new = state
        .oubli
        .announce_archive_upload(&staff.caller.tenant_id, size_bytes, sha256, idempotency)
        .await?;
    Ok(answer::created(NewArchiveUploadView::new(new)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::json;
    use oubli_domain::UploadId;
    use oubli_workflows::{Upload, UploadPart};
    use rstest::rstest;
    use serde_json::{Value, json};

    fn parse(body: Value) -> Result<(u64, Option<Sha256>), FieldErrors> {
        match json::read::<NewArchiveUploadBody>(body.to_string().as_bytes()) {
            Ok(body) => body.parse(),
            Err(problem) => panic!("{problem:?}"),
        }
    }

    #[test]
    fn any_size_may_be_announced() {
        assert_eq!(parse(json!({"size_bytes": 1})).unwrap(), (1, None));
        let hash = "0f".repeat(32);
        let (size_bytes, sha256) = parse(json!({"size_bytes": u64::MAX, "sha256": hash})).unwrap();
        assert_eq!((size_bytes, sha256), (u64::MAX, Sha256::parse(&hash).ok()));
    }

    #[rstest]
    #[case(json!({"size_bytes": 0}), &["/size_bytes"])]
    #[case(json!({"size_bytes": 1, "sha256": "abc"}), &["/sha256"])]
    #[case(json!({"size_bytes": 0, "sha256": ""}), &["/size_bytes", "/sha256"])]
    fn what_cannot_be_is_refused(#[case] body: Value, #[case] pointers: &[&str]) {
        let errors = parse(body).unwrap_err();
        let told: Vec<_> = errors
            .as_slice()
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        assert_eq!(told, pointers);
    }

    fn link(number: u32) -> Upload {
        Upload {
            method: "PUT".into(),
            url: format!("https://storage.example.com/{number}"),
            headers: BTreeMap::from([("content-type".into(), "application/zip".into())]),
            expires_at: "2026-03-01T12:00:00Z".parse().unwrap(),
        }
    }

    fn shown(upload: ArchiveUploadLinks) -> Value {
        let id = UploadId::parse("u").unwrap();
        serde_json::to_value(NewArchiveUploadView::new(NewArchiveUpload { id, upload })).unwrap()
    }

    #[test]
    fn one_request_or_parts_are_told_apart_by_their_members() {
        let headers = json!({"content-type": "application/zip"});
        let (url, expires_at) = ("https://storage.example.com/1", "2026-03-01T12:00:00Z");
        let upload = json!({"method": "PUT", "url": url, "headers": headers, "expires_at": expires_at});
        let single = json!({"upload_id": "u", "upload": upload});
        assert_eq!(shown(ArchiveUploadLinks::Single(link(1))), single);
        let parts = ArchiveUploadLinks::Parts {
            part_size_bytes: 7,
            parts: vec![UploadPart {
                number: 1,
                method: link(1).method,
                url: link(1).url,
                headers: link(1).headers,
            }],
            expires_at: link(1).expires_at,
        };
        let part = json!({"number": 1, "method": "PUT", "url": url, "headers": headers});
        let upload = json!({"part_size_bytes": 7, "parts": [part], "expires_at": expires_at});
        assert_eq!(shown(parts), json!({"upload_id": "u", "upload": upload}));
    }
}
