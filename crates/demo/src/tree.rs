//! A pattern and everything that was made for it, as a tree.

use std::fmt::{Debug, Write};

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt};
use prism_api::inventory::InventoryEntry;
use prism_api::{PrismPattern, condition};
use prism_plan::conditions::find;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::install::conditions;
use crate::place::{NAMESPACE, Place};

/// One line of the tree and what hangs below it.
struct Node {
    title: String,
    state: String,
    below: Vec<Node>,
}

/// The tree of `pattern`, ready for print.
pub(crate) async fn of(place: &Place, pattern: &PrismPattern) -> Result<String> {
    let status = pattern.status.clone().unwrap_or_default();
    let mut below = Vec::new();
    for entry in &status.inventory {
        let state = state(place, entry).await?;
        let is_workload =
            status.workload.as_ref() == Some(&entry.name) && entry.group.as_deref() == Some("apps");
        let pods = if is_workload { pods(place, status.selector.as_deref()).await? } else { Vec::new() };
        below.push(Node { title: format!("{} {}", entry.kind, entry.name), state, below: pods });
    }
    let ready = find(conditions(pattern), condition::READY);
    let state = ready.map(|ready| format!("Ready={}: {}", ready.status, ready.message)).unwrap_or_default();
    let root = Node { title: format!("PrismPattern {NAMESPACE}/{}", pattern.name_any()), state, below };
    Ok(root.draw())
}

/// What one child says of itself.
async fn state(place: &Place, entry: &InventoryEntry) -> Result<String> {
    let name = &entry.name;
    let state = match entry.kind.as_str() {
        "Deployment" => get::<Deployment>(place, name)
            .await?
            .and_then(|object| object.status)
            .map(|status| ready_pods(status.ready_replicas, status.replicas)),
        "StatefulSet" => get::<StatefulSet>(place, name)
            .await?
            .and_then(|object| object.status)
            .map(|status| ready_pods(status.ready_replicas, Some(status.replicas))),
        "Service" => get::<Service>(place, name).await?.and_then(|object| object.spec).map(|spec| {
            let ports = spec.ports.iter().flatten().map(|port| port.port.to_string());
            let ports: Vec<_> = ports.collect();
            format!("{}, port {}", spec.cluster_ip.unwrap_or_default(), ports.join(", "))
        }),
        "HorizontalPodAutoscaler" => get::<HorizontalPodAutoscaler>(place, name)
            .await?
            .and_then(|object| object.spec)
            .map(|spec| format!("{} to {} pods", spec.min_replicas.unwrap_or(1), spec.max_replicas)),
        "PodDisruptionBudget" => get::<PodDisruptionBudget>(place, name)
            .await?
            .and_then(|object| object.status)
            .map(|status| format!("evictions allowed now: {}", status.disruptions_allowed)),
        "ConfigMap" => get::<ConfigMap>(place, name).await?.map(|object| {
            let keys: Vec<_> = object.data.into_iter().flatten().map(|(key, _)| key).collect();
            keys.join(", ")
        }),
        "ServiceAccount" => get::<ServiceAccount>(place, name).await?.map(|_| "made".to_owned()),
        _ => Some("made".to_owned()),
    };
    Ok(state.unwrap_or_else(|| "not there".to_owned()))
}

async fn pods(place: &Place, selector: Option<&str>) -> Result<Vec<Node>> {
    let params = ListParams::default().labels(selector.unwrap_or_default());
    let pods = Api::<Pod>::namespaced(place.client.clone(), NAMESPACE).list(&params).await?;
    let node = |pod: Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        let on =
            pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_else(|| "no node".to_owned());
        Node {
            title: format!("Pod {}", pod.name_any()),
            state: format!("{phase} on {on}"),
            below: Vec::new(),
        }
    };
    Ok(pods.into_iter().map(node).collect())
}

async fn get<K>(place: &Place, name: &str) -> Result<Option<K>>
where
    K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    K::DynamicType: Default,
{
    Ok(Api::namespaced(place.client.clone(), NAMESPACE).get_opt(name).await?)
}

fn ready_pods(ready: Option<i32>, of: Option<i32>) -> String {
    format!("{} of {} pods ready", ready.unwrap_or_default(), of.unwrap_or_default())
}

impl Node {
    fn draw(&self) -> String {
        let mut text = String::new();
        let width = self.width(0);
        self.line(&mut text, "", "", width);
        text.truncate(text.trim_end().len());
        text
    }

    /// Columns that the widest title needs, branches included.
    fn width(&self, depth: usize) -> usize {
        let own = 3 * depth + self.title.chars().count();
        self.below.iter().map(|node| node.width(depth + 1)).fold(own, usize::max)
    }

    fn line(&self, text: &mut String, branch: &str, indent: &str, width: usize) {
        let title = format!("{branch}{}", self.title);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{title:width$}  {}", self.state);
        for (n, node) in self.below.iter().enumerate() {
            let (turn, on) =
                if n + 1 == self.below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            node.line(text, &format!("{indent}{turn}"), &format!("{indent}{on}"), width);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(title: &str, below: Vec<Node>) -> Node {
        Node { title: title.to_owned(), state: "ok".to_owned(), below }
    }

    #[test]
    fn branches_join_and_states_are_aligned() {
        let tree = node("p", vec![node("workload", vec![node("pod", vec![])]), node("service", vec![])]);
        let lines = ["p            ok", "├─ workload  ok", "│  └─ pod    ok", "└─ service   ok"];
        assert_eq!(tree.draw(), lines.join("\n"));
    }
}
