//! A cluster small enough to try hundreds of thousands of times: one `StatefulSet`, its controller, its
//! pods, and what the operator and others write.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::jiff::Timestamp;
use prism_api::labels;
use prism_plan::program::{
    ProgramFacts, WorkloadFacts,
    quorum::{Member, quorum},
};

/// A pod template: of how many members it tells, the image, and what the operator calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) told: i32,
    pub(crate) hash: Arc<str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) replicas: i32,
    /// Notes of a set of an earlier version of the operator may be missing.
    pub(crate) decided: Option<i32>,
    pub(crate) told: Option<i32>,
    pub(crate) partition: i32,
    pub(crate) template: Template,
    /// Template of the pods below the partition.
    pub(crate) current: Template,
    pub(crate) is_observed: bool,
    pub(crate) volume: i32,
}

impl Set {
    /// How many members the operator has decided, as far as anybody can tell.
    fn decided(&self) -> i32 {
        self.decided.unwrap_or_else(|| self.replicas.min(self.told.unwrap_or(self.replicas)))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    pub(crate) template: Template,
    /// Whether its program runs.
    pub(crate) is_up: bool,
    pub(crate) is_controlled: bool,
}

/// What the operator does with the set.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Nothing,
    Apply {
        replicas: i32,
        told: i32,
        partition: i32,
        template: Template,
    },
    /// Deletes the set, and leaves its pods.
    Orphan,
    Scale(i32),
}

/// What a pass of the operator comes to.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) write: Write,
    pub(crate) announces: Vec<String>,
    pub(crate) hash: Option<String>,
    pub(crate) records: Option<i32>,
    pub(crate) says: String,
    pub(crate) is_refused: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Status {
    pub(crate) announced: Vec<String>,
    pub(crate) hash: Option<String>,
    pub(crate) recorded: Option<i32>,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) set: Option<Set>,
    pub(crate) pods: BTreeMap<i32, Pod>,
    pub(crate) broken: BTreeSet<i32>,
    pub(crate) wanted: i32,
    pub(crate) volume: i32,
    /// Whether somebody agrees to whatever is announced.
    pub(crate) agrees: bool,
    /// Counts edits of the spec.
    pub(crate) generation: i64,
    pub(crate) status: Status,
    /// The status as the operator's cache shows it.
    pub(crate) cached: Status,
    pub(crate) says: String,
    pub(crate) is_refused: bool,
    /// Whether members have left that the others could not spare: somebody had agreed.
    pub(crate) has_lost: bool,
    pub(crate) writes: u64,
}

impl World {
    pub(crate) fn new(
        count: i32,
        told: i32,
        has_notes: bool,
        down: &BTreeSet<i32>,
        gaps: &BTreeSet<i32>,
    ) -> Self {
        let template = Template { told, hash: format!("old-{told}").into() };
        let pod = |ordinal| Pod {
            template: template.clone(),
            is_up: !down.contains(&ordinal),
            is_controlled: true,
        };
        Self {
            pods: (0..count).filter(|ordinal| !gaps.contains(ordinal)).map(|at| (at, pod(at))).collect(),
            set: Some(Set {
                replicas: count,
                decided: has_notes.then_some(count),
                told: Some(told),
                partition: count,
                template: template.clone(),
                current: template,
                is_observed: true,
                volume: 1,
            }),
            broken: BTreeSet::new(),
            wanted: count,
            volume: 1,
            agrees: false,
            generation: 1,
            status: Status { recorded: Some(count), ..Status::default() },
            cached: Status { recorded: Some(count), ..Status::default() },
            says: String::new(),
            is_refused: false,
            has_lost: false,
            writes: 0,
        }
    }

    fn is_alive(&self, ordinal: i32) -> bool {
        self.pods.get(&ordinal).is_some_and(|pod| pod.is_up)
    }

