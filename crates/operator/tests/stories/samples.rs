//! Every sample is accepted, and the patterns among them become Ready.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{ListParams, ObjectMeta, PostParams},
};
use prism_api::{PrismPattern, condition};
use prism_operator::Config;
use prism_plan::conditions::is_true;
use prism_testbed::{
    Testbed, eventually,
    nodes::{self, FakeNode},
};
use tokio::process::Command;

use crate::support::{Running, conditions, groups, install_crds, is_current, quick, repository};

const NAMESPACES: [&str; 4] = ["default", "prism", "prism-prod", "prism-system"];

/// The project's own samples, and those of the folder that the project was founded on, where there
/// is one.
fn files() -> Vec<PathBuf> {
    let folders = [repository().join("config/samples"), repository().join("../shared/seed-samples")];
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

async fn kubectl_apply(bed: &Testbed, file: &Path) {
    let output = Command::new(bed.cluster().folder().join("kubectl"))
        .args(["apply", "--server-side", "--validate=strict", "--force-conflicts", "-f"])
        .arg(file)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_accepted_and_every_pattern_among_them_becomes_ready() {
    let bed = Testbed::from_env().await.unwrap();
    install_crds(&bed.client()).await;
    let namespaces: Api<Namespace> = Api::all(bed.client());
    let mut operators = Vec::new();
    for name in NAMESPACES {
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        if namespaces.get_opt(name).await.unwrap().is_none() {
            namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        }
        let cluster = bed.cluster().config_for("operator-of-samples", &groups()).await.unwrap();
        operators.push(Running::start(Config { namespace: Some(name.to_owned()), ..quick() }, cluster).await);
    }
    // One of the samples asks for a node without other consumers for each of its five pods, and the
    // consumers of the other samples may be on some of them.
    let nodes =
        (0..10).map(|n| FakeNode::new(format!("data-{n}"), "zone-a").label("workload", "data-intensive"));
    nodes::add(&bed.client(), &nodes.collect::<Vec<_>>()).await.unwrap();
    let files = files();
    assert!(files.len() >= 6, "{files:?}");
    for file in &files {
        kubectl_apply(&bed, file).await;
    }
    let patterns: Api<PrismPattern> = Api::all(bed.client());
    let ready = eventually("all patterns of the samples are Ready", Duration::from_mins(2), async || {
        let all = patterns.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let all = all.into_iter().filter(|pattern| {
            pattern.namespace().is_some_and(|namespace| NAMESPACES.contains(&namespace.as_str()))
        });
        let (ready, waiting): (Vec<_>, Vec<_>) =
            all.partition(|pattern| is_current(pattern) && is_true(conditions(pattern), condition::READY));
        let names =
            |patterns: &[PrismPattern]| patterns.iter().map(ResourceExt::name_any).collect::<BTreeSet<_>>();
        if waiting.is_empty() { Ok(names(&ready)) } else { Err(format!("{:?} are not", names(&waiting))) }
    })
    .await
    .unwrap();
    assert!(ready.len() >= 4, "{ready:?}");
    for operator in operators {
        operator.stop().await;
    }
}
