//! A cluster of its own, for stories that several namespaces, or the whole cluster, have a part in.

use std::{collections::BTreeMap, fmt::Debug, path::Path};

use k8s_openapi::{
    ClusterResourceScope, NamespaceResourceScope,
    api::{
        core::v1::{Namespace, Service},
        rbac::v1::{ClusterRole, ClusterRoleBinding},
        storage::v1::StorageClass,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use prism_operator::Config;
use prism_testbed::{
    AUDITED_GROUP, Options, Programs, Progress, ScopedCluster,
    audit::{Entry, Mark},
    definitions::install,
    until,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::{PATIENCE, Running, groups, quick};

/// The operator's name in the audit log.
const USER: &str = "operator-of-the-world";

/// A cluster with an operator that looks at all of it.
pub(crate) struct World {
    pub(crate) cluster: ScopedCluster,
    pub(crate) client: Client,
    pub(crate) operator: Running,
}

impl World {
    pub(crate) async fn begin() -> Self {
        Self::begin_with(Options::default(), quick()).await
    }

    pub(crate) async fn begin_with(options: Options, config: Config) -> Self {
        let programs = Programs::ensure(&Progress::silent()).unwrap();
        let progress = Progress::silent();
        let options = Options { definitions: prism_api::all_crds().unwrap(), ..options };
        let cluster = Box::pin(ScopedCluster::start(&programs, &options, &progress)).await.unwrap();
        let client = cluster.client().await.unwrap();
        let identity = cluster.config_for(USER, &groups()).await.unwrap();
        let operator = Running::start(config, identity).await;
        Self { cluster, client, operator }
    }

    pub(crate) fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// A namespace; with a backend type, it consents to patterns of others.
    pub(crate) async fn namespace(&self, name: &str, backend_type: Option<&str>) {
        let labels = backend_type.map(|type_| ("prism.io/backend-type", type_));
        let labels: BTreeMap<&str, &str> = labels.into_iter().collect();
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        self.put_cluster_wide::<Namespace>(name, &body).await;
    }

    /// A Service that says that it is that of a backend, and where to connect to.
    pub(crate) async fn backend_service(&self, namespace: &str, name: &str, address: &str, port: i32) {
        let service: Service = serde_json::from_value(json!({
            "metadata": {
                "name": name, "labels": {"prism.io/backend-type": name},
                "annotations": {"prism.io/connection-string": address},
            },
            "spec": {"ports": [{"port": port}], "selector": {"app": name}},
        }))
        .unwrap();
        self.api::<Service>(namespace).create(&PostParams::default(), &service).await.unwrap();
    }

    pub(crate) async fn storage_class(&self, name: &str) {
        let provisioner = prism_testbed::volumes::PROVISIONER;
        let body = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": provisioner, "allowVolumeExpansion": true,
        });
        self.put_cluster_wide::<StorageClass>(name, &body).await;
    }

    async fn put_cluster_wide<K>(&self, name: &str, body: &Value)
    where
        K: Resource<Scope = ClusterResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::all(self.client.clone());
        api.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(body)).await.unwrap();
    }

    /// Applies an object of the kind `K` as the user would.
    pub(crate) async fn put<K>(&self, namespace: &str, name: &str, spec: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let body = json!({
            "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name}, "spec": spec,
        });
        let api = self.api::<K>(namespace);
        Box::pin(api.patch(name, &PatchParams::apply("user").force(), &Patch::Apply(&body))).await.unwrap()
    }

    /// Waits until `check` is content with the object, or with its absence.
    pub(crate) async fn see<K>(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        check: impl Fn(Option<&K>) -> bool,
    ) where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned
            + Send
            + 'static,
    {
        let api = self.api::<K>(namespace);
        let look = until(&api, name, what, PATIENCE, |object| {
            if check(object) { Ok(()) } else { Err(json!(object).to_string()) }
        });
        Box::pin(look).await.unwrap();
    }

    /// Installs definitions of somebody else's kinds.
    pub(crate) async fn define(&self, definitions: Vec<CustomResourceDefinition>) -> Vec<String> {
        let names = definitions.iter().map(ResourceExt::name_any).collect();
        install(&self.client, "tests", &definitions).await.unwrap();
        names
    }

    /// `kubectl`, as an administrator; panics with what it says if it fails.
    pub(crate) async fn kubectl(&self, arguments: &[&str], file: &Path) {
        let output = Command::new(self.cluster.folder().join("kubectl"))
            .args(arguments)
            .arg("-f")
            .arg(file)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn mark(&self) -> Mark {
        self.cluster.audit().unwrap().mark().unwrap()
    }

    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<Entry> {
        self.cluster.audit().unwrap().writes_of(USER, mark).unwrap().objects
    }

    /// What the operator asked for at all since `mark`, watches apart: those never end.
    pub(crate) fn requests_since(&self, mark: Mark) -> Vec<Entry> {
        let all = self.cluster.audit().unwrap().since(mark, |user| user == USER).unwrap();
        all.into_iter().filter(|entry| entry.verb != "watch").collect()
    }

    /// The same world, whose operator has only the rights that `rules` of a `ClusterRole` give.
    pub(crate) async fn with_rights(self, config: Config, rules: Value) -> Self {
        let Self { cluster, client, operator } = self;
        operator.stop().await;
        allow(&client, rules).await;
        let identity = cluster.config_for(USER, &[AUDITED_GROUP]).await.unwrap();
        let operator = Running::start(config, identity).await;
        Self { cluster, client, operator }
    }

    /// Gives the operator of [`World::with_rights`] other rights.
    pub(crate) async fn allow(&self, rules: Value) {
        allow(&self.client, rules).await;
    }

    /// The same world with another operator.
    pub(crate) async fn with_operator(self, config: Config) -> Self {
        let Self { cluster, client, operator } = self;
        operator.stop().await;
        let identity = cluster.config_for(USER, &groups()).await.unwrap();
        let operator = Running::start(config, identity).await;
        Self { cluster, client, operator }
    }

    pub(crate) async fn end(self) {
        self.operator.stop().await;
        self.cluster.stop();
    }
}

/// What the user of the operator may do.
async fn allow(client: &Client, rules: Value) {
    let named = |kind: &str, rest: Value| {
        let mut body = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": USER},
        });
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let params = PatchParams::apply("user").force();
    let role = named("ClusterRole", json!({"rules": rules}));
    Api::<ClusterRole>::all(client.clone()).patch(USER, &params, &Patch::Apply(&role)).await.unwrap();
    let group = "rbac.authorization.k8s.io";
    let binding = named(
        "ClusterRoleBinding",
        json!({
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": USER},
            "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
        }),
    );
    Api::<ClusterRoleBinding>::all(client.clone())
        .patch(USER, &params, &Patch::Apply(&binding))
        .await
        .unwrap();
}
