//! What an integration test starts from: a client, a namespace of its own, waiting without sleeping.

use std::fmt;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

use crate::audit::AuditLog;
use crate::cluster::Cluster;
use crate::error::{Error, Result};

/// Group whose members have the bodies of their requests written to the audit log.
pub const AUDITED_GROUP: &str = "prism:audited";

/// A namespace is usable within this time.
const NAMESPACE_TIMEOUT: Duration = Duration::from_secs(30);
/// Pauses between two attempts of [`eventually`]: short at first.
const PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(200)];

/// The cluster under which a test runs, and the administrator's view of it.
pub struct Testbed {
    cluster: Cluster,
    config: Config,
    client: Client,
}

impl Testbed {
    /// The cluster of `testbed run`.
    ///
    /// # Errors
    /// [`Error::NotUnderTestbed`] when the test was started without one.
    pub async fn from_env() -> Result<Self> {
        let folder = std::env::var_os("PRISM_TEST_DIR").ok_or(Error::NotUnderTestbed)?;
        let cluster = Cluster::attach(Path::new(&folder))?;
        let config = cluster.config().await?;
        let client = Client::try_from(config.clone())?;
        Ok(Self { cluster, config, client })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The administrator's client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The audit log.
    pub fn audit(&self) -> Result<AuditLog> {
        self.cluster.audit()
    }

    /// A new namespace, see [`TestNamespace::create`].
    pub async fn namespace(&self, prefix: &str) -> Result<TestNamespace> {
        TestNamespace::create(&self.config, prefix).await
    }
}

/// A namespace for one test. Dropping it asks the cluster to delete it, and does not wait.
pub struct TestNamespace {
    name: String,
    config: Config,
    client: Client,
}

impl TestNamespace {
    /// Creates a namespace with a new name that begins with `prefix`, and returns when pods can be
    /// created in it: its default service account exists. Works against any cluster.
    pub async fn create(config: &Config, prefix: &str) -> Result<Self> {
        let name = format!("{prefix}-{}", unique());
        let mut config = config.clone();
        config.default_namespace.clone_from(&name);
        let client = Client::try_from(config.clone())?;
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        let this = Self { name, config, client };
        let what = format!("the default service account of namespace {}", this.name);
        until(&this.api::<ServiceAccount>(), "default", &what, NAMESPACE_TIMEOUT, |account| {
            account.map(drop).ok_or_else(|| "it does not exist".to_owned())
        })
        .await
        .map_err(|late| Error::NotReady {
            what,
            seconds: NAMESPACE_TIMEOUT.as_secs(),
            last: late.last,
        })?;
        Ok(this)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The administrator's client, with this as its default namespace.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Objects of a kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.name)
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        // The test's runtime is about to end and runs nothing any more: a runtime of our own does.
        let (config, name) = (self.config.clone(), self.name.clone());
        let deletion = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let namespaces: Api<Namespace> = Api::all(Client::try_from(config).ok()?);
                let parameters = DeleteParams::background();
                let deletion = namespaces.delete(&name, &parameters);
                tokio::time::timeout(Duration::from_secs(2), deletion).await.ok()?.ok()
            })
        });
        // Best effort: the whole cluster goes away soon.
        let _ = deletion.join();
    }
}

/// Something did not come about in time. Shown as a sentence, also by `unwrap`.
pub struct TimedOut {
    description: String,
    timeout: Duration,
    /// What was the matter at the last look.
    pub last: String,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { description, timeout, last } = self;
        write!(f, "{description}: not within {:.1} s; in the end: {last}", timeout.as_secs_f64())
    }
}

impl fmt::Debug for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for TimedOut {}

/// Asks again and again until `look` succeeds; its error says, in the product's words, what is still
/// missing. For one object use [`until`], which is told of changes instead of asking.
///
/// ```no_run
/// # use std::time::Duration;
/// # async fn example() -> Result<(), prism_testbed::TimedOut> {
/// let replicas = prism_testbed::eventually("the consumer scales up", Duration::from_secs(20), async || {
///     let replicas = 3; // … read from the cluster
///     if replicas > 1 { Ok(replicas) } else { Err(format!("it has {replicas} replicas")) }
/// })
/// .await?;
/// # Ok(())
/// # }
/// ```
pub async fn eventually<T>(
    description: &str,
    timeout: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, TimedOut> {
    let deadline = Instant::now() + timeout;
    let mut pause = PAUSES[0];
    let mut last = "nothing was seen".to_owned();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, look()).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(reason)) => last = reason,
            // Cut short: what was the matter at the look before still is.
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(TimedOut { description: description.to_owned(), timeout, last });
        }
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(PAUSES[1]);
    }
}

/// Watches one object until `look` succeeds on it; `look` is given `None` while the object does not
/// exist, and its error says what is still missing. Asks once and is told of changes after that.
pub async fn until<K, T>(
    api: &Api<K>,
    name: &str,
    description: &str,
    timeout: Duration,
    mut look: impl FnMut(Option<&K>) -> Result<T, String>,
) -> Result<T, TimedOut>
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
{
    let mut last = "nothing was seen".to_owned();
    let found = tokio::time::timeout(timeout, async {
        let changes = watcher::watch_object(api.clone(), name).default_backoff();
        let mut changes = pin!(changes);
        loop {
            match changes.next().await {
                Some(Ok(object)) => match look(object.as_ref()) {
                    Ok(found) => return found,
                    Err(reason) => last = reason,
                },
                Some(Err(error)) => last = error.to_string(),
                None => std::future::pending().await,
            }
        }
    })
    .await;
    found.map_err(|_| TimedOut { description: description.to_owned(), timeout, last })
}

/// A few characters that no other test, in whatever process, comes up with.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{count:x}", now.as_millis() & 0xfff_ffff, std::process::id())
}
