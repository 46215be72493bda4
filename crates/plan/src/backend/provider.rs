//! What is known of the products that backends are.

/// Backends that live inside the runner and need no address.
pub(crate) const SELF_CONTAINED: [&str; 2] = ["memstore", "sqlite"];

/// Words for what a backend is for, in place of what it is.
const CATEGORIES: [&str; 4] = ["messaging", "database", "cache", "storage"];

/// The port that each product listens on by default.
const DEFAULT_PORTS: [(&str, i32); 7] = [
    ("redis", 6379),
    ("nats", 4222),
    ("kafka", 9092),
    ("postgres", 5432),
    ("mysql", 3306),
    ("minio", 9000),
    ("rabbitmq", 5672),
];

/// Whether `word` says what a backend is for, and not what it is.
pub(super) fn is_category(word: &str) -> bool {
    CATEGORIES.contains(&word)
}

/// The port that the provider listens on by default.
pub(super) fn default_port(provider: &str) -> Option<i32> {
    DEFAULT_PORTS.iter().find(|(product, _)| *product == provider).map(|(_, port)| *port)
}

/// The product that is spoken to by addresses of that scheme; none for schemes that say nothing
/// about it.
pub(super) fn of_scheme(scheme: &str) -> Option<&str> {
    match scheme {
        "rediss" => Some("redis"),
        "postgresql" => Some("postgres"),
        "amqp" | "amqps" => Some("rabbitmq"),
        "tls" => Some("nats"),
        "" => None,
        other => Some(other),
    }
}

/// The scheme that clients of the provider expect; none for those that take host and port.
pub(super) fn scheme(provider: &str) -> Option<&str> {
    match provider {
        "redis" | "nats" | "postgres" | "mysql" => Some(provider),
        "rabbitmq" => Some("amqp"),
        "minio" | "s3" => Some("http"),
        _ => None,
    }
}
