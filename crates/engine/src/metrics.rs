//! Prometheus metrics of the machinery.

use std::{sync::Mutex, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::object::Kind;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ControllerLabel {
    controller: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResourceLabel {
    resource_type: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TaskLabel {
    task: String,
}

type Seconds = Family<ControllerLabel, Histogram, fn() -> Histogram>;

/// Counts and timings; every method is cheap and never fails.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    reconcile_seconds: Seconds,
    reconcile_success: Family<ControllerLabel, Counter>,
    reconcile_errors: Family<ControllerLabel, Counter>,
    created: Family<ResourceLabel, Counter>,
    updated: Family<ResourceLabel, Counter>,
    deleted: Family<ResourceLabel, Counter>,
    requests: Family<VerbLabel, Counter>,
    timeouts: Family<VerbLabel, Counter>,
    unreadable: Family<ResourceLabel, Counter>,
    panics: Family<TaskLabel, Counter>,
    queue_depth: Gauge,
    is_leader: Gauge,
}

impl Metrics {
    /// Metrics whose names begin with `prefix` and an underscore.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        let mut root = Registry::default();
        let registry = root.sub_registry_with_prefix(prefix);
        let reconcile_seconds: Seconds =
            Family::new_with_constructor(|| Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]));
        registry.register(
            "reconcile_duration_seconds",
            "Time of one look at an object",
            reconcile_seconds.clone(),
        );
        let mut counter = |name: &str, help: &str| registered(registry, name, help, Family::default());
        let reconcile_success = counter("reconcile_success", "Looks that ended well");
        let reconcile_errors = counter("reconcile_errors", "Looks that have to be repeated");
        let mut counter = |name: &str, help: &str| registered(registry, name, help, Family::default());
        let created = counter("resource_created", "Children that were created");
        let updated = counter("resource_updated", "Children that were changed or repaired");
        let deleted = counter("resource_deleted", "Children that were deleted");
        let requests = registered(registry, "api_requests", "Requests to the API server", Family::default());
        let help = "Requests that the API server did not answer in time";
        let timeouts = registered(registry, "api_timeouts", help, Family::default());
        let help = "Objects in lists and watches that could not be read";
        let unreadable = registered(registry, "unreadable_objects", help, Family::default());
        let help = "Tasks that panicked, and were started again";
        let panics = registered(registry, "task_panics", help, Family::default());
        let queue_depth =
            registered(registry, "queue_depth", "Objects waiting for a worker", Gauge::default());
        let is_leader =
            registered(registry, "leader", "1 while this process holds the lease", Gauge::default());
        Self {
            registry: Mutex::new(root),
            reconcile_seconds,
            reconcile_success,
            reconcile_errors,
            created,
            updated,
            deleted,
            requests,
            timeouts,
            unreadable,
            panics,
            queue_depth,
            is_leader,
        }
    }

    /// Adds metrics that are read when somebody scrapes; their names get no prefix.
    pub fn collect(&self, collector: Box<dyn Collector>) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register_collector(collector);
    }

    /// A look at an object of `kind` took `time`.
    pub fn reconciled(&self, kind: Kind, time: Duration, is_ok: bool) {
        let label = ControllerLabel { controller: kind.name.to_lowercase() };
        self.reconcile_seconds.get_or_create(&label).observe(time.as_secs_f64());
        let count = if is_ok { &self.reconcile_success } else { &self.reconcile_errors };
        count.get_or_create(&label).inc();
    }

    /// A child of `kind` was created.
    pub fn created(&self, kind: Kind) {
        self.created.get_or_create(&resource(kind)).inc();
    }

    /// A child of `kind` was changed.
    pub fn updated(&self, kind: Kind) {
        self.updated.get_or_create(&resource(kind)).inc();
    }

    /// A child of `kind` was deleted.
    pub fn deleted(&self, kind: Kind) {
        self.deleted.get_or_create(&resource(kind)).inc();
    }

    /// A request was sent to the API server.
    pub fn requested(&self, verb: &'static str) {
        self.requests.get_or_create(&VerbLabel { verb }).inc();
    }

    /// The API server did not answer in time.
    pub fn timed_out(&self, verb: &'static str) {
        self.timeouts.get_or_create(&VerbLabel { verb }).inc();
    }

    /// An object in the list or watch of `plural` cannot be read.
    pub fn unreadable(&self, plural: &str) {
        self.unreadable.get_or_create(&ResourceLabel { resource_type: plural.to_owned() }).inc();
    }

    /// The task of that name panicked.
    pub fn panicked(&self, task: &str) {
        self.panics.get_or_create(&TaskLabel { task: task.to_owned() }).inc();
    }

    /// This process holds the lease, or no longer does.
    pub fn leads(&self, is_leader: bool) {
        self.is_leader.set(i64::from(is_leader));
    }

    /// All metrics in the `OpenMetrics` text format; `queue_depth` is measured by the caller.
    ///
    /// # Errors
    /// When a label cannot be written as text.
    pub fn encode(&self, queue_depth: usize) -> Result<String, std::fmt::Error> {
        self.queue_depth.set(i64::try_from(queue_depth).unwrap_or(i64::MAX));
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn resource(kind: Kind) -> ResourceLabel {
    ResourceLabel { resource_type: kind.name.to_lowercase() }
}

fn registered<M>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M
where
    M: prometheus_client::registry::Metric + Clone,
{
    registry.register(name, help, metric.clone());
    metric
}
