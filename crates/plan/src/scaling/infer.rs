//! What a trigger leaves out, from the backend that the workload takes its work from.

use std::collections::BTreeMap;

use prism_api::{autoscaling::Trigger, connection::SecretRef, schema::FreeForm};
use serde_json::Value;

use super::{Scaling, ScalingPlan};
use crate::{backend::address::split_port, invalid::Invalid};

/// A backend that a workload takes its work from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Queue {
    /// What speaks at the other end: `kafka`, `redis` …
    pub provider: String,
    /// Its address, when that is no secret.
    pub url: Option<String>,
    /// The Secret, in the workload's own namespace, that holds address or credentials.
    pub secret: Option<SecretRef>,
    /// Settings of the workload, the closest to this backend first.
    pub settings: Vec<FreeForm>,
    /// The group that the workload reads in.
    pub group: String,
}

/// A kind of trigger that can be completed.
struct Product {
    trigger: &'static str,
    provider: &'static str,
    /// What KEDA calls it, and how settings of patterns call it.
    settings: &'static [(&'static str, &'static [&'static str])],
    /// What stands there if nobody says: parameters of which one is enough.
    defaults: &'static [(&'static str, &'static str)],
    /// Parameters without which it cannot work, and the setting that gives them.
    needs: &'static [(&'static str, &'static str)],
}

const TOPIC: &[&str] = &["topic", "topics"];
const GROUP: &[&str] = &["consumerGroup"];
const QUEUE: &[&str] = &["queue", "queueName"];

/// Backlogs of this many items for each replica are as good as any other start.
const PRODUCTS: [Product; 7] = [
    Product {
        trigger: "kafka",
        provider: "kafka",
        settings: &[
            ("bootstrapServers", &["bootstrapServers", "brokers"]),
            ("topic", TOPIC),
            ("consumerGroup", GROUP),
            ("offsetResetPolicy", &["autoOffsetReset", "offsetResetPolicy"]),
        ],
        defaults: &[("lagThreshold", "100")],
        needs: &[("bootstrapServers", "the address of the backend"), ("topic", "backendConfig.kafka.topics")],
    },
    Product {
        trigger: "nats-jetstream",
        provider: "nats",
        settings: &[
            ("natsServerMonitoringEndpoint", &["natsServerMonitoringEndpoint", "monitoringEndpoint"]),
            ("stream", &["stream"]),
            ("consumer", &["consumer", "durable", "durableName"]),
            ("account", &["account"]),
        ],
        defaults: &[("account", "$G"), ("lagThreshold", "100")],
        needs: &[
            ("natsServerMonitoringEndpoint", "the address of the backend"),
            ("stream", "backendConfig.nats.stream"),
        ],
    },
    Product {
        trigger: "redis-streams",
        provider: "redis",
        settings: &[
            ("address", &["address"]),
            ("stream", &["stream"]),
            ("consumerGroup", GROUP),
            ("databaseIndex", &["database", "databaseIndex"]),
        ],
        defaults: &[("pendingEntriesCount", "10")],
        needs: &[("address", "the address of the backend"), ("stream", "backendConfig.redis.stream")],
    },
    Product {
        trigger: "redis",
        provider: "redis",
        settings: &[
            ("address", &["address"]),
            ("listName", &["list", "listName", "queue", "queueName"]),
            ("databaseIndex", &["database", "databaseIndex"]),
        ],
        defaults: &[("listLength", "10")],
        needs: &[("address", "the address of the backend"), ("listName", "backendConfig.redis.list")],
    },
    Product {
        trigger: "postgresql",
        provider: "postgres",
        settings: &[
            ("query", &["query", "backlogQuery"]),
            ("userName", &["user", "username", "userName"]),
            ("dbName", &["database", "dbName"]),
            ("sslmode", &["sslmode", "sslMode"]),
        ],
        defaults: &[("targetQueryValue", "10")],
        needs: &[("query", "backendConfig.postgres.query, a query that gives the number of waiting rows")],
    },
    Product {
        trigger: "aws-sqs-queue",
        provider: "sqs",
        settings: &[
            ("queueURL", &["queueURL", "queueUrl"]),
            ("awsRegion", &["awsRegion", "region"]),
            ("awsEndpoint", &["awsEndpoint", "endpoint"]),
        ],
        defaults: &[("queueLength", "10")],
        needs: &[("queueURL", "backendConfig.sqs.queueURL"), ("awsRegion", "backendConfig.sqs.region")],
    },
    Product {
        trigger: "rabbitmq",
        provider: "rabbitmq",
        settings: &[("queueName", QUEUE), ("vhostName", &["vhost", "vhostName"])],
        defaults: &[("mode", "QueueLength"), ("value", "10")],
        needs: &[("queueName", "backendConfig.rabbitmq.queue")],
    },
];

/// The trigger that the first backend calls for.
pub(super) fn trigger_type(scaling: &Scaling) -> Result<String, Invalid> {
    let found = scaling.queues.iter().find_map(|queue| {
        let of_provider = || PRODUCTS.iter().filter(|product| product.provider == queue.provider);
        // Redis has two: the one that the settings speak of, or the list.
        let is_spoken_of = |product: &&Product| {
            product.needs.last().is_some_and(|(parameter, _)| product.setting(queue, parameter).is_some())
        };
        of_provider().find(is_spoken_of).or_else(|| of_provider().next_back())
    });
    found.map(|product| product.trigger.to_owned()).ok_or_else(|| {
        Invalid::new(
            format!("{}.triggers", scaling.field),
            "no backend tells what to scale by: add a trigger, name a backend (kafka, nats, redis, postgres, sqs or rabbitmq), or use the scaler hpa",
        )
    })
}

