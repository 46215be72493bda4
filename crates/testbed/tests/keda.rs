//! A real KEDA scales real workloads by real brokers.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use prism_testbed::brokers::{Kafka, Nats, Redis};
use prism_testbed::keda::install_definitions;
use prism_testbed::{
    Cluster, Keda, KedaPrograms, Options, Programs, Progress, ScopedCluster, TestNamespace, eventually, until,
};
use serde_json::{Value, json};
use support::{command_line, options, testbed};
use tokio::sync::OnceCell;

/// KEDA looks every second, the HPA every three; pods come and go, and two cores are shared.
const MINUTE: Duration = Duration::from_mins(1);

/// A cluster with a KEDA in it, for all tests that leave both alone. Ends with the process.
async fn with_keda() -> &'static Cluster {
    static SHARED: OnceCell<(ScopedCluster, Keda)> = OnceCell::const_new();
    let shared = SHARED.get_or_init(|| async {
        let cluster = cluster().await;
        let keda = Keda::start(&cluster, &programs().await).await.unwrap();
        (cluster, keda)
    });
    &shared.await.0
}

/// A cluster of its own: other tests rely on KEDA being absent.
async fn cluster() -> ScopedCluster {
    testbed().await;
    let programs = Programs::ensure(&Progress::silent()).unwrap();
    let options = Options { hpa_fast: true, ..options() };
    ScopedCluster::start(&programs, &options, &Progress::silent()).await.unwrap()
}

async fn programs() -> KedaPrograms {
    tokio::task::spawn_blocking(|| KedaPrograms::ensure(&Progress::stderr())).await.unwrap().unwrap()
}

async fn namespace(cluster: &Cluster) -> TestNamespace {
    TestNamespace::create(&cluster.config().await.unwrap(), "keda").await.unwrap()
}

async fn create<K>(api: &Api<K>, object: Value)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// A workload without pods, named `consumer`.
async fn create_consumer(namespace: &TestNamespace) {
    let labels = json!({ "app": "consumer" });
    let consumer = json!({
        "metadata": { "name": "consumer" },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "main", "image": "any" }] },
            },
        },
    });
    create::<Deployment>(&namespace.api(), consumer).await;
}

fn of_keda(client: Client, namespace: &str, kind: &str) -> (Api<DynamicObject>, ApiResource) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("keda.sh", "v1alpha1", kind));
    (Api::namespaced_with(client, namespace, &resource), resource)
}

/// Lets KEDA scale the consumer between 0 and 4 by one trigger.
async fn scale_by(namespace: &TestNamespace, trigger: Value, dry_run: bool) -> kube::Result<()> {
    let (api, resource) = of_keda(namespace.client(), namespace.name(), "ScaledObject");
    let spec = json!({
        "scaleTargetRef": { "name": "consumer" },
        "pollingInterval": 1,
        "cooldownPeriod": 1,
        "minReplicaCount": 0,
        "maxReplicaCount": 4,
        "triggers": [trigger],
    });
    let object = DynamicObject::new("consumer", &resource).data(json!({ "spec": spec }));
    let parameters = PostParams { dry_run, ..PostParams::default() };
    api.create(&parameters, &object).await.map(drop)
}

/// Waits until the consumer has this many pods, all ready.
async fn has_ready_pods(namespace: &TestNamespace, expected: i32) {
    let description = format!("the consumer has {expected} pods");
    until::<Deployment, ()>(&namespace.api(), "consumer", &description, MINUTE, |consumer| {
        let consumer = consumer.ok_or("it does not exist")?;
        let wanted = consumer.spec.as_ref().and_then(|spec| spec.replicas);
        let status = consumer.status.clone().unwrap_or_default();
        let ready = status.ready_replicas.unwrap_or_default();
        let all = status.replicas.unwrap_or_default();
        if (wanted, ready, all) == (Some(expected), expected, expected) {
            Ok(())
        } else {
            Err(format!("{wanted:?} are wanted, {ready} of {all} are ready"))
        }
    })
    .await
    .unwrap();
}

