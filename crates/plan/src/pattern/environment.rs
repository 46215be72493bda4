//! Environment of the runner.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::EnvVar;
use prism_api::{connection::SecretRef, schema::FreeForm};
use serde_json::Value;

use super::{backend::Backend, config, resolved::ResolvedPattern};
use crate::environment::{from_pod, from_secret_if_there, literal, overridden};

/// Patterns that read from a group.
const CONSUMING: [&str; 4] = ["consumer", "mailbox", "pubsub", "queue"];

/// Variables that Prism defines, then those that clients of the provider usually read, then the
/// spec's own, which win. `files` are those of the runner's configuration.
pub(super) fn build(pattern: &ResolvedPattern, files: &BTreeMap<String, String>) -> Vec<EnvVar> {
    let mut env = Vec::new();
    if CONSUMING.contains(&pattern.pattern_type.as_str()) {
        env.push(from_pod("CONSUMER_ID", "metadata.name"));
        env.push(literal("CONSUMER_GROUP", consumer_group(pattern)));
    }
    if let Some(first) = pattern.backends.first() {
        env.push(literal("BACKEND_TYPE", &first.provider));
        env.extend(address(first).map(|source| source.named("CONNECTION_STRING")));
    }
    env.extend(pattern.spec.proxy_endpoint.as_ref().map(|proxy| literal("PROXY_ENDPOINT", proxy)));
    for (file, name) in
        [(config::CONFIG_FILE, "PRISM_CONFIG"), (config::BACKEND_FILE, "PRISM_BACKEND_CONFIG")]
    {
        env.extend(files.contains_key(file).then(|| literal(name, format!("{}/{file}", config::MOUNT_PATH))));
    }
    pattern.backends.iter().for_each(|backend| env.extend(usual(backend)));
    overridden(env, &pattern.spec.env)
}

/// The group of a consumer: as written, or as its settings or its first trigger say, or its name.
pub(super) fn consumer_group(pattern: &ResolvedPattern) -> &str {
    let spec = &pattern.spec;
    spec.consumer_group
        .as_deref()
        .or_else(|| group_in(spec.config.as_ref()))
        .or_else(|| group_in(spec.backend_config.as_ref()))
        .or_else(|| {
            let triggers = spec.autoscaling.iter().flat_map(|autoscaling| &autoscaling.triggers);
            triggers.into_iter().find_map(|trigger| trigger.metadata.get("consumerGroup")).map(String::as_str)
        })
        .unwrap_or(&pattern.name)
}

fn group_in(settings: Option<&FreeForm>) -> Option<&str> {
    let settings = settings?;
    let nested =
        settings.values().filter_map(Value::as_object).find_map(|nested| nested.get("consumerGroup"));
    settings.get("consumerGroup").or(nested).and_then(Value::as_str)
}

/// What the clients of a provider usually read.
fn usual(backend: &Backend) -> Vec<EnvVar> {
    let Names { address: address_names, username, password } = Names::of(&backend.provider);
    let address = address(backend);
    let mut env: Vec<EnvVar> =
        address.iter().flat_map(|source| address_names.iter().map(|name| source.named(name))).collect();
    if let Some(secret) = &backend.secret {
        env.push(from_secret(username, secret, "username"));
        env.push(from_secret(password, secret, "password"));
    }
    env
}

struct Names {
    address: &'static [&'static str],
    username: &'static str,
    password: &'static str,
}

impl Names {
    fn of(provider: &str) -> Self {
        let (address, username, password): (&[&str], _, _) = match provider {
            "redis" => (&["REDIS_URL"], "REDIS_USERNAME", "REDIS_PASSWORD"),
            "nats" => (&["NATS_URL"], "NATS_USERNAME", "NATS_PASSWORD"),
            "kafka" => (&["KAFKA_BOOTSTRAP", "KAFKA_BROKERS"], "KAFKA_USERNAME", "KAFKA_PASSWORD"),
            "postgres" => (&["DATABASE_URL", "POSTGRES_URL"], "POSTGRES_USER", "POSTGRES_PASSWORD"),
            "mysql" => (&["DATABASE_URL", "MYSQL_URL"], "MYSQL_USER", "MYSQL_PASSWORD"),
            "minio" => (&["MINIO_URL", "S3_ENDPOINT"], "S3_ACCESS_KEY", "S3_SECRET_KEY"),
            "s3" => (&["S3_ENDPOINT"], "S3_ACCESS_KEY", "S3_SECRET_KEY"),
            "rabbitmq" => (&["RABBITMQ_URL", "AMQP_URL"], "RABBITMQ_USERNAME", "RABBITMQ_PASSWORD"),
            "sqs" => (&["SQS_QUEUE_URL"], "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
            _ => (&[], "BACKEND_USERNAME", "BACKEND_PASSWORD"),
        };
        Self { address, username, password }
    }
}

/// Where an address comes from.
enum Source<'a> {
    Literal(&'a str),
    Secret(&'a SecretRef),
}

impl Source<'_> {
    fn named(&self, name: &str) -> EnvVar {
        match self {
            Self::Literal(url) => literal(name, *url),
            Self::Secret(secret) => from_secret(name, secret, "url"),
        }
    }
}

/// A Secret that says which of its keys is the address wins over an address that is written out.
fn address(backend: &Backend) -> Option<Source<'_>> {
    let in_secret = backend.secret.as_ref().filter(|secret| secret.keys.contains_key("url"));
    in_secret.map(Source::Secret).or_else(|| backend.url.as_deref().map(Source::Literal))
}

/// Optional, so that a Secret which has only an address, or only credentials, starts the pod.
fn from_secret(name: &str, secret: &SecretRef, what: &str) -> EnvVar {
    let key = secret.keys.get(what).map_or(what, String::as_str);
    from_secret_if_there(name, &secret.name, key)
}
