//! Whatever goes wrong with the requests for one object: the others go on, and it is told. The story prints what is
//! told as a table; with `PRISM_FAULTS_TABLE=FILE` it writes it to that file.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use futures::future::join_all;
use http::{Method, StatusCode};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Service},
    jiff::Timestamp,
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use prism_api::{condition, condition::reason, pattern::PrismPattern};
use prism_operator::Config;
use prism_plan::conditions::{find, is_true};
use prism_testbed::{
    eventually,
    fault::{After, Before, FaultProxy, Seen},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{PATIENCE, Running, Story, conditions, is_current, quick};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Hangs,
    Cut,
    Answers(u16),
    TooMany,
    Html,
    Garbage,
    Half,
    Slow,
}

use Fault::{Answers, Cut, Garbage, Half, Hangs, Html, Slow, TooMany};

/// Those that share an operator. What only a user can mend is looked at again once a minute, so it has one of its own.
const LANES: [&[Fault]; 5] = [
    &[Answers(403)],
    &[Answers(404)],
    &[Hangs, Cut, Html],
    &[Answers(409), Answers(410), TooMany],
    &[Garbage, Half, Slow, Answers(503)],
];

/// Watches that are disturbed, a different one for each fault: a pause that has grown is no part of the next story.
const WATCHED: [&str; 4] = ["services", "serviceaccounts", "deployments", "configmaps"];

/// The answer to a request that waits for longer than the operator does.
const TEN_MINUTES: Duration = Duration::from_mins(10);

impl Fault {
    fn name(self) -> String {
        match self {
            Hangs => "hangs".to_owned(),
            Cut => "cut".to_owned(),
            Answers(code) => code.to_string(),
            TooMany => "429, Retry-After".to_owned(),
            Html => "500, HTML".to_owned(),
            Garbage => "garbage".to_owned(),
            Half => "half a body".to_owned(),
            Slow => "slow bytes".to_owned(),
        }
    }

    /// Does to the requests that `is_meant` picks what this fault does.
    fn strike(self, proxy: &FaultProxy, is_meant: impl Fn(&Seen) -> bool + Clone + Send + Sync + 'static) {
        let is_hit = is_meant.clone();
        proxy.before(move |seen| match self {
            _ if !is_hit(seen) => Before::Pass,
            Hangs => Before::Delay(TEN_MINUTES),
            Cut => Before::Drop,
            Answers(code) => Before::Answer(StatusCode::from_u16(code).unwrap()),
            TooMany => Before::AnswerLater(StatusCode::TOO_MANY_REQUESTS, 1),
            Html => Before::Html(StatusCode::INTERNAL_SERVER_ERROR),
            Garbage => Before::Garbage,
            Half | Slow => Before::Pass,
        });
        proxy.after(move |seen, _| match self {
            Half if is_meant(seen) => After::Half,
            Slow if is_meant(seen) => After::Slow(Duration::from_millis(100)),
            _ => After::Pass,
        });
    }

    /// Whether a watch still shows what happens: by bytes that come late, or by a list in place of each watch.
    fn leaves_watches_alive(self) -> bool {
        matches!(self, Slow | Answers(410))
    }

    /// Whether only a user can mend what it looks like.
    fn is_final(self) -> bool {
        matches!(self, Answers(403 | 404))
    }
}

/// One cell of the table.
struct Cell {
    fault: Fault,
    part: &'static str,
    says: String,
    healthz: u16,
    readyz: String,
    others: Duration,
    well_after: Duration,
}

/// An operator behind a proxy, with a pattern that nothing is done to.
struct Lane {
    story: Story,
    proxy: FaultProxy,
    operator: Running,
}

impl Lane {
    async fn begin(name: &str) -> Self {
        let story = Story::prepare(name).await;
        let (proxy, cluster) = story.behind_proxy().await;
        let config = Config {
            namespace: Some(story.namespace.name().to_owned()),
            request_timeout: Duration::from_secs(2),
            watch_timeout: Duration::from_secs(2),
            stale_after: Duration::from_secs(4),
            ..quick()
        };
        let operator = Running::start(config, cluster).await;
        let lane = Self { story, proxy, operator };
        lane.put("other", 1).await;
        lane.story.ready("other").await;
        lane
    }

    async fn put(&self, name: &str, replicas: usize) {
        self.story
            .apply(name, json!({"pattern": "producer", "backend": "memstore", "replicas": replicas}))
            .await;
    }

