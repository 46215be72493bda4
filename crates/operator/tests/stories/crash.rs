//! The operator dies at any moment, and the next one ends where it would have ended.

use std::{
    collections::BTreeMap,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{ConfigMap, Secret, Service, ServiceAccount},
    policy::v1::PodDisruptionBudget,
    rbac::v1::{Role, RoleBinding},
};
use kube::{ResourceExt, api::ListParams};
use prism_api::{PrismBackend, PrismPattern, PrismStack};
use prism_testbed::fault::{After, FaultProxy};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::support::{Story, groups};

/// What is applied, and has to become Ready.
#[derive(Clone, Copy)]
enum Subject {
    Pattern,
    Stack,
}

impl Subject {
    async fn apply(self, story: &Story, spec: &Value) {
        match self {
            Self::Pattern => drop(Box::pin(story.apply("web", spec.clone())).await),
            Self::Stack => drop(Box::pin(story.put::<PrismStack>("web", spec.clone())).await),
        }
    }

    async fn ready(self, story: &Story) {
        match self {
            Self::Pattern => drop(Box::pin(story.ready("web")).await),
            Self::Stack => drop(Box::pin(story.stack_ready("web")).await),
        }
    }
}

/// The operator as its users run it: a process, behind a proxy that counts its writes.
struct Process {
    child: Arc<Mutex<Option<u32>>>,
    handle: Child,
}

impl Process {
    fn start(story: &Story, proxy: &FaultProxy) -> Self {
        let handle = Command::new(env!("CARGO_BIN_EXE_prism-operator"))
            .args([
                "run",
                "--bind-address",
                "127.0.0.1:0",
                "--leader-elect",
                "false",
                "--watch-namespace",
                story.namespace.name(),
            ])
            .env("KUBECONFIG", proxy.kubeconfig())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child: Arc::new(Mutex::new(handle.id())), handle }
    }

    /// Waits until the process has been killed, or the subject is settled without that.
    async fn killed_or_settled(&mut self, subject: Subject, story: &Story) -> bool {
        tokio::select! {
            status = self.handle.wait() => { status.unwrap(); true }
            () = subject.ready(story) => false,
        }
    }
}

fn kill(pid: u32) {
    // From the thread of the proxy, before the answer leaves it: no later than the write itself.
    let status = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

/// Children without what differs between two runs, by kind and name.
async fn children(story: &Story) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let params = ListParams::default().labels("app.kubernetes.io/managed-by=prism-operator");
    macro_rules! list {
        ($($kind:ty),*) => {$(
            for object in story.api::<$kind>().list(&params).await.unwrap() {
                // The namespace is another one in each run.
                let body = json!(object).to_string().replace(story.namespace.name(), "NAMESPACE");
                let body: Value = serde_json::from_str(&body).unwrap();
                let spec = match body.get("spec") {
                    Some(spec) => without_addresses(spec.clone()),
                    // A password is another one in each run, too.
                    None if stringify!($kind) == "Secret" => Value::Null,
                    None => body.get("data").or(body.get("rules")).cloned().unwrap_or_default(),
                };
                all.insert(format!("{} {}", stringify!($kind), object.name_any()), json!({"labels": object.labels(), "spec": spec}));
            }
        )*};
    }
    list!(
        ServiceAccount,
        ConfigMap,
        Deployment,
        StatefulSet,
        Service,
        PodDisruptionBudget,
        HorizontalPodAutoscaler,
        Secret,
        Role,
        RoleBinding,
        PrismPattern,
        PrismBackend
    );
    all
}

fn without_addresses(mut spec: Value) -> Value {
    for field in ["clusterIP", "clusterIPs"] {
        if spec[field] != "None" && spec[field] != json!(["None"]) {
            spec.as_object_mut().map(|spec| spec.remove(field));
        }
    }
    spec
}

/// Applies `specs` one after the other, with a kill after the `nth` write of the last one.
/// Returns the end state, and whether there were that many writes.
async fn run(name: &str, subject: Subject, specs: &[Value], nth: u64) -> (BTreeMap<String, Value>, bool) {
    let story = Story::prepare(name).await;
    let proxy = FaultProxy::for_user(story.bed.cluster(), &story.user, &groups()).await.unwrap();
    let (last, earlier) = specs.split_last().unwrap();
    let mut process = Process::start(&story, &proxy);
    for spec in earlier {
        subject.apply(&story, spec).await;
        subject.ready(&story).await;
    }
    kill_after(nth, &process, &proxy);
    subject.apply(&story, last).await;
    let was_killed = process.killed_or_settled(subject, &story).await;
    if was_killed {
        process = Process::start(&story, &proxy);
    }
    subject.ready(&story).await;
    // A look after readiness may still prune; the end state is reached when nothing is written any more.
    settle(&proxy).await;
    let state = children(&story).await;
    process.handle.kill().await.unwrap();
    (state, was_killed)
}

