//! Wires and starts the function `notifier`.

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_runtime::metrics::Metrics;
use oubli_runtime::settings::{FRONT_END_URL, Settings};
use oubli_runtime::telemetry;
use oubli_workflows::Oubli;
use tracing::Instrument;

const NEEDED: [&str; 3] = [
    CloudSettings::REQUESTS_TABLE,
    CloudSettings::NOTIFIER_QUEUE,
    CloudSettings::MAIL_FROM,
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let environment = Settings::of_process();
    telemetry::init(&environment)?;
    let settings = CloudSettings::read(&NEEDED, |name| std::env::var(name).ok())?;
    let options = ConnectOptions {
        caller: Some("oubli-notifier"),
        ..ConnectOptions::default()
    };
    let oubli = Oubli::new(Cloud::connect(&settings, &options).await)
        .with_front_end(environment.parsed(FRONT_END_URL)?);
    let metrics = Metrics::to_stdout("notifier");
    let function = service_fn(async |event: LambdaEvent<SqsEvent>| {
        let span = tracing::info_span!("invocation", request_id = event.context.request_id);
        let response = oubli_notifier::handle(&oubli, &metrics, event.payload).instrument(span);
        Ok::<_, Diagnostic>(response.await)
    });
    let ended = Runtime::new(function).run().await;
    ended.map_err(anyhow::Error::from_boxed)
}
