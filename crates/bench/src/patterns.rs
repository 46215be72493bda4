//! The custom resources that are measured with.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use prism_api::{PrismPattern, condition};
use prism_plan::conditions::is_true;
use serde_json::json;

use crate::error::{Error, Result};

/// Connections over which custom resources are created, as by many users at once.
const CONNECTIONS: usize = 16;

/// Creates `count` patterns with an autoscaler.
pub(crate) async fn create(client: &Client, namespace: &str, count: u32) -> Result<()> {
    let api = api(client, namespace);
    let created = stream::iter(0..count).map(Ok).try_for_each_concurrent(CONNECTIONS, async |n| {
        let pattern: PrismPattern = serde_json::from_value(json!({
            "apiVersion": "prism.io/v1alpha1",
            "kind": "PrismPattern",
            "metadata": {"name": format!("orders-{n:05}")},
            "spec": {
                "pattern": "producer",
                "backend": "memstore",
                "autoscaling": {"scaler": "hpa", "minReplicas": 1, "maxReplicas": 10},
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            },
        }))
        .map_err(|error| Error::Json("the pattern", error))?;
        api.create(&PostParams::default(), &pattern).await?;
        Ok(())
    });
    created.await
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
