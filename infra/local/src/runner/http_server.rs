//! The listener of the API.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The most bytes of a request's line and header values, all together: the quota of API Gateway's HTTP APIs
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html>). With which status AWS
/// refuses more is not documented; 431 is that of RFC 6585.
const MAX_HEAD_BYTES: usize = 10_240;

/// Serves until told to stop; requests under way are answered first.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let until = async move {
        // An error means that the runner is gone: stop as well.
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            tracing::debug!("the runner is gone");
        }
    };
    let router = router.layer(from_fn(refuse_large_heads));
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
        tracing::error!(%error, "the API's listener failed");
    }
}

/// Answers 431 where API Gateway would, before a function is called.
async fn refuse_large_heads(request: Request, next: Next) -> Response {
    if head_bytes(&request) > MAX_HEAD_BYTES {
        return StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.into_response();
    }
    next.run(request).await
}

fn head_bytes(request: &Request) -> usize {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    // `GET /v1/contacts HTTP/1.1`
    let line = request.method().as_str().len() + target + " ".len() + " HTTP/1.1".len();
    line + request.headers().values().map(HeaderValue::len).sum::<usize>()
}
