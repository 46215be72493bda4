//! Who may read metrics: whoever the cluster's own rules allow to.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};
use prism_engine::error::describe;

use super::{external_metrics::GROUP, front_proxy::Requester};

/// How long an answer is good for, as with the API server's own authorization by webhook.
const FRESH: Duration = Duration::from_secs(10);

/// Somebody, a namespace, and a metric.
type Wish = (Requester, String, String);

/// Asks the API server who may do what.
pub(super) struct Access {
    api: Api<SubjectAccessReview>,
    known: Mutex<HashMap<Wish, (Instant, bool)>>,
}

impl Access {
    pub(super) fn new(client: Client) -> Self {
        Self { api: Api::all(client), known: Mutex::default() }
    }

    /// Whether `requester` may read `metric` in `namespace`.
    ///
    /// # Errors
    /// When the API server does not say.
    pub(super) async fn allows(
        &self,
        requester: &Requester,
        namespace: &str,
        metric: &str,
    ) -> Result<bool, String> {
        let wish = (requester.clone(), namespace.to_owned(), metric.to_owned());
        let known = self.lock().get(&wish).copied();
        if let Some((at, is_allowed)) = known
            && at.elapsed() < FRESH
        {
            return Ok(is_allowed);
        }
        let review = SubjectAccessReview { spec: spec(requester, namespace, metric), ..Default::default() };
        let answer = self.api.create(&PostParams::default(), &review).await;
        let status = answer.map_err(|error| describe(&error))?.status;
        let is_allowed = status.is_some_and(|status| status.allowed);
        let mut known = self.lock();
        known.retain(|_, (at, _)| at.elapsed() < FRESH);
        known.insert(wish, (Instant::now(), is_allowed));
        Ok(is_allowed)
    }

    /// Each update leaves whole entries behind, whatever panics in between.
    fn lock(&self) -> MutexGuard<'_, HashMap<Wish, (Instant, bool)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The question as the API server puts it to itself: a request without the name of an object is a list.
fn spec(requester: &Requester, namespace: &str, metric: &str) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: Some(requester.user.clone()),
        groups: Some(requester.groups.clone()),
        resource_attributes: Some(ResourceAttributes {
            group: Some(GROUP.to_owned()),
            version: Some(super::external_metrics::VERSION.to_owned()),
            resource: Some(metric.to_owned()),
            namespace: Some(namespace.to_owned()),
            verb: Some("list".to_owned()),
            ..ResourceAttributes::default()
        }),
        ..SubjectAccessReviewSpec::default()
    }
}