    /// How long the other pattern waits for its edit to be carried out, by the clock of the API server.
    async fn others(&self) -> Duration {
        let (mark, start) = (self.story.mark(), Timestamp::now());
        let now = self.story.api::<Deployment>().get("other").await.unwrap().spec.unwrap().replicas;
        let next = if now == Some(1) { 2 } else { 1 };
        self.put("other", next).await;
        let is_next = |other: &Deployment| {
            let replicas = other.spec.as_ref().and_then(|spec| spec.replicas);
            if replicas == i32::try_from(next).ok() { Ok(()) } else { Err(format!("{replicas:?}")) }
        };
        self.story.object("other", "has what its pattern says", is_next).await;
        let received = eventually("the audit log has the write", PATIENCE, async || {
            let writes = self.story.writes_since(mark);
            let write = writes.iter().find(|write| write.resource == "deployments" && write.name == "other");
            write.map(|write| write.received).ok_or_else(|| format!("it has {} writes", writes.len()))
        });
        received.await.unwrap().duration_since(start).try_into().unwrap_or_default()
    }

    /// What the object says once something is wrong.
    async fn says(&self, name: &str) -> String {
        let complaint = |pattern: &PrismPattern| {
            let stalled = find(conditions(pattern), condition::STALLED).filter(|c| c.status == "True");
            let failed = find(conditions(pattern), condition::RECONCILING);
            let complaint = stalled.or(failed.filter(|c| c.reason == reason::APPLY_FAILED))?;
            Some(format!("{} {}: {}", complaint.type_, complaint.reason, complaint.message))
        };
        let what = "says what is wrong";
        let pattern = self.story.pattern(name, what, |it| is_current(it) && complaint(it).is_some()).await;
        complaint(&pattern).unwrap()
    }

    async fn readyz(&self) -> (u16, String) {
        let (code, text) = self.operator.get("/readyz").await;
        let first = text.lines().next().unwrap_or_default();
        (code, if code == 200 { "200".to_owned() } else { format!("{code}: {first}") })
    }

    async fn cell(&self, fault: Fault, part: &'static str, says: String) -> Cell {
        // An operator that a fault holds up is held up each time; a machine that is busy with other tests is not.
        let mut others = self.others().await;
        for _ in 0..2 {
            if others >= Duration::from_secs(1) {
                others = others.min(self.others().await);
            }
        }
        let says = says.replace(self.story.namespace.name(), "shop");
        let readyz = self.readyz().await.1;
        let healthz = self.operator.get("/healthz").await.0;
        Cell { fault, part, says, healthz, readyz, others, well_after: Duration::ZERO }
    }

    /// The deployment of an object that exists cannot be written.
    async fn write(&self, fault: Fault, nth: usize) -> Cell {
        let victim = format!("written-{nth}");
        self.put(&victim, 1).await;
        self.story.ready(&victim).await;
        let path = format!("/deployments/{victim}");
        fault.strike(&self.proxy, move |seen| seen.write.is_some() && seen.path.ends_with(&path));
        self.put(&victim, 2).await;
        let says = self.says(&victim).await;
        let mut cell = self.cell(fault, "write", says).await;
        self.proxy.reset();
        let since = Instant::now();
        let is_well = |it: &PrismPattern| is_current(it) && is_true(conditions(it), condition::READY);
        let is_done = |it: &PrismPattern| find(conditions(it), condition::RECONCILING).is_none();
        // What only a user can mend is looked at again once a minute, give or take a quarter.
        for _ in 0..2 {
            if eventually("all is well", PATIENCE, async || {
                let it =
                    self.story.api::<PrismPattern>().get(&victim).await.map_err(|error| error.to_string())?;
                if is_well(&it) && is_done(&it) { Ok(()) } else { Err(format!("{:?}", conditions(&it))) }
            })
            .await
            .is_ok()
            {
                break;
            }
        }
        self.story.ready(&victim).await;
        cell.well_after = since.elapsed();
        cell
    }

    /// The name of a child is taken, and nobody may look by whom.
    async fn read(&self, fault: Fault, nth: usize) -> Cell {
        let victim = format!("read-{nth}");
        let taken: Service = serde_json::from_value(json!({
            "metadata": {"name": victim}, "spec": {"ports": [{"port": 1}]},
        }))
        .unwrap();
        self.story.create(&taken).await;
        let path = format!("/services/{victim}");
        fault.strike(&self.proxy, move |seen| seen.method == Method::GET && seen.path.ends_with(&path));
        self.put(&victim, 1).await;
        let says = self.says(&victim).await;
        let mut cell = self.cell(fault, "read", says).await;
        self.proxy.reset();
        let since = Instant::now();
        if fault.is_final() {
            self.put(&victim, 2).await;
        }
        self.story.condition(&victim, condition::STALLED, "True", reason::NAME_CONFLICT).await;
        cell.well_after = since.elapsed();
        cell
    }

