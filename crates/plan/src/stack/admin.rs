//! The admin: the control plane, whose members agree by Raft.

use k8s_openapi::{
    api::core::v1::{EmptyDirVolumeSource, EnvVar, Volume, VolumeMount},
    apimachinery::pkg::util::intstr::IntOrString,
};
use prism_api::{
    component::{AdminSpec, LeaderElection},
    labels,
    stack::StackBackend,
    workload::{DisruptionBudget, RuntimeProfile, StorageSpec, WorkloadKind},
};

use super::{
    component::{self, CLIENT_PORT, Role, add_env},
    resolved::ResolvedStack,
};
use crate::{
    environment::{from_pod, from_secret},
    invalid::Invalid,
    program::{Port, Program, ProgramFacts, ReplicaOwner, VOLUME, quorum::Membership},
};

/// Where the log lies.
const DATA_PATH: &str = "/var/lib/prism/raft";
/// Port of Raft of the released program.
const RAFT_PORT: i32 = 8990;
/// Port of the HTTP API of the released program.
const HTTP_PORT: i32 = 8980;

pub(super) const ROLE: Role = Role {
    component: "admin",
    field: "spec.admin",
    kind: WorkloadKind::StatefulSet,
    port_name: CLIENT_PORT,
    ports: [8981, 8981],
};

/// What the members agree on is kept in the Raft log, or in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Raft,
    Sqlite,
    Postgres,
}

/// The program of the admin.
pub(super) fn program(
    stack: &ResolvedStack,
    spec: &AdminSpec,
    membership: &Membership,
) -> Result<Program, Invalid> {
    let mut program = component::program(stack, &ROLE, &spec.component);
    let store = store(spec)?;
    program.replicas = membership.replicas;
    program.replica_owner = ReplicaOwner::Operator;
    program.uses_api = elects(spec).is_some();
    program.votes = program.kind == WorkloadKind::StatefulSet;
    if program.votes {
        let notes = [(labels::REPLICAS, membership.replicas), (labels::MEMBERS, membership.peers)];
        program.annotations.extend(notes.map(|(key, count)| (key.to_owned(), count.to_string())));
        let wish = spec.component.storage.clone().unwrap_or_default();
        let path = wish.mount_path.clone().unwrap_or_else(|| DATA_PATH.to_owned());
        program.storage = Some(StorageSpec { mount_path: Some(path), ..wish });
        let budget = &program.disruption_budget;
        if budget.min_available.is_none() && budget.max_unavailable.is_none() {
            // As many may be missing as leave a quorum.
            program.disruption_budget = DisruptionBudget {
                max_unavailable: Some(IntOrString::Int((membership.replicas - 1).max(0) / 2)),
                ..budget.clone()
            };
        }
    } else {
        program.volumes.push(Volume {
            name: VOLUME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        });
        program.volume_mounts.push(VolumeMount {
            name: VOLUME.to_owned(),
            mount_path: DATA_PATH.to_owned(),
            ..VolumeMount::default()
        });
    }
    add_env(&mut program, [from_pod("POD_NAME", "metadata.name")]);
    if store == Store::Postgres {
        add_env(&mut program, [database(stack)]);
    }
    match stack.profile {
        RuntimeProfile::Standard => standard(&mut program, spec, store, membership.peers),
        RuntimeProfile::Upstream => upstream(&mut program, store, membership.peers),
    }
    Ok(program)
}

fn store(spec: &AdminSpec) -> Result<Store, Invalid> {
    let type_ = spec.component.storage.as_ref().and_then(|storage| storage.type_.as_deref());
    match type_.unwrap_or("raft") {
        "raft" => Ok(Store::Raft),
        "sqlite" => Ok(Store::Sqlite),
        "postgres" => Ok(Store::Postgres),
        other => Err(Invalid::new(
            "spec.admin.storage.type",
            format!("{other} is not a store of the admin: use raft, sqlite or postgres"),
        )),
    }
}

/// The backend that the admin keeps its state in.
pub(super) fn database_of<'a>(stack: &'a ResolvedStack, spec: &AdminSpec) -> Option<&'a StackBackend> {
    postgres(stack).filter(|_| store(spec) == Ok(Store::Postgres))
}

fn postgres(stack: &ResolvedStack) -> Option<&StackBackend> {
    let is_postgres =
        |backend: &&StackBackend| backend.spec.type_.as_deref().unwrap_or(&backend.name) == "postgres";
    stack.spec.backends.iter().find(is_postgres)
}

