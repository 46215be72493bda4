//! What stories about scaling by metrics start from: a namespace with an operator that trusts an admin of
//! its own.

use std::{
    fmt::Debug,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::apps::v1::{Deployment, StatefulSet},
};
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, watcher},
};
use prism_admin::{Admin, Store, Tls};
use prism_api::scaling::ScalingDecision;
use prism_operator::{Config, Trust};
use prism_proto::prism::metrics::v1::{
    Aggregation, Measurement, MetricDescriptor, PatternRef, ReportRequest, Unit,
};
use prism_testbed::{eventually, until};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{PATIENCE, Story, quick};

pub(crate) const LAG: &str = "pattern.consumer.lag";
/// File of the certificate that operators trust.
const AUTHORITY: &str = "ca.crt";

/// An admin that is asked for metrics, and who signs for it.
pub(crate) struct Gauge {
    admin: Option<Admin>,
    address: SocketAddr,
    identity: (String, String),
    /// Holds the certificate that operators trust.
    folder: tempfile::TempDir,
    /// What is told again and again, as runners do: a value that is a minute old counts for nothing.
    told: Arc<Mutex<Told>>,
    teller: JoinHandle<()>,
}

/// To whom something is told, and what.
#[derive(Default)]
struct Told {
    store: Option<Arc<Store>>,
    reports: Vec<ReportRequest>,
}

impl Told {
    fn tell(&mut self) {
        let now = SystemTime::now();
        for report in &mut self.reports {
            for measurement in &mut report.measurements {
                measurement.measured_at = Some(now.into());
            }
            if let Some(store) = &self.store {
                store.report(report.clone(), now).unwrap();
            }
        }
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.teller.abort();
    }
}

