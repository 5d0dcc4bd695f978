//! Wires and starts the function `restorer`.

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_runtime::{metrics::Metrics, settings, telemetry};
use oubli_workflows::Oubli;
use tracing::Instrument;

const NEEDED: [&str; 9] = [
    CloudSettings::CONTACTS_TABLE,
    CloudSettings::REQUESTS_TABLE,
    CloudSettings::RESTORER_QUEUE,
    CloudSettings::DOCUMENTS_BUCKET,
    CloudSettings::ARCHIVES_BUCKET,
    CloudSettings::UPLOADS_BUCKET,
    CloudSettings::ARCHIVE_KEY_ID,
    CloudSettings::OWN_ARCHIVE_KEY_ID,
    CloudSettings::NOTIFIER_QUEUE,
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let environment = settings::Settings::of_process();
    telemetry::init(&environment)?;
    let names = CloudSettings::read(&NEEDED, |name| std::env::var(name).ok())?;
    let options = ConnectOptions {
        caller: Some("oubli-restorer"),
        ..ConnectOptions::default()
    };
    let oubli = Oubli::new(Cloud::connect(&names, &options).await)
        .with_trusted_archive_keys(environment.parsed_or_default(settings::TRUSTED_ARCHIVE_KEYS)?);
    let metrics = Metrics::to_stdout("restorer");
    let function = service_fn(async |event: LambdaEvent<_>| {
        let span = tracing::info_span!("invocation", request_id = event.context.request_id);
        let response = oubli_restorer::handle(&oubli, &metrics, event.payload).instrument(span);
        Ok::<_, Diagnostic>(response.await)
    });
    let ended = Runtime::new(function).run().await;
    ended.map_err(anyhow::Error::from_boxed)
}
