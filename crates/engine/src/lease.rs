//! Leadership: a Lease with a deadline that this process keeps by its own clock.
//!
//! A leader that cannot renew stops writing at `renew_deadline`, before any other process may
//! consider the lease free at `duration`. A standby counts from when it saw the lease change, so
//! the clocks of two machines are never compared.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::{describe, has_code};

/// How a lease is held.
#[derive(Clone, Debug)]
pub struct LeaseConfig {
    /// Namespace of the Lease object.
    pub namespace: String,
    /// Name of the Lease object.
    pub name: String,
    /// Who holds it: different for each process.
    pub identity: String,
    /// After this time without a sign of the holder, others may take the lease.
    pub duration: Duration,
    /// After this time without a renewal, the holder stops. Less than `duration`.
    pub renew_deadline: Duration,
    /// Time between renewals, and between looks of a standby.
    pub retry_period: Duration,
}

/// One process's relation to the lease.
pub struct Leadership {
    api: Api<Lease>,
    config: LeaseConfig,
}

/// What a standby has seen, and when.
struct Sighting {
    version: Option<String>,
    since: Instant,
}

impl Leadership {
    /// Leadership by the lease that `config` names. `client` must not be fenced by the lease itself.
    #[must_use]
    pub fn new(client: Client, config: LeaseConfig) -> Self {
        Self { api: Api::namespaced(client, &config.namespace), config }
    }

    /// Waits until this process holds the lease.
    pub async fn acquire(&self) {
        let mut sighting = Sighting { version: None, since: Instant::now() };
        loop {
            match self.bounded(self.try_acquire(&mut sighting)).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(error, "Lease could not be read or taken"),
            }
            sleep(self.config.retry_period).await;
        }
    }

    /// Keeps the lease until `shutdown`. When it is lost before, calls `lost` and returns `false`.
    pub async fn keep(&self, shutdown: CancellationToken, lost: impl FnOnce()) -> bool {
        let is_held = self.renew_until(shutdown).await;
        if !is_held {
            lost();
        }
        is_held
    }

    async fn renew_until(&self, shutdown: CancellationToken) -> bool {
        let mut renewed = Instant::now();
        while shutdown.run_until_cancelled(sleep(self.config.retry_period)).await.is_some() {
            let left = self.config.renew_deadline.saturating_sub(renewed.elapsed());
            let started = Instant::now();
            match timeout(left, self.bounded(self.renew())).await {
                Ok(Ok(true)) => renewed = started,
                Ok(Ok(false)) => {
                    tracing::error!("Lease was taken by another process");
                    return false;
                }
                Ok(Err(error)) => tracing::warn!(error, "Lease was not renewed"),
                Err(_) => {}
            }
            if renewed.elapsed() >= self.config.renew_deadline {
                tracing::error!("Lease could not be renewed in time");
                return false;
            }
        }
        true
    }

    /// Gives the lease up. To be called after the last write.
    pub async fn release(&self) {
        let release = async {
            let mut lease = self.api.get(&self.config.name).await?;
            if self.is_held_by_us(&lease) {
                if let Some(spec) = &mut lease.spec {
                    spec.holder_identity = None;
                }
                self.api.replace(&self.config.name, &PostParams::default(), &lease).await?;
            }
            Ok(())
        };
        if let Err(error) = self.bounded(release).await {
            tracing::warn!(error, "Lease was not released: it expires by itself");
        }
    }

    async fn try_acquire(&self, sighting: &mut Sighting) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.api.get_opt(&self.config.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.config.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(0)),
            };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        if sighting.version != lease.metadata.resource_version {
            *sighting = Sighting { version: lease.metadata.resource_version.clone(), since: Instant::now() };
        }
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let seconds =
            spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
        let is_expired = sighting.since.elapsed() >= Duration::from_secs(seconds);
        if !holder.is_empty() && holder != self.config.identity && !is_expired {
            return Ok(false);
        }
        lease.spec = Some(self.spec(spec.lease_transitions.unwrap_or_default() + 1));
        won(self.api.replace(&self.config.name, &PostParams::default(), &lease).await)
    }

    /// `false`: somebody else holds it.
    async fn renew(&self) -> Result<bool, kube::Error> {
        let mut lease = self.api.get(&self.config.name).await?;
        if !self.is_held_by_us(&lease) {
            return Ok(false);
        }
        if let Some(spec) = &mut lease.spec {
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        won(self.api.replace(&self.config.name, &PostParams::default(), &lease).await)
    }

    fn is_held_by_us(&self, lease: &Lease) -> bool {
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_ref());
        holder == Some(&self.config.identity)
    }

    fn spec(&self, transitions: i32) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: i32::try_from(self.config.duration.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    /// A hanging API server must not hold us longer than the time to the next try allows.
    async fn bounded<T>(&self, request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
        match timeout(self.config.renew_deadline / 2, request).await {
            Ok(result) => result.map_err(|error| describe(&error)),
            Err(_) => Err("no answer from the API server".to_owned()),
        }
    }
}

/// Whether a conditional write went through; losing the race against another process is no error.
fn won(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if has_code(&error, 409) => Ok(false),
        Err(error) => Err(error),
    }
}
