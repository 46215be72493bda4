//! The server of a backend that the operator provides.

mod kafka;
mod minio;
mod nats;
mod postgres;
mod probe;
mod product;
mod redis;

use k8s_openapi::{
    api::core::v1::{EmptyDirVolumeSource, Secret, Volume, VolumeMount},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use prism_api::{
    backend::{DeletionPolicy, PrismBackend, ProvisionSpec},
    labels as keys,
    schema::FreeForm,
    workload::{StorageSpec, WorkloadKind},
};
use serde_json::json;

use super::{
    address::host_port,
    facts::Facts,
    labels, provider,
    resolved::ResolvedBackend,
    secret::{self, Login},
};
use crate::{
    invalid::Invalid,
    owner,
    program::{self, Program, ProgramPlan, ReplicaOwner, StorageVerdict, VOLUME},
};
use product::Product;

/// Kind of the workload of every server: its pods have names of their own, and most have data.
pub const KIND: WorkloadKind = WorkloadKind::StatefulSet;

/// Path of the block that describes the server.
const FIELD: &str = "spec.provision";
/// Path of the number of servers.
const REPLICAS: &str = "spec.provision.replicas";
/// Database where the spec names none.
const DEFAULT_DATABASE: &str = "prism";

/// What is to be done for a server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its credentials: made once, and left alone afterwards.
    pub secret: Secret,
    /// Whether there is data that only those credentials open: of a server that is there, or in volumes that an
    /// earlier one has left. Then a Secret that is gone is not made anew.
    pub relies_on_secret: bool,
    /// What runs it.
    pub program: ProgramPlan,
}

/// What the products have to know, beside the [`Program`] they fill in.
struct Wish<'a> {
    /// Name of the Secret with the credentials.
    secret: &'a str,
    /// Database to make.
    database: &'a str,
    /// How many members the servers were first told of, where that cannot change.
    members: Option<i32>,
    /// Whether the servers that run have volumes.
    keeps_data: bool,
}

/// Name of the workload of the backend `name`, and of its Service.
#[must_use]
pub fn workload_name(name: &str) -> String {
    program::workload_name(name, KIND)
}

/// Where clients find the server, without a scheme.
pub(super) fn address(name: &str, namespace: &str, provider: &str) -> String {
    host_port(&format!("{}.{namespace}.svc", workload_name(name)), provider::default_port(provider))
}

/// Plans the server of `backend`.
pub(super) fn plan(
    backend: &PrismBackend,
    provision: &ProvisionSpec,
    resolved: &ResolvedBackend,
    facts: &Facts,
) -> Result<Server, Invalid> {
    let product = Product::of(&resolved.provider).ok_or_else(|| {
        Invalid::new(
            "spec.type",
            format!(
                "this operator provides {}: set spec.type to one of them, or remove spec.provision and write down the address of a server that runs",
                product::NAMES
            ),
        )
    })?;
    keeps_product(backend, resolved, facts)?;
    let secret_name = secret::name(&resolved.name);
    let live = facts.server.stateful_set.as_ref();
    let wish = Wish {
        secret: &secret_name,
        database: provision.database.as_deref().unwrap_or(DEFAULT_DATABASE),
        keeps_data: live.is_some_and(|live| !live.claims.is_empty()),
        members: live.and_then(|live| live.notes.get(keys::MEMBERS)).and_then(|count| count.parse().ok()),
    };
    let mut program = base(backend, provision, resolved, product);
    (product.fill)(&mut program, &wish)?;
    let login = Login {
        username: product.username,
        password: &facts.password,
        database: product.has_database.then_some(wish.database),
    };
    let address = resolved.endpoint.as_deref().unwrap_or_default();
    let uid = backend.metadata.uid.as_deref().unwrap_or_default();
    let policy = backend.spec.deletion_policy.unwrap_or_default();
    let secret =
        secret::build(&program, &resolved.name, login.data(address, (product.secret_data)(uid)), policy);
    let relies_on_secret = live.is_some() || facts.server.volumes.iter().any(|volume| !volume.is_owned);
    let program = in_words_of_provision(program.plan(&facts.server)?);
    Ok(Server { secret, relies_on_secret, program })
}

