//! From every engine to every other, under load: the replicas never fall below what the lower of the two
//! wants.

use k8s_openapi::api::apps::v1::Deployment;
use prism_testbed::{brokers::Redis, eventually};
use serde_json::{Value, json};

use crate::{gauged::Path, story::Story, support::PATIENCE};

/// A way through all pairs of engines, in both directions.
const WAY: [&str; 12] =
    ["keda", "hpa", "admin", "hpa", "none", "keda", "admin", "keda", "none", "admin", "none", "hpa"];
/// How often the engine changes: the way with a wait for each change to be complete, and then as fast as the
/// operator takes notice.
const TOGGLES: usize = 100;

fn consumer(image: usize, autoscaling: &Value) -> Value {
    json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore", "replicas": 5,
        "image": format!("registry.example.com/consumer:{}", image % 3), "autoscaling": autoscaling,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_changes_among_all_engines_never_lose_a_replica() {
    let story = Story::begin("engines").await;
    let redis = Redis::start(None).await.unwrap();
    // KEDA and the admin want 6; a fixed number is 5; an autoscaler without metrics of pods leaves what it finds.
    redis.push("jobs", 30).await.unwrap();
    story.lag("orders", 600.0);
    let metadata = json!({"address": redis.address(), "listName": "jobs", "listLength": "5"});
    let keda = json!({
        "scaler": "keda", "minReplicas": 5, "maxReplicas": 9, "pollingInterval": 1,
        "triggers": [{"type": "redis", "metadata": metadata}],
    });
    let admin = story.by_lag(5, 9, "100", &json!({}));
    let hpa = json!({"scaler": "hpa", "minReplicas": 5, "maxReplicas": 9, "targetCPU": 50});
    let none = json!({"enabled": false});
    let block = |engine: &str| match engine {
        "keda" => &keda,
        "admin" => &admin,
        "hpa" => &hpa,
        _ => &none,
    };
    story.apply("orders", consumer(0, &admin)).await;
    story.runs("Deployment", "orders", 6).await;
    let path = Path::of::<Deployment>(story.api(), "orders");
    path.until(6).await;
    for round in 0..TOGGLES {
        let engine = WAY[round % WAY.len()];
        story.apply("orders", consumer(round, block(engine))).await;
        if round < WAY.len() {
            complete(&story, engine).await;
        } else {
            // The status speaks of the current spec: the operator has planned the change.
            story.pattern("orders", "is planned anew", |_| true).await;
        }
    }
    story.apply("orders", consumer(0, &admin)).await;
    complete(&story, "admin").await;
    let seen = path.end();
    assert!(seen.iter().all(|replicas| [5, 6].contains(replicas)), "{seen:?}");

    // Numbers are written where the spec has one, and where the admin has decided.
    let numbers = story.writes_to("deployments").into_iter().filter_map(|write| {
        let replicas = write.request_object.as_ref()?["spec"]["replicas"].as_i64()?;
        Some((write.subresource, replicas))
    });
    let numbers: Vec<_> = numbers.collect();
    let is_allowed = |(hand, replicas): &(String, i64)| match hand.as_str() {
        "" => *replicas == 5,
        _ => hand == "scale" && *replicas == 6,
    };
    assert!(numbers.iter().all(is_allowed), "{numbers:?}");
}

/// Waits until nobody but `engine` scales, and the replicas are what it wants.
async fn complete(story: &Story<'_>, engine: &str) {
    let scalers = usize::from(engine == "hpa" || engine == "keda");
    story.autoscalers(scalers).await;
    let objects = story.of_keda("ScaledObject");
    let expected = usize::from(engine == "keda");
    eventually("ScaledObjects are as they should be", PATIENCE, async || {
        let found =
            objects.list(&kube::api::ListParams::default()).await.map_err(|error| error.to_string())?;
        if found.items.len() == expected { Ok(()) } else { Err(format!("there are {}", found.items.len())) }
    })
    .await
    .unwrap();
    match engine {
        "none" => story.runs("Deployment", "orders", 5).await,
        "hpa" => {}
        _ => story.runs("Deployment", "orders", 6).await,
    }
}
