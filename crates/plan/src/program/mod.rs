//! A program and all that surrounds it: the pods, their identity, Services, budget and scaler.
//!
//! Runners, proxies, admins, consoles and provisioned backends differ in what they run; how they are
//! run is decided here, once.

mod budget;
mod children;
mod facts;
mod lists;
mod placement;
mod pod;
mod pod_rules;
mod pod_template;
mod predecessor;
pub mod quorum;
mod requests;
mod rollout;
mod service;
mod service_account;
mod storage;
mod strategic;
mod workload;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::core::v1::{
        ContainerPort, EnvFromSource, EnvVar, PodSecurityContext, ResourceRequirements, SecurityContext,
        Volume, VolumeMount,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use prism_api::{
    autoscaling::Autoscaling,
    pattern::ActiveScaler,
    placement::Placement,
    schema::FreeForm,
    workload::{DisruptionBudget, ImagePullPolicy, LocalRef, Probes, ServiceSpec, StorageSpec, WorkloadKind},
};

pub(crate) use children::metadata;
pub use children::{Children, Workload};
pub use facts::{Claim, ProgramFacts, VolumeFacts, WorkloadFacts};
pub use rollout::Rollout;
pub use storage::{Replace, StorageVerdict, VOLUME};

use crate::{
    invalid::Invalid,
    refusals::{self, Refusals},
    scaling::{Control, Queue, Scaling, ScalingPlan},
    text::bounded,
    types::ScaleTarget,
};

/// Names of `StatefulSet`s are shorter than others: their pods carry `<name>-<10 digits>` as a label.
const STATEFUL_SET_NAME_LIMIT: usize = 52;
/// Names of Services are DNS labels.
const SERVICE_NAME_LIMIT: usize = 63;

/// A program to run, with aliases, defaults and references resolved: all that builders see.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Path of the block it was written in, for messages: `spec`, `spec.proxy`.
    pub field: String,
    /// Name of the workload, and of what is named after it.
    pub name: String,
    /// Namespace of everything.
    pub namespace: String,
    /// What `metadata.ownerReferences` of every child says.
    pub owner: OwnerReference,
    /// Name of the main container.
    pub container: String,
    /// Kind of the workload.
    pub kind: WorkloadKind,
    /// Image, as it goes into the pod.
    pub image: String,
    /// When nodes pull it.
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Secrets for pulling it.
    pub image_pull_secrets: Vec<LocalRef>,
    /// Program to start in place of the image's own.
    pub command: Vec<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment.
    pub env: Vec<EnvVar>,
    /// `ConfigMap`s and Secrets whose keys become environment variables.
    pub env_from: Vec<EnvFromSource>,
    /// Ports that its Services offer, the one that clients use first.
    pub ports: Vec<Port>,
    /// Further ports of the container.
    pub container_ports: Vec<ContainerPort>,
    /// Health checks.
    pub probes: Probes,
    /// Resources of the main container.
    pub resources: Option<ResourceRequirements>,
    /// Where the pods run.
    pub placement: Placement,
    /// Volumes of the pod, the claimed one apart.
    pub volumes: Vec<Volume>,
    /// Where the main container finds them.
    pub volume_mounts: Vec<VolumeMount>,
    /// How many of those, the first ones, are the spec's own.
    pub spec_mounts: usize,
    /// A volume for each pod.
    pub storage: Option<StorageSpec>,
    /// Whether the claims of the pods go with the workload.
    pub deletes_volumes: bool,
    /// Labels of every child and of the pods.
    pub labels: BTreeMap<String, String>,
    /// Labels by which Services and budgets find the pods. Nothing in them can be edited.
    pub pod_selector: BTreeMap<String, String>,
    /// Labels of the pods, beside those above.
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations of the pods.
    pub pod_annotations: BTreeMap<String, String>,
    /// A strategic merge patch on the pod template.
    pub pod_template: Option<FreeForm>,
    /// `ServiceAccount` that somebody else has made.
    pub service_account_name: Option<String>,
    /// Whether the pods talk to the API server.
    pub uses_api: bool,
    /// Security settings of the container, in place of the restricted ones.
    pub security_context: Option<SecurityContext>,
    /// Security settings of the pod, in place of the restricted ones.
    pub pod_security_context: Option<PodSecurityContext>,
    /// User and group of the pods, in place of [`pod::NONROOT`].
    pub user: Option<i64>,
    /// Seconds to finish in.
    pub termination_grace_period_seconds: Option<i64>,
    /// The Service in front of the pods.
    pub service: ServiceSpec,
    /// How many pods drains may take.
    pub disruption_budget: DisruptionBudget,
    /// Whether the replicas may be left to a scaler at all.
    pub replica_owner: ReplicaOwner,
    /// Who decides the replicas.
    pub scaler: ActiveScaler,
    /// How, if somebody does.
    pub autoscaling: Option<Autoscaling>,
    /// Whether a person holds it where it is, or at a number.
    pub control: Control,
    /// What it takes its work from.
    pub queues: Vec<Queue>,
    /// What admins know it as.
    pub pattern: String,
    /// Host and port of the admin that knows its metrics.
    pub admin: Option<String>,
    /// The number to run, or to begin with when a scaler decides.
    pub replicas: i32,
    /// Whether its members vote: then no pod is replaced unless all others serve.
    pub votes: bool,
    /// Annotations of the workload.
    pub annotations: BTreeMap<String, String>,
    /// Secrets of its backends.
    pub secrets: BTreeSet<String>,
    /// What the operator refuses of what the spec says.
    pub refusals: Refusals,
}