impl Gauge {
    pub(crate) async fn start() -> Self {
        let (authority, identity) = certificates();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(AUTHORITY), authority).unwrap();
        let tls = Tls::from_pem(identity.0.clone(), identity.1.clone());
        let admin = Admin::builder().tls(tls).start().await.unwrap();
        let store = Some(admin.store().clone());
        let told = Arc::new(Mutex::new(Told { store, reports: Vec::new() }));
        let teller = tokio::spawn(tell_on(told.clone()));
        Self { address: admin.address(), admin: Some(admin), identity, folder, told, teller }
    }

    /// What an operator has to trust.
    pub(crate) fn trust(&self) -> Trust {
        Trust { ca_file: Some(self.folder.path().join(AUTHORITY)) }
    }

    /// Host and port, as a spec names them.
    pub(crate) fn endpoint(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn admin(&self) -> &Admin {
        self.admin.as_ref().unwrap()
    }

    /// Breaks all connections at once, like a process that is killed.
    pub(crate) async fn kill(&mut self) {
        *self.told.lock().unwrap() = Told::default();
        self.admin.take().unwrap().kill().await.unwrap();
    }

    /// The same admin again, at the same address; it has forgotten everything.
    pub(crate) async fn restart(&mut self) {
        let tls = Tls::from_pem(self.identity.0.clone(), self.identity.1.clone());
        let admin = Admin::builder().listen(self.address).tls(tls).start().await.unwrap();
        self.told.lock().unwrap().store = Some(admin.store().clone());
        self.admin = Some(admin);
    }

    /// What the one instance of a pattern reports from now on, good for an hour.
    pub(crate) fn report(&self, pattern: PatternRef, metric: &str, value: f64) {
        let now = SystemTime::now();
        let descriptor = MetricDescriptor {
            name: metric.to_owned(),
            unit: Unit::Messages.into(),
            aggregation: Aggregation::Sum.into(),
            help: "Told by a story.".to_owned(),
        };
        let measurement = Measurement { metric: Some(descriptor), value, measured_at: Some(now.into()) };
        let report = ReportRequest {
            pattern: Some(pattern),
            instance: "one".to_owned(),
            stale_after: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
            measurements: vec![measurement],
        };
        let mut told = self.told.lock().unwrap();
        let is_other = |known: &ReportRequest| {
            let metric = |report: &ReportRequest| report.measurements[0].metric.clone();
            known.pattern != report.pattern || metric(known) != metric(&report)
        };
        told.reports.retain(is_other);
        told.reports.push(report);
        told.tell();
    }

    /// An autoscaling block by the lag, with `more` in it.
    pub(crate) fn by_lag(&self, min: i32, max: i32, target: &str, more: &Value) -> Value {
        let mut block = json!({
            "scaler": "admin", "minReplicas": min, "maxReplicas": max, "pollingInterval": 1,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
            "metrics": [{"type": "AdminMetric", "adminMetric": {
                "metricName": LAG, "endpoint": self.endpoint(), "target": {"averageValue": target},
            }}],
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            block[key] = value.clone();
        }
        block
    }
}

/// A story with an operator that trusts an admin of its own.
pub(crate) struct Gauged {
    pub(crate) story: Story,
    pub(crate) gauge: Gauge,
}

impl Gauged {
    pub(crate) async fn begin(name: &str) -> Self {
        let gauge = Gauge::start().await;
        let mut story = Story::prepare(name).await;
        story.start_operator_with(Config { trust: gauge.trust(), ..quick() }).await;
        Self { story, gauge }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.gauge.endpoint()
    }

    pub(crate) fn by_lag(&self, min: i32, max: i32, target: &str, more: &Value) -> Value {
        self.gauge.by_lag(min, max, target, more)
    }

    pub(crate) fn report(&self, pattern: &str, metric: &str, value: f64) {
        self.gauge.report(PatternRef::new(self.story.namespace.name(), pattern), metric, value);
    }

    pub(crate) fn lag(&self, pattern: &str, value: f64) {
        self.report(pattern, LAG, value);
    }

    /// Waits until the pattern's record of its last decision is as `is_so` wants it.
    pub(crate) async fn decision(
        &self,
        name: &str,
        what: &str,
        is_so: impl Fn(&ScalingDecision) -> bool,
    ) -> ScalingDecision {
        let pattern = self.story.pattern(name, what, |pattern| {
            pattern.status.as_ref().and_then(|status| status.scaling.as_ref()).is_some_and(&is_so)
        });
        pattern.await.status.unwrap().scaling.unwrap()
    }

    pub(crate) async fn runs<K: Scaled>(&self, name: &str, replicas: i32) {
        runs::<K>(&self.story, name, replicas).await;
    }

    /// Waits until the operator has looked at the workload twice from now on: the second of these looks has
    /// read its metrics after this call.
    pub(crate) async fn looked(&self, workload: &str) {
        let mark = self.story.mark();
        let looks = || {
            let requests = self.story.requests_since(mark);
            let is_look = |verb: &str, name: &str| verb == "get" && name == workload;
            requests.iter().filter(|request| is_look(&request.verb, &request.name)).count()
        };
        let twice = async || match looks() {
            0 | 1 => Err("it has not looked twice".to_owned()),
            _ => Ok(()),
        };
        eventually("the operator looks", PATIENCE, twice).await.unwrap();
    }
}

/// Waits until the spec of the workload has that many replicas.
pub(crate) async fn runs<K: Scaled>(story: &Story, name: &str, replicas: i32) {
    let what = format!("{name} has {replicas} replicas");
    let api: Api<K> = story.api();
    let look = until(&api, name, &what, PATIENCE, |workload| {
        let found = workload.map(Scaled::wanted);
        if found == Some(replicas) { Ok(()) } else { Err(format!("it has {found:?}")) }
    });
    Box::pin(look).await.unwrap();
}

/// A workload that has replicas.
pub(crate) trait Scaled:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static
{
    fn wanted(&self) -> i32;
}

impl Scaled for Deployment {
    fn wanted(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }
}

impl Scaled for StatefulSet {
    fn wanted(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }
}

/// Every number of replicas that a watch has seen, one after the other.
pub(crate) struct Path {
    seen: Arc<Mutex<Vec<i32>>>,
    task: JoinHandle<()>,
}

impl Path {
    pub(crate) fn of<K: Scaled>(api: Api<K>, name: &str) -> Self {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let numbers = seen.clone();
        let task = tokio::spawn(async move {
            let mut objects = std::pin::pin!(watcher(api, config).default_backoff().applied_objects());
            while let Some(event) = objects.next().await {
                let Ok(workload) = event else { continue };
                let mut numbers = numbers.lock().unwrap();
                if numbers.last() != Some(&workload.wanted()) {
                    numbers.push(workload.wanted());
                }
            }
        });
        Self { seen, task }
    }

    /// Waits until the watch has seen `last`, and returns all that it has seen.
    pub(crate) async fn until(&self, last: i32) -> Vec<i32> {
        let seen = async || {
            let seen = self.seen.lock().unwrap().clone();
            if seen.last() == Some(&last) { Ok(seen) } else { Err(format!("{seen:?}")) }
        };
        eventually("the watch has seen it", PATIENCE, seen).await.unwrap()
    }

    pub(crate) fn end(self) -> Vec<i32> {
        self.task.abort();
        self.seen.lock().unwrap().clone()
    }
}

/// Tells the same again, often enough for it never to be old.
async fn tell_on(told: Arc<Mutex<Told>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        told.lock().unwrap().tell();
    }
}

/// Certificate of an authority, and certificate and key of a server on loopback: PEM.
fn certificates() -> (String, (String, String)) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "authority of a story");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    (authority.pem(), (certificate.pem(), key.serialize_pem()))
}
