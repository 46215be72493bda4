//! Every field of a stack can be changed and changed back, and nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Secret, Service, ServiceAccount},
        networking::v1::Ingress,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps,
};
use kube::{Resource, api::ListParams};
use prism_api::{PrismBackend, PrismPattern, PrismStack};
use prism_testbed::eventually;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Story};

/// A field, and what is written there; `null` takes away what the base has.
type Edit = (&'static str, Value);

/// What every case starts from, and comes back to.
fn base() -> Value {
    json!({
        "admin": {"replicas": 1},
        "proxy": {"replicas": 1},
        "webConsole": {"replicas": 1},
        "backends": [
            {"name": "cache", "type": "redis", "provision": {"storage": "1Gi"}},
            {"name": "bus", "type": "nats", "connectionString": "nats://bus.streams:4222"},
        ],
        "patterns": [
            {"name": "sessions", "type": "keyvalue", "backend": "cache"},
            {"name": "events", "type": "pubsub", "backend": "bus"},
        ],
        "observability": {"tracing": {"endpoint": "http://collector:4317"}, "grafana": {"enabled": true}},
        "ingress": {"host": "prism.example.com"},
    })
}

fn of_proxy() -> Vec<Edit> {
    vec![
        ("/proxy/replicas", json!(3)),
        ("/proxy/enabled", json!(false)),
        ("/proxy/port", json!(7000)),
        ("/proxy/metricsPort", json!(7001)),
        ("/proxy/service", load_balancer()),
        (
            "/proxy/autoscaling",
            json!({
                "enabled": true, "scaler": "hpa", "minReplicas": 2, "maxReplicas": 4,
                "targetCPUUtilizationPercentage": 60, "targetMemoryUtilizationPercentage": 70,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "1"}}}],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}},
            }),
        ),
        ("/proxy/disruptionBudget", json!({"enabled": true, "minAvailable": 1})),
        ("/proxy/disruptionBudget", json!({"enabled": true, "maxUnavailable": "50%"})),
        ("/proxy/image", json!("registry.example.com/proxy:2")),
    ]
}

fn of_console() -> Vec<Edit> {
    vec![
        ("/webConsole", Value::Null),
        ("/webConsole/kind", json!("StatefulSet")),
        ("/webConsole/storage", json!({"mountPath": "/data", "size": "1Gi"})),
        ("/webConsole/imagePullPolicy", json!("Always")),
        ("/webConsole/imagePullSecrets", json!([{"name": "registry"}])),
        ("/webConsole/resources", json!({"requests": {"cpu": "10m"}, "limits": {"memory": "64Mi"}})),
        ("/webConsole/placement", placement()),
        ("/webConsole/placement/nodeName", json!("node-0")),
        ("/webConsole/args", json!(["--verbose"])),
    ]
}

fn of_console_pods() -> Vec<Edit> {
    let probe = json!({"tcpSocket": {"port": 8080}});
    vec![
        ("/webConsole/env", json!([{"name": "THEME", "value": "dark"}, {"name": "PORT", "value": "8081"}])),
        ("/webConsole/envFrom", json!([{"configMapRef": {"name": "theme", "optional": true}}])),
        ("/webConsole/probes", json!({"liveness": probe, "readiness": probe, "startup": probe})),
        ("/webConsole/podAnnotations", json!({"example.com/note": "look"})),
        ("/webConsole/podLabels", json!({"example.com/team": "blue"})),
        (
            "/webConsole/podTemplate",
            json!({"spec": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]}}),
        ),
        ("/webConsole/serviceAccountName", json!("default")),
        ("/webConsole/terminationGracePeriodSeconds", json!(5)),
    ]
}

fn of_admin() -> Vec<Edit> {
    let election =
        json!({"enabled": true, "leaseDuration": "15s", "renewDeadline": "10s", "retryPeriod": "2s"});
    vec![
        ("/admin", Value::Null),
        ("/admin/leaderElection", election),
        ("/admin/storage", json!({"type": "sqlite", "mountPath": "/data"})),
        ("/admin/port", json!(7000)),
        ("/admin/image", json!("registry.example.com/admin:2")),
        ("/deletionPolicy", json!("Delete")),
        ("/paused", json!(true)),
        ("/approval", json!("Manual")),
    ]
}

/// What every pod of the stack follows.
fn of_all() -> Vec<Edit> {
    let near = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}},
    ]}});
    vec![
        ("/imagePullSecrets", json!([{"name": "registry"}])),
        ("/imagePullPolicy", json!("IfNotPresent")),
        ("/imageRegistry", json!("registry.example.com/prism")),
        ("/version", json!("v9")),
        ("/affinity", near),
        ("/runtimeProfile", json!("upstream")),
    ]
}

