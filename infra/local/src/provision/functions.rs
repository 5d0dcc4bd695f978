//! How the functions are set up: their environment, the queues that they read, their schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::evaluate::Evaluator;
use super::template::Resource;
use super::{EventPattern, EventRule, EventSource, ProvisionError, Provisioned, Schedule, typed};

type Variables = BTreeMap<String, String>;

/// What the template says of a function.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct FunctionProperties {
    /// The folder; its name is the function's.
    code_uri: String,
    #[serde(default)]
    environment: Environment,
    #[serde(default)]
    events: BTreeMap<String, Event>,
    /// For people.
    #[serde(rename = "Description")]
    _description: IgnoredAny,
    /// All functions share the memory of this process.
    #[serde(rename = "MemorySize")]
    _memory_size: IgnoredAny,
    /// A local run may be slow, or stopped in a debugger.
    #[serde(rename = "Timeout")]
    _timeout: IgnoredAny,
    /// Here everything shares one process.
    #[serde(default, rename = "ReservedConcurrentExecutions")]
    _reserved_concurrency: Option<IgnoredAny>,
    /// No chain of messages is cut here.
    #[serde(default, rename = "RecursiveLoop")]
    _recursive_loop: Option<IgnoredAny>,
    /// Local endpoints ask for no rights.
    #[serde(rename = "Role")]
    _role: IgnoredAny,
    /// Logs go to the terminal.
    #[serde(rename = "LoggingConfig")]
    _logging_config: IgnoredAny,
    /// It says that a failed run is not repeated; here none is.
    #[serde(default, rename = "EventInvokeConfig")]
    _event_invoke_config: Option<IgnoredAny>,
}

/// What the template says of all functions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct FunctionGlobals {
    #[serde(default)]
    environment: Environment,
    /// The functions are libraries of this process.
    #[serde(rename = "Runtime")]
    _runtime: IgnoredAny,
    /// The functions are libraries of this process.
    #[serde(rename = "Architectures")]
    _architectures: IgnoredAny,
    /// The functions are libraries of this process.
    #[serde(rename = "Handler")]
    _handler: IgnoredAny,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Environment {
    variables: Variables,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "Type", content = "Properties")]
enum Event {
    #[serde(rename = "SQS")]
    Messages(MessagesEvent),
    Schedule(ScheduleEvent),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct MessagesEvent {
    /// The queue's ARN.
    queue: String,
    batch_size: u32,
    function_response_types: Vec<String>,
    scaling_config: ScalingConfig,
    /// Here a batch is what there is.
    #[serde(default, rename = "MaximumBatchingWindowInSeconds")]
    _maximum_batching_window: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ScalingConfig {
    maximum_concurrency: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ScheduleEvent {
    /// `rate(1 minute)`.
    schedule: String,
    /// For people.
    #[serde(rename = "Description")]
    _description: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RuleProperties {
    event_pattern: EventPattern,
    targets: Vec<Target>,
    /// For people.
    #[serde(rename = "Description")]
    _description: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Target {
    /// The queue's ARN.
    arn: String,
    /// A name within the rule.
    #[serde(rename = "Id")]
    _id: IgnoredAny,
}

/// Gathers how the functions are set up.
pub(super) struct Functions<'e, 't> {
    evaluator: &'e Evaluator<'t>,
    shared: Variables,
    provisioned: Provisioned,
}

impl<'e, 't> Functions<'e, 't> {
    /// Reads what all functions share.
    pub(super) fn new(evaluator: &'e Evaluator<'t>) -> Result<Self, ProvisionError> {
        let shared = match evaluator.template().at(&["Globals", "Function"]) {
            Some(globals) => {
                let globals = serde_json::from_value::<FunctionGlobals>(evaluator.value(globals)?.0);
                let globals =
                    globals.map_err(|error| ProvisionError::Template(format!("globals: {error}")))?;
                globals.environment.variables
            }
            None => Variables::new(),
        };
        let provisioned = Provisioned {
            environment: BTreeMap::new(),
            queues: Vec::new(),
            schedules: Vec::new(),
            rules: Vec::new(),
        };
        Ok(Self {
            evaluator,
            shared,
            provisioned,
        })
    }

    /// Adds a function, whose resources are all made.
    pub(super) fn add(&mut self, resource: &Resource) -> Result<(), ProvisionError> {
        let wrong = |detail: String| ProvisionError::Resource {
            resource: resource.logical_id.clone(),
            detail,
        };
        let (properties, _) = self.evaluator.properties(resource)?;
        let properties: FunctionProperties = typed(resource, properties)?;
        let folder = properties.code_uri.trim_end_matches('/');
        let function = folder.rsplit('/').next().unwrap_or(folder).to_owned();
        for event in properties.events.into_values() {
            match event {
                Event::Messages(event) => {
                    if event.function_response_types != ["ReportBatchItemFailures"] {
                        return Err(wrong("must report which messages of a batch failed".into()));
                    }
                    let queue_url = self.queue(resource, &event.queue)?;
                    self.provisioned.queues.push(EventSource {
                        function: function.clone(),
                        queue_url,
                        batch_size: event.batch_size,
                        max_concurrency: event.scaling_config.maximum_concurrency,
                    });
                }
                Event::Schedule(event) => {
                    let every = rate(&event.schedule);
                    let every = every.ok_or_else(|| wrong(format!("`{}` is no rate", event.schedule)))?;
                    self.provisioned.schedules.push(Schedule {
                        function: function.clone(),
                        every,
                    });
                }
            }
        }
        let mut variables = self.shared.clone();
        variables.extend(properties.environment.variables);
        self.provisioned.environment.insert(function, variables);
        Ok(())
    }

    /// Adds a rule, whose queues are all made.
    pub(super) fn add_rule(&mut self, resource: &Resource) -> Result<(), ProvisionError> {
        let (properties, _) = self.evaluator.properties(resource)?;
        let properties: RuleProperties = typed(resource, properties)?;
        for target in properties.targets {
            let queue_url = self.queue(resource, &target.arn)?;
            self.provisioned.rules.push(EventRule {
                queue_url,
                pattern: properties.event_pattern.clone(),
            });
        }
        Ok(())
    }

    /// The address of a queue that was made, by its ARN.
    fn queue(&self, resource: &Resource, arn: &str) -> Result<String, ProvisionError> {
        let is_queue = |found: Option<&String>| found.is_some_and(|found| found == arn);
        let mut made = self.evaluator.made();
        let queue = made.find(|made| is_queue(made.attributes.get("Arn")));
        let queue = queue.ok_or_else(|| ProvisionError::Resource {
            resource: resource.logical_id.clone(),
            detail: format!("there is no queue `{arn}`"),
        })?;
        Ok(queue.reference.clone())
    }

    /// What came of it.
    pub(super) fn finish(self) -> Provisioned {
        self.provisioned
    }
}

/// Reads `rate(5 minutes)`.
///
/// Source: Amazon EventBridge user guide, "Rate expressions".
fn rate(expression: &str) -> Option<Duration> {
    let (number, unit) = expression
        .strip_prefix("rate(")?
        .strip_suffix(')')?
        .split_once(' ')?;
    let seconds = match unit {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0)?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        assert_eq!(rate("rate(1 minute)"), Some(Duration::from_secs(60)));
        assert_eq!(rate("rate(2 hours)"), Some(Duration::from_secs(7_200)));
        for wrong in [
            "rate(0 minutes)",
            "rate(1 week)",
            "cron(* * * * ? *)",
            "rate(1minute)",
            "",
        ] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }
}
