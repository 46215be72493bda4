//! From one engine to another and back, under load: the replicas never fall below what the lower of the two
//! wants.

use std::collections::BTreeMap;

use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use serde_json::{Value, json};

use crate::gauged::{Gauged, Path};

/// How often the engine changes.
const TOGGLES: usize = 100;

fn consumer(image: usize, autoscaling: &Value) -> Value {
    json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore", "replicas": 5,
        "image": format!("registry.example.com/consumer:{}", image % 3), "autoscaling": autoscaling,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_toggles_between_engines_never_lose_a_replica() {
    let gauged = Gauged::begin("toggle").await;
    // The admin wants 6, a fixed number is 5, and an autoscaler without metrics of pods leaves what it finds.
    gauged.lag("orders", 600.0);
    let admin = gauged.by_lag(5, 9, "100", &json!({}));
    let hpa = json!({"scaler": "hpa", "minReplicas": 5, "maxReplicas": 9, "targetCPU": 50});
    let none = json!({"enabled": false});
    let engines: BTreeMap<&str, &Value> = [("admin", &admin), ("hpa", &hpa), ("none", &none)].into();
    gauged.story.apply("orders", consumer(0, &admin)).await;
    gauged.runs::<Deployment>("orders", 6).await;
    let path = Path::of::<Deployment>(gauged.story.api(), "orders");
    path.until(6).await;
    let mark = gauged.story.mark();
    let order = ["hpa", "admin", "none", "hpa", "none", "admin"];
    for round in 0..TOGGLES {
        let engine = order[round % order.len()];
        gauged.story.apply("orders", consumer(round, engines[engine])).await;
        match engine {
            "hpa" => {
                gauged.story.object("orders", "exists", |_: &HorizontalPodAutoscaler| Ok(())).await;
            }
            "none" => gauged.runs::<Deployment>("orders", 5).await,
            _ => gauged.runs::<Deployment>("orders", 6).await,
        }
    }
    let seen = path.end();
    assert!(seen.iter().all(|replicas| [5, 6].contains(replicas)), "{seen:?}");

    // Numbers are written where the spec has one, and where the admin has decided.
    let writes = gauged.story.writes_since(mark);
    let numbers = writes.iter().filter(|write| write.resource == "deployments").filter_map(|write| {
        let body = write.request_object.as_ref()?;
        Some((write.subresource.as_str(), body["spec"]["replicas"].as_i64()?))
    });
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.iter().all(|number| [("", 5), ("scale", 6)].contains(number)), "{numbers:?}");
}
