//! `MinIO`: one server, or a set of four or more that keep each other's data.

use prism_api::labels;

use super::{
    REPLICAS, Wish, pod_host,
    probe::{http, probes},
    product::Product,
};
use crate::{
    backend::secret,
    environment::{from_secret, literal},
    invalid::Invalid,
    program::{Port, Program},
};

/// Servers that a set needs at least.
const SMALLEST_SET: i32 = 4;

pub(super) const PRODUCT: Product = Product {
    repository: "docker.io/minio/minio",
    tag: "RELEASE.2024-12-18T13-15-44Z",
    user: 1000,
    data_path: "/data",
    ports: &[Port { name: "s3", number: 9000 }, Port { name: "console", number: 9001 }],
    username: "prism",
    has_database: false,
    secret_data: |_| Vec::new(),
    fill,
};

fn fill(program: &mut Program, wish: &Wish<'_>) -> Result<(), Invalid> {
    let members = members(program.replicas, wish.members)?;
    if let Some(members) = members {
        program.annotations.insert(labels::MEMBERS.to_owned(), members.to_string());
    }
    let data = match members {
        Some(members) if members > 1 => {
            let hosts = format!("{{0...{}}}", members - 1);
            format!("http://{}:9000{}", pod_host(program, hosts), PRODUCT.data_path)
        }
        _ => PRODUCT.data_path.to_owned(),
    };
    program.args = vec!["server".to_owned(), data, "--console-address=:9001".to_owned()];
    program.env = vec![
        from_secret("MINIO_ROOT_USER", wish.secret, secret::USERNAME),
        from_secret("MINIO_ROOT_PASSWORD", wish.secret, secret::PASSWORD),
        // Otherwise a set takes volumes that are folders of the node for the system's own disk, and
        // leaves them alone. No disk is as small as this, so none is the system's.
        literal("MINIO_ROOTDRIVE_THRESHOLD_SIZE", "1B"),
    ];
    program.probes = probes(http("s3", "/minio/health/ready"), http("s3", "/minio/health/live"));
    Ok(())
}

/// How many servers share the data: as many as there were at first, for the data is laid out for
/// them. None while there never were any.
fn members(replicas: i32, known: Option<i32>) -> Result<Option<i32>, Invalid> {
    let refused = |advice: String| Err(Invalid::new(REPLICAS, advice));
    match (replicas, known) {
        (0, known) => Ok(known),
        (replicas, Some(known)) if replicas != known => refused(format!(
            "the data of minio is laid out for {known} servers: set it back to {known}, or to 0 to pause them, or move the data to a new backend"
        )),
        (replicas, _) if replicas > 1 && replicas < SMALLEST_SET => refused(format!(
            "minio runs as 1 server or as {SMALLEST_SET} and more: set it to 1 or {SMALLEST_SET}"
        )),
        // Data is spread over sets of equal size, of sixteen servers at most.
        (replicas, _) if replicas > 1 && (2..=16).all(|size| replicas % size != 0) => refused(format!(
            "minio cannot divide {replicas} servers into sets of equal size: choose a multiple of 4"
        )),
        (replicas, _) => Ok(Some(replicas)),
    }
}
