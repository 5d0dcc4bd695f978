//! Wires and starts the function `tenant-provisioner`.

use lambda_runtime::{Diagnostic, LambdaEvent, Runtime, service_fn};
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_runtime::settings::Settings;
use oubli_runtime::telemetry;
use oubli_workflows::Oubli;
use serde_json::Value;
use tracing::Instrument;

const NEEDED: [&str; 1] = [CloudSettings::REQUESTS_TABLE];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    telemetry::init(&Settings::of_process())?;
    let settings = CloudSettings::read(&NEEDED, |name| std::env::var(name).ok())?;
    let options = ConnectOptions {
        caller: Some("oubli-tenant-provisioner"),
        ..ConnectOptions::default()
    };
    let oubli = Oubli::new(Cloud::connect(&settings, &options).await);
    let function = service_fn(async |event: LambdaEvent<Value>| {
        let span = tracing::info_span!("invocation", request_id = event.context.request_id);
        let outcome = oubli_tenant_provisioner::handle(&oubli, event.payload).instrument(span);
        outcome.await.map_err(Diagnostic::from)
    });
    let ended = Runtime::new(function).run().await;
    ended.map_err(anyhow::Error::from_boxed)
}
