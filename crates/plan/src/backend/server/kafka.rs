//! Kafka without `ZooKeeper`: brokers, of which the first ones are controllers too.

use prism_api::labels;
use sha2::{Digest, Sha256};

use super::{
    REPLICAS, Wish, pod_host,
    probe::{probes, tcp},
    product::Product,
};
use crate::{
    backend::secret,
    environment::{expanding, from_pod, from_secret},
    invalid::Invalid,
    program::{Port, Program, quorum::quorum},
};

const CLIENT_PORT: i32 = 9092;
const CONTROLLER_PORT: i32 = 9093;

/// Key of the Secret with the id of the cluster.
const CLUSTER_ID: &str = "cluster-id";
/// Controllers at most: three survive the loss of one, and more make every change slower.
const MOST_VOTERS: i32 = 3;
/// Copies of each partition at most.
const MOST_COPIES: i32 = 3;

pub(super) const PRODUCT: Product = Product {
    repository: "docker.io/apache/kafka",
    tag: "3.9.0",
    user: 1000,
    data_path: "/var/lib/kafka/data",
    ports: &[
        Port { name: "kafka", number: CLIENT_PORT },
        Port { name: "controller", number: CONTROLLER_PORT },
    ],
    username: "prism",
    has_database: false,
    // Beside the password, so that it stays as long as the data does.
    secret_data: |uid| vec![(CLUSTER_ID, cluster_id(uid))],
    fill,
};

fn fill(program: &mut Program, wish: &Wish<'_>) -> Result<(), Invalid> {
    let voters = voters(program.replicas, wish.members)?;
    program.annotations.insert(labels::MEMBERS.to_owned(), voters.to_string());
    program.command = ["bash", "-c"].map(str::to_owned).into();
    program.args = vec![start_script(voters)];
    program.env = vec![
        from_pod("POD_NAME", "metadata.name"),
        // The image makes a setting of every variable that begins with KAFKA: these are not settings.
        from_secret("LOGIN_USERNAME", wish.secret, secret::USERNAME),
        from_secret("LOGIN_PASSWORD", wish.secret, secret::PASSWORD),
        from_secret("CLUSTER_ID", wish.secret, CLUSTER_ID),
        from_pod("KAFKA_NODE_ID", "metadata.labels['apps.kubernetes.io/pod-index']"),
    ];
    program.env.extend(settings(program, voters).into_iter().map(|(name, value)| expanding(name, value)));
    program.probes = probes(tcp("kafka"), tcp("kafka"));
    Ok(())
}

/// Only the first pods are controllers, and only controllers may have the port of controllers.
fn start_script(voters: i32) -> String {
    format!(
        r#"if [ "$KAFKA_NODE_ID" -lt {voters} ]; then
  export KAFKA_PROCESS_ROLES=broker,controller
  export KAFKA_LISTENERS=CLIENT://:{CLIENT_PORT},CONTROLLER://:{CONTROLLER_PORT}
else
  export KAFKA_PROCESS_ROLES=broker
  export KAFKA_LISTENERS=CLIENT://:{CLIENT_PORT}
fi
exec /etc/kafka/docker/run
"#
    )
}