/// Whether the replicas of a program may be left to a scaler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicaOwner {
    /// To whoever scales: the program's own block, a `PrismAutoscaler`, or a scaler of somebody else.
    #[default]
    Negotiable,
    /// Never: its pods vote or hold data, and what somebody else writes is set back.
    Operator,
}

/// A port that Services offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// Its name, by which Services and probes find it.
    pub name: &'static str,
    /// Its number, on the container and on the Services.
    pub number: i32,
}

/// What is to be done for one program.
#[derive(Clone, Debug)]
pub struct ProgramPlan {
    /// The program.
    pub program: Program,
    /// What should exist.
    pub children: Children,
    /// A workload of the other kind that stays until its successor serves.
    pub keep: Option<WorkloadKind>,
    /// The `StatefulSet` has to be deleted and made anew, pods and volumes untouched.
    pub replace: Option<Replace>,
    /// What scales it, and why nothing does, if nothing does. Its objects are among the children.
    pub scaling: ScalingPlan,
    /// Why the volumes are not as the spec wants them.
    pub storage: StorageVerdict,
    /// The size that claims which were there before, and are smaller, have to get.
    pub grow: Option<String>,
    /// What has to be told about the storage class, if the cluster has none of that name.
    pub missing_class: Option<String>,
}

impl Program {
    /// Plans the program.
    ///
    /// # Errors
    /// When its block contradicts itself in a way that the schema cannot see.
    pub fn plan(self, facts: &ProgramFacts) -> Result<ProgramPlan, Invalid> {
        refusals::check(&self)?;
        check_name(&self.name)?;
        let storage = storage::judge(&self, facts);
        let keep = predecessor::decide(&self, facts);
        let mut scaling = match self.replica_owner {
            ReplicaOwner::Negotiable => self.scaling().plan(&facts.scaling)?,
            ReplicaOwner::Operator => ScalingPlan::overruling(&self, &facts.scaling),
        };
        if let Some(kind) = keep {
            scaling.wait_for(kind, &self.name);
        }
        let children = Children {
            service_account: service_account::build(&self),
            workload: workload::build(&self, &storage, facts)?,
            service: service::build(&self),
            headless: service::build_headless(&self),
            budget: budget::build(&self),
            scalers: std::mem::take(&mut scaling.scalers),
        };
        let missing_class = storage::missing_class(&self, facts);
        let grow = storage::grow(&self, &storage, facts);
        Ok(ProgramPlan {
            replace: storage.replace(),
            scaling,
            storage,
            grow,
            missing_class,
            children,
            keep,
            program: self,
        })
    }

