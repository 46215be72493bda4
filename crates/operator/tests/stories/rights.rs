//! What the operator may not do, and what a cluster does not serve in the way it is wanted, stops nothing else.

use k8s_openapi::{
    api::rbac::v1::{Role, RoleBinding},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::{
        CustomResourceDefinition, CustomResourceDefinitionVersion,
    },
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
};
use prism_api::{PrismPattern, PrismStack, condition};
use prism_plan::conditions::find;
use prism_testbed::{AUDITED_GROUP, ThirdParty, definitions::third_party, eventually};
use serde_json::{Value, json};

use crate::{
    support::{PATIENCE, Running, Story, conditions as conditions_of, is_current, quick},
    world::World,
};

/// What an operator needs that looks at one namespace: nothing that is not in it.
fn rights_in_one_namespace() -> Value {
    let all = ["list", "watch", "get", "create", "patch", "delete"];
    json!([
        {"apiGroups": ["prism.io"], "resources": ["*"], "verbs": all},
        {"apiGroups": [""], "resources": ["serviceaccounts", "configmaps", "services", "secrets"], "verbs": all},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["list", "watch", "patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": all},
        {"apiGroups": ["apps"], "resources": ["deployments/scale", "statefulsets/scale"], "verbs": ["patch"]},
        {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": all},
        {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": all},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": all},
        {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": all},
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_in_one_namespace_is_enough_for_that_namespace() {
    let story = Story::prepare("role").await;
    let role: Role =
        serde_json::from_value(json!({"metadata": {"name": "operator"}, "rules": rights_in_one_namespace()}))
            .unwrap();
    story.create(&role).await;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "operator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": story.user}],
    }))
    .unwrap();
    story.create(&binding).await;
    let identity = story.bed.cluster().config_for(&story.user, &[AUDITED_GROUP]).await.unwrap();
    let config = prism_operator::Config { namespace: Some(story.namespace.name().to_owned()), ..quick() };
    let operator = Running::start(config, identity).await;

    let spec = json!({
        "admin": {"replicas": 1},
        "observability": {"prometheus": {"scrapeInterval": "30s"}},
        "patterns": [{"name": "cache", "type": "keyvalue", "backend": "memstore"}],
    });
    story.put::<PrismStack>("main", spec).await;
    let stack = story
        .stack("main", "says which integrations it cannot have", |stack| {
            let conditions = stack.status.clone().unwrap_or_default().conditions;
            find(&conditions, condition::INTEGRATIONS_AVAILABLE).is_some()
        })
        .await;
    let conditions = stack.status.unwrap().conditions;
    let missing = find(&conditions, condition::INTEGRATIONS_AVAILABLE).unwrap();
    assert!(missing.message.contains("the operator may not list and watch it"), "{}", missing.message);
    story.object("main-cache", "is made", |_: &PrismPattern| Ok(())).await;
    story.stack_ready("main").await;

    // Whether there is such a class is not known, and what is not known is not judged.
    let spec = json!({
        "pattern": "producer", "kind": "StatefulSet", "backend": "memstore",
        "storage": {"size": "1Gi", "storageClass": "of-which-nobody-here-knows"},
    });
    story.apply("stored", spec).await;
    let has_waited = |pattern: &PrismPattern| is_current(pattern);
    let pattern = story.pattern("stored", "is told of", has_waited).await;
    let stalled = find(conditions_of(&pattern), condition::STALLED);
    assert!(stalled.is_none(), "{stalled:?}");

    let (code, complaints) = operator.get("/readyz").await;
    assert_eq!(code, 200, "{complaints}");
    for watch in ["namespaces", "storageclasses", "customresourcedefinitions", "servicemonitors"] {
        let metric = format!(r#"prism_operator_watch_up{{watch="{watch}"}}"#);
        let (_, metrics) = operator.get("/metrics").await;
        assert!(metrics.contains(&format!("{metric} 0")), "{metric} is told to be down in\n{metrics}");
    }
    operator.stop().await;
}

const MONITORING: &str = "monitoring.coreos.com";
const GATEWAYS: &str = "gateway.networking.k8s.io";

/// All rights, but for the groups that are left out.
fn rights_without(left_out: &str) -> Value {
    let groups = [
        "",
        "prism.io",
        "apps",
        "policy",
        "autoscaling",
        "networking.k8s.io",
        "rbac.authorization.k8s.io",
        "events.k8s.io",
        "storage.k8s.io",
        "apiextensions.k8s.io",
        "cert-manager.io",
        "keda.sh",
        MONITORING,
        GATEWAYS,
    ];
    let groups: Vec<_> = groups.into_iter().filter(|group| *group != left_out).collect();
    json!([{"apiGroups": groups, "resources": ["*"], "verbs": ["*"]}])
}

/// The definition of `GRPCRoute` as it was before its version 1.
fn early_routes(definitions: &[CustomResourceDefinition]) -> CustomResourceDefinition {
    let routes = definitions.iter().find(|crd| crd.spec.names.plural == "grpcroutes").unwrap();
    let mut early = routes.clone();
    early.spec.versions.truncate(1);
    "v1alpha2".clone_into(&mut early.spec.versions[0].name);
    early.spec.versions[0].served = true;
    early.spec.versions[0].storage = true;
    early
}

/// The same in its version 1, with what was stored before.
fn routes(mut definitions: Vec<CustomResourceDefinition>) -> Vec<CustomResourceDefinition> {
    let early = early_routes(&definitions).spec.versions.remove(0);
    let routes = definitions.iter_mut().find(|crd| crd.spec.names.plural == "grpcroutes").unwrap();
    routes.spec.versions.retain(|version| version.name != early.name);
    routes.spec.versions.push(CustomResourceDefinitionVersion { served: false, storage: false, ..early });
    definitions
}

async fn exists(world: &World, group: &str, kind: &str, name: &str) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(world.client.clone(), "shop", &resource);
    eventually(&format!("{kind} {name} is made"), PATIENCE, async || {
        let found = api.get_opt(name).await.map_err(|error| error.to_string())?;
        found.map(drop).ok_or_else(|| "there is none".to_owned())
    })
    .await
    .unwrap();
}