fn of_lists() -> Vec<Edit> {
    vec![
        ("/patterns/-", json!({"name": "audit", "type": "queue", "backend": "memstore"})),
        ("/patterns/1", Value::Null),
        ("/patterns/1/replicas", json!(2)),
        ("/patterns/0/config", json!({"ttl": "1h"})),
        ("/patterns/1/storage", json!({"size": "1Gi"})),
        (
            "/backends/-",
            json!({"name": "queue", "type": "nats", "deletionPolicy": "Delete", "provision": {"storage": "1Gi"}}),
        ),
        ("/backends/1", Value::Null),
        ("/backends/1/connectionString", json!("nats://other.streams:4222")),
        ("/backends/0/required", json!(false)),
        ("/backends/0/provision/version", json!("7-alpine")),
        ("/backends", json!([])),
        ("/patterns", Value::Null),
    ]
}

fn of_edge() -> Vec<Edit> {
    let issued = json!({"secretName": "tls", "issuerRef": {"name": "le", "kind": "ClusterIssuer"}});
    vec![
        ("/observability", Value::Null),
        ("/observability/enabled", json!(false)),
        ("/observability/tracing/endpoint", json!("http://other:4317")),
        ("/observability/tracing/samplingPercentage", json!(10)),
        ("/observability/metrics", json!({"port": 7001})),
        ("/observability/metrics/path", json!("/numbers")),
        ("/observability/prometheus/enabled", json!(true)),
        ("/observability/prometheus", json!({"scrapeInterval": "30s", "enabled": false})),
        ("/observability/grafana/enabled", json!(false)),
        ("/observability/loki/enabled", json!(true)),
        ("/ingress", Value::Null),
        ("/ingress/enabled", json!(false)),
        ("/ingress/className", json!("nginx")),
        ("/ingress/host", json!("other.example.com")),
        ("/ingress/annotations", json!({"example.com/note": "look"})),
        ("/ingress/tls", json!({"enabled": true})),
        ("/ingress/tls", issued),
        ("/ingress/gateway", json!({"name": "public", "namespace": "gateways", "sectionName": "grpc"})),
    ]
}

/// Everything that a Service may be asked for.
fn load_balancer() -> Value {
    json!({
        "type": "LoadBalancer", "port": 7002, "nodePort": 30007, "annotations": {"example.com/note": "look"},
        "labels": {"example.com/team": "blue"}, "loadBalancerClass": "example.com/balancer",
        "loadBalancerSourceRanges": ["10.0.0.0/8"], "externalTrafficPolicy": "Local",
    })
}

/// Everything that leaves a pod a node to run on.
fn placement() -> Value {
    json!({
        "strategy": "MultiZone",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}},
        ]}},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"a": "b"}}},
        ],
        "priorityClassName": "system-cluster-critical",
        "resources": {"requests": {"cpu": "10m"}},
    })
}

/// Edits that no child of the kinds that every cluster serves can tell from the base.
const SILENT: [(&str, &str); 5] = [
    ("/paused", "a paused stack is left as it is"),
    ("/approval", "it decides when changes are carried out, not which"),
    ("/backends/0/required", "it decides when the stack is ready"),
    ("/observability/metrics/path", "only monitors scrape it, and this cluster serves none"),
    ("/observability/prometheus", "there are no monitors in the base, and this is the same in more words"),
];

