//! What every story starts from: a namespace, an operator that looks at nothing else, and its own
//! name in the audit log.

use std::{
    fmt::Debug,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use prism_api::{condition, pattern::PrismPattern, stack::PrismStack};
use prism_dial::Policy;
use prism_operator::{Config, Operator};
use prism_plan::conditions::{find, is_true};
use prism_testbed::{
    AUDITED_GROUP, TestNamespace, Testbed,
    audit::{Entry, Mark},
    definitions,
    fault::FaultProxy,
    until,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Long enough for a machine that runs all stories at once; a story that is right takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A namespace with an operator of its own.
pub(crate) struct Story {
    pub(crate) bed: Testbed,
    pub(crate) namespace: TestNamespace,
    pub(crate) user: String,
    start: Mark,
    operator: Option<Running>,
}

/// An operator in this process.
pub(crate) struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), prism_operator::Error>>,
    pub(crate) address: SocketAddr,
}

impl Story {
    /// A namespace without an operator.
    pub(crate) async fn prepare(name: &str) -> Self {
        let bed = Testbed::from_env().await.unwrap();
        install_crds(&bed.client()).await;
        let namespace = bed.namespace(name).await.unwrap();
        let user = format!("operator-of-{}", namespace.name());
        let start = bed.audit().unwrap().mark().unwrap();
        Self { bed, namespace, user, start, operator: None }
    }

    /// A namespace with an operator that is at work.
    pub(crate) async fn begin(name: &str) -> Self {
        let mut story = Self::prepare(name).await;
        story.start_operator().await;
        story
    }

    pub(crate) async fn start_operator(&mut self) {
        self.start_operator_with(quick()).await;
    }

    /// Starts an operator with other settings; it looks at this namespace alone in any case.
    pub(crate) async fn start_operator_with(&mut self, config: Config) {
        let config = Config { namespace: Some(self.namespace.name().to_owned()), ..config };
        self.operator = Some(Running::start(config, self.identity().await).await);
    }

    pub(crate) async fn stop_operator(&mut self) {
        if let Some(operator) = self.operator.take() {
            operator.stop().await;
        }
    }

    pub(crate) fn operator(&self) -> &Running {
        self.operator.as_ref().unwrap()
    }

