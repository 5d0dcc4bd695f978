//! How bytes get to storage: by a link that the client is given.

use std::collections::BTreeMap;

use jiff::Timestamp;
use oubli_workflows::Upload;
use serde::Serialize;
use utoipa::ToSchema;

/// How to upload bytes in one request.
#[derive(Serialize, ToSchema)]
#[schema(as = Upload)]
pub struct UploadView {
    /// The HTTP method.
    #[schema(example = "PUT")]
    method: String,
    /// The signed link.
    url: String,
    /// The headers that the client must send, exactly these, besides `Content-Length`, which every client sends
    /// by itself. It is signed: the link takes the announced number of bytes and no other.
    headers: BTreeMap<String, String>,
    /// When the link ends.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl UploadView {
    /// Renders a link.
    pub fn new(upload: Upload) -> Self {
        Self {
            method: upload.method,
            url: upload.url,
            headers: upload.headers,
            expires_at: upload.expires_at,
        }
    }
}
