//! `demo-autoscaling`: a consumer follows its load, on a local cluster or the one of `$KUBECONFIG`.
//!
//! The queue and the work are in this process, and real: a message waits until a worker has the time for
//! it, and there are as many workers as the cluster has ready pods. Each reports to an admin what a runner
//! would, the operator reads that, decides, and scales; so the lag follows the replicas, and they the lag.

mod admin;
mod crew;
mod load;
mod orders;
mod queue;
mod rush;
mod screen;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::DeleteParams;
use prism_demo::{Error, MANAGER, Place, Result, explain, play, until_interrupted};
use prism_rig::{Note, OperatorProcess, Steps, install_definitions};
use prism_testbed::until;
use tokio::sync::watch;

use crate::admin::DemoAdmin;
use crate::crew::Crew;
use crate::orders::{MANIFEST, NAME, NAMESPACE, Story};
use crate::queue::Queue;

/// The first pod is ready within this time, an image that a real cluster has to pull included.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
/// A namespace with a few pods is gone within this time.
const GONE_TIMEOUT: Duration = Duration::from_mins(2);

/// Shows a consumer go from one replica to many and back, as its queue fills and empties.
///
/// Acts on the cluster of $KUBECONFIG; where that is not set, on a local one, which is started if need
/// be and stays. Takes about a minute and a half, and removes what it has made.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the local cluster.
    #[arg(long, default_value = ".cluster")]
    dir: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    play("demo-autoscaling", Box::pin(run(Arguments::parse()))).await
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut steps = Steps::default();
    let place = Place::find(&arguments.dir, &mut steps).await?;
    let admin = DemoAdmin::start().await?;
    let (mut operator, story) = (None, watch::Sender::new(Story::default()));
    let shown = Box::pin(until_interrupted(show(&place, &admin, &story, &mut operator, &mut steps))).await;
    if let Err(error) = &shown
        && !matches!(error, Error::Interrupted)
    {
        explain(NAME, &story.borrow().status.conditions, operator.as_ref());
    }
    if let Some(operator) = operator {
        operator.stop().await;
    }
    let cleared = steps.step("cleared away", async |note| clear(&place, note).await).await;
    admin.stop().await?;
    println!("{}", shown?);
    cleared
}

/// Everything the user came to see; returns what is to be said in the end.
async fn show(
    place: &Place,
    admin: &DemoAdmin,
    story: &watch::Sender<Story>,
    operator: &mut Option<OperatorProcess>,
    steps: &mut Steps,
) -> Result<String> {
    let definitions = async |_: &Note| install_definitions(&place.client, MANAGER).await;
    steps.step("custom resource definitions", definitions).await?;
    steps.step("what an earlier demo has left is gone", async |note| clear(place, note).await).await?;
    steps.step("namespace", async |_| place.namespace(NAMESPACE).await).await?;
    let authority = admin.authority_file().to_string_lossy();
    let arguments =
        ["--watch-namespace", NAMESPACE, "--admin-ca-file", &authority, "--dial-allow", "127.0.0.0/8"];
    let operator = operator.insert(OperatorProcess::start(&place.kubeconfig, &arguments)?);
    steps.step("operator", async |note| operator.leads(note).await).await?;

    let queue = Arc::new(Queue::default());
    let crew = Crew::new(queue.clone(), admin.ingest()?);
    let size = crew.size();
    let scenery = async {
        tokio::select! {
            ended = crew.serve(place.client.clone()) => ended,
            () = orders::follow(place.client.clone(), story) => Ok(()),
        }
    };
    let scene = async {
        println!("\n{}", block());
        steps.step("applied", async |_| orders::create(place, admin.address()).await).await?;
        let begun =
            async |note: &Note| rush::first_worker(size, READY_TIMEOUT, story.subscribe(), note).await;
        steps.step("one replica, one worker", begun).await?;
        let rush = async |note: &Note| rush::watch(&queue, story.subscribe(), note).await;
        steps.step("a rush, and calm again", rush).await
    };
    let shown = async {
        tokio::select! {
            end = scene => end,
            Err(error) = scenery => Err(error),
        }
    };
    operator.watched(Box::pin(shown)).await
}

/// The part of the manifest that this is about.
fn block() -> String {
    let lines = MANIFEST.lines().skip_while(|line| *line != "  autoscaling:");
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes the namespace and all that is in it, and waits until that is done.
async fn clear(place: &Place, note: &Note) -> Result<()> {
    let api: Api<Namespace> = Api::all(place.client.clone());
    if api.get_opt(NAMESPACE).await?.is_none() {
        return Ok(());
    }
    note.set("a namespace goes when everything in it has gone");
    api.delete(NAMESPACE, &DeleteParams::background()).await?;
    let what = format!("namespace {NAMESPACE} is gone");
    let gone = until(&api, NAMESPACE, &what, GONE_TIMEOUT, |namespace| match namespace {
        None => Ok(()),
        Some(_) => Err("it is still there".to_owned()),
    });
    Ok(Box::pin(gone).await?)
}