    /// A watch of children is disturbed, while they change.
    async fn watch(&self, fault: Fault, nth: usize) -> Cell {
        let plural = WATCHED[nth];
        fault.strike(&self.proxy, move |seen| {
            seen.query.contains("watch=true")
                && seen.query.contains("managed-by")
                && seen.path.ends_with(plural)
        });
        let ends = CancellationToken::new();
        let (cell, ()) = tokio::join!(
            async {
                let expected = if fault.leaves_watches_alive() { 200 } else { 503 };
                eventually(&format!("{fault:?}: the operator answers {expected}"), PATIENCE, async || {
                    let (code, text) = self.readyz().await;
                    if code == expected { Ok(()) } else { Err(text) }
                })
                .await
                .unwrap();
                let cell = self.cell(fault, "watch", "nothing: it runs".to_owned()).await;
                ends.cancel();
                cell
            },
            self.touch(plural, &ends),
        );
        let mut cell = cell;
        assert!(fault.leaves_watches_alive() || cell.readyz.contains(plural), "{fault:?}: {}", cell.readyz);
        self.proxy.reset();
        let since = Instant::now();
        eventually("the operator is ready again", PATIENCE, async || {
            let (code, text) = self.readyz().await;
            if code == 200 { Ok(()) } else { Err(text) }
        })
        .await
        .unwrap();
        cell.well_after = since.elapsed();
        cell
    }

    /// Changes the children of one kind in what does not concern the operator, again and again.
    async fn touch(&self, plural: &str, ends: &CancellationToken) {
        let (group, version, kind) = match plural {
            "services" => ("", "v1", "Service"),
            "configmaps" => ("", "v1", "ConfigMap"),
            "serviceaccounts" => ("", "v1", "ServiceAccount"),
            _ => ("apps", "v1", "Deployment"),
        };
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let client = self.story.bed.client();
        let api: Api<DynamicObject> = Api::namespaced_with(client, self.story.namespace.name(), &resource);
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=prism-operator");
        let names: Vec<_> =
            api.list(&ours).await.unwrap().into_iter().filter_map(|object| object.metadata.name).collect();
        for nth in 0.. {
            let patch = Patch::Merge(json!({"metadata": {"annotations": {"touched": nth.to_string()}}}));
            for name in &names {
                api.patch(name, &PatchParams::default(), &patch).await.unwrap();
            }
            if ends.run_until_cancelled(tokio::time::sleep(Duration::from_millis(500))).await.is_none() {
                return;
            }
        }
    }
}

async fn lane(nth: usize, faults: &[Fault]) -> Vec<Cell> {
    let lane = Lane::begin(&format!("faults-{nth}")).await;
    let mut cells = Vec::new();
    for (nth, fault) in faults.iter().enumerate() {
        cells.push(lane.write(*fault, nth).await);
        cells.push(lane.read(*fault, nth).await);
        cells.push(lane.watch(*fault, nth).await);
    }
    lane.operator.stop().await;
    cells
}

fn table(cells: &[Cell]) -> String {
    let mut text = String::from(
        "| fault | of a | the object says | `/healthz` | `/readyz` | the others waited | well after |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for Cell { fault, part, says, healthz, readyz, others, well_after } in cells {
        let bare = |text: &str| {
            let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect();
            text.replace('|', "\\|").replace('<', "&lt;")
        };
        let (name, says, readyz) = (fault.name(), bare(says), bare(readyz));
        let (others, well) = (others.as_millis(), well_after.as_secs_f64());
        writeln!(text, "| {name} | {part} | {says} | {healthz} | {readyz} | {others} ms | {well:.1} s |")
            .unwrap();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_for_one_object_is_told_and_the_others_go_on_within_a_second() {
    let lanes = LANES.iter().enumerate().map(|(nth, faults)| Box::pin(lane(nth, faults)));
    let mut cells: Vec<_> = join_all(lanes).await.into_iter().flatten().collect();
    cells.sort_by_key(|cell| (cell.part, cell.fault.name()));
    let text = table(&cells);
    println!("{text}");
    if let Ok(file) = std::env::var("PRISM_FAULTS_TABLE") {
        std::fs::write(file, &text).unwrap();
    }
    for cell in &cells {
        let what = format!("{} of a {}", cell.fault.name(), cell.part);
        assert!(cell.others < Duration::from_secs(1), "{what}: the others waited {:?}", cell.others);
        assert_eq!(cell.healthz, 200, "{what}: the process is alive");
        assert!(cell.part == "watch" || cell.readyz == "200", "{what}: {}", cell.readyz);
    }
}
