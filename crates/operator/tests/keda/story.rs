//! What every story starts from: a namespace of its own in a world with an operator.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{autoscaling::v2::HorizontalPodAutoscaler, core::v1::Secret},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
        PostParams,
    },
};
use prism_api::{PrismPattern, condition};
use prism_plan::conditions::{find, is_true};
use prism_proto::prism::metrics::v1::PatternRef;
use prism_testbed::{
    TestNamespace,
    audit::{Entry, Mark},
    eventually, until,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    gauged::LAG,
    support::{PATIENCE, conditions, is_current},
    world::{self, USER, World},
};

/// A namespace in a world.
pub(crate) struct Story<'a> {
    world: &'a World,
    pub(crate) namespace: TestNamespace,
    start: Mark,
}

impl Story<'static> {
    /// A namespace in the world that has a KEDA.
    pub(crate) async fn begin(name: &str) -> Self {
        Story::within(world::shared().await, name).await
    }
}

impl<'a> Story<'a> {
    pub(crate) async fn within(world: &'a World, name: &str) -> Self {
        let config = world.cluster.config().await.unwrap();
        let start = world.cluster.audit().unwrap().mark().unwrap();
        Self { world, namespace: TestNamespace::create(&config, name).await.unwrap(), start }
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        self.namespace.api()
    }

    /// An autoscaling block by the lag that an admin tells.
    pub(crate) fn by_lag(&self, min: i32, max: i32, target: &str, more: &Value) -> Value {
        self.world.gauge.by_lag(min, max, target, more)
    }

    /// What the one instance of a pattern reports.
    pub(crate) fn lag(&self, pattern: &str, value: f64) {
        self.world.gauge.report(PatternRef::new(self.namespace.name(), pattern), LAG, value);
    }

    /// Objects of a kind of KEDA.
    pub(crate) fn of_keda(&self, kind: &str) -> Api<DynamicObject> {
        self.dynamic("keda.sh", "v1alpha1", kind)
    }

