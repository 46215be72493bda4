//! `demo`: a whole stack comes to life, on a local cluster or the one of `$KUBECONFIG`.

mod next;
mod objects;
mod stack;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use prism_demo::{Error, MANAGER, Place, Result, explain, play, until_interrupted};
use prism_rig::{Note, OperatorProcess, Steps, install_definitions};

use crate::stack::NAMESPACE;

/// The API server keeps times of writes in whole seconds.
const A_SECOND: Duration = Duration::from_millis(1100);

/// Shows a whole stack come to life.
///
/// Acts on the cluster of $KUBECONFIG; where that is not set, on a local one, which is started if need
/// be and stays.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder of the local cluster.
    #[arg(long, default_value = ".cluster")]
    dir: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    play("demo", Box::pin(run(Arguments::parse()))).await
}

async fn run(arguments: Arguments) -> Result<()> {
    let mut steps = Steps::default();
    let place = Place::find(&arguments.dir, &mut steps).await?;
    let mut operator = None;
    let shown = Box::pin(until_interrupted(show(&place, &mut operator, &mut steps))).await;
    if let Err(error) = &shown
        && !matches!(error, Error::Interrupted)
    {
        let conditions = stack::look(&place).await.and_then(|stack| Some(stack.status?.conditions));
        explain(stack::STACK, &conditions.unwrap_or_default(), operator.as_ref());
    }
    if let Some(operator) = operator {
        operator.stop().await;
        println!("\nThe demo's operator is stopped; the stack and its pods go on.");
    }
    shown?;
    next::print(&place);
    Ok(())
}

/// Everything the user came to see.
async fn show(place: &Place, operator: &mut Option<OperatorProcess>, steps: &mut Steps) -> Result<()> {
    let definitions = async |_: &Note| install_definitions(&place.client, MANAGER).await;
    steps.step("custom resource definitions", definitions).await?;
    steps.step("namespace", async |_| place.namespace(NAMESPACE).await).await?;
    let operator =
        operator.insert(OperatorProcess::start(&place.kubeconfig, &["--watch-namespace", NAMESPACE])?);
    steps.step("operator", async |note| operator.ready(note).await).await?;
    if stack::look(place).await.is_some() {
        let gone = async |note: &Note| operator.watched(stack::remove(place, note)).await;
        steps.step("stack of an earlier demo deleted; its data stays", gone).await?;
    }
    steps.step("config/samples/prismstack.yaml applied", async |_| stack::create(place).await).await?;
    let mut told = stack::Told::new();
    let ready = async |note: &Note| operator.watched(stack::ready(place, &mut told, note)).await;
    let stack = steps.step("stack ready", ready).await?;
    let before = objects::all(place).await?;
    println!("\nWhat one object has become\n\n{}\n", tree::of(&stack, &before));

    tokio::time::sleep(A_SECOND).await;
    steps.step("one pattern more applied", async |_| stack::extend(place).await).await?;
    let ready = async |note: &Note| operator.watched(stack::ready(place, &mut told, note)).await;
    steps.step("stack ready", ready).await?;
    let after = objects::all(place).await?;
    println!("\nAn edit of spec.patterns while it runs\n");
    for (line, mark) in stack::ADDITION.lines().zip(std::iter::once("-").chain(std::iter::repeat(" "))) {
        println!("  + {mark} {line}");
    }
    println!("\n{}", objects::compare(&before, &after));
    Ok(())
}
