//! Wires and starts the function `janitor`.

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_runtime::{metrics::Metrics, settings::Settings, telemetry};
use oubli_workflows::Oubli;
use tracing::Instrument;

const NEEDED: [&str; 11] = [
    CloudSettings::CONTACTS_TABLE,
    CloudSettings::REQUESTS_TABLE,
    CloudSettings::DOCUMENTS_BUCKET,
    CloudSettings::ARCHIVES_BUCKET,
    CloudSettings::UPLOADS_BUCKET,
    CloudSettings::BULK_PLANNER_QUEUE,
    CloudSettings::ARCHIVE_BUILDER_QUEUE,
    CloudSettings::ANONYMISER_QUEUE,
    CloudSettings::RESTORER_QUEUE,
    CloudSettings::NOTIFIER_QUEUE,
    CloudSettings::ARCHIVE_EVENTS_QUEUE,
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    telemetry::init(&Settings::of_process())?;
    let settings = CloudSettings::read(&NEEDED, |name| std::env::var(name).ok())?;
    let options = ConnectOptions {
        caller: Some("oubli-janitor"),
        ..ConnectOptions::default()
    };
    let oubli = Oubli::new(Cloud::connect(&settings, &options).await);
    let metrics = Metrics::to_stdout("janitor");
    let function = service_fn(async |event: LambdaEvent<serde_json::Value>| {
        let span = tracing::info_span!("invocation", request_id = event.context.request_id);
        let outcome = oubli_janitor::handle(&oubli, &metrics, event.payload).instrument(span);
        outcome.await.map_err(Diagnostic::from)
    });
    let ended = Runtime::new(function).run().await;
    ended.map_err(anyhow::Error::from_boxed)
}
