//! What becomes of children when their owner goes, in each way in which Kubernetes can delete it.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Secret, Service},
};
use kube::{
    Resource, ResourceExt,
    api::{DeleteParams, PropagationPolicy},
};
use prism_api::{PrismBackend, PrismCluster, PrismPattern, PrismStack};
use prism_testbed::eventually;
use rstest::rstest;
use serde_json::json;

use crate::support::{PATIENCE, Story};

/// Everything that an owner may make, by kind and name, with UID and owners.
async fn children(story: &Story) -> Vec<(String, String, bool)> {
    async fn of<K>(story: &Story) -> Vec<(String, String, bool)>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let all = story.api::<K>().list(&kube::api::ListParams::default()).await.unwrap();
        let ours = all.into_iter().filter(|object| {
            object.labels().get("app.kubernetes.io/managed-by").is_some_and(|by| by == "prism-operator")
        });
        let row = |object: K| {
            let is_going = object.meta().deletion_timestamp.is_some();
            (format!("{} {}", K::kind(&()), object.name_any()), object.uid().unwrap(), is_going)
        };
        ours.map(row).collect()
    }
    let mut all = of::<Deployment>(story).await;
    all.extend(of::<k8s_openapi::api::apps::v1::StatefulSet>(story).await);
    all.extend(of::<Service>(story).await);
    all.extend(of::<Secret>(story).await);
    all.extend(of::<HorizontalPodAutoscaler>(story).await);
    all.extend(of::<PrismPattern>(story).await);
    all.extend(of::<PrismBackend>(story).await);
    all.extend(of::<PrismStack>(story).await);
    all.sort();
    all
}

async fn delete<K>(story: &Story, name: &str, policy: PropagationPolicy)
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
    story.api::<K>().delete(name, &params).await.unwrap();
    story.gone::<K>(name).await;
}

/// One object of each kind that has children, all in one namespace.
async fn world(name: &str) -> Story {
    let story = Story::begin(name).await;
    let pattern = json!({"pattern": "keyvalue", "backend": "memstore", "kind": "Deployment"});
    story.put::<PrismPattern>("alone", pattern).await;
    story.put::<PrismBackend>("store", json!({"type": "redis", "provision": {}})).await;
    let parts = json!([{"name": "sessions", "type": "keyvalue", "backend": "memstore"}]);
    story
        .put::<PrismStack>(
            "shop",
            json!({"patterns": parts, "backends": [{"name": "cache", "type": "redis", "provision": {}}]}),
        )
        .await;
    let parts = json!([{"name": "keyvalue", "type": "Deployment", "backends": ["memstore"]}]);
    story.put::<PrismCluster>("play", json!({"proxy": {"replicas": 1}, "patterns": parts})).await;
    let scaled = json!({"pattern": "consumer", "backend": "memstore", "autoscaling": {"minReplicas": 1, "maxReplicas": 3}});
    story.put::<PrismPattern>("scaled", scaled).await;
    story.ready("alone").await;
    story.stack_ready("shop").await;
    story.stack_ready("play").await;
    story.ready("scaled").await;
    story
}

#[rstest]
#[case::background(PropagationPolicy::Background)]
#[case::foreground(PropagationPolicy::Foreground)]
#[case::orphan(PropagationPolicy::Orphan)]
#[tokio::test(flavor = "multi_thread")]
async fn children_go_with_their_owner_unless_they_are_set_free(#[case] policy: PropagationPolicy) {
    let story = world(&format!("cascade-{policy:?}").to_lowercase()).await;
    let before = children(&story).await;
    assert!(before.len() > 12, "{before:?}");
    delete::<PrismPattern>(&story, "alone", policy.clone()).await;
    delete::<PrismPattern>(&story, "scaled", policy.clone()).await;
    delete::<PrismBackend>(&story, "store", policy.clone()).await;
    delete::<PrismStack>(&story, "shop", policy.clone()).await;
    delete::<PrismCluster>(&story, "play", policy.clone()).await;
    if matches!(policy, PropagationPolicy::Orphan) {
        // The garbage collector and the operator have both had their say when what is made last is there.
        story.put::<PrismPattern>("late", json!({"pattern": "keyvalue", "backend": "memstore"})).await;
        story.ready("late").await;
        let after = children(&story).await;
        let missing: Vec<_> = before.iter().filter(|child| !after.contains(child)).collect();
        assert!(missing.is_empty(), "gone or going: {missing:?}");
        return;
    }
    eventually("nothing is left but passwords", PATIENCE, async || {
        let left = children(&story).await;
        let left: Vec<_> = left.into_iter().filter(|(name, ..)| !name.starts_with("Secret ")).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await
    .unwrap();
}
