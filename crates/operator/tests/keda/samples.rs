//! Samples with several triggers, as they stand in their files.

use std::{collections::BTreeMap, path::PathBuf};

use prism_api::{PrismPattern, autoscaling::Trigger, pattern::PrismPatternSpec};
use serde_json::{Value, json};

use crate::{
    story::{Story, keda_says},
    support::repository,
};

/// Patterns with more than one trigger: the project's own, and those of the folder that the project was
/// founded on, where there is one. By name, with the file.
fn samples() -> BTreeMap<String, (PathBuf, PrismPatternSpec)> {
    let folders = [repository().join("config/samples"), repository().join("../shared/seed-samples")];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut samples = BTreeMap::new();
    for path in entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for document in documents.into_iter().filter(|document| document["kind"] == "PrismPattern") {
            let pattern: PrismPattern = serde_json::from_value(document).unwrap();
            if pattern.spec.autoscaling.as_ref().is_some_and(|block| block.triggers.len() > 1) {
                samples.insert(pattern.metadata.name.unwrap(), (path.clone(), pattern.spec));
            }
        }
    }
    samples
}

fn triggers(spec: &PrismPatternSpec) -> &[Trigger] {
    spec.autoscaling.as_ref().map(|block| block.triggers.as_slice()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_with_several_triggers_is_one_that_keda_takes() {
    let story = Story::begin("samples").await;
    let samples = samples();
    let (_, ours) = &samples["notification-fanout"];
    let types: Vec<_> = triggers(ours).iter().map(|trigger| trigger.type_.as_str()).collect();
    assert_eq!(types, ["kafka", "nats-jetstream", "aws-sqs-queue", "cpu"]);

    let references =
        samples.values().flat_map(|(_, spec)| triggers(spec)).filter_map(|t| t.authentication_ref.as_ref());
    let secrets: std::collections::BTreeSet<_> =
        references.map(|reference| reference.name.as_str()).collect();
    for name in secrets {
        story.secret(name, [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "nothing")]).await;
    }
    for (name, (path, spec)) in &samples {
        story.apply(name, json!(spec)).await;
        // The brokers are out of reach: that KEDA has taken it, and looked at it, is all there can be.
        let taken = story
            .scaled_object(name, &format!("of {} is KEDA's", path.display()), |object| {
                let finalizers = object.metadata.finalizers.iter().flatten();
                finalizers.into_iter().any(|finalizer| finalizer == "finalizer.keda.sh")
                    && keda_says(object, "Ready").is_some_and(|status| status != "Unknown")
            })
            .await;
        let told = taken.data["spec"]["triggers"].as_array().unwrap();
        let told: Vec<_> = told.iter().map(|trigger| trigger["type"].as_str().unwrap()).collect();
        let written: Vec<_> = triggers(spec).iter().map(|trigger| trigger.type_.as_str()).collect();
        assert_eq!(told, written, "{}", path.display());
        story.ready(name).await;
    }
}