    /// Whether somebody decides the replicas rather than the spec. A scaler of the program's own may
    /// not be there yet, or wait for something.
    #[must_use]
    pub fn is_scaled(&self, facts: &ProgramFacts) -> bool {
        self.replica_owner == ReplicaOwner::Negotiable
            && (self.scaler != ActiveScaler::None || facts.scaling.has_scaler())
    }

    /// The field that says how many replicas there are.
    #[must_use]
    pub fn replicas_field(&self) -> String {
        format!("{}.replicas", self.field)
    }

    /// The scaling of its workload.
    #[must_use]
    pub fn scaling(&self) -> Scaling {
        Scaling {
            field: format!("{}.autoscaling", self.field),
            metadata: metadata(self, &self.name),
            target: ScaleTarget {
                api_version: "apps/v1".to_owned(),
                kind: self.kind.as_str().to_owned(),
                name: self.name.clone(),
            },
            scaler: self.scaler,
            autoscaling: self.autoscaling.clone().unwrap_or_default(),
            control: self.control,
            queues: self.queues.clone(),
            pattern: self.pattern.clone(),
            admin: self.admin.clone(),
        }
    }

    /// Name of the headless Service.
    #[must_use]
    pub fn headless_name(&self) -> String {
        self.service_name("headless")
    }

    /// `<name>-<suffix>`, as the name of a Service.
    #[must_use]
    pub fn service_name(&self, suffix: &str) -> String {
        bounded(&format!("{}-{suffix}", self.name), SERVICE_NAME_LIMIT)
    }

    /// The selector of the workload. It never changes: it depends on nothing that can be edited. The
    /// kind is part of it, so that the two workloads of a program that changes its kind keep their
    /// own pods.
    #[must_use]
    pub fn workload_selector(&self) -> BTreeMap<String, String> {
        let mut selector = self.pod_selector.clone();
        selector.insert(prism_api::labels::WORKLOAD_KIND.to_owned(), self.kind.as_str().to_owned());
        selector
    }
}

/// Refuses a `name` that Services cannot take (RFC 1035, section 2.3.1): the schema does so as well, of objects that
/// are made since.
///
/// # Errors
/// Of a name that begins with something else than a letter, or has dots.
pub(crate) fn check_name(name: &str) -> Result<(), Invalid> {
    if name.starts_with(|first: char| first.is_ascii_lowercase()) && !name.contains('.') {
        return Ok(());
    }
    Err(Invalid::new(
        "metadata.name",
        "the Service takes the name, which has to begin with a letter and have no dots: make the object anew under another name",
    ))
}

/// Name of the workload of that kind of the program `name`.
#[must_use]
pub fn workload_name(name: &str, kind: WorkloadKind) -> String {
    let limit = match kind {
        WorkloadKind::StatefulSet => STATEFUL_SET_NAME_LIMIT,
        WorkloadKind::Deployment => SERVICE_NAME_LIMIT,
    };
    bounded(name, limit)
}

/// The `wanted` number; where somebody scales, the number that runs now or ran `last`, within the limits
/// of the program's own block: a workload that is made anew, or in another kind, starts where its
/// predecessor was.
#[must_use]
pub fn replicas(
    wanted: i32,
    autoscaling: Option<&Autoscaling>,
    kind: WorkloadKind,
    facts: &ProgramFacts,
    last: Option<i32>,
) -> i32 {
    let own = autoscaling.filter(|autoscaling| autoscaling.is_enabled());
    if own.is_none() && !facts.scaling.has_scaler() {
        return wanted;
    }
    let running = facts.running(kind).map(|workload| workload.desired);
    let seed = running.or(last).unwrap_or(wanted);
    own.map_or(seed, |own| {
        let floor = own.min_replicas.unwrap_or(1);
        seed.clamp(floor, own.max_replicas.unwrap_or(i32::MAX).max(floor))
    })
}
