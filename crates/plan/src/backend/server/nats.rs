//! NATS with `JetStream`: one server, or a cluster of several.

use prism_api::labels;

use super::{
    REPLICAS, Wish, pod_host,
    probe::{http, probes},
    product::Product,
};
use crate::{
    backend::secret,
    environment::{from_pod, from_secret},
    invalid::Invalid,
    program::{Port, Program},
};

const CLUSTER_PORT: i32 = 6222;

pub(super) const PRODUCT: Product = Product {
    repository: "docker.io/library/nats",
    tag: "2.10.24-alpine",
    user: 1000,
    data_path: "/data",
    ports: &[
        Port { name: "nats", number: 4222 },
        Port { name: "monitor", number: 8222 },
        Port { name: "cluster", number: CLUSTER_PORT },
    ],
    username: "prism",
    has_database: false,
    secret_data: |_| Vec::new(),
    fill,
};

/// What servers log in to each other with: the credentials of clients serve.
const LOGIN: &str = "$NATS_USERNAME:$NATS_PASSWORD";

fn fill(program: &mut Program, wish: &Wish<'_>) -> Result<(), Invalid> {
    let servers = servers(program.replicas, wish.members.filter(|_| wish.keeps_data))?;
    let members = wish.members.filter(|_| wish.keeps_data).or(Some(servers).filter(|servers| *servers > 0));
    program.annotations.extend(members.map(|members| (labels::MEMBERS.to_owned(), members.to_string())));
    program.env = vec![
        from_pod("POD_NAME", "metadata.name"),
        from_secret("NATS_USERNAME", wish.secret, secret::USERNAME),
        from_secret("NATS_PASSWORD", wish.secret, secret::PASSWORD),
    ];
    // Data belongs to a name, which must be the same after a restart.
    let mut config = vec![
        "server_name: \"$POD_NAME\"".to_owned(),
        "port: 4222".to_owned(),
        "http_port: 8222".to_owned(),
        format!("jetstream {{ store_dir: \"{}\" }}", PRODUCT.data_path),
        "authorization { user: \"$NATS_USERNAME\", password: \"$NATS_PASSWORD\" }".to_owned(),
    ];
    if servers > 1 {
        let route = |ordinal| format!("\"nats://{LOGIN}@{}:{CLUSTER_PORT}\"", pod_host(program, ordinal));
        let routes: Vec<_> = (0..servers).map(route).collect();
        config.push(format!(
            "cluster {{ name: \"{}\", listen: \"0.0.0.0:{CLUSTER_PORT}\", authorization {{ user: \"$NATS_USERNAME\", password: \"$NATS_PASSWORD\" }}, routes: [{}] }}",
            program.name,
            routes.join(", ")
        ));
    }
    // On standard input: arguments would show the password in the list of processes.
    let script = format!("exec nats-server --config /dev/stdin <<END\n{}\nEND\n", config.join("\n"));
    program.command = ["sh", "-c"].map(str::to_owned).into();
    program.args = vec![script];
    // Neither waits for streams: one that has lost its quorum must not take the others out of service.
    program.probes = probes(
        http("monitor", "/healthz?js-server-only=true"),
        http("monitor", "/healthz?js-enabled-only=true"),
    );
    Ok(())
}

/// How many servers know of each other; while none is wanted, as many as there were at first. `known`
/// are those that the volumes come from: a cluster deletes streams that it does not know, and those
/// of a server that was alone are none of its.
fn servers(replicas: i32, known: Option<i32>) -> Result<i32, Invalid> {
    let refused = |advice: String| Err(Invalid::new(REPLICAS, advice));
    match (replicas, known) {
        (0, known) => Ok(known.unwrap_or(0)),
        (2.., Some(1)) => refused(
            "a cluster of nats servers would lose the streams of the one that runs: set it back to 1, or make a new backend and copy them".to_owned(),
        ),
        (1, Some(known)) if known > 1 => refused(format!(
            "one nats server cannot read the streams of a cluster alone: set it back to {known}, or to 0 to pause them"
        )),
        (replicas, _) => Ok(replicas),
    }
}
