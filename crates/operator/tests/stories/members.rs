//! Whoever votes or holds data is scaled by nobody else, and a workload that is made anew is no smaller.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::Pod,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use prism_api::{
    PrismAutoscaler, PrismBackend, PrismStack,
    condition::{self, reason},
};
use prism_plan::conditions::find;
use serde_json::{Value, json};

use crate::support::Story;

/// UIDs of the pods of a workload, by name.
async fn pods(story: &Story, workload: &str) -> BTreeMap<String, String> {
    let pods = story.api::<Pod>().list(&ListParams::default()).await.unwrap();
    let ours = pods.into_iter().filter(|pod| pod.name_any().starts_with(&format!("{workload}-")));
    ours.map(|pod| (pod.name_any(), pod.metadata.uid.unwrap_or_default())).collect()
}

async fn runs(story: &Story, name: &str, replicas: i32) -> StatefulSet {
    let what = format!("has {replicas} replicas, and as many are ready");
    let check = |set: &StatefulSet| {
        let wanted = set.spec.as_ref().and_then(|spec| spec.replicas);
        let ready = set.status.as_ref().and_then(|status| status.ready_replicas);
        if (wanted, ready) == (Some(replicas), Some(replicas)) {
            Ok(())
        } else {
            Err(format!("{wanted:?} are wanted, {ready:?} are ready"))
        }
    };
    story.object(name, &what, check).await
}

fn foreign(kind: &str, name: &str, replicas: i32) -> HorizontalPodAutoscaler {
    serde_json::from_value(json!({
        "metadata": {"name": "theirs"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": name},
            "minReplicas": replicas, "maxReplicas": replicas,
        },
    }))
    .unwrap()
}

