//! Leadership: a Lease with a deadline that this process keeps by its own clock.
//!
//! A leader that cannot renew stops writing at `renew_deadline`, before any other process may
//! consider the lease free at `duration`. Its time counts from when it *sent* the last renewal that
//! succeeded, which is before anybody else can have seen it. A standby counts from when it saw the
//! lease change, so the clocks of two machines are never compared.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    error::{describe, has_code},
    fence::Fence,
};

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

impl LeaseConfig {
    /// Whether a holder stops before another may begin, and has a chance to renew before it stops.
    ///
    /// # Errors
    /// A sentence that says which times contradict each other.
    pub fn check(&self) -> Result<(), String> {
        let Self { duration, renew_deadline, retry_period, .. } = self;
        if renew_deadline >= duration {
            return Err(format!(
                "the renew deadline ({} s) has to be shorter than the lease ({} s): a holder stops before another begins",
                renew_deadline.as_secs_f64(),
                duration.as_secs_f64(),
            ));
        }
        if retry_period >= renew_deadline || retry_period.is_zero() {
            return Err(format!(
                "the retry period ({} s) has to be shorter than the renew deadline ({} s), and not 0",
                retry_period.as_secs_f64(),
                renew_deadline.as_secs_f64(),
            ));
        }
        Ok(())
    }
}

/// One process's relation to the lease.
pub struct Leadership {
    api: Api<Lease>,
    config: LeaseConfig,
    fence: Fence,
}

/// What a standby has seen, and when.
struct Sighting {
    version: Option<String>,
    /// By the clock of the fence.
    since: Duration,
}

impl Leadership {
    /// Leadership by the lease that `config` names, which extends `fence`. `client` must not be fenced itself.
    #[must_use]
    pub fn new(client: Client, config: LeaseConfig, fence: Fence) -> Self {
        Self { api: Api::namespaced(client, &config.namespace), config, fence }
    }

    /// Waits until this process holds the lease. From then on it may write until the renew deadline.
    pub async fn acquire(&self) {
        let mut sighting = Sighting { version: None, since: self.fence.now() };
        loop {
            let sent = self.fence.now();
            match self.bounded(self.try_acquire(&mut sighting)).await {
                Ok(true) => {
                    self.fence.extend(sent + self.config.renew_deadline);
                    return;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(error, "Lease could not be read or taken"),
            }
            sleep(self.config.retry_period).await;
        }
    }

    /// Keeps the lease until `shutdown`. `false`: it was lost before, and the fence has fallen.
    pub async fn keep(&self, shutdown: CancellationToken) -> bool {
        tokio::select! {
            // Whoever ends this because the fence has fallen is not taken for an orderly shutdown.
            biased;
            () = self.fence.fallen() => {
                tracing::error!("Lease could not be renewed in time");
                false
            }
            is_held = self.renew_until(shutdown) => {
                if !is_held {
                    tracing::error!("Lease was taken by another process");
                    self.fence.fall();
                }
                is_held
            }
        }
    }

    async fn renew_until(&self, shutdown: CancellationToken) -> bool {
        while shutdown.run_until_cancelled(sleep(self.config.retry_period)).await.is_some() {
            let sent = self.fence.now();
            match self.bounded(self.renew()).await {
                Ok(true) => self.fence.extend(sent + self.config.renew_deadline),
                Ok(false) => return false,
                Err(error) => tracing::warn!(error, "Lease was not renewed"),
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
            *sighting =
                Sighting { version: lease.metadata.resource_version.clone(), since: self.fence.now() };
        }
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let seconds =
            spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
        let is_expired = self.fence.now().saturating_sub(sighting.since) >= Duration::from_secs(seconds);
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

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(15, 10, 2, None)]
    #[case(
        15,
        15,
        2,
        Some(
            "the renew deadline (15 s) has to be shorter than the lease (15 s): a holder stops before another begins"
        )
    )]
    #[case(
        15,
        10,
        20,
        Some("the retry period (20 s) has to be shorter than the renew deadline (10 s), and not 0")
    )]
    #[case(
        15,
        10,
        0,
        Some("the retry period (0 s) has to be shorter than the renew deadline (10 s), and not 0")
    )]
    fn times_that_contradict_each_other_are_refused(
        #[case] duration: u64,
        #[case] renew_deadline: u64,
        #[case] retry_period: u64,
        #[case] expected: Option<&str>,
    ) {
        let config = LeaseConfig {
            namespace: "ns".to_owned(),
            name: "lease".to_owned(),
            identity: "us".to_owned(),
            duration: Duration::from_secs(duration),
            renew_deadline: Duration::from_secs(renew_deadline),
            retry_period: Duration::from_secs(retry_period),
        };
        assert_eq!(config.check().err().as_deref(), expected);
    }
}