    fn dynamic(&self, group: &str, version: &str, kind: &str) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.namespace.client(), self.namespace.name(), &resource)
    }

    /// Applies a pattern as the user would.
    pub(crate) async fn apply(&self, name: &str, spec: Value) -> PrismPattern {
        self.put(name, spec).await
    }

    /// Applies an object of the kind `K` as the user would.
    pub(crate) async fn put<K>(&self, name: &str, spec: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let body = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}, "spec": spec,
        });
        let api = self.api::<K>();
        Box::pin(api.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&body))).await.unwrap()
    }

    pub(crate) async fn secret<const N: usize>(&self, name: &str, data: [(&str, &str); N]) {
        let data: BTreeMap<_, _> = data.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let metadata = kube::core::ObjectMeta { name: Some(name.to_owned()), ..Default::default() };
        self.create(&Secret { metadata, string_data: Some(data), ..Secret::default() }).await;
    }

    pub(crate) async fn create<K>(&self, object: &K) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
        K::DynamicType: Default,
    {
        self.api().create(&PostParams::default(), object).await.unwrap()
    }

    /// Deletes an object, as far as that takes no waiting.
    pub(crate) async fn delete<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
        K::DynamicType: Default,
    {
        self.api::<K>().delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub(crate) async fn annotate(&self, name: &str, key: &str, value: Option<&str>) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.api::<PrismPattern>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the pattern is Ready for its current spec, and at rest.
    pub(crate) async fn ready(&self, name: &str) -> PrismPattern {
        self.pattern(name, "is Ready and at rest", |pattern| {
            let conditions = conditions(pattern);
            is_true(conditions, condition::READY) && find(conditions, condition::RECONCILING).is_none()
        })
        .await
    }

    /// Waits until the condition has that status and reason, for the current spec.
    pub(crate) async fn condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> condition::Condition {
        let pattern = self
            .pattern(name, &format!("has {type_}={status}, {reason}"), |pattern| {
                find(conditions(pattern), type_).is_some_and(|c| c.status == status && c.reason == reason)
            })
            .await;
        find(conditions(&pattern), type_).cloned().unwrap()
    }

    /// Waits until the pattern has no such condition.
    pub(crate) async fn no_condition(&self, name: &str, type_: &str) {
        self.pattern(name, &format!("says nothing of {type_}"), |pattern| {
            find(conditions(pattern), type_).is_none()
        })
        .await;
    }

    /// Waits until `is_so` of the pattern, whose status speaks of its current spec.
    pub(crate) async fn pattern(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&PrismPattern) -> bool,
    ) -> PrismPattern {
        let api = self.api::<PrismPattern>();
        let description = format!("pattern {name} {what}");
        let look = until(&api, name, &description, PATIENCE, |pattern| {
            let pattern = pattern.ok_or("it does not exist")?;
            if is_current(pattern) && is_so(pattern) {
                Ok(pattern.clone())
            } else {
                Err(format!("its status is {}", json!(pattern.status)))
            }
        });
        Box::pin(look).await.unwrap()
    }

    /// Waits until the workload has this many pods, all ready.
    pub(crate) async fn runs(&self, kind: &str, name: &str, expected: i64) {
        let api = self.dynamic("apps", "v1", kind);
        let what = format!("{kind} {name} runs {expected}");
        let look = until(&api, name, &what, PATIENCE, |workload| {
            let data = &workload.ok_or("it does not exist")?.data;
            let count = |value: &Value| value.as_i64().unwrap_or_default();
            let (wanted, status) = (count(&data["spec"]["replicas"]), &data["status"]);
            let (all, ready) = (count(&status["replicas"]), count(&status["readyReplicas"]));
            if (wanted, all, ready) == (expected, expected, expected) {
                Ok(())
            } else {
                Err(format!("{wanted} are wanted, {ready} of {all} are ready"))
            }
        });
        Box::pin(look).await.unwrap();
    }

    /// Waits until `check` is content with the `ScaledObject`, and returns it.
    pub(crate) async fn scaled_object(
        &self,
        name: &str,
        what: &str,
        check: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let api = self.of_keda("ScaledObject");
        let description = format!("ScaledObject {name} {what}");
        let look = until(&api, name, &description, PATIENCE, |object| {
            let object = object.ok_or("it does not exist")?;
            if check(object) { Ok(object.clone()) } else { Err(json!(object).to_string()) }
        });
        Box::pin(look).await.unwrap()
    }

    /// Waits until KEDA says of the `ScaledObject` that it works.
    pub(crate) async fn accepted(&self, name: &str) -> DynamicObject {
        self.scaled_object(name, "is Ready", |object| keda_says(object, "Ready").as_deref() == Some("True"))
            .await
    }

    /// Waits until there is no `ScaledObject` and no autoscaler of KEDA's for the workload.
    pub(crate) async fn released_by_keda(&self, name: &str) {
        let api = self.of_keda("ScaledObject");
        let what = format!("ScaledObject {name} is gone");
        let look = until(&api, name, &what, PATIENCE, |object| {
            object.map_or(Ok(()), |object| Err(format!("it is there: {}", json!(object.metadata))))
        });
        Box::pin(look).await.unwrap();
        self.autoscalers(0).await;
    }

    /// Waits until the namespace has this many autoscalers, and returns them.
    pub(crate) async fn autoscalers(&self, expected: usize) -> Vec<HorizontalPodAutoscaler> {
        let api = self.api::<HorizontalPodAutoscaler>();
        eventually(&format!("there are {expected} autoscalers"), PATIENCE, async || {
            let found =
                Box::pin(api.list(&ListParams::default())).await.map_err(|error| error.to_string())?.items;
            let names: Vec<_> = found.iter().map(ResourceExt::name_any).collect();
            if found.len() == expected { Ok(found) } else { Err(format!("there are {names:?}")) }
        })
        .await
        .unwrap()
    }

    /// What the operator has written to objects of one plural in this namespace.
    pub(crate) fn writes_to(&self, plural: &str) -> Vec<Entry> {
        let writes = self.world.cluster.audit().unwrap().writes_of(USER, self.start).unwrap().objects;
        let is_here =
            |write: &Entry| write.namespace.as_str() == self.namespace.name() && write.resource == plural;
        writes.into_iter().filter(is_here).collect()
    }
}

/// The status of a condition that KEDA has set.
pub(crate) fn keda_says(object: &DynamicObject, type_: &str) -> Option<String> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == type_)?;
    found["status"].as_str().map(str::to_owned)
}

/// As long as it takes to be sure that nothing happens: KEDA looks every second, autoscalers every three.
pub(crate) async fn settled() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}