fn redis_list(redis: &Redis) -> Value {
    let address = redis.address();
    json!({ "type": "redis", "metadata": { "address": address, "listName": "work", "listLength": "5" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_list_behind_a_password_scales_from_zero_and_back() {
    let namespace = namespace(with_keda().await).await;
    let redis = Redis::start(Some("open sesame")).await.unwrap();
    create_consumer(&namespace).await;
    let secret = json!({ "metadata": { "name": "redis" }, "stringData": { "password": "open sesame" } });
    create::<Secret>(&namespace.api(), secret).await;
    let (api, resource) = of_keda(namespace.client(), namespace.name(), "TriggerAuthentication");
    let reference = json!({ "parameter": "password", "name": "redis", "key": "password" });
    let spec = json!({ "secretTargetRef": [reference] });
    let authentication = DynamicObject::new("redis", &resource).data(json!({ "spec": spec }));
    api.create(&PostParams::default(), &authentication).await.unwrap();
    let mut trigger = redis_list(&redis);
    trigger["authenticationRef"] = json!({ "name": "redis" });
    scale_by(&namespace, trigger, false).await.unwrap();

    redis.push("work", 20).await.unwrap();
    has_ready_pods(&namespace, 4).await;
    redis.trim("work", 10).await.unwrap();
    has_ready_pods(&namespace, 2).await;
    redis.trim("work", 0).await.unwrap();
    has_ready_pods(&namespace, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pending_messages_of_a_nats_consumer_scale_from_zero_and_back() {
    let namespace = namespace(with_keda().await).await;
    let nats = Nats::start().await.unwrap();
    nats.create_stream("ORDERS", "orders").await.unwrap();
    nats.create_consumer("ORDERS", "billing").await.unwrap();
    create_consumer(&namespace).await;
    let metadata = json!({
        "natsServerMonitoringEndpoint": nats.monitoring_address(),
        "account": "$G",
        "stream": "ORDERS",
        "consumer": "billing",
        "lagThreshold": "5",
    });
    scale_by(&namespace, json!({ "type": "nats-jetstream", "metadata": metadata }), false).await.unwrap();

    nats.publish("orders", 15).await.unwrap();
    has_ready_pods(&namespace, 3).await;
    nats.consume("ORDERS", "billing", 15).await.unwrap();
    has_ready_pods(&namespace, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lag_of_a_kafka_group_scales_from_zero_and_back() {
    let namespace = namespace(with_keda().await).await;
    let kafka = Kafka::start().await.unwrap();
    kafka.create_topic("orders", 3).await.unwrap();
    create_consumer(&namespace).await;
    let metadata = json!({
        "bootstrapServers": kafka.address(),
        "topic": "orders",
        "consumerGroup": "billing",
        "lagThreshold": "5",
        "offsetResetPolicy": "earliest",
        "version": "3.6.0",
    });
    scale_by(&namespace, json!({ "type": "kafka", "metadata": metadata }), false).await.unwrap();

    kafka.produce("orders", 40).await.unwrap();
    // As many as there are partitions: a fourth would have nothing to read.
    has_ready_pods(&namespace, 3).await;
    kafka.consume("billing", "orders", 40).await.unwrap();
    has_ready_pods(&namespace, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_refuses_a_workload_that_an_autoscaler_has_already() {
    let namespace = namespace(with_keda().await).await;
    create_consumer(&namespace).await;
    let redis = Redis::start(None).await.unwrap();
    scale_by(&namespace, redis_list(&redis), true).await.unwrap();

    let autoscaler = json!({
        "metadata": { "name": "by-hand" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "consumer" },
            "minReplicas": 1,
            "maxReplicas": 2,
        },
    });
    create::<HorizontalPodAutoscaler>(&namespace.api(), autoscaler).await;
    // The webhook judges by its own cache, which has to hear of the autoscaler first.
    let refusal = eventually("a second autoscaler is refused", MINUTE, async || {
        match scale_by(&namespace, redis_list(&redis), true).await {
            Err(kube::Error::Api(refusal)) => Ok(refusal.message.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .unwrap();
    assert!(refusal.contains("is already managed by the hpa 'by-hand'"), "{refusal}");
}

/// In a cluster of its own, beside that of the other tests.
#[tokio::test(flavor = "multi_thread")]
async fn a_keda_that_comes_late_finds_its_work_dies_and_comes_back() {
    let cluster = cluster().await;
    let namespace = namespace(&cluster).await;
    let redis = Redis::start(None).await.unwrap();
    create_consumer(&namespace).await;
    install_definitions(&namespace.client()).await.unwrap();
    scale_by(&namespace, redis_list(&redis), false).await.unwrap();
    redis.push("work", 10).await.unwrap();
    let pods = namespace.api::<Deployment>().get("consumer").await.unwrap().spec.unwrap().replicas;
    assert_eq!(pods, Some(0), "without KEDA's programs nobody scales");

    let mut keda = Keda::start(&cluster, &programs().await).await.unwrap();
    has_ready_pods(&namespace, 2).await;

    let processes = [keda.operator.pid(), keda.adapter.pid(), keda.webhooks.pid()];
    keda.operator.stop().unwrap();
    keda.adapter.stop().unwrap();
    keda.webhooks.stop().unwrap();
    assert_eq!(processes.map(command_line), [None, None, None]);
    redis.trim("work", 0).await.unwrap();
    let autoscalers = namespace.api::<HorizontalPodAutoscaler>();
    let name = autoscalers.list(&ListParams::default()).await.unwrap().items[0].name_any();
    until(&autoscalers, &name, "the autoscaler misses its metric", MINUTE, |autoscaler| {
        let status = autoscaler.and_then(|one| one.status.clone()).unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let misses = conditions.iter().any(|one| one.type_ == "ScalingActive" && one.status == "False");
        if misses { Ok(()) } else { Err(format!("{conditions:?}")) }
    })
    .await
    .unwrap();

    keda.operator.restart().await.unwrap();
    keda.adapter.restart().await.unwrap();
    keda.webhooks.restart().await.unwrap();
    keda.until_ready().await.unwrap();
    has_ready_pods(&namespace, 0).await;
    assert!(keda.operator.log().exists());

    let folder = keda.operator.log().to_owned();
    drop(keda);
    assert!(!folder.exists(), "nothing of KEDA is left");
    cluster.stop();
}
