//! Keys of the labels and annotations that the operator writes or reads.

/// `app.kubernetes.io/name`: the program, such as `prism-proxy` or `consumer-runner`.
pub const APP_NAME: &str = "app.kubernetes.io/name";
/// `app.kubernetes.io/instance`: the custom resource the object belongs to.
pub const APP_INSTANCE: &str = "app.kubernetes.io/instance";
/// `app.kubernetes.io/component`: the same word as [`COMPONENT`].
pub const APP_COMPONENT: &str = "app.kubernetes.io/component";
/// `app.kubernetes.io/part-of`: the stack, or `prism` for a pattern of its own.
pub const APP_PART_OF: &str = "app.kubernetes.io/part-of";
/// `app.kubernetes.io/managed-by`: always [`crate::names::MANAGED_BY`].
pub const APP_MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// What the object is to Prism: `admin`, `proxy`, `web-console`, `pattern` or `backend`.
pub const COMPONENT: &str = "prism.io/component";
/// The `PrismStack` the object belongs to.
pub const STACK: &str = "prism.io/stack";
/// The pattern type, such as `consumer`.
pub const PATTERN: &str = "prism.io/pattern";
/// The backend the pattern uses first.
pub const BACKEND: &str = "prism.io/backend";
/// The name of the `PrismPattern`: the label that workload selectors use.
pub const PATTERN_INSTANCE: &str = "prism.io/pattern-instance";
/// On pods: the kind of the workload they belong to, so that the two workloads of a pattern that
/// changes its kind never select each other's pods.
pub const WORKLOAD_KIND: &str = "prism.io/workload-kind";

/// On a namespace: backends of this type live here, and patterns of other namespaces may run beside
/// them, in a restricted form. On a Service: it is that of a backend.
pub const BACKEND_TYPE: &str = "prism.io/backend-type";

/// Plain twin of the recommended labels, for short selectors: `app=prism`.
pub const PLAIN_APP: &str = "app";
/// Plain `pattern`: the pattern type.
pub const PLAIN_PATTERN: &str = "pattern";
/// Plain `backend`.
pub const PLAIN_BACKEND: &str = "backend";
/// Plain `runner`: the name of the `PrismPattern`.
pub const PLAIN_RUNNER: &str = "runner";
/// Plain `stack`: the name of the `PrismStack`.
pub const PLAIN_STACK: &str = "stack";

/// On a Service of a backend: the address patterns connect to.
pub const CONNECTION_STRING: &str = "prism.io/connection-string";
/// On a custom resource: a new value asks for a reconciliation now, and comes back in
/// `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "prism.io/reconcile-requested-at";
/// On a custom resource: `"true"` makes the operator leave its children alone.
pub const PAUSED: &str = "prism.io/pause-reconciliation";
/// On a pod template: hash of the Secrets and ConfigMaps it reads, so that a change restarts it.
pub const CONFIG_HASH: &str = "prism.io/config-hash";
/// On the workload of a program whose members vote: hash of the pod template that was applied, so that
/// a change of it is told from a rollout that is under way.
pub const TEMPLATE_HASH: &str = "prism.io/template-hash";
/// On the workload of a program whose members vote: how many members each member is told of.
pub const MEMBERS: &str = "prism.io/members";
/// On the workload of a program whose members vote: how many members the operator has decided. What
/// somebody else writes into `spec.replicas` is set back to it.
pub const REPLICAS: &str = "prism.io/replicas";
/// On a child that an owner reference cannot reach: the owner, as kind, namespace, name and UID.
pub const OWNED_BY: &str = "prism.io/owned-by";
/// Plain `component`: the program, such as `prism-proxy`.
pub const PLAIN_COMPONENT: &str = "component";
/// On a stack: the hash of the plan in `status.planHash` that a person agrees to.
pub const APPROVED_PLAN: &str = "prism.io/approved-plan";
/// On a namespace with [`BACKEND_TYPE`]: the namespaces that the consent is meant for, separated by
/// commas. Left out, it is meant for all.
pub const ALLOWED_NAMESPACES: &str = "prism.io/allowed-namespaces";
/// On a namespace with [`BACKEND_TYPE`]: the Secrets that backends of other namespaces may name,
/// separated by commas. Left out, they may name any one as their own.
pub const ALLOWED_SECRETS: &str = "prism.io/allowed-secrets";
/// On a namespace with [`BACKEND_TYPE`]: settings that patterns of other namespaces may have beyond the
/// restricted form, separated by commas. Left out, none.
pub const ALLOWED_SETTINGS: &str = "prism.io/allowed-settings";
/// On a custom resource that another one made: hash of the spec that it was given. While a cache shows
/// another hash, it does not show the answer to the last write.
pub const SPEC_HASH: &str = "prism.io/spec-hash";
/// On an object that the operator may take over although it did not make it: `"true"` agrees to what
/// that changes in it.
pub const ADOPT: &str = "prism.io/adopt";
/// On a custom resource: `"true"` stops all its scaling where it is; on a stack, a list of components
/// such as `proxy, web-console` stops those.
pub const SCALING_PAUSED: &str = "prism.io/scaling-paused";
/// On a custom resource: the number of replicas to run, whatever the metrics say: `7`; on a stack, by
/// component: `proxy=7, web-console=2`.
pub const PINNED_REPLICAS: &str = "prism.io/pinned-replicas";
/// On every child: fingerprint of what the operator applied to it last.
pub const APPLIED: &str = "prism.io/applied";
/// On a metric that an autoscaler asks the operator for: kind of the object that scales.
pub const SCALED_KIND: &str = "prism.io/scaled-kind";
/// On such a metric: name of the object that scales.
pub const SCALED_NAME: &str = "prism.io/scaled-name";
/// On such a metric: name of the workload.
pub const SCALED_WORKLOAD: &str = "prism.io/scaled-workload";
/// On such a metric: its place in the list of metrics, from 0.
pub const SCALED_METRIC: &str = "prism.io/scaled-metric";