/// A server that runs cannot become another product: neither its data nor its credentials would fit.
fn keeps_product(backend: &PrismBackend, resolved: &ResolvedBackend, facts: &Facts) -> Result<(), Invalid> {
    let before = backend.status.as_ref().and_then(|status| status.provider.as_deref());
    let is_other = |before: &&str| *before != resolved.provider && Product::of(before).is_some();
    let Some(before) = before.filter(is_other).filter(|_| facts.server.stateful_set.is_some()) else {
        return Ok(());
    };
    Err(Invalid::new(
        "spec.type",
        format!(
            "the server that runs is {before}, and cannot become {}: set it back, and make a new backend for the other",
            resolved.provider
        ),
    ))
}

/// The program, as far as all products are alike.
fn base(
    backend: &PrismBackend,
    provision: &ProvisionSpec,
    resolved: &ResolvedBackend,
    product: &Product,
) -> Program {
    let stack = backend.metadata.labels.as_ref().and_then(|all| all.get(keys::STACK));
    let storage = provision.storage.clone().map(|size| StorageSpec {
        size: Some(size),
        storage_class: provision.storage_class.clone(),
        mount_path: Some(product.data_path.to_owned()),
        ..StorageSpec::default()
    });
    let mut program = Program {
        field: FIELD.to_owned(),
        name: workload_name(&resolved.name),
        namespace: resolved.namespace.clone(),
        owner: owner(backend),
        container: resolved.provider.clone(),
        kind: KIND,
        image: product.image(provision),
        ports: product.ports.to_vec(),
        resources: provision.resources.clone(),
        storage,
        deletes_volumes: backend.spec.deletion_policy.unwrap_or_default() == DeletionPolicy::Delete,
        labels: labels::all(&resolved.name, &resolved.provider, stack.map(String::as_str)),
        pod_selector: labels::pod_selector(&resolved.name),
        pod_template: Some(without_service_links()),
        user: Some(product.user),
        termination_grace_period_seconds: Some(60),
        replica_owner: ReplicaOwner::Operator,
        replicas: provision.replicas.unwrap_or(1),
        ..Program::default()
    };
    if program.storage.is_none() {
        program.volumes.push(Volume {
            name: VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        });
        program.volume_mounts.push(VolumeMount {
            name: VOLUME.to_owned(),
            mount_path: product.data_path.to_owned(),
            ..VolumeMount::default()
        });
    }
    program
}

/// Kubernetes gives pods variables such as `KAFKA_PORT` for every Service of the namespace, and
/// servers take them for settings.
fn without_service_links() -> FreeForm {
    FreeForm::from_iter([("spec".to_owned(), json!({"enableServiceLinks": false}))])
}

fn owner(backend: &PrismBackend) -> OwnerReference {
    let metadata = &backend.metadata;
    let (name, uid) = (metadata.name.as_deref(), metadata.uid.as_deref());
    owner::reference("PrismBackend", name.unwrap_or_default(), uid.unwrap_or_default())
}

/// A [`Program`] speaks of its storage as of a block; `spec.provision` has the fields side by side.
fn in_words_of_provision(plan: ProgramPlan) -> ProgramPlan {
    let reworded = |text: String| {
        text.replace("spec.provision.storage.size", "spec.provision.storage")
            .replace("spec.provision.storage.storageClass", "spec.provision.storageClass")
    };
    let storage = match plan.storage {
        StorageVerdict::Refused { reason, advice, keep } => {
            StorageVerdict::Refused { reason, advice: reworded(advice), keep }
        }
        verdict @ (StorageVerdict::InPlace | StorageVerdict::Replace(_)) => verdict,
    };
    ProgramPlan { storage, missing_class: plan.missing_class.map(reworded), ..plan }
}

/// DNS name of the pod with that number. It needs no search path of the pod beyond that of the cluster.
fn pod_host(program: &Program, ordinal: impl std::fmt::Display) -> String {
    format!("{}-{ordinal}.{}.{}.svc", program.name, program.headless_name(), program.namespace)
}

/// Products that are one server: more of them would not know of each other.
fn only_one(program: &Program, product: &str) -> Result<(), Invalid> {
    if program.replicas <= 1 {
        return Ok(());
    }
    Err(Invalid::new(
        REPLICAS,
        format!(
            "this operator runs one {product} server: set it to 1, or point spec.connection.url at a replicated {product} that runs elsewhere"
        ),
    ))
}
