//! Credentials reach KEDA by reference, and nobody else at all.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kube::{
    Api,
    api::{DynamicObject, ListParams},
    discovery::{Discovery, Scope, verbs},
};
use prism_api::condition::{self, reason};
use prism_testbed::brokers::Redis;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::story::Story;

/// Nothing else looks like it, also in base64.
const PASSWORD: &str = "canary-5a1d-password";
const PASSWORD_IN_BASE64: &str = "Y2FuYXJ5LTVhMWQtcGFzc3dvcmQ";

/// All that this process logs, the operator included.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Starts with the first call.
    fn of_this_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            tracing_subscriber::fmt()
                .with_env_filter(
                    "info,prism_operator=debug,prism_engine=debug,kube_client=debug,kube_runtime=debug",
                )
                .with_writer(log.clone())
                .init();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Everything in the namespace that can be listed, Secrets apart.
async fn everything(story: &Story<'_>) -> Vec<Value> {
    let client = story.namespace.client();
    let discovery = Discovery::new(client.clone()).run().await.unwrap();
    let mut found = Vec::new();
    for (resource, capabilities) in
        discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources)
    {
        let is_wanted =
            capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST);
        if !is_wanted || resource.kind == "Secret" {
            continue;
        }
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), story.namespace.name(), &resource);
        let objects = Box::pin(api.list(&ListParams::default())).await.unwrap();
        found.extend(objects.into_iter().map(|object| json!({"kind": resource.kind, "object": object})));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_trigger_names_lets_keda_in_and_its_content_is_nowhere_else() {
    let log = Log::of_this_process();
    let story = Story::begin("credentials").await;
    let redis = Redis::start(Some(PASSWORD)).await.unwrap();
    let trigger = json!({
        "type": "redis",
        "metadata": {"address": redis.address(), "listName": "jobs", "listLength": "5"},
        "authenticationRef": {"name": "queue-login"},
    });
    let spec = json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore",
        "autoscaling": {
            "scaler": "keda", "minReplicas": 0, "maxReplicas": 5, "pollingInterval": 1, "cooldownPeriod": 1,
            "triggers": [trigger],
        },
    });
    story.apply("reader", spec.clone()).await;
    let missing =
        story.condition("reader", condition::SCALING_ACTIVE, "False", reason::SECRET_NOT_FOUND).await;
    assert!(missing.message.contains("Secret queue-login"), "{}", missing.message);

    story.secret("queue-login", [("REDIS_PASSWORD", PASSWORD)]).await;
    // Nobody watches Secrets: the operator asks again within a minute, and at once if it is asked to.
    story.annotate("reader", prism_api::labels::RECONCILE_REQUESTED_AT, Some("now")).await;
    story.accepted("reader").await;
    let authentication =
        story.of_keda("TriggerAuthentication").get("reader-queue-login-redis").await.unwrap();
    let expected = json!([{"parameter": "password", "name": "queue-login", "key": "REDIS_PASSWORD"}]);
    assert_eq!(authentication.data["spec"]["secretTargetRef"], expected);
    redis.push("jobs", 12).await.unwrap();
    story.runs("Deployment", "reader", 3).await;
    redis.trim("jobs", 0).await.unwrap();
    story.runs("Deployment", "reader", 0).await;
    story.ready("reader").await;

    let found = everything(&story).await;
    for kind in ["ScaledObject", "TriggerAuthentication", "PrismPattern", "Deployment", "Event"] {
        assert!(found.iter().any(|object| object["kind"] == kind), "{kind} was looked through");
    }
    for object in found {
        let text = object.to_string();
        assert!(!text.contains(PASSWORD) && !text.contains(PASSWORD_IN_BASE64), "{text}");
    }
    let logged = log.text();
    let is_operators = |line: &&str| line.contains("prism_") && line.contains("reader");
    assert!(logged.lines().any(|line| is_operators(&line)), "lines of the operator were looked through");
    assert!(!logged.contains(PASSWORD) && !logged.contains(PASSWORD_IN_BASE64));
}
