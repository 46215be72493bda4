//! What a pattern is in a namespace that is not its stack's own.

use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Namespace};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use prism_api::{PrismPattern, PrismStack, condition, condition::reason};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::world::World;

/// Everything by which a tenant could get at what is in the namespace of the backend; `login` is the Secret of
/// that backend, and the only one that it may use.
fn spec() -> Value {
    json!({
        "proxy": {"enabled": false},
        "backends": [{
            "name": "db", "type": "postgres", "connectionString": "postgres://db.data.svc",
            "secretRef": {"name": "login", "namespace": "data"},
            "dataLocality": {"strategy": "collocate", "namespace": "data"},
        }],
        "patterns": [{
            "name": "reader", "type": "consumer", "backend": "db",
            "serviceAccountName": "root",
            "securityContext": {"privileged": true},
            "podSecurityContext": {"runAsUser": 0},
            "podLabels": {"app.kubernetes.io/name": "postgresql"},
            "volumes": [{"name": "node", "hostPath": {"path": "/"}}],
            "volumeMounts": [{"name": "node", "mountPath": "/node"}],
            "envFrom": [{"secretRef": {"name": "crown-jewels"}}],
            "env": [{"name": "STOLEN", "valueFrom": {"secretKeyRef": {"name": "crown-jewels", "key": "a"}}}],
            "ports": [{"name": "side", "containerPort": 7000, "hostPort": 7000}],
            "podTemplate": {"spec": {"hostNetwork": true}},
        }],
    })
}

/// The pod template that runs beside the data.
async fn template(world: &World, is_it: impl Fn(&Value) -> bool) -> Value {
    world
        .see("data", "main-reader", "is as it should be", |set: Option<&StatefulSet>| {
            set.is_some_and(|set| is_it(&json!(set.spec.as_ref().unwrap().template)))
        })
        .await;
    let set = world.api::<StatefulSet>("data").get("main-reader").await.unwrap();
    json!(set.spec.unwrap().template)
}

async fn warned(world: &World, words: &str) {
    let what = format!("warns that it runs without {words}");
    world
        .see("shop", "main", &what, |stack: Option<&PrismStack>| {
            let status = stack.and_then(|stack| stack.status.clone()).unwrap_or_default();
            find(&status.conditions, condition::SPEC_WARNING).is_some_and(|warning| {
                warning.reason == reason::SETTINGS_WITHHELD && warning.message.contains(words)
            })
        })
        .await;
}

async fn annotate(world: &World, annotations: Value) {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let patch = json!({"metadata": {"annotations": annotations}});
    namespaces.patch("data", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_runs_in_the_restricted_form_whatever_its_spec_says_and_its_host_widens_it_by_name() {
    let world = World::begin().await;
    world.namespace("shop", None).await;
    world.namespace("data", Some("postgres")).await;
    world.put::<PrismStack>("shop", "main", spec()).await;
    let restricted = template(&world, |template| template.to_string().contains("\"login\"")).await;
    warned(
        &world,
        "podTemplate, serviceAccountName, securityContext, volumes, envFrom, podLabels, hostPorts",
    )
    .await;
    let pod = &restricted["spec"];
    assert_eq!(pod["serviceAccountName"], "main-reader", "an identity of its own");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let container = &pod["containers"][0];
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    let text = restricted.to_string();
    for stolen in ["hostNetwork", "hostPath", "hostPort", "privileged", "crown-jewels", "postgresql"] {
        assert!(!text.contains(stolen), "{stolen} is not the tenant's: {text}");
    }

    // The owner of the namespace allows what it names, and no more.
    annotate(&world, json!({"prism.io/allowed-settings": "serviceAccountName, podLabels"})).await;
    let widened = template(&world, |template| template["spec"]["serviceAccountName"] == "root").await;
    assert_eq!(widened["metadata"]["labels"]["app.kubernetes.io/name"], "consumer-runner", "our labels win");
    warned(&world, "podTemplate, securityContext, volumes, envFrom, hostPorts").await;

    // Other Secrets than those that it lists are nobody's else.
    annotate(&world, json!({"prism.io/allowed-secrets": "another"})).await;
    world
        .see(
            "data",
            "main-reader",
            "says that it may no longer use the Secret",
            |pattern: Option<&PrismPattern>| {
                let status = pattern.and_then(|pattern| pattern.status.clone()).unwrap_or_default();
                find(&status.conditions, condition::STALLED)
                    .is_some_and(|c| c.reason == reason::REF_NOT_PERMITTED)
            },
        )
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_keeps_data_stays_at_home_until_its_host_allows_volumes() {
    let world = World::begin().await;
    world.namespace("shop", None).await;
    world.namespace("data", Some("postgres")).await;
    let mut spec = spec();
    spec["patterns"] =
        json!([{"name": "mail", "type": "mailbox", "backend": "db", "storage": {"size": "1Gi"}}]);
    world.put::<PrismStack>("shop", "main", spec).await;
    world.see("shop", "main-mail", "runs at home", |set: Option<&StatefulSet>| set.is_some()).await;
    world
        .see("shop", "main", "says what the namespace does not allow", |stack: Option<&PrismStack>| {
            let status = stack.and_then(|stack| stack.status.clone()).unwrap_or_default();
            find(&status.conditions, condition::STALLED).is_some_and(|stalled| {
                stalled.reason == reason::REF_NOT_PERMITTED && stalled.message.contains("allowed-settings")
            })
        })
        .await;
    annotate(&world, json!({"prism.io/allowed-settings": "storage"})).await;
    world
        .see("data", "main-mail", "runs beside its backend", |set: Option<&StatefulSet>| set.is_some())
        .await;
    world.end().await;
}
