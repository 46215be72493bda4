//! One metric, whose source says what a test wants it to say.

use std::sync::{Arc, Mutex};

use k8s_openapi::{
    api::autoscaling::v2::MetricTarget, apimachinery::pkg::api::resource::Quantity, jiff::Timestamp,
};
use prism_api::{labels, metric::TargetType};
use prism_plan::scaling::{Export, Source};
use prism_scale::{Problem, ProblemKind, Reading};

use crate::{
    outlets::question::{Catalogue, Found, Question, Unanswered},
    scaling::sources::Answer,
};

/// Knows the metric `lag` of the pattern `shop/orders` and its workload of the same name.
pub(super) struct OneMetric(Mutex<Answer>);

impl OneMetric {
    pub(super) fn new(value: f64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Ok(Reading::new(value, Timestamp::now())))))
    }

    /// From now on the source says this.
    pub(super) fn says(&self, answer: Answer) {
        *self.0.lock().unwrap() = answer;
    }

    /// From now on the source repeats what it has measured an hour ago.
    pub(super) fn is_stuck(&self) {
        self.says(Ok(Reading::new(0.0, Timestamp::now() - std::time::Duration::from_hours(1))));
    }

    /// From now on nobody reaches the source.
    pub(super) fn is_gone(&self) {
        self.says(Err(Problem::new(ProblemKind::Late, "no answer within 5 s")));
    }
}

/// What an autoscaler selects it by.
pub(super) fn selected_by() -> [(&'static str, &'static str); 4] {
    [
        (labels::SCALED_KIND, "PrismPattern"),
        (labels::SCALED_METRIC, "0"),
        (labels::SCALED_NAME, "orders"),
        (labels::SCALED_WORKLOAD, "orders"),
    ]
}

impl Catalogue for OneMetric {
    fn find(&self, question: &Question) -> Result<Found, Unanswered> {
        let Question { namespace, kind, name, workload, metric } = question;
        let known = ("shop", "PrismPattern", "orders", "orders", 0);
        if (namespace.as_str(), kind.as_str(), name.as_str(), workload.as_str(), *metric) != known {
            return Err(Unanswered::Unknown("no such metric".to_owned()));
        }
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Ok(Found {
            export: Export {
                name: "lag".to_owned(),
                labels: selected_by().map(owned).into(),
                coordinates: [].into(),
                target: MetricTarget {
                    type_: "AverageValue".to_owned(),
                    average_value: Some(Quantity("2500m".to_owned())),
                    ..MetricTarget::default()
                },
                metric_type: Some(TargetType::AverageValue),
            },
            source: Source::Prometheus { server: String::new(), query: String::new(), rate: None },
            policy: super::policy(),
        })
    }

    async fn read(&self, _: &Source) -> Answer {
        self.0.lock().unwrap().clone()
    }
}