/// Fields that no case changes and changes back; `*` is any of the components.
const EXCEPTIONS: [(&str, &str); 18] = [
    ("/*/storage/storageClass", "it cannot change once volumes exist"),
    ("/*/storage/accessModes", "they cannot change once volumes exist"),
    ("/*/placement/runtimeClassName", "pods are refused where there is no such class"),
    ("/*/placement/schedulerName", "pods wait for ever where there is no such scheduler"),
    ("/*/autoscaling/strategy", "an alias of scaler"),
    ("/*/autoscaling/targetCPU", "an alias of targetCPUUtilizationPercentage"),
    ("/*/autoscaling/targetCPUUtilization", "an alias of targetCPUUtilizationPercentage"),
    ("/*/autoscaling/targetMemory", "an alias of targetMemoryUtilizationPercentage"),
    ("/*/autoscaling/targetMemoryUtilization", "an alias of targetMemoryUtilizationPercentage"),
    ("/*/autoscaling/pollingInterval", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/cooldownPeriod", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/initialCooldownPeriod", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/fallback", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/restoreToOriginalReplicaCount", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/triggers", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/via", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/mode", "stories of scaling walk it, on patterns"),
    ("/*/autoscaling/windows", "stories of scaling walk it, on patterns"),
];

#[rstest]
#[case::proxy("edit-proxy", of_proxy())]
#[case::console("edit-console", of_console())]
#[case::console_pods("edit-pods", of_console_pods())]
#[case::admin("edit-admin", of_admin())]
#[case::all("edit-all", of_all())]
#[case::lists("edit-lists", of_lists())]
#[case::edge("edit-edge", of_edge())]
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_changed_and_changed_back_leaves_no_trace(
    #[case] name: &str,
    #[case] edits: Vec<Edit>,
) {
    let story = Story::begin(name).await;
    story.put::<PrismStack>("shop", base()).await;
    let before = eventually("the stack is at rest", PATIENCE, async || at_rest(&story).await).await.unwrap();
    for (field, value) in edits {
        let is_silent = SILENT.iter().any(|(silent, _)| *silent == field);
        story.put::<PrismStack>("shop", edited(field, &value)).await;
        let what = format!("{field} takes effect as {value}");
        eventually(&what, PATIENCE, async || {
            let now = at_rest(&story).await?;
            let changes = difference(&before, &now);
            if changes.is_empty() == is_silent { Ok(()) } else { Err(format!("it changes {changes:?}")) }
        })
        .await
        .unwrap();

        story.put::<PrismStack>("shop", base()).await;
        let what = format!("everything is as it was before {field} was {value}");
        eventually(&what, PATIENCE, async || {
            let changes = difference(&before, &at_rest(&story).await?);
            if changes.is_empty() { Ok(()) } else { Err(format!("it differs in {changes:#?}")) }
        })
        .await
        .unwrap();
    }
}

#[test]
fn every_field_of_a_stack_is_walked() {
    let tables =
        [of_proxy(), of_console(), of_console_pods(), of_admin(), of_all(), of_lists(), of_edge()].concat();
    let mut walked = BTreeSet::new();
    for (field, value) in &tables {
        leaves(field, value, &mut walked);
    }
    let walked: BTreeSet<_> = walked.iter().map(|field| common(field)).collect();
    let crds = prism_api::all_crds().unwrap();
    let crd = crds.into_iter().find(|crd| crd.spec.names.kind == "PrismStack").unwrap();
    let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
    let mut fields = BTreeSet::new();
    list("", &schema.properties.unwrap()["spec"], &mut fields);
    let fields: BTreeSet<_> = fields.iter().map(|field| common(field)).collect();
    let is_walked = |field: &&String| {
        let below = format!("{field}/");
        walked.contains(*field) || walked.iter().any(|known| known.starts_with(&below))
    };
    let forgotten: BTreeSet<_> =
        fields.iter().filter(|field| !is_walked(field)).map(String::as_str).collect();
    let excepted: BTreeSet<_> = EXCEPTIONS.iter().map(|(field, _)| *field).collect();
    assert_eq!(forgotten, excepted, "what no case changes is listed, with the reason, and nothing else is");
    for (field, _) in SILENT {
        assert!(tables.iter().any(|(walked, _)| *walked == field), "{field} is in no table");
    }
}

/// What the components have in common is walked once, on one of them.
fn common(field: &str) -> String {
    let part = ["/proxy/", "/webConsole/", "/admin/"].into_iter().find(|part| field.starts_with(part));
    part.map_or_else(|| field.to_owned(), |part| format!("/*/{}", &field[part.len()..]))
}

/// The base with one field changed.
fn edited(field: &str, value: &Value) -> Value {
    let mut spec = base();
    let (parent, name) = field.rsplit_once('/').unwrap();
    let mut place = &mut spec;
    for step in parent.split('/').skip(1) {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    match (place, value) {
        (Value::Array(list), Value::Null) => drop(list.remove(name.parse().unwrap())),
        (Value::Array(list), value) => list.push(value.clone()),
        (Value::Object(block), Value::Null) => drop(block.remove(name).unwrap()),
        (place, value) => place[name] = value.clone(),
    }
    spec
}

/// Fields that `value` at `field` says something about.
fn leaves(field: &str, value: &Value, all: &mut BTreeSet<String>) {
    all.insert(field.to_owned());
    for (name, value) in value.as_object().into_iter().flatten() {
        leaves(&format!("{field}/{name}"), value, all);
    }
}

/// Fields of the schema, blocks of our own by their fields.
fn list(path: &str, schema: &JSONSchemaProps, all: &mut BTreeSet<String>) {
    const KUBERNETES: [&str; 7] =
        ["resources", "affinity", "behavior", "liveness", "readiness", "startup", "fallback"];
    let name = path.rsplit('/').next().unwrap_or_default();
    match schema.properties.as_ref().filter(|_| !KUBERNETES.contains(&name)) {
        Some(properties) => {
            for (name, schema) in properties {
                list(&format!("{path}/{name}"), schema, all);
            }
        }
        None => drop(all.insert(path.to_owned())),
    }
}

/// Children by kind and name.
type Children = BTreeMap<String, Value>;

/// Everything that the operator has made in the namespace, once the stack and all that it has made
/// are at rest.
async fn at_rest(story: &Story) -> Result<Children, String> {
    let stack = story.api::<PrismStack>().get("shop").await.map_err(|error| error.to_string())?;
    let stack = json!(stack);
    let is_paused = stack["spec"]["paused"] == json!(true);
    rests(&stack, is_paused)?;
    if !is_paused && state(&stack, "Ready") != "True" {
        return Err(format!("the stack is not ready: {}", stack["status"]));
    }
    let mut children = Children::new();
    macro_rules! look {
        ($($kind:ty),*) => {$(
            let labels = ListParams::default().labels("app.kubernetes.io/managed-by=prism-operator");
            let objects = story.api::<$kind>().list(&labels).await.map_err(|error| error.to_string())?;
            for object in objects {
                let mut object = json!(object);
                let kind = <$kind as Resource>::kind(&());
                if kind.starts_with("Prism") {
                    rests(&object, is_paused)?;
                }
                essence(&mut object);
                children.insert(format!("{kind} {}", object["metadata"]["name"]), object);
            }
        )*};
    }
    look!(PrismPattern, PrismBackend, Deployment, StatefulSet, Service, ServiceAccount, ConfigMap, Secret);
    look!(HorizontalPodAutoscaler, PodDisruptionBudget, Role, RoleBinding, Ingress);
    Ok(children)
}

/// Whether the status speaks of the current spec, and of no work to be done.
fn rests(object: &Value, is_paused: bool) -> Result<(), String> {
    let expected = if is_paused { "False" } else { "" };
    let is_current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    if is_current && state(object, "Reconciling") == expected && state(object, "Stalled") != "True" {
        return Ok(());
    }
    Err(format!("{} {} is not at rest: {}", object["kind"], object["metadata"]["name"], object["status"]))
}

/// Status of a condition; nothing if there is none.
fn state<'a>(object: &'a Value, type_: &str) -> &'a str {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let mut found = conditions.filter(|condition| condition["type"] == type_);
    found.next().and_then(|condition| condition["status"].as_str()).unwrap_or_default()
}

