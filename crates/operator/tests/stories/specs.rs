//! What a spec says is followed as it is meant, or refused in a sentence that names the field.

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};
use kube::api::PostParams;
use prism_api::{
    PrismBackend, PrismPattern, PrismStack,
    condition::{self, reason},
};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::support::{Story, conditions};

/// A pattern with `more` in its spec.
fn pattern(more: Value) -> Value {
    let mut spec = json!({"pattern": "keyvalue", "kind": "Deployment", "backend": "memstore"});
    merge(&mut spec, more);
    spec
}

fn merge(spec: &mut Value, more: Value) {
    let Value::Object(more) = more else { return };
    more.into_iter().for_each(|(name, value)| spec[name] = value);
}

async fn container(story: &Story, name: &str) -> Container {
    let deployment: Deployment = story.api().get(name).await.unwrap();
    deployment.spec.unwrap().template.spec.unwrap().containers.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_twice_is_refused_by_its_field_and_what_runs_stays() {
    let story = Story::begin("twice-said").await;
    let config = json!({"batch": 1});
    let cases = [
        ("port", json!({"ports": [{"name": "http", "containerPort": 8080}]}), "spec.ports[0]"),
        ("portname", json!({"ports": [{"name": "grpc", "containerPort": 9999}]}), "spec.ports[0].name"),
        (
            "claim",
            json!({"kind": "StatefulSet", "storage": {"size": "1Gi"}, "volumes": [{"name": "data", "emptyDir": {}}],
                "volumeMounts": [{"name": "data", "mountPath": "/scratch"}]}),
            "spec.volumes[0].name",
        ),
        (
            "config",
            json!({"config": config, "volumes": [{"name": "config", "emptyDir": {}}]}),
            "spec.volumes[0].name",
        ),
        (
            "path",
            json!({"config": config, "volumes": [{"name": "mine", "emptyDir": {}}],
                "volumeMounts": [{"name": "mine", "mountPath": "/etc/prism"}]}),
            "spec.volumeMounts[0].mountPath",
        ),
        (
            "patched",
            json!({"kind": "StatefulSet", "storage": {"size": "1Gi"},
                "podTemplate": {"spec": {"volumes": [{"name": "data", "emptyDir": {}}]}}}),
            "spec.podTemplate.spec.volumes",
        ),
        ("resource", json!({"resources": {"requests": {"a": "1"}}}), "spec.resources"),
    ];
    // One runs, and is edited: the image of a refused edit does not get through either.
    story.apply("runs", pattern(json!({}))).await;
    story.ready("runs").await;
    let parts = cases.iter().map(|(name, more, _)| {
        let mut part = json!({"name": name, "type": "keyvalue", "backend": "memstore"});
        merge(&mut part, more.clone());
        part
    });
    let parts: Vec<_> = parts.collect();
    story.put::<PrismStack>("shop", json!({"patterns": parts})).await;
    for (name, more, field) in &cases {
        story.apply(name, pattern(more.clone())).await;
        let refused = story.condition(name, condition::STALLED, "True", reason::INVALID_SPEC).await;
        let message = &find(conditions(&refused), condition::STALLED).unwrap().message;
        assert!(message.starts_with(&format!("{field}: ")), "{name}: {message}");
        let child = format!("shop-{name}");
        story.condition(&child, condition::STALLED, "True", reason::INVALID_SPEC).await;
    }
    let edit =
        json!({"ports": [{"name": "http", "containerPort": 8080}], "image": "registry.example.com/kv:2"});
    story.apply("runs", pattern(edit)).await;
    story.condition("runs", condition::READY, "False", reason::INVALID_SPEC).await;
    story
        .stack("shop", "names a part and why it is late", |stack| {
            let all = stack.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
            find(all, condition::READY).is_some_and(|ready| ready.message.contains("spec.ports[0]"))
        })
        .await;

    // What is no contradiction is followed: the port that the program has, with a port of the node.
    story.apply("runs", pattern(json!({"ports": [{"containerPort": 8080, "hostPort": 18080}]}))).await;
    story.ready("runs").await;
    let ports = container(&story, "runs").await.ports.unwrap();
    assert_eq!(
        json!(ports),
        json!([{"name": "grpc", "containerPort": 8080, "hostPort": 18080, "protocol": "TCP"}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_is_followed_word_by_word() {
    let story = Story::begin("words").await;
    let variables = json!([
        {"name": "REDIS_HOST", "value": "redis-a.data.svc"}, {"name": "REDIS_URL", "value": "redis://$(REDIS_HOST):6379"},
    ]);
    let six = json!({"type": "postgres", "connection": {"host": "fd00:10:96::5", "port": 5432, "database": "orders"}});
    story.put::<PrismBackend>("six", six).await;
    let dollar =
        json!({"type": "postgres", "connection": {"url": "postgres://app:pa$$w0rd@db.data.svc:5432/orders"}});
    story.put::<PrismBackend>("dollar", dollar).await;
    let redis = json!({"redisUrl": "redis://default-host:6379"});
    story
        .apply(
            "order",
            pattern(
                json!({"pattern": "consumer", "backend": "redis", "backendConfig": redis, "env": variables}),
            ),
        )
        .await;
    story.apply("six", pattern(json!({"backend": "six"}))).await;
    story
        .apply(
            "dollar",
            pattern(json!({"pattern": "consumer", "backend": "dollar", "consumerGroup": "grp$$1"})),
        )
        .await;
    for name in ["order", "six", "dollar"] {
        story.ready(name).await;
    }
    let env = container(&story, "order").await.env.unwrap();
    let tail: Vec<_> = env[env.len() - 2..].iter().map(|variable| variable.name.as_str()).collect();
    assert_eq!(tail, ["REDIS_HOST", "REDIS_URL"]);
    let value = async |pattern: &str, name: &str| {
        let env = container(&story, pattern).await.env.unwrap();
        env.into_iter().find(|variable| variable.name == name).and_then(|variable| variable.value).unwrap()
    };
    assert_eq!(value("six", "DATABASE_URL").await, "postgres://[fd00:10:96::5]:5432/orders");
    assert_eq!(value("dollar", "DATABASE_URL").await, "postgres://app:pa$$$$w0rd@db.data.svc:5432/orders");
    assert_eq!(value("dollar", "CONSUMER_GROUP").await, "grp$$$$1");
    let six: PrismBackend = story.api().get("six").await.unwrap();
    assert_eq!(six.status.unwrap().endpoint.as_deref(), Some("postgres://[fd00:10:96::5]:5432/orders"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pod_template_is_a_strategic_merge_patch_also_through_a_stack() {
    let story = Story::begin("patch").await;
    let patch = json!({"spec": {
        "terminationGracePeriodSeconds": 7,
        "containers": [
            {"name": "keyvalue-runner", "livenessProbe": null, "securityContext": {"$patch": "replace", "readOnlyRootFilesystem": true},
             "env": [{"name": "BACKEND_TYPE", "$patch": "delete"}, {"name": "MORE", "value": "1"}]},
            {"name": "side", "image": "registry.example.com/side:latest"},
        ],
    }});
    story
        .create::<PrismPattern>(
            &serde_json::from_value(json!({
                "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern", "metadata": {"name": "pt"},
                "spec": pattern(json!({"podTemplate": patch})),
            }))
            .unwrap(),
        )
        .await;
    let part = json!({"name": "pt", "type": "keyvalue", "kind": "Deployment", "backend": "memstore", "podTemplate": patch});
    let stack: PrismStack = serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismStack", "metadata": {"name": "shop"}, "spec": {"patterns": [part]},
    }))
    .unwrap();
    story.create(&stack).await;
    for name in ["pt", "shop-pt"] {
        story.ready(name).await;
        let main = container(&story, name).await;
        assert!(main.liveness_probe.is_none() && main.readiness_probe.is_some(), "{name}");
        assert_eq!(json!(main.security_context), json!({"readOnlyRootFilesystem": true}), "{name}");
        let names: Vec<_> = main.env.iter().flatten().map(|variable| variable.name.as_str()).collect();
        assert!(!names.contains(&"BACKEND_TYPE") && names.contains(&"MORE"), "{name}: {names:?}");
    }
    // What Kubernetes derives from an image, the operator owns: no trace of the image before is left.
    let image = |tag: &str| pattern(json!({"image": format!("registry.example.com/kv:{tag}")}));
    for (tag, policy) in [("latest", "Always"), ("1", "IfNotPresent")] {
        story.apply("image", image(tag)).await;
        story.ready("image").await;
        assert_eq!(container(&story, "image").await.image_pull_policy.as_deref(), Some(policy));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_services_and_urls_cannot_take_are_refused_at_the_door() {
    let story = Story::begin("names").await;
    let bodies = [
        ("PrismPattern", "2fa-sessions", pattern(json!({}))),
        ("PrismBackend", "9lives", json!({"type": "redis", "provision": {}})),
        ("PrismBackend", "a.b", json!({"type": "redis", "provision": {}})),
        ("PrismStack", "1st", json!({})),
        (
            "PrismCluster",
            "1st",
            json!({"patterns": [{"name": "keyvalue", "type": "Deployment", "backends": ["memstore"]}]}),
        ),
        ("PrismPattern", "url", pattern(json!({"serviceAccountName": "a/b"}))),
        (
            "PrismPattern",
            "url",
            pattern(json!({"kind": "StatefulSet", "storage": {"size": "1Gi", "storageClass": "a?b"}})),
        ),
        (
            "PrismPattern",
            "url",
            pattern(json!({"autoscaling": {"scaler": "keda", "maxReplicas": 2, "triggers": [
            {"type": "redis", "authenticationRef": {"name": "a b"}}]}})),
        ),
        ("PrismBackend", "url", json!({"type": "redis", "secretRef": {"name": "../a"}})),
        ("PrismBackend", "url", json!({"type": "redis", "serviceRef": {"name": "a", "namespace": "b/c"}})),
        (
            "PrismAutoscaler",
            "url",
            json!({"targetRef": {"kind": "Deployment", "name": "a?b"}, "maxReplicas": 2,
            "metrics": [{"type": "Admin", "adminMetric": {"metricName": "m", "target": "1"}}]}),
        ),
    ];
    for (kind, name, spec) in bodies {
        let body: kube::api::DynamicObject = serde_json::from_value(json!({
            "apiVersion": "prism.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap();
        let resource = kube::core::ApiResource {
            group: "prism.io".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: "prism.io/v1alpha1".to_owned(),
            kind: kind.to_owned(),
            plural: format!("{}s", kind.to_lowercase()),
        };
        let api: kube::Api<kube::api::DynamicObject> =
            kube::Api::namespaced_with(story.bed.client(), story.namespace.name(), &resource);
        let refused = api.create(&PostParams::default(), &body).await.unwrap_err().to_string();
        let names_it =
            refused.contains("metadata.name must begin with a letter") || refused.contains("should match");
        assert!(names_it, "{kind} {name}: {refused}");
    }
    // A backend that is only an address has no Service.
    let address = json!({"type": "redis", "connection": {"url": "redis://cache:6379"}});
    story.put::<PrismBackend>("9lives.cache", address).await;
}
