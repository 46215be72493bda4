//! Where triggers get their credentials.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prism_api::{
    autoscaling::{AuthenticationKind, AuthenticationRef},
    connection::SecretRef,
};

use super::{Obstacle, Queue, Scaling, ScalingFacts, ScalingPlan, SecretFacts, scaled_object::NAME_LIMIT};
use crate::{
    text::bounded,
    types::{KedaAuthenticationRef, SecretTarget, TriggerAuthentication, TriggerAuthenticationSpec},
};

/// A parameter of a trigger, and the names that keys of Secrets have for it, in small letters and without
/// anything but letters and digits.
type Parameter = (&'static str, &'static [&'static str]);

const USERNAME: &[&str] =
    &["username", "user", "login", "saslusername", "redisusername", "kafkausername", "pguser"];
const PASSWORD: &[&str] =
    &["password", "pass", "saslpassword", "redispassword", "kafkapassword", "pgpassword"];
const CA: Parameter = ("ca", &["ca", "cacrt", "cacert", "tlsca"]);
const CERT: Parameter = ("cert", &["cert", "tlscrt", "clientcert", "clientcrt"]);
const KEY: Parameter = ("key", &["key", "tlskey", "clientkey"]);
const URL: &[&str] =
    &["url", "uri", "connectionstring", "connection", "dsn", "databaseurl", "host", "amqpurl"];

/// What each trigger takes. Of any other, every key is a parameter by its own name.
const PARAMETERS: [(&str, &[Parameter]); 7] = [
    (
        "kafka",
        &[
            ("sasl", &["sasl", "saslmechanism", "mechanism"]),
            ("tls", &["tls"]),
            ("username", USERNAME),
            ("password", PASSWORD),
            CA,
            CERT,
            KEY,
        ],
    ),
    ("redis", &[("username", USERNAME), ("password", PASSWORD), ("tls", &["tls"]), CA, CERT, KEY]),
    ("redis-streams", &[("username", USERNAME), ("password", PASSWORD), ("tls", &["tls"]), CA, CERT, KEY]),
    ("postgresql", &[("connection", URL), ("userName", USERNAME), ("password", PASSWORD)]),
    (
        "aws-sqs-queue",
        &[
            ("awsAccessKeyID", &["awsaccesskeyid", "accesskeyid", "accesskey"]),
            ("awsSecretAccessKey", &["awssecretaccesskey", "secretaccesskey", "secretkey"]),
            ("awsSessionToken", &["awssessiontoken", "sessiontoken"]),
        ],
    ),
    ("rabbitmq", &[("host", URL), ("username", USERNAME), ("password", PASSWORD), CA, CERT, KEY]),
    ("nats-jetstream", &[("account", &["account"])]),
];

/// The `TriggerAuthentication` that `reference` means, made from a Secret if there is none of that name.
pub(super) fn of_reference(
    scaling: &Scaling,
    facts: &ScalingFacts,
    plan: &mut ScalingPlan,
    trigger: &str,
    reference: &AuthenticationRef,
) -> Option<KedaAuthenticationRef> {
    let is_there = facts.authentications.contains(&reference.name);
    let found = if is_there { AuthenticationKind::TriggerAuthentication } else { AuthenticationKind::Secret };
    let kind = reference.kind.unwrap_or(found);
    if kind != AuthenticationKind::Secret {
        let kind = (kind == AuthenticationKind::ClusterTriggerAuthentication).then_some(kind);
        return Some(KedaAuthenticationRef { name: reference.name.clone(), kind });
    }
    let keys = match facts.secrets.get(&reference.name) {
        Some(SecretFacts::Keys(keys)) => keys,
        Some(SecretFacts::Unreadable(why)) => {
            plan.obstacle = Some(Obstacle::SecretUnreadable(reference.name.clone(), why.clone()));
            return None;
        }
        Some(SecretFacts::Absent) | None => {
            plan.obstacle = Some(Obstacle::SecretNotFound(reference.name.clone()));
            return None;
        }
    };
    Some(make(scaling, plan, trigger, &reference.name, targets(trigger, &reference.name, keys)))
}

/// The credentials of the backend, if it has any.
pub(super) fn of_backend(
    scaling: &Scaling,
    plan: &mut ScalingPlan,
    trigger: &str,
    queue: Option<&Queue>,
) -> Option<KedaAuthenticationRef> {
    let secret = queue?.secret.as_ref()?;
    let targets = declared(trigger, secret);
    (!targets.is_empty()).then(|| make(scaling, plan, trigger, &secret.name, targets))
}

fn make(
    scaling: &Scaling,
    plan: &mut ScalingPlan,
    trigger: &str,
    secret: &str,
    targets: Vec<SecretTarget>,
) -> KedaAuthenticationRef {
    let name = bounded(&format!("{}-{secret}-{trigger}", scaling.target.name), NAME_LIMIT);
    if plan.scalers.authentications.iter().all(|made| made.name() != name) {
        let metadata = ObjectMeta { name: Some(name.clone()), ..scaling.metadata.clone() };
        let spec = TriggerAuthenticationSpec { secret_target_ref: targets, ..Default::default() };
        plan.scalers.authentications.push(TriggerAuthentication::new(metadata, spec));
    }
    KedaAuthenticationRef { name, kind: None }
}

/// Parameters by the keys that the Secret has.
fn targets(trigger: &str, secret: &str, keys: &BTreeSet<String>) -> Vec<SecretTarget> {
    let target = |parameter: &str, key: &str| SecretTarget {
        parameter: parameter.to_owned(),
        name: secret.to_owned(),
        key: key.to_owned(),
    };
    let Some(parameters) = parameters(trigger) else {
        return keys.iter().map(|key| target(key, key)).collect();
    };
    let plain =
        |key: &str| key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let find = |names: &[&str]| names.iter().find_map(|name| keys.iter().find(|key| plain(key) == *name));
    parameters.iter().filter_map(|(parameter, names)| Some(target(parameter, find(names)?))).collect()
}

/// Parameters by what a backend says about its Secret. A key that is not there gives KEDA nothing, and
/// does no harm.
fn declared(trigger: &str, secret: &SecretRef) -> Vec<SecretTarget> {
    let key = |what: &str| secret.keys.get(what).map_or_else(|| what.to_owned(), Clone::clone);
    let wanted: &[(&str, &str)] = match trigger {
        "kafka" | "apache-kafka" | "redis" | "redis-streams" => {
            &[("username", "username"), ("password", "password")]
        }
        // An address with credentials in it says it all.
        "postgresql" if secret.keys.contains_key("url") => &[("connection", "url")],
        "postgresql" => &[("userName", "username"), ("password", "password")],
        "rabbitmq" => &[("host", "url")],
        "aws-sqs-queue" => &[("awsAccessKeyID", "accessKey"), ("awsSecretAccessKey", "secretKey")],
        _ => &[],
    };
    let target = |(parameter, what): &(&str, &str)| SecretTarget {
        parameter: (*parameter).to_owned(),
        name: secret.name.clone(),
        key: key(what),
    };
    wanted.iter().map(target).collect()
}

fn parameters(trigger: &str) -> Option<&'static [Parameter]> {
    let name = if trigger == "apache-kafka" { "kafka" } else { trigger };
    PARAMETERS.iter().find(|(known, _)| *known == name).map(|(_, parameters)| *parameters)
}