/// The address of the database, from the Secret of the backend of that name.
fn database(stack: &ResolvedStack) -> EnvVar {
    let secret = postgres(stack);
    let own = secret.and_then(|backend| {
        let inner = backend.spec.connection.as_ref().and_then(|connection| connection.secret_ref.as_ref());
        inner.or(backend.spec.secret_ref.as_ref()).cloned()
    });
    let generated = || {
        let name = secret.map_or("postgres", |backend| backend.name.as_str());
        format!("{}-credentials", stack.child_name(name))
    };
    let key = own.as_ref().and_then(|secret| secret.keys.get("url")).map_or("url", String::as_str).to_owned();
    let name = own.map_or_else(generated, |secret| secret.name);
    from_secret("DATABASE_URL", &name, &key)
}

/// The election, if members elect a leader by a Lease.
pub(super) fn elects(spec: &AdminSpec) -> Option<&LeaderElection> {
    spec.leader_election.as_ref().filter(|election| election.enabled.unwrap_or(true))
}

fn standard(program: &mut Program, spec: &AdminSpec, store: Store, peers: i32) {
    let mut args = Vec::new();
    if program.votes {
        let port = program.ports.first().map_or(0, |port| port.number);
        let peers = members(program, peers).map(|(_, host)| format!("{host}:{port}"));
        args.push("--node-id=$(POD_NAME)".to_owned());
        args.push(format!("--peers={}", peers.collect::<Vec<_>>().join(",")));
    }
    match store {
        // The address of a database has a password in it: it stays in the environment, as DATABASE_URL.
        Store::Raft | Store::Postgres => {}
        Store::Sqlite => args.push(format!("--db=sqlite://{DATA_PATH}/admin.db")),
    }
    if let Some(election) = elects(spec) {
        args.push("--leader-elect=true".to_owned());
        args.push(format!("--lease-name={}", program.name));
        let durations = [
            ("lease-duration", &election.lease_duration),
            ("renew-deadline", &election.renew_deadline),
            ("retry-period", &election.retry_period),
        ];
        args.extend(
            durations.into_iter().filter_map(|(flag, value)| Some(format!("--{flag}={}", value.as_ref()?))),
        );
    }
    args.append(&mut program.args);
    program.args = args;
}

/// The released program numbers its members from one, which no field of a pod does: a shell counts.
fn upstream(program: &mut Program, store: Store, peers: i32) {
    program
        .ports
        .extend([Port { name: "http", number: HTTP_PORT }, Port { name: "raft", number: RAFT_PORT }]);
    let port = |name: &str| program.ports.iter().find(|port| port.name == name).map_or(0, |port| port.number);
    let cluster = members(program, peers).map(|(index, host)| format!("{}={host}:{RAFT_PORT}", index + 1));
    let line = format!(
        "exec prism-admin serve --raft-id $((${{POD_NAME##*-}} + 1)) --cluster {} --raft-addr 0.0.0.0 --raft-port {RAFT_PORT} --advertise-addr ${{POD_NAME}}.{}:{RAFT_PORT} --data-dir {DATA_PATH} --grpc-port {} --http-port {HTTP_PORT} --metrics-port {}",
        cluster.collect::<Vec<_>>().join(","),
        program.headless_name(),
        port(CLIENT_PORT),
        port("metrics"),
    );
    let database = match store {
        Store::Raft => String::new(),
        Store::Sqlite => format!(" --db sqlite://{DATA_PATH}/admin.db"),
        Store::Postgres => " --db \"$DATABASE_URL\"".to_owned(),
    };
    let line = format!("{line}{database} \"$@\"");
    program.command = vec!["/bin/sh".to_owned(), "-c".to_owned(), line, "prism-admin".to_owned()];
}

/// Ordinal and host of each member.
fn members(program: &Program, count: i32) -> impl Iterator<Item = (i32, String)> {
    let (name, headless) = (program.name.clone(), program.headless_name());
    (0..count).map(move |index| (index, format!("{name}-{index}.{headless}")))
}

/// Whether the log would be lost with the Deployment that the admin runs as now.
pub(super) fn leaves_a_log_behind(spec: &AdminSpec, program: &Program, facts: &ProgramFacts) -> bool {
    program.votes && facts.deployment.is_some() && store(spec) != Ok(Store::Postgres)
}
