//! The objects that the operator made for the stack, and which of them it has written since.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::ListParams;
use kube::{Api, Resource};
use prism_api::{PrismBackend, PrismPattern, labels, names};
use prism_demo::{Place, Result};

use crate::stack::{NAMESPACE, STACK};

/// One object of the stack.
pub(crate) struct Object {
    pub(crate) kind: String,
    pub(crate) metadata: ObjectMeta,
}

/// Every object of the stack, kind by kind.
pub(crate) async fn all(place: &Place) -> Result<Vec<Object>> {
    let params = ListParams::default().labels(&format!("{}={STACK}", labels::STACK));
    let mut all = Vec::new();
    macro_rules! list {
        ($($kind:ty),*) => {$(
            let api = Api::<$kind>::namespaced(place.client.clone(), NAMESPACE);
            let kind = <$kind>::kind(&()).into_owned();
            let found = api.list_metadata(&params).await?.into_iter();
            all.extend(found.map(|object| Object { kind: kind.clone(), metadata: object.metadata }));
        )*};
    }
    list!(PrismBackend, PrismPattern, StatefulSet, Deployment, Service, Secret, ConfigMap, ServiceAccount);
    list!(Role, RoleBinding, HorizontalPodAutoscaler, PodDisruptionBudget, Ingress);
    Ok(all)
}

impl Object {
    pub(crate) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// When the operator last changed anything in it, as the API server keeps it; statuses apart.
    fn written(&self) -> Option<&Time> {
        let fields = self.metadata.managed_fields.iter().flatten();
        let own = fields.filter(|entry| {
            entry.manager.as_deref() == Some(names::FIELD_MANAGER) && entry.subresource.is_none()
        });
        own.filter_map(|entry| entry.time.as_ref()).max()
    }
}

/// What has become of the objects of `before`: created, changed, deleted, and how many are as they were.
pub(crate) fn compare(before: &[Object], after: &[Object]) -> String {
    let known: BTreeMap<_, _> = before.iter().map(|object| ((&object.kind, object.name()), object)).collect();
    let there: BTreeMap<_, _> = after.iter().map(|object| ((&object.kind, object.name()), object)).collect();
    let (mut created, mut changed) = (Vec::new(), Vec::new());
    for (key, object) in &there {
        match known.get(key) {
            None => created.push(*object),
            Some(old) if old.metadata.uid != object.metadata.uid => created.push(*object),
            Some(old) if old.written() != object.written() => changed.push(*object),
            Some(_) => {}
        }
    }
    let gone = known.iter().filter(|(key, _)| !there.contains_key(*key)).map(|(_, object)| *object);
    let untouched = after.len() - created.len() - changed.len();
    let rows = [
        ("created", listed(&created)),
        ("changed", listed(&changed)),
        ("deleted", listed(&gone.collect::<Vec<_>>())),
    ];
    let rows = rows.into_iter().map(|(what, objects)| format!("  {what:9}  {objects}\n"));
    rows.chain([format!("  untouched  {untouched} objects")]).collect()
}

/// `shop-a: Deployment, Service; shop-b: Service`.
fn listed(objects: &[&Object]) -> String {
    let mut by_name = BTreeMap::<&str, Vec<&str>>::new();
    for object in objects {
        by_name.entry(object.name()).or_default().push(&object.kind);
    }
    let names = by_name.into_iter().map(|(name, kinds)| format!("{name}: {}", kinds.join(", ")));
    let text = names.collect::<Vec<_>>().join("; ");
    if text.is_empty() { "nothing".to_owned() } else { text }
}
