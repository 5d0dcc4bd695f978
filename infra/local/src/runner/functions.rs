//! The functions' libraries, each with its own settings and its own name as a caller.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use oubli_archive::signature::PublicKeyError;
use oubli_cloud::{Cloud, CloudSettings, ConnectOptions};
use oubli_runtime::metrics::Metrics;
use oubli_workflows::{Clock, FrontEndUrl, Oubli};
use serde_json::{Value, json};

use super::{MetricsTo, RunnerError};
use crate::provision::Provisioned;

/// The engines are on this machine: a fault that a test injects is over at once.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);

/// Writes to memory that others read.
struct MemoryWriter(Arc<Mutex<Vec<u8>>>);

impl Write for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The functions.
pub struct Functions {
    pub(super) api: Oubli,
    planner: Oubli,
    builder: Oubli,
    anonymiser: Oubli,
    restorer: Oubli,
    notifier: Oubli,
    janitor: Oubli,
    provisioner: Oubli,
    metrics_to: MetricsTo,
}

impl Functions {
    /// Sets every function up as the template says.
    pub(super) async fn connect(
        provisioned: &Provisioned,
        aws_url: &str,
        clock: Arc<dyn Clock>,
        metrics_to: MetricsTo,
    ) -> Result<Self, RunnerError> {
        let connect = async |function: &'static str, caller: &'static str| {
            let failed = |detail: String| RunnerError::Function {
                function: function.to_owned(),
                detail,
            };
            let variables = provisioned.environment.get(function);
            let variables =
                variables.ok_or_else(|| failed("the template has no such function".to_owned()))?;
            let needed: Vec<_> = CloudSettings::ALL
                .into_iter()
                .filter(|name| variables.contains_key(*name))
                .collect();
            let settings = CloudSettings::read(&needed, |name| variables.get(name).cloned());
            let settings = settings.map_err(|error| failed(error.to_string()))?;
            let options = ConnectOptions {
                endpoint_url: Some(aws_url.to_owned()),
                caller: Some(caller),
                first_backoff: Some(FIRST_BACKOFF),
            };
            let oubli = Oubli::new(Cloud::connect(&settings, &options).await).with_clock(clock.clone());
            let trusted = variables.get("OUBLI_TRUSTED_ARCHIVE_KEYS");
            let trusted = trusted.map(|keys| keys.parse()).transpose();
            let trusted = trusted.map_err(|error: PublicKeyError| failed(error.to_string()))?;
            let oubli = oubli.with_trusted_archive_keys(trusted.unwrap_or_default());
            match variables.get("OUBLI_FRONT_END_URL") {
                None => Ok::<_, RunnerError>(oubli),
                Some(url) => {
                    let url = FrontEndUrl::parse(url).map_err(|error| failed(error.to_string()))?;
                    Ok(oubli.with_front_end(url))
                }
            }
        };
        Ok(Self {
            api: connect("api", "oubli-api").await?,
            planner: connect("bulk-planner", "oubli-bulk-planner").await?,
            builder: connect("archive-builder", "oubli-archive-builder").await?,
            anonymiser: connect("anonymiser", "oubli-anonymiser").await?,
            restorer: connect("restorer", "oubli-restorer").await?,
            notifier: connect("notifier", "oubli-notifier").await?,
            janitor: connect("janitor", "oubli-janitor").await?,
            provisioner: connect("tenant-provisioner", "oubli-tenant-provisioner").await?,
            metrics_to,
        })
    }

    fn metrics(&self, function: &'static str) -> Metrics {
        match &self.metrics_to {
            MetricsTo::Stdout => Metrics::to_stdout(function),
            MetricsTo::Nowhere => Metrics::to_writer(function, io::sink()),
            MetricsTo::Memory(memory) => Metrics::to_writer(function, MemoryWriter(memory.clone())),
        }
    }

    /// Feeds a batch of messages to the function that reads the queue. Each on the heap: whoever calls has one
    /// thread's stack for it and for himself.
    pub async fn handle(&self, function: &str, event: SqsEvent) -> SqsBatchResponse {
        match function {
            "bulk-planner" => {
                let metrics = self.metrics("bulk-planner");
                Box::pin(oubli_bulk_planner::handle(&self.planner, &metrics, event)).await
            }
            "archive-builder" => {
                let metrics = self.metrics("archive-builder");
                Box::pin(oubli_archive_builder::handle(&self.builder, &metrics, event)).await
            }
            "anonymiser" => {
                let metrics = self.metrics("anonymiser");
                Box::pin(oubli_anonymiser::handle(&self.anonymiser, &metrics, event)).await
            }
            "restorer" => {
                let metrics = self.metrics("restorer");
                Box::pin(oubli_restorer::handle(&self.restorer, &metrics, event)).await
            }
            "notifier" => {
                let metrics = self.metrics("notifier");
                Box::pin(oubli_notifier::handle(&self.notifier, &metrics, event)).await
            }
            "janitor" => {
                let metrics = self.metrics("janitor");
                Box::pin(oubli_janitor::handle_events(&self.janitor, &metrics, event)).await
            }
            // The template names a function that is not there: every message fails and shows it.
            _ => {
                let mut response = SqsBatchResponse::default();
                for record in event.records {
                    response.add_failure(record.message_id.unwrap_or_default());
                }
                response
            }
        }
    }

    /// Runs the janitor once, with the event that a schedule sends.
    ///
    /// # Errors
    /// As the function's.
    pub async fn sweep(&self, now: Timestamp) -> Result<(), oubli_janitor::JanitorError> {
        let event = json!({
            "version": "0",
            "id": "00000000-0000-0000-0000-000000000000",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "000000000000",
            "time": now.to_string(),
            "region": "eu-west-1",
            "resources": ["arn:aws:events:eu-west-1:000000000000:rule/janitor"],
            "detail": {}
        });
        oubli_janitor::handle(&self.janitor, &self.metrics("janitor"), event)
            .await
            .map(|_| ())
    }

    /// Invokes the tenant provisioner.
    ///
    /// # Errors
    /// As the function's.
    pub async fn provision_tenant(
        &self,
        event: Value,
    ) -> Result<oubli_tenant_provisioner::ProvisionedBody, oubli_tenant_provisioner::ProvisionError> {
        oubli_tenant_provisioner::handle(&self.provisioner, event).await
    }
}