fn settings(program: &Program, voters: i32) -> Vec<(&'static str, String)> {
    let host = |ordinal| pod_host(program, ordinal);
    let quorum: Vec<_> =
        (0..voters).map(|ordinal| format!("{ordinal}@{}:{CONTROLLER_PORT}", host(ordinal))).collect();
    let advertised =
        format!("CLIENT://$(POD_NAME).{}.{}.svc:{CLIENT_PORT}", program.headless_name(), program.namespace);
    let copies = program.replicas.clamp(1, MOST_COPIES);
    // One copy may be missing where there are three, so that servers can be replaced.
    let in_sync = if copies < MOST_COPIES { 1 } else { copies - 1 };
    let text = str::to_owned;
    vec![
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", quorum.join(",")),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", text("CONTROLLER")),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", text("CLIENT")),
        ("KAFKA_ADVERTISED_LISTENERS", advertised),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", text("CLIENT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT")),
        ("KAFKA_SASL_ENABLED_MECHANISMS", text("PLAIN")),
        ("KAFKA_SASL_MECHANISM_INTER_BROKER_PROTOCOL", text("PLAIN")),
        ("KAFKA_SASL_MECHANISM_CONTROLLER_PROTOCOL", text("PLAIN")),
        ("KAFKA_LISTENER_NAME_CLIENT_PLAIN_SASL_JAAS_CONFIG", login_module()),
        ("KAFKA_LISTENER_NAME_CONTROLLER_PLAIN_SASL_JAAS_CONFIG", login_module()),
        // A folder below the volume: Kafka stops at a folder it does not know, and the top of a volume
        // has one of the file system's.
        ("KAFKA_LOG_DIRS", format!("{}/logs", PRODUCT.data_path)),
        ("KAFKA_DEFAULT_REPLICATION_FACTOR", copies.to_string()),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", copies.to_string()),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", copies.to_string()),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", in_sync.to_string()),
        ("KAFKA_MIN_INSYNC_REPLICAS", in_sync.to_string()),
    ]
}

/// Who may log in, and what servers log in to each other with. The kubelet fills the names in.
fn login_module() -> String {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let own = r#"username="$(LOGIN_USERNAME)" password="$(LOGIN_PASSWORD)""#;
    format!(r#"{module} {own} user_$(LOGIN_USERNAME)="$(LOGIN_PASSWORD)";"#)
}

/// How many servers are controllers: as many as at first, for the controllers keep a list of each
/// other that a restart cannot change.
fn voters(replicas: i32, known: Option<i32>) -> Result<i32, Invalid> {
    let voters = known.unwrap_or(if replicas < MOST_VOTERS { 1 } else { MOST_VOTERS });
    if replicas > 0 && replicas < quorum(voters) {
        return Err(Invalid::new(
            REPLICAS,
            format!(
                "{} of the {voters} controllers must run to agree on anything: set it to at least {voters}, or to 0 to pause them all",
                quorum(voters)
            ),
        ));
    }
    Ok(voters)
}

/// The id that all servers of one cluster share: sixteen bytes in the base64 of URLs, without padding
/// (RFC 4648, section 5), as Kafka writes it.
fn cluster_id(uid: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sum = Sha256::digest(uid.as_bytes());
    let bytes = sum.iter().take(16);
    let number = bytes.fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    // The first bit is left out, so that the id never begins with a hyphen, as an option would.
    let number = number & (u128::MAX >> 1);
    let digit = |place: u32| {
        let shift = 122_i64 - 6 * i64::from(place);
        let bits = if shift >= 0 { number >> shift } else { number << -shift };
        char::from(DIGITS[usize::try_from(bits & 63).unwrap_or_default()])
    };
    (0..22).map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn the_id_of_the_cluster_follows_from_the_uid() {
        assert_eq!(cluster_id("one"), cluster_id("one"));
        assert_ne!(cluster_id("one"), cluster_id("two"));
        assert_eq!(cluster_id("one").len(), 22);
    }

    #[rstest]
    #[case::one(1, None, Some(1))]
    #[case::two_brokers_have_one_controller(2, None, Some(1))]
    #[case::three(3, None, Some(3))]
    #[case::many_brokers_have_three_controllers(9, None, Some(3))]
    #[case::growing_keeps_the_controllers(5, Some(1), Some(1))]
    #[case::a_majority_is_enough(2, Some(3), Some(3))]
    #[case::less_is_refused(1, Some(3), None)]
    #[case::a_pause_is_not(0, Some(3), Some(3))]
    fn controllers(#[case] replicas: i32, #[case] known: Option<i32>, #[case] expected: Option<i32>) {
        assert_eq!(voters(replicas, known).ok(), expected);
    }
}