    /// Raft: a member serves if it and those that it is told of, and that know it, are a quorum.
    pub(crate) fn is_ready(&self, ordinal: i32) -> bool {
        let Some(pod) = self.pods.get(&ordinal).filter(|pod| pod.is_up) else { return false };
        let told = pod.template.told;
        let mut votes = 0;
        for pod in self.pods.range(..told).map(|(_, pod)| pod) {
            votes += i32::from(pod.is_up && pod.template.told > ordinal);
        }
        votes >= quorum(told)
    }

    pub(crate) fn facts(&self) -> ProgramFacts {
        let is_ready: Vec<i32> = self.pods.keys().copied().filter(|at| self.is_ready(*at)).collect();
        let member = |(ordinal, pod): (&i32, &Pod)| Member {
            ordinal: *ordinal,
            is_ready: is_ready.contains(ordinal),
            revision: pod.template.hash.to_string(),
        };
        let is_member = |(_, pod): &(&i32, &Pod)| pod.is_controlled == self.set.is_some();
        let members: Vec<_> = self.pods.iter().filter(is_member).map(member).collect();
        let ready = members.iter().filter(|member| member.is_ready).count();
        let ready = i32::try_from(ready).unwrap();
        let set = self.set.as_ref().map(|set| WorkloadFacts {
            is_observed: set.is_observed,
            desired: set.replicas,
            replicas: i32::try_from(members.len()).unwrap(),
            ready,
            available: ready,
            update_revision: Some(set.template.hash.to_string()),
            notes: [
                (labels::TEMPLATE_HASH, Some(set.template.hash.to_string())),
                (labels::MEMBERS, set.told.map(|count| count.to_string())),
                (labels::REPLICAS, set.decided.map(|count| count.to_string())),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect(),
            ..WorkloadFacts::default()
        });
        let mut facts = ProgramFacts { stateful_set: set, members, ..ProgramFacts::default() };
        facts.scaling.now = Timestamp::UNIX_EPOCH;
        facts
    }

    /// The controller of the set looks once.
    pub(crate) fn control(&mut self) {
        let Some(mut set) = self.set.clone() else { return };
        set.is_observed = true;
        self.pods.retain(|ordinal, pod| !pod.is_controlled || *ordinal < set.replicas);
        let mut has_made = false;
        for ordinal in 0..set.replicas {
            let template = if ordinal < set.partition { &set.current } else { &set.template };
            let pod = self.pods.entry(ordinal).or_insert_with(|| {
                has_made = true;
                Pod { template: template.clone(), is_up: false, is_controlled: true }
            });
            pod.is_controlled = true;
        }
        for ordinal in (set.partition.max(0)..set.replicas).rev().filter(|_| !has_made) {
            if self.pods[&ordinal].template != set.template {
                self.pods.remove(&ordinal);
                break;
            }
            if !self.is_ready(ordinal) {
                break;
            }
        }
        let is_new = |ordinal: i32| {
            self.pods.get(&ordinal).is_some_and(|pod| pod.template == set.template) && self.is_ready(ordinal)
        };
        if (0..set.replicas).all(is_new) {
            set.current = set.template.clone();
        }
        self.set = Some(set);
    }

    /// Programs of pods begin to run, those that are not broken: all, or one.
    pub(crate) fn start(&mut self, only: Option<i32>) {
        for (ordinal, pod) in &mut self.pods {
            pod.is_up |= !self.broken.contains(ordinal) && only.is_none_or(|only| only == *ordinal);
        }
    }

    /// Carries a pass out, up to the crash after `writes` requests, and checks what must never happen.
    pub(crate) fn carry_out(&mut self, pass: Pass, writes: usize) {
        (self.says, self.is_refused) = (pass.says, pass.is_refused);
        let before = self.set.clone();
        if writes > 0 {
            match pass.write {
                Write::Nothing => {}
                Write::Scale(replicas) => {
                    let set = self.set.as_mut().expect("only a set that is there is scaled");
                    assert_eq!(replicas, set.decided());
                    (set.replicas, set.is_observed) = (replicas, false);
                    self.writes += 1;
                }
                Write::Orphan => {
                    self.orphan();
                    self.writes += 1;
                }
                Write::Apply { replicas, told, partition, template } => {
                    self.check(replicas, told, &template);
                    self.apply(replicas, told, partition, template);
                }
            }
        }
        let has_decided = |set: &Option<Set>| set.as_ref().map(Set::decided);
        let records =
            has_decided(&self.set).or(has_decided(&before).filter(|_| writes == 0)).or(pass.records);
        if writes > 1 {
            self.status = Status { announced: pass.announces, hash: pass.hash, recorded: records };
        }
    }

    fn orphan(&mut self) {
        // Pods that somebody else's write has added, and that know of nobody, are no members. Left behind
        // at that very moment they would be taken for some, which takes a hand: not tried here.
        let decided = self.set.take().map(|set| set.decided());
        self.pods.retain(|ordinal, _| decided.is_none_or(|decided| *ordinal < decided));
        self.pods.values_mut().for_each(|pod| pod.is_controlled = false);
    }

    /// Somebody deletes the set, and leaves its pods.
    pub(crate) fn orphan_by_hand(&mut self) {
        self.orphan();
    }

    fn apply(&mut self, replicas: i32, told: i32, partition: i32, template: Template) {
        let volume = self.volume;
        match &mut self.set {
            None => {
                self.set = Some(Set {
                    replicas,
                    decided: Some(replicas),
                    told: Some(told),
                    partition,
                    template: template.clone(),
                    current: template,
                    is_observed: false,
                    volume,
                });
                self.writes += 1;
            }
            Some(set) => {
                let is_same = (set.replicas, set.decided, set.told, set.partition)
                    == (replicas, Some(replicas), Some(told), partition)
                    && set.template == template;
                if !is_same {
                    (set.replicas, set.decided, set.told) = (replicas, Some(replicas), Some(told));
                    (set.partition, set.template, set.is_observed) = (partition, template, false);
                    self.writes += 1;
                }
            }
        }
    }

    /// What must never happen.
    fn check(&mut self, replicas: i32, told: i32, template: &Template) {
        let Some(set) = &self.set else {
            let highest = self.pods.keys().max().map_or(0, |highest| highest + 1);
            assert!(replicas >= highest, "{replicas} are made anew where {highest} run: {self:#?}");
            return;
        };
        assert_eq!(template.told, told, "the note says what the template tells");
        let decided = set.decided();
        let leaving: Vec<i32> = (replicas..decided).filter(|ordinal| self.is_alive(*ordinal)).collect();
        assert!(replicas >= decided - 1, "more than one member leaves: {self:#?}");
        assert!(replicas <= decided + 1, "more than one member comes: {self:#?}");
        let said = |at_most: i32| {
            // The cache shows what a pass before this one has written.
            let mut plans = self.cached.announced.iter();
            plans.any(|words| {
                let end = words.split("become ").nth(1).or(words.split("to ").nth(1));
                end.and_then(|end| end.split([',', ':']).next()?.parse::<i32>().ok())
                    .is_some_and(|to| to <= at_most)
            })
        };
        assert!(leaving.is_empty() || said(replicas), "unannounced, {leaving:?} leaves: {self:#?}");
        let voters = decided.max(set.told.unwrap_or(decided));
        let is_loss = self.agrees && self.wanted < quorum(voters);
        if leaving.iter().any(|ordinal| self.is_ready(*ordinal)) && !is_loss {
            let ready = (0..replicas).filter(|ordinal| self.is_ready(*ordinal)).count();
            assert!(i32::try_from(ready).unwrap() >= quorum(told), "too few are left: {self:#?}");
        }
        self.has_lost |= is_loss && replicas < decided;
        if replicas > decided {
            let knows = self.pods.values().all(|pod| pod.template.told >= replicas);
            assert!(knows, "one comes that not all know of: {self:#?}");
        }
    }
}
