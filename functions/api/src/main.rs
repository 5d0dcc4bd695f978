//! Wires and starts the function `api`.

use oubli_api::ApiState;
use oubli_api::auth::Issuer;
use oubli_api::cors::AllowedOrigins;
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_runtime::settings::{ALLOWED_ORIGINS, ISSUER, Settings, TRUSTED_ARCHIVE_KEYS};
use oubli_runtime::telemetry;
use oubli_workflows::Oubli;

const NEEDED: [&str; 10] = [
    CloudSettings::CONTACTS_TABLE,
    CloudSettings::REQUESTS_TABLE,
    CloudSettings::DOCUMENTS_BUCKET,
    CloudSettings::ARCHIVES_BUCKET,
    CloudSettings::UPLOADS_BUCKET,
    CloudSettings::BULK_PLANNER_QUEUE,
    CloudSettings::NOTIFIER_QUEUE,
    CloudSettings::ARCHIVE_KEY_ID,
    CloudSettings::OWN_ARCHIVE_KEY_ID,
    CloudSettings::HASH_KEY_ID,
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let environment = Settings::of_process();
    telemetry::init(&environment)?;
    let settings = CloudSettings::read(&NEEDED, |name| std::env::var(name).ok())?;
    let options = ConnectOptions {
        caller: Some("oubli-api"),
        ..ConnectOptions::default()
    };
    let issuer = Issuer::parse(&environment.required(ISSUER)?)?;
    let origins = AllowedOrigins::parse(&environment.optional(ALLOWED_ORIGINS)?.unwrap_or_default())?;
    let oubli = Oubli::new(Cloud::connect(&settings, &options).await)
        .with_trusted_archive_keys(environment.parsed_or_default(TRUSTED_ARCHIVE_KEYS)?);
    let router = oubli_api::router(ApiState::new(oubli, issuer, origins)?);
    lambda_http::run(router).await.map_err(anyhow::Error::from_boxed)
}