/// Kills the process when its `nth` write from now on has been carried out, and before it learns of that.
fn kill_after(nth: u64, process: &Process, proxy: &FaultProxy) {
    let (victim, fatal) = (process.child.clone(), proxy.write_count() + nth);
    proxy.after(move |seen, _| {
        if seen.write.is_some_and(|write| write >= fatal)
            && let Some(pid) = victim.lock().unwrap().take()
        {
            kill(pid);
            return After::Drop;
        }
        After::Pass
    });
}

/// Waits until the proxy has seen no write for longer than any report is held back.
async fn settle(proxy: &FaultProxy) {
    for _ in 0..10 {
        let before = proxy.write_count();
        tokio::time::sleep(Duration::from_secs(6)).await;
        if proxy.write_count() == before {
            return;
        }
    }
    let last: Vec<_> =
        proxy.writes().into_iter().rev().take(10).map(|write| write.request.to_string()).collect();
    panic!("it writes on and on, at last {last:?}");
}

async fn survives(name: &str, subject: Subject, specs: Vec<Value>) {
    let (expected, _) = run(name, subject, &specs, u64::MAX / 2).await;
    assert!(expected.len() >= 5, "the undisturbed run makes its children: {:?}", expected.keys());
    let mut kills = 0;
    for first in (1..).step_by(4) {
        let runs = (first..first + 4).map(|nth| {
            let specs = &specs;
            async move { (nth, run(name, subject, specs, nth).await) }
        });
        let mut is_over = false;
        for (nth, (state, was_killed)) in futures::future::join_all(runs).await {
            assert_eq!(state, expected, "killed after write {nth}");
            kills += u64::from(was_killed);
            is_over |= !was_killed;
        }
        if is_over {
            break;
        }
    }
    assert!(kills >= 5, "killed {kills} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_write_of_a_creation_changes_nothing() {
    let spec = json!({
        "pattern": "consumer", "backend": "memstore", "config": {"batch": 1},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
    });
    survives("crash-create", Subject::Pattern, vec![spec]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_write_of_a_change_of_kind_changes_nothing() {
    let before = json!({
        "pattern": "consumer", "kind": "Deployment", "backend": "memstore", "config": {"batch": 1},
        "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
    });
    let after = json!({"pattern": "consumer", "kind": "StatefulSet", "backend": "memstore", "replicas": 3, "storage": {"size": "1Gi"}});
    survives("crash-kind", Subject::Pattern, vec![before, after]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_write_of_growing_volumes_changes_nothing() {
    let spec = |size: &str| {
        json!({
            "pattern": "mailbox", "backend": "memstore", "config": {"batch": 1}, "storage": {"size": size},
            "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
        })
    };
    survives("crash-grow", Subject::Pattern, vec![spec("1Gi"), spec("2Gi")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_after_any_write_of_a_whole_stack_changes_nothing() {
    let spec = json!({
        "admin": {"replicas": 1, "leaderElection": {}},
        "backends": [{"name": "cache", "type": "redis", "provision": {}}],
        "patterns": [{"name": "sessions", "type": "keyvalue", "backend": "cache"}],
    });
    survives("crash-stack", Subject::Stack, vec![spec]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_is_taken_back_while_the_operator_is_dead_leaves_no_trace() {
    let image = |tag: &str| format!("registry.example.com/consumer:{tag}");
    let spec = |tag: &str| json!({"pattern": "consumer", "kind": "Deployment", "backend": "memstore", "image": image(tag)});
    let story = Story::prepare("crash-back").await;
    let proxy = FaultProxy::for_user(story.bed.cluster(), &story.user, &groups()).await.unwrap();
    let mut process = Process::start(&story, &proxy);
    Subject::Pattern.apply(&story, &spec("1")).await;
    Subject::Pattern.ready(&story).await;
    settle(&proxy).await;

    let runs = |tag: &'static str| {
        story.object("web", "runs that image", move |found: &Deployment| {
            let pod = found.spec.as_ref().unwrap().template.spec.as_ref().unwrap();
            let found = pod.containers[0].image.clone();
            if found == Some(image(tag)) { Ok(()) } else { Err(format!("{found:?}")) }
        })
    };
    kill_after(1, &process, &proxy);
    Subject::Pattern.apply(&story, &spec("2")).await;
    process.handle.wait().await.unwrap();
    runs("2").await;
    // The spec is again what the last report, and the operator's last memory, speak of.
    Subject::Pattern.apply(&story, &spec("1")).await;
    let mut process = Process::start(&story, &proxy);
    runs("1").await;
    Subject::Pattern.ready(&story).await;
    process.handle.kill().await.unwrap();
}
