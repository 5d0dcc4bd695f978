//! The one table of refusals: code, status, title, explanation.

use http::StatusCode;

macro_rules! codes {
    ($($name:ident $code:literal $status:ident $title:literal $explanation:literal)*) => {
        /// Why the API refuses a request. Codes are stable: front ends translate them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code {
            $(#[doc = $explanation] $name,)*
        }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The code as the API writes it: the last segment of `type`.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            /// What it means, in short.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// What it means, and what to do about it.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation),* }
            }
        }
    };
}

codes! {
    BadRequest "bad_request" BAD_REQUEST "Malformed request"
        "The request is not one that this API can read."
    PathMalformed "path_malformed" BAD_REQUEST "Malformed path"
        "The path holds a percent-encoding that is no UTF-8 text."
    QueryInvalid "query_invalid" BAD_REQUEST "Malformed query"
        "A query parameter is unknown here, stands twice, or is wrongly encoded. `errors` names each."
    BodyMalformed "body_malformed" BAD_REQUEST "Malformed JSON"
        "The body is not JSON in UTF-8. `detail` says where it stops being so."
    BodyInvalid "body_invalid" BAD_REQUEST "Body of another shape"
        "The body is JSON, but a field is unknown, missing, or of another type. `errors` names it."
    IdempotencyKeyInvalid "idempotency_key_invalid" BAD_REQUEST "Malformed Idempotency-Key"
        "`Idempotency-Key` must be given once and hold 1 to 255 bytes of UTF-8 text."
    CursorInvalid "cursor_invalid" BAD_REQUEST "Cursor of no use"
        "The cursor is not one of this list, or the entry that it points at has moved or gone. Begin again at the first page."
    TokenMissing "token_missing" UNAUTHORIZED "No token"
        "The route needs `Authorization: Bearer` with a token of the tenant's issuer."
    TokenInvalid "token_invalid" UNAUTHORIZED "Token not accepted"
        "The token is malformed, not yet valid, not signed by a key of the issuer, or meant for another audience."
    TokenExpired "token_expired" UNAUTHORIZED "Token expired"
        "The token was right, and its time is over. Sign in again."
    RightMissing "right_missing" FORBIDDEN "Right missing"
        "No security group of the member gives the right that the route needs."
    NotAMember "not_a_member" FORBIDDEN "Not a member"
        "The token is right, but the tenant has no such member. An administrator can add it."
    NotFound "not_found" NOT_FOUND "Not found"
        "There is nothing here, or nothing that belongs to your tenant."
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "Method not allowed"
        "The resource does not know the method. `Allow` lists those that it knows."
    AlreadyExists "already_exists" CONFLICT "Already there"
        "Something with this id is there already."
    LastAdministrator "last_administrator" CONFLICT "Last administrator"
        "Nobody could administer the tenant any more."
    UploadMissing "upload_missing" CONFLICT "Upload missing"
        "The document's bytes have not arrived. Upload them as the link says, then complete it again."
    UploadSizeMismatch "upload_size_mismatch" CONFLICT "Upload of another size"
        "The bytes that arrived are not as many as announced. The document still awaits its upload."
    UploadHashMismatch "upload_hash_mismatch" CONFLICT "Upload with another hash"
        "The bytes that arrived are not those that were announced. The document still awaits its upload."
    ArchiveHashMismatch "archive_hash_mismatch" CONFLICT "Not the archive"
        "The SHA-256 is not the archive's: what arrived is not whole, or something else. Nothing was noted; download the archive again."
    DocumentNotStored "document_not_stored" CONFLICT "Document not stored yet"
        "The document still awaits its upload, so there is nothing to fetch or to show."
    ContactAnonymised "contact_anonymised" CONFLICT "Contact anonymised"
        "The contact is anonymised: nothing personal can be added to it."
    ActionEnded "action_ended" CONFLICT "Action ended"
        "The data action has ended: there is nothing left to stop."
    ActionNotEnded "action_not_ended" CONFLICT "Action still running"
        "The data action has not ended yet."
    NothingToRetry "nothing_to_retry" CONFLICT "Nothing to retry"
        "No contact of the data action failed, and only what failed is done again."
    UploadChanged "upload_changed" CONFLICT "Upload changed meanwhile"
        "Other bytes were uploaded while the document was being checked. The document still awaits its upload."
    TooManyDocuments "too_many_documents" CONFLICT "Too many documents"
        "The contact holds the most documents that it can."
    Contended "contended" CONFLICT "Contended"
        "Something else changed the same things at the same moment, again and again. Repeat the request."
    PlanChanged "plan_changed" CONFLICT "Plan changed"
        "What would happen is not what a preview of the last 15 minutes showed. `preview` holds a new one."
    ArchiveExpired "archive_expired" GONE "Archive expired"
        "An archive lives ten days. This one is over: nobody can fetch it any more. Export the contact again."
    PreconditionFailed "precondition_failed" PRECONDITION_FAILED "Changed meanwhile"
        "`If-Match` does not name the present version. Read it again, then repeat the change."
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "Body too large"
        "A request body has at most 1 MiB. Documents go straight to storage, by the upload link."
    MediaTypeUnsupported "media_type_unsupported" UNSUPPORTED_MEDIA_TYPE "Media type not accepted"
        "The route reads JSON: send `Content-Type: application/json`."
    InputRefused "input_refused" UNPROCESSABLE_ENTITY "Input refused"
        "The input is understood, but cannot be. `errors` says what is wrong, and where."
    IdempotencyKeyReused "idempotency_key_reused" UNPROCESSABLE_ENTITY "Idempotency-Key used already"
        "The `Idempotency-Key` was used within 24 hours for another request."
    IfMatchMissing "if_match_missing" PRECONDITION_REQUIRED "If-Match missing"
        "A change needs `If-Match` with the `ETag` of the version that it starts from, or `*`."
    Internal "internal" INTERNAL_SERVER_ERROR "Internal error"
        "Something went wrong on our side. The operator finds it in the logs by `request_id`."
    Busy "busy" SERVICE_UNAVAILABLE "Busy"
        "Too much is happening at once. Repeat the request after the seconds in `Retry-After`."
    IssuerUnreachable "issuer_unreachable" SERVICE_UNAVAILABLE "Issuer unreachable"
        "The keys of the token's issuer cannot be fetched. Repeat the request after the seconds in `Retry-After`."
}

impl Code {
    /// Reads a code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.code() == code)
    }

    /// The code that stands for a status which our own code did not give.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::NotFound,
            StatusCode::METHOD_NOT_ALLOWED => Self::MethodNotAllowed,
            StatusCode::PAYLOAD_TOO_LARGE => Self::BodyTooLarge,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::MediaTypeUnsupported,
            status if status.is_client_error() => Self::BadRequest,
            _ => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_can_stand_in_a_path() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(
                code.code().chars().all(|c| c.is_ascii_lowercase() || c == '_'),
                "{code:?}"
            );
            assert_eq!(Code::from_code(code.code()), Some(*code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
            assert!(code.explanation().ends_with('.'));
        }
        assert_eq!(Code::from_code("nonsense"), None);
    }
}