async fn misses(world: &World, parts: &[&str]) {
    let what = format!("misses {parts:?}");
    world
        .see("shop", "main", &what, |stack: Option<&PrismStack>| {
            let conditions = stack.and_then(|stack| stack.status.clone()).unwrap_or_default().conditions;
            let missing = find(&conditions, condition::INTEGRATIONS_AVAILABLE);
            missing.is_some_and(|missing| parts.iter().all(|part| missing.message.contains(part)))
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optional_api_that_is_refused_or_of_another_version_gates_nothing_and_is_used_when_that_changes() {
    let world = World::begin().await;
    world.namespace("shop", None).await;
    let gateway_api = third_party(ThirdParty::GatewayApi).await.unwrap();
    world.define(vec![early_routes(&gateway_api)]).await;
    world.define(third_party(ThirdParty::PrometheusOperator).await.unwrap()).await;
    // It starts with them, so nothing is known from before.
    let world = world.with_rights(quick(), rights_without(MONITORING)).await;
    let spec = json!({
        "admin": {"replicas": 1},
        "ingress": {"host": "prism.example.com", "gateway": {"name": "edge"}},
        "observability": {"prometheus": {"scrapeInterval": "30s"}},
    });
    world.put::<PrismStack>("shop", "main", spec).await;
    misses(
        &world,
        &[
            "GRPCRoute of gateway.networking.k8s.io (v1 is needed, and the cluster has v1alpha2)",
            "ServiceMonitor of monitoring.coreos.com (the operator may not list and watch it)",
        ],
    )
    .await;
    let (code, complaints) = world.operator.get("/readyz").await;
    assert_eq!(code, 200, "{complaints}");

    world.allow(rights_without("")).await;
    exists(&world, MONITORING, "ServiceMonitor", "main").await;
    world.define(routes(gateway_api)).await;
    exists(&world, GATEWAYS, "GRPCRoute", "main-proxy").await;
    world.end().await;
}