/// Leaves of an object what somebody wants of it: nothing that the cluster counts, draws or reports.
fn essence(object: &mut Value) {
    let drawn = ["clusterIP", "clusterIPs"];
    let counted = ["resourceVersion", "uid", "managedFields", "generation", "creationTimestamp"];
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in counted {
        metadata.remove(field);
    }
    for owner in metadata.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
        owner["uid"] = Value::Null;
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove("deployment.kubernetes.io/revision");
        // These speak of the UID of an owner that may have been made anew.
        annotations.remove("prism.io/owned-by");
        annotations.remove("prism.io/applied");
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    let object = object.as_object_mut().unwrap();
    object.remove("status");
    if object.get("type").is_some_and(|type_| type_ == "Opaque") {
        object.remove("data");
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        for field in drawn {
            spec.remove(field);
        }
    }
}

/// Children that came, went, or are not what they were.
fn difference(before: &Children, now: &Children) -> Vec<String> {
    let keys: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let judge = |key: &String| match (before.get(key), now.get(key)) {
        (None, Some(_)) => Some(format!("{key} came")),
        (Some(_), None) => Some(format!("{key} went")),
        (Some(before), Some(now)) => {
            let mut paths = Vec::new();
            compare("", before, now, &mut paths);
            (!paths.is_empty()).then(|| format!("{key}: {}", paths.join(", ")))
        }
        (None, None) => None,
    };
    keys.into_iter().filter_map(judge).collect()
}

/// Where two values differ.
fn compare(path: &str, before: &Value, now: &Value, paths: &mut Vec<String>) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
            for name in names {
                let of =
                    |object: &serde_json::Map<String, Value>| object.get(name).cloned().unwrap_or_default();
                compare(&format!("{path}.{name}"), &of(before), &of(now), paths);
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (index, (before, now)) in before.iter().zip(now).enumerate() {
                compare(&format!("{path}[{index}]"), before, now, paths);
            }
        }
        _ if before != now => paths.push(format!("{path} from {before} to {now}")),
        _ => {}
    }
}