    /// A proxy in front of the API server, and the operator's identity behind it.
    pub(crate) async fn behind_proxy(&self) -> (FaultProxy, kube::Config) {
        let proxy = FaultProxy::for_user(self.bed.cluster(), &self.user, &groups()).await.unwrap();
        let kubeconfig = Kubeconfig::read_from(proxy.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        (proxy, config)
    }

    /// The operator's identity.
    pub(crate) async fn identity(&self) -> kube::Config {
        self.bed.cluster().config_for(&self.user, &groups()).await.unwrap()
    }

    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        self.namespace.api()
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

    /// Changes an object as `kubectl patch --type=merge` does.
    pub(crate) async fn merge<K>(&self, name: &str, patch: Value) -> K
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api = self.api::<K>();
        Box::pin(api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))).await.unwrap()
    }

    /// Waits until the stack is Ready for its current spec, and at rest.
    pub(crate) async fn stack_ready(&self, name: &str) -> PrismStack {
        self.stack(name, "is Ready and at rest", |stack| {
            let status = stack.status.clone().unwrap_or_default();
            status.observed_generation == stack.metadata.generation
                && is_true(&status.conditions, condition::READY)
                && find(&status.conditions, condition::RECONCILING).is_none()
        })
        .await
    }

    pub(crate) async fn stack(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&PrismStack) -> bool,
    ) -> PrismStack {
        self.object(name, &format!("stack {name} {what}"), |stack: &PrismStack| {
            if is_so(stack) { Ok(()) } else { Err(format!("its status is {}", json!(stack.status))) }
        })
        .await
    }

    /// Waits until the condition of the stack has that status and reason, for the current spec.
    pub(crate) async fn stack_condition(
        &self,
        name: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> PrismStack {
        self.stack(name, &format!("has {type_}={status}, {reason}"), |stack| {
            let now = stack.status.clone().unwrap_or_default();
            now.observed_generation == stack.metadata.generation
                && find(&now.conditions, type_).is_some_and(|c| c.status == status && c.reason == reason)
        })
        .await
    }

    /// Applies `spec` as the user would.
    pub(crate) async fn apply(&self, name: &str, spec: Value) -> PrismPattern {
        self.try_apply(name, spec).await.unwrap()
    }

    pub(crate) async fn try_apply(&self, name: &str, spec: Value) -> kube::Result<PrismPattern> {
        let body = json!({
            "apiVersion": "prism.io/v1alpha1", "kind": "PrismPattern", "metadata": {"name": name}, "spec": spec,
        });
        let params = PatchParams::apply("user").force();
        self.api::<PrismPattern>().patch(name, &params, &Patch::Apply(&body)).await
    }

    pub(crate) async fn annotate(&self, name: &str, key: &str, value: Option<&str>) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        self.api::<PrismPattern>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits until the pattern is Ready for its current spec, and at rest.
    pub(crate) async fn ready(&self, name: &str) -> PrismPattern {
        self.pattern(name, "is Ready and at rest", |pattern| {
            let conditions = conditions(pattern);
            is_current(pattern)
                && is_true(conditions, condition::READY)
                && find(conditions, condition::RECONCILING).is_none()
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
    ) -> PrismPattern {
        self.pattern(name, &format!("has {type_}={status}, {reason}"), |pattern| {
            is_current(pattern)
                && find(conditions(pattern), type_).is_some_and(|c| c.status == status && c.reason == reason)
        })
        .await
    }

    pub(crate) async fn pattern(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&PrismPattern) -> bool,
    ) -> PrismPattern {
        self.object(name, &format!("pattern {name} {what}"), |pattern: &PrismPattern| {
            if is_so(pattern) { Ok(()) } else { Err(format!("its status is {}", json!(pattern.status))) }
        })
        .await
    }

    /// Waits until `check` is content with the object, and returns it.
    pub(crate) async fn object<K>(
        &self,
        name: &str,
        what: &str,
        check: impl Fn(&K) -> Result<(), String>,
    ) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
        K::DynamicType: Default,
    {
        // Boxed, here and below: the futures of watches are large, and stories have many of them.
        let api = self.api::<K>();
        let look = until(&api, name, what, PATIENCE, |object| {
            let object = object.ok_or("it does not exist")?;
            check(object).map(|()| object.clone())
        });
        Box::pin(look).await.unwrap()
    }

    /// Waits until there is no such object.
    pub(crate) async fn gone<K>(&self, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
        K::DynamicType: Default,
    {
        let (api, what) = (self.api::<K>(), format!("{name} is gone"));
        let look = until(&api, name, &what, PATIENCE, |object| {
            object.map_or(Ok(()), |_| Err("it is still there".to_owned()))
        });
        Box::pin(look).await.unwrap();
    }

    pub(crate) async fn create<K>(&self, object: &K) -> K
    where
        K: Resource<Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
        K::DynamicType: Default,
    {
        self.api().create(&PostParams::default(), object).await.unwrap()
    }

    pub(crate) fn mark(&self) -> Mark {
        self.bed.audit().unwrap().mark().unwrap()
    }

    /// What the operator wrote since the story began, leases apart.
    pub(crate) fn writes(&self) -> Vec<Entry> {
        self.writes_since(self.start)
    }

    /// What somebody else wrote since the story began, leases apart.
    pub(crate) fn writes_of(&self, user: &str) -> Vec<Entry> {
        self.bed.audit().unwrap().writes_of(user, self.start).unwrap().objects
    }

    pub(crate) fn writes_since(&self, mark: Mark) -> Vec<Entry> {
        self.bed.audit().unwrap().writes_of(&self.user, mark).unwrap().objects
    }

    /// What the operator wrote to children since `mark`.
    pub(crate) fn writes_to_children_since(&self, mark: Mark) -> Vec<Entry> {
        let is_child = |write: &Entry| write.group != "prism.io" && write.group != "events.k8s.io";
        self.writes_since(mark).into_iter().filter(is_child).collect()
    }

    /// What the operator asked for at all since `mark`, watches apart: those never end.
    pub(crate) fn requests_since(&self, mark: Mark) -> Vec<Entry> {
        let all = self.bed.audit().unwrap().since(mark, |user| user == self.user).unwrap();
        all.into_iter().filter(|entry| entry.verb != "watch").collect()
    }
}

impl Running {
    pub(crate) async fn start(config: Config, cluster: kube::Config) -> Self {
        let shutdown = CancellationToken::new();
        let operator = Operator::start(config, cluster, shutdown.clone()).await.unwrap();
        let address = operator.address();
        let task = tokio::spawn(operator.run());
        Self { shutdown, task, address }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Waits until the operator stops by itself.
    pub(crate) async fn ended(self) -> Result<(), prism_operator::Error> {
        self.task.await.unwrap()
    }

    /// Status code and body of one of its endpoints.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        http_get(self.address, path).await
    }

    /// One number of its metrics.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }
}

/// Settings for a machine that runs many operators at once, and whatever they connect to, on loopback.
pub(crate) fn quick() -> Config {
    let dial = Policy { allow: vec!["127.0.0.0/8".parse().unwrap()], deny: Vec::new() };
    Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), concurrency: 8, dial, ..Config::default() }
}

pub(crate) fn groups() -> [&'static str; 2] {
    ["system:masters", AUDITED_GROUP]
}

pub(crate) fn conditions(pattern: &PrismPattern) -> &[condition::Condition] {
    pattern.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

/// Whether the status speaks of the current spec.
pub(crate) fn is_current(pattern: &PrismPattern) -> bool {
    pattern.status.as_ref().and_then(|status| status.observed_generation) == pattern.meta().generation
}

/// The checkout, for sample files.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Applies every CRD, once for all stories, and waits until the API server serves them.
pub(crate) async fn install_crds(client: &Client) {
    static INSTALLED: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    INSTALLED
        .get_or_init(async || {
            definitions::install(client, "tests", &prism_api::all_crds().unwrap()).await.unwrap();
        })
        .await;
}

async fn http_get(address: SocketAddr, path: &str) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    (code, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