/// The backend that a trigger of that type speaks of.
pub(super) fn queue_of<'a>(scaling: &'a Scaling, trigger: &Trigger) -> Option<&'a Queue> {
    let product = Product::of(&trigger.type_)?;
    scaling.queues.iter().find(|queue| queue.provider == product.provider)
}

/// What the trigger needs to know: its own words, then the backend's, then defaults.
pub(super) fn complete(
    field: &str,
    trigger: &Trigger,
    queue: Option<&Queue>,
) -> Result<BTreeMap<String, String>, Invalid> {
    let mut metadata = trigger.metadata.clone();
    let Some(product) = Product::of(&trigger.type_) else { return Ok(metadata) };
    if trigger.type_ == "nats-jetstream" {
        // KEDA does without an account in its schema, and not in its query.
        metadata.entry("account".to_owned()).or_insert_with(|| "$G".to_owned());
    }
    let Some(queue) = queue else { return Ok(metadata) };
    for (parameter, _) in product.settings {
        if !metadata.contains_key(*parameter)
            && let Some(value) = product.setting(queue, parameter)
        {
            metadata.insert((*parameter).to_owned(), value);
        }
    }
    address(product.trigger, queue, &mut metadata);
    let is_own = trigger.metadata.is_empty();
    for (parameter, value) in product.defaults {
        if is_own && !metadata.contains_key(*parameter) {
            metadata.insert((*parameter).to_owned(), (*value).to_owned());
        }
    }
    match product.needs.iter().find(|(parameter, _)| !metadata.contains_key(*parameter)) {
        Some((parameter, source)) => Err(Invalid::new(
            field,
            format!(
                "the {} trigger needs {parameter}: write it into the metadata of a trigger, or set {source}",
                product.trigger
            ),
        )),
        None => Ok(metadata),
    }
}

/// A consumer beyond the number of partitions has nothing to read.
pub(super) fn cap(
    trigger: &str,
    metadata: &BTreeMap<String, String>,
    queue: Option<&Queue>,
    plan: &mut ScalingPlan,
) {
    let allows_idle = metadata.get("allowIdleConsumers").is_some_and(|value| value == "true");
    let partitions = queue
        .filter(|_| trigger == "kafka" && !allows_idle)
        .and_then(|queue| lookup(queue, &["partitions", "numPartitions"])?.parse::<i32>().ok());
    if let Some(partitions) = partitions.filter(|partitions| (1..plan.limits.max).contains(partitions)) {
        plan.limits.max = partitions.max(plan.limits.min);
        plan.warnings.push(format!(
            "maxReplicas is more than the topic has partitions: no more than {partitions} replicas can read, so no more are started. Add partitions, or lower maxReplicas"
        ));
    }
}

impl Product {
    fn of(trigger: &str) -> Option<&'static Self> {
        let name = if trigger == "apache-kafka" { "kafka" } else { trigger };
        PRODUCTS.iter().find(|product| product.trigger == name)
    }

    fn setting(&self, queue: &Queue, parameter: &str) -> Option<String> {
        let (_, names) = self.settings.iter().find(|(name, _)| *name == parameter)?;
        let written = lookup(queue, names);
        let is_group = parameter == "consumerGroup" || (parameter == "consumer" && self.provider == "nats");
        written.or_else(|| is_group.then(|| queue.group.clone()))
    }
}

/// The first setting of one of these names, the closest first.
fn lookup(queue: &Queue, names: &[&str]) -> Option<String> {
    queue.settings.iter().find_map(|settings| names.iter().find_map(|name| as_text(settings.get(*name)?)))
}

/// A text, a number, or the first of a list.
fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(items) => as_text(items.first()?),
        _ => None,
    }
}

/// The address of the backend, as the trigger wants it.
fn address(trigger: &str, queue: &Queue, metadata: &mut BTreeMap<String, String>) {
    // What follows a question mark is for the client of the backend, and may be a password.
    let Some(url) = queue.url.as_deref().and_then(|url| url.split(['?', '#']).next()) else { return };
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
    let bare = bare.rsplit_once('@').map_or(bare, |(_, host)| host);
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let mut fill = |parameter: &str, value: &str| {
        if !value.is_empty() {
            metadata.entry(parameter.to_owned()).or_insert_with(|| value.to_owned());
        }
    };
    match trigger {
        "kafka" => fill("bootstrapServers", host),
        "nats-jetstream" => {
            let first = host.split(',').next().unwrap_or(host);
            fill("natsServerMonitoringEndpoint", &format!("{}:8222", split_port(first).0));
        }
        "redis" | "redis-streams" => {
            fill("address", host);
            fill("databaseIndex", path);
            if url.starts_with("rediss://") {
                fill("enableTLS", "true");
            }
        }
        "postgresql" => {
            let (name, port) = split_port(host);
            // KEDA makes words of these, not a URL.
            fill("host", name.trim_start_matches('[').trim_end_matches(']'));
            fill("port", port.unwrap_or("5432"));
            fill("dbName", path);
            fill("sslmode", "prefer");
        }
        "aws-sqs-queue" if url.starts_with("http") => fill("queueURL", url),
        _ => {}
    }
}
