//! Wires and starts the function `anonymiser`.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_runtime::metrics::Metrics;
use oubli_runtime::settings::Settings;
use oubli_runtime::telemetry;
use oubli_workflows::Oubli;
use tracing::Instrument;

const NEEDED: [&str; 7] = [
    CloudSettings::CONTACTS_TABLE,
    CloudSettings::REQUESTS_TABLE,
    CloudSettings::ANONYMISER_QUEUE,
    CloudSettings::DOCUMENTS_BUCKET,
    CloudSettings::UPLOADS_BUCKET,
    CloudSettings::ARCHIVES_BUCKET,
    CloudSettings::NOTIFIER_QUEUE,
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    telemetry::init(&Settings::of_process())?;
    let settings = CloudSettings::read(&NEEDED, |name| std::env::var(name).ok())?;
    let options = ConnectOptions {
        caller: Some("oubli-anonymiser"),
        ..ConnectOptions::default()
    };
    let oubli = Oubli::new(Cloud::connect(&settings, &options).await);
    let metrics = Metrics::to_stdout("anonymiser");
    let function = service_fn(async |event: LambdaEvent<SqsEvent>| {
        let span = tracing::info_span!("invocation", request_id = event.context.request_id);
        let response = oubli_anonymiser::handle(&oubli, &metrics, event.payload).instrument(span);
        Ok::<_, Diagnostic>(response.await)
    });
    let ended = Runtime::new(function).run().await;
    ended.map_err(anyhow::Error::from_boxed)
}
