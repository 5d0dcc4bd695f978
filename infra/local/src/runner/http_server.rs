//! The listener of the API.

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves until told to stop; requests under way are answered first.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let until = async move {
        // An error means that the runner is gone: stop as well.
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            tracing::debug!("the runner is gone");
        }
    };
    if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(until).await {
        tracing::error!(%error, "the API's listener failed");
    }
}