fn admin(replicas: i32) -> Value {
    json!({"admin": {"replicas": replicas}, "proxy": {"enabled": false}})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_becomes_three_and_three_become_two_and_each_change_is_announced() {
    let story = Story::begin("members").await;
    let announced = Arc::new(Mutex::new(BTreeSet::new()));
    let (stacks, seen): (Api<PrismStack>, _) = (story.api(), announced.clone());
    let watch = tokio::spawn(async move {
        let events = watcher(stacks, Config::default()).default_backoff().applied_objects();
        pin_mut!(events);
        while let Some(Ok(stack)) = events.next().await {
            let plan = stack.status.map(|status| status.plan).unwrap_or_default();
            seen.lock().unwrap().extend(plan.into_iter().map(|action| action.reason));
        }
    });
    story.put::<PrismStack>("shop", admin(1)).await;
    story.stack_ready("shop").await;
    for replicas in [3, 2] {
        story.put::<PrismStack>("shop", admin(replicas)).await;
        story.stack_ready("shop").await;
        let set = runs(&story, "shop-admin", replicas).await;
        let notes = set.annotations();
        let (decided, told) = (&notes["prism.io/replicas"], &notes["prism.io/members"]);
        assert_eq!((decided, told), (&replicas.to_string(), &replicas.to_string()));
    }
    watch.abort();
    let announced: Vec<String> = announced.lock().unwrap().iter().cloned().collect();
    let ends = announced.iter().map(|reason| reason.split(',').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(ends, ["its members become 2", "its members become 3"], "and no step has words of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_of_somebody_else_that_names_the_admin_is_told_of_and_overruled() {
    let story = Story::begin("overruled").await;
    story.put::<PrismStack>("shop", admin(3)).await;
    story.stack_ready("shop").await;
    story.create(&foreign("StatefulSet", "shop-admin", 1)).await;
    let stack =
        story.stack_condition("shop", condition::SCALER_CONFLICT, "True", reason::FOREIGN_SCALER).await;
    let conditions = stack.status.unwrap().conditions;
    let message = &find(&conditions, condition::SCALER_CONFLICT).unwrap().message;
    assert!(message.contains("only spec.admin.replicas sets"), "{message}");
    story
        .object("theirs", "has written its number", |scaler: &HorizontalPodAutoscaler| {
            let status = scaler.status.clone().unwrap_or_default();
            if status.last_scale_time.is_some() { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    runs(&story, "shop-admin", 3).await;
    story.api::<HorizontalPodAutoscaler>().delete("theirs", &DeleteParams::default()).await.unwrap();
    story.stack_ready("shop").await;
    runs(&story, "shop-admin", 3).await;
    story
        .stack("shop", "has no conflict any more", |stack| {
            let status = stack.status.clone().unwrap_or_default();
            find(&status.conditions, condition::SCALER_CONFLICT).is_none()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prism_autoscaler_decides_nothing_about_an_admin_or_a_provided_server() {
    let story = Story::begin("not-scaled").await;
    // One is there before its target, which belongs to nobody yet.
    let names = [("early", "shop-admin", "spec.admin.replicas"), ("late", "bus", "spec.provision.replicas")];
    let scale = async |name: &str, target: &str| {
        let metric = json!({"type": "AdminMetric", "adminMetric": {
            "metricName": "lag", "endpoint": "127.0.0.1:1", "target": {"averageValue": "1"},
        }});
        let spec = json!({
            "targetRef": {"kind": "StatefulSet", "name": target}, "maxReplicas": 9, "pollingInterval": 1,
            "metrics": [metric],
        });
        story.put::<PrismAutoscaler>(name, spec).await;
        let pin = json!({"metadata": {"annotations": {"prism.io/pinned-replicas": "1"}}});
        story.merge::<PrismAutoscaler>(name, pin).await;
    };
    scale("early", "shop-admin").await;
    story.put::<PrismBackend>("bus", json!({"type": "nats", "provision": {"replicas": 3}})).await;
    runs(&story, "bus", 3).await;
    let servers = pods(&story, "bus").await;
    story.put::<PrismStack>("shop", admin(1)).await;
    story.stack_ready("shop").await;
    story.put::<PrismStack>("shop", admin(3)).await;
    story.stack_ready("shop").await;
    runs(&story, "shop-admin", 3).await;
    let members = pods(&story, "shop-admin").await;
    scale("late", "bus").await;
    for (name, _, field) in names {
        let scaler = story
            .object(name, "says that there is a conflict", |scaler: &PrismAutoscaler| {
                let status = scaler.status.clone().unwrap_or_default();
                let ready = find(&status.conditions, condition::READY);
                let is_so = ready.is_some_and(|ready| ready.reason == reason::SCALER_CONFLICT);
                if is_so { Ok(()) } else { Err(json!(status).to_string()) }
            })
            .await;
        let conditions = scaler.status.unwrap().conditions;
        let message = &find(&conditions, condition::SCALER_CONFLICT).unwrap().message;
        assert!(message.contains(field), "{message}");
    }
    // An edit of the stack is carried out after all that, and brings no other number.
    let edit = json!({"spec": {"webConsole": {"replicas": 1}}});
    story.merge::<PrismStack>("shop", edit).await;
    story.stack_ready("shop").await;
    assert_eq!(servers, pods(&story, "bus").await);
    assert_eq!(members, pods(&story, "shop-admin").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_workload_says_of_its_maker_is_believed_only_of_one_that_exists_beside_it() {
    let story = Story::begin("claims").await;
    let backend: PrismBackend = story.put("bus", json!({"type": "nats", "provision": {"replicas": 1}})).await;
    runs(&story, "bus", 1).await;
    let home = backend.namespace().unwrap();
    let uid = backend.uid().unwrap();
    for (name, mark, is_believed) in [
        ("of-it", format!("PrismBackend/{home}/bus/{uid}"), true),
        ("of-another", format!("PrismBackend/{home}/bus/0000-1111"), false),
        ("from-elsewhere", format!("PrismBackend/elsewhere/bus/{uid}"), false),
    ] {
        let labels = json!({"app": name, "app.kubernetes.io/managed-by": "prism-operator"});
        let deployment: Deployment = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": labels, "annotations": {"prism.io/owned-by": mark}},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "registry.example.com/legacy:1"}]},
            }},
        }))
        .unwrap();
        story.create(&deployment).await;
        let scaler = json!({
            "targetRef": {"kind": "Deployment", "name": name}, "maxReplicas": 9, "pollingInterval": 1,
            "metrics": [{"type": "Prometheus", "prometheus": {
                "serverAddress": "http://127.0.0.1:1", "query": "lag", "target": {"averageValue": "1"},
            }}],
        });
        story.put::<PrismAutoscaler>(name, scaler).await;
        story
            .object(name, "is judged", |scaler: &PrismAutoscaler| {
                let status = scaler.status.clone().unwrap_or_default();
                let ready = find(&status.conditions, condition::READY).map(|ready| ready.reason.clone());
                let expected =
                    if is_believed { reason::SCALER_CONFLICT } else { reason::METRICS_UNAVAILABLE };
                if ready.as_deref() == Some(expected) { Ok(()) } else { Err(json!(status).to_string()) }
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn volumes_grow_while_a_member_is_evicted_and_no_other_one_leaves() {
    let story = Story::begin("evicted").await;
    let spec = |size: &str| {
        json!({
            "proxy": {"enabled": false},
            "admin": {"replicas": 3, "storage": {"size": size, "storageClass": "standard"}},
        })
    };
    story.put::<PrismStack>("shop", spec("1Gi")).await;
    story.stack_ready("shop").await;
    let before = pods(&story, "shop-admin").await;
    let old: StatefulSet = story.api().get("shop-admin").await.unwrap();
    story.put::<PrismStack>("shop", spec("2Gi")).await;
    // At the moment that there is no set, which is when nothing brings the first member back.
    let events = watcher(story.api::<StatefulSet>(), Config::default()).default_backoff();
    pin_mut!(events);
    while let Some(event) = events.next().await {
        let is_gone = match &event {
            Ok(Event::Delete(set)) => set.name_any() == "shop-admin",
            Ok(Event::Apply(set) | Event::InitApply(set)) => {
                set.name_any() == "shop-admin" && set.metadata.uid != old.metadata.uid
            }
            _ => false,
        };
        if is_gone {
            break;
        }
    }
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    story.api::<Pod>().delete("shop-admin-0", &now).await.unwrap();
    story
        .object("shop-admin", "is made anew", |set: &StatefulSet| {
            if set.metadata.uid == old.metadata.uid { Err("it is the old one".to_owned()) } else { Ok(()) }
        })
        .await;
    runs(&story, "shop-admin", 3).await;
    story.stack_ready("shop").await;
    let after = pods(&story, "shop-admin").await;
    for member in ["shop-admin-1", "shop-admin-2"] {
        assert_eq!(before[member], after[member], "{member} runs on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_somebody_else_scales_changes_its_kind_and_never_has_fewer_pods() {
    let story = Story::begin("kind-switch").await;
    let spec = |kind: &str| json!({"pattern": "consumer", "backend": "memstore", "kind": kind});
    story.apply("orders", spec("Deployment")).await;
    story.ready("orders").await;
    story.create(&foreign("Deployment", "orders", 4)).await;
    story
        .object("orders", "has 4 that are available", |deployment: &Deployment| {
            let available = deployment.status.as_ref().and_then(|status| status.available_replicas);
            if available == Some(4) { Ok(()) } else { Err(format!("{available:?}")) }
        })
        .await;
    story.condition("orders", condition::SCALER_CONFLICT, "True", reason::FOREIGN_SCALER).await;
    let fewest = Arc::new(Mutex::new(usize::MAX));
    let (api, seen) = (story.api::<Pod>(), fewest.clone());
    let watch = tokio::spawn(async move {
        let mut ready = BTreeSet::new();
        let mut has_listed = false;
        let events = watcher(api, Config::default()).default_backoff();
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::InitApply(pod) | Event::Apply(pod)) => {
                    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref());
                    let mut conditions = conditions.into_iter().flatten();
                    let is_ready = conditions.any(|one| one.type_ == "Ready" && one.status == "True");
                    if is_ready && pod.metadata.deletion_timestamp.is_none() {
                        ready.insert(pod.name_any());
                    } else {
                        ready.remove(&pod.name_any());
                    }
                }
                Ok(Event::Delete(pod)) => {
                    ready.remove(&pod.name_any());
                }
                Ok(Event::InitDone) => has_listed = true,
                Ok(Event::Init) | Err(_) => {}
            }
            if has_listed {
                let mut fewest = seen.lock().unwrap();
                *fewest = ready.len().min(*fewest);
            }
        }
    });
    story.apply("orders", spec("StatefulSet")).await;
    runs(&story, "orders", 4).await;
    story.gone::<Deployment>("orders").await;
    watch.abort();
    assert_eq!(*fewest.lock().unwrap(), 4, "there are never fewer");
    runs(&story, "orders", 4).await;
}
