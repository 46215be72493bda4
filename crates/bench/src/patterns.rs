//! The custom resources that are measured with.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use prism_api::{PrismPattern, condition};
use prism_plan::conditions::is_true;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Connections over which custom resources are created, as by many users at once.
const CONNECTIONS: usize = 16;

/// Patterns that are all alike.
#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    /// How many.
    pub(crate) count: u32,
    spec: Value,
}

impl Patterns {
    /// So many with an autoscaler.
    pub(crate) fn with_autoscaler(count: u32) -> Self {
        let spec = json!({
            "pattern": "producer",
            "backend": "memstore",
            "autoscaling": {"scaler": "hpa", "minReplicas": 1, "maxReplicas": 10},
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        });
        Self { count, spec }
    }

    /// So many that KEDA scales by a list of the Redis at `address`, which the operator finds out.
    pub(crate) fn with_scaled_object(count: u32, address: &str) -> Self {
        let spec = json!({
            "pattern": "consumer",
            "kind": "Deployment",
            "backend": "redis",
            "backendConfig": {"redisUrl": format!("redis://{address}"), "list": "orders"},
            "autoscaling": {"scaler": "keda", "minReplicas": 1, "maxReplicas": 10},
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        });
        Self { count, spec }
    }

    /// Creates them.
    pub(crate) async fn create(&self, client: &Client, namespace: &str) -> Result<()> {
        let api = api(client, namespace);
        let created = stream::iter(0..self.count).map(Ok).try_for_each_concurrent(CONNECTIONS, async |n| {
            let pattern: PrismPattern = serde_json::from_value(json!({
                "apiVersion": "prism.io/v1alpha1",
                "kind": "PrismPattern",
                "metadata": {"name": format!("orders-{n:05}")},
                "spec": self.spec,
            }))
            .map_err(|error| Error::Json("the pattern", error))?;
            api.create(&PostParams::default(), &pattern).await?;
            Ok(())
        });
        created.await
    }
}

/// UIDs of all patterns of a namespace by name.
pub(crate) async fn uids(client: &Client, namespace: &str) -> Result<HashMap<String, String>> {
    let all = api(client, namespace).list(&ListParams::default()).await?;
    Ok(all.into_iter().map(|pattern| (pattern.name_any(), pattern.uid().unwrap_or_default())).collect())
}

/// How many patterns are Ready and at rest.
pub(crate) async fn ready(client: &Client, namespace: &str) -> Result<usize> {
    // From the API server's cache: asking again and again must not become a load.
    let all = api(client, namespace).list(&ListParams::default().match_any()).await?;
    let is_ready = |pattern: &&PrismPattern| {
        let conditions =
            pattern.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        is_true(conditions, condition::READY) && !is_true(conditions, condition::RECONCILING)
    };
    Ok(all.iter().filter(is_ready).count())
}

fn api(client: &Client, namespace: &str) -> Api<PrismPattern> {
    Api::namespaced(client.clone(), namespace)
}
