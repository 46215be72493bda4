//! NATS with `JetStream`: one server, or a cluster of several.

use super::{
    Wish,
    environment::{from_pod, from_secret},
    pod_host,
    probe::{http, probes},
    product::Product,
};
use crate::{
    backend::secret,
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
const LOGIN: &str = "$(NATS_USERNAME):$(NATS_PASSWORD)";

#[expect(clippy::unnecessary_wraps, reason = "other products refuse some wishes")]
fn fill(program: &mut Program, wish: &Wish<'_>) -> Result<(), Invalid> {
    program.env = vec![
        from_pod("POD_NAME", "metadata.name"),
        from_secret("NATS_USERNAME", wish.secret, secret::USERNAME),
        from_secret("NATS_PASSWORD", wish.secret, secret::PASSWORD),
    ];
    program.args = vec![
        // Data belongs to a name, which must be the same after a restart.
        "--server_name=$(POD_NAME)".to_owned(),
        "--jetstream".to_owned(),
        format!("--store_dir={}", PRODUCT.data_path),
        "--http_port=8222".to_owned(),
        "--user=$(NATS_USERNAME)".to_owned(),
        "--pass=$(NATS_PASSWORD)".to_owned(),
    ];
    if program.replicas > 1 {
        let route = |ordinal| format!("nats://{LOGIN}@{}:{CLUSTER_PORT}", pod_host(program, ordinal));
        let routes: Vec<_> = (0..program.replicas).map(route).collect();
        program.args.extend([
            format!("--cluster_name={}", program.name),
            format!("--cluster=nats://{LOGIN}@0.0.0.0:{CLUSTER_PORT}"),
            format!("--routes={}", routes.join(",")),
        ]);
    }
    // Neither waits for streams: one that has lost its quorum must not take the others out of service.
    program.probes = probes(
        http("monitor", "/healthz?js-server-only=true"),
        http("monitor", "/healthz?js-enabled-only=true"),
    );
    Ok(())
}
