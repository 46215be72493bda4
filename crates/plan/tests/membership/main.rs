//! Members come and go, whatever happens in between: the rules alone a hundred thousand times, and the
//! whole plan of a stack some hundred times.

// In a test, what is not as expected ends it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod world;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use prism_api::PrismStack;
use prism_plan::{
    program::{
        Claim, Workload,
        quorum::{self, Wish},
    },
    stack::{self, Facts},
};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRunner},
};
use serde_json::json;
use world::{Pass, Template, World, Write};

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The operator looks, and dies after that many requests: 0 to the cluster, 1 to the set, 2 to both.
    Pass(usize),
    Control,
    Start(Option<i32>),
    /// A program goes down, and comes back by itself.
    Fail(i32),
    Break(i32),
    Heal,
    Evict(i32),
    /// Somebody else writes the replicas.
    Scale(i32),
    Want(i32),
    Agree(bool),
    GrowVolume,
    Orphan,
    /// The operator's cache sees the newest status.
    Sync,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let ordinal = 0..7_i32;
    let event = prop_oneof![
        8 => prop_oneof![8 => Just(2_usize), 1 => Just(1), 1 => Just(0)].prop_map(Event::Pass),
        6 => Just(Event::Control),
        3 => Just(Event::Start(None)),
        3 => ordinal.clone().prop_map(|ordinal| Event::Start(Some(ordinal))),
        6 => Just(Event::Sync),
        1 => ordinal.clone().prop_map(Event::Fail),
        1 => ordinal.clone().prop_map(Event::Break),
        1 => Just(Event::Heal),
        1 => ordinal.prop_map(Event::Evict),
        1 => (0..9_i32).prop_map(Event::Scale),
        2 => (1..=7_i32).prop_map(Event::Want),
        1 => any::<bool>().prop_map(Event::Agree),
        1 => Just(Event::GrowVolume),
        1 => Just(Event::Orphan),
    ];
    proptest::collection::vec(event, 0..24)
}

fn starts() -> impl Strategy<Value = World> {
    let some = proptest::collection::btree_set(0..7_i32, 0..3);
    (1..=7_i32, 0..3_i32, any::<bool>(), some.clone(), some).prop_map(
        |(count, more, has_notes, down, gaps)| {
            World::new(count, if more == 2 { 7 } else { count + more }, has_notes, &down, &gaps)
        },
    )
}

type Decide = fn(&World) -> Pass;

fn happen(world: &mut World, event: Event, decide: Decide) {
    match event {
        Event::Pass(writes) => {
            let pass = decide(world);
            world.carry_out(pass, writes);
        }
        Event::Control => world.control(),
        Event::Start(only) => world.start(only),
        Event::Fail(ordinal) => {
            if let Some(pod) = world.pods.get_mut(&ordinal) {
                pod.is_up = false;
            }
        }
        Event::Break(ordinal) => {
            world.broken.insert(ordinal);
            if let Some(pod) = world.pods.get_mut(&ordinal) {
                pod.is_up = false;
            }
        }
        Event::Heal => world.broken.clear(),
        Event::Evict(ordinal) => {
            world.pods.remove(&ordinal);
        }
        Event::Scale(replicas) => {
            if let Some(set) = &mut world.set {
                (set.replicas, set.is_observed) = (replicas, false);
            }
        }
        Event::Want(wanted) => (world.wanted, world.generation) = (wanted, world.generation + 1),
        Event::Agree(agrees) => world.agrees = agrees,
        Event::GrowVolume => (world.volume, world.generation) = (world.volume + 1, world.generation + 1),
        Event::Orphan => world.orphan_by_hand(),
        Event::Sync => world.cached = world.status.clone(),
    }
}

/// Nothing more happens than what follows of itself; returns the number of rounds until nothing does.
fn settle(world: &mut World, decide: Decide) -> u64 {
    let mut quiet = 0;
    for round in 1..400 {
        let before = (world.writes, world.status.clone(), world.pods.clone());
        for event in [Event::Sync, Event::Pass(2), Event::Control, Event::Start(None)] {
            happen(world, event, decide);
        }
        let is_same = before == (world.writes, world.status.clone(), world.pods.clone());
        quiet = if is_same { quiet + 1 } else { 0 };
        if quiet == 2 {
            return round;
        }
    }
    panic!("it never comes to rest: {world:#?}");
}

/// Whether the members are as they are wanted, and all of them the newest.
fn is_there(world: &World) -> bool {
    let set = world.set.as_ref().expect("a set that is gone is made anew");
    let are_new = world.pods.values().all(|pod| pod.template == set.template);
    (set.replicas, set.decided, set.told) == (world.wanted, Some(world.wanted), Some(world.wanted))
        && world.pods.keys().copied().eq(0..world.wanted)
        && are_new
}

fn names(world: &World, ordinal: i32) -> bool {
    world.says.contains(&format!("shop-admin-{ordinal}"))
}

/// Tries `cases`, some at a time.
fn run(cases: u32, decide: Decide) {
    const THREADS: u32 = 4;
    let steps = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let config = ProptestConfig {
                    cases: cases / THREADS,
                    failure_persistence: None,
                    max_shrink_iters: 4000,
                    // The default is of use against adversaries, and takes most of the time here.
                    rng_algorithm: RngAlgorithm::XorShift,
                    ..ProptestConfig::default()
                };
                let outcome = TestRunner::new(config).run(&(starts(), events()), |(world, events)| {
                    steps.fetch_add(live_through(world, events, decide), Ordering::Relaxed);
                    Ok(())
                });
                outcome.unwrap();
            });
        }
    });
    println!("{cases} cases, {} steps", steps.into_inner());
}

/// One life of a world; returns the number of steps in it.
fn live_through(mut world: World, events: Vec<Event>, decide: Decide) -> u64 {
    let mut steps = u64::try_from(events.len()).unwrap();
    for event in events {
        happen(&mut world, event, decide);
    }
    // What is broken stays broken: it comes to rest, and says which member, or refuses.
    let broken: BTreeSet<i32> = world.broken.clone();
    steps += 4 * settle(&mut world, decide);
    let is_named = broken.iter().any(|ordinal| names(&world, *ordinal));
    let is_explained = world.is_refused || is_there(&world) || is_named;
    assert!(is_explained, "{broken:?} holds it up, and nobody says so: {world:#?}");
    // Then everything heals.
    if !broken.is_empty() {
        world.broken.clear();
        steps += 4 * settle(&mut world, decide);
    }
    // A member that was not replaced yet when others left for good may wait for those. It is named, and
    // somebody has to delete its pod.
    for _ in 0..world.pods.len() {
        let waits = !world.is_refused && !is_there(&world);
        let named = world.pods.keys().copied().find(|ordinal| names(&world, *ordinal));
        if let Some(ordinal) = named.filter(|_| waits && world.has_lost) {
            world.pods.remove(&ordinal);
            steps += 4 * settle(&mut world, decide);
        }
    }
    assert!(world.is_refused || is_there(&world), "it stops half-way: {world:#?}");
    steps
}

/// The rules of `quorum`, with as much around them as they need.
fn by_rules(world: &World) -> Pass {
    let facts = world.facts();
    let mut wish = Wish { members: world.wanted, may_lose_quorum: false, recorded: world.cached.recorded };
    let becomes = format!("members become {}, one at a time", world.wanted);
    let loss = quorum::membership(&wish, &facts).is_refused.then(|| format!("to {}: lost", world.wanted));
    let cached = &world.cached.announced;
    wish.may_lose_quorum = loss.as_ref().is_some_and(|loss| world.agrees && cached.contains(loss));
    let still = quorum::unmoved(&wish, &facts);
    let grows = world.set.as_ref().is_some_and(|set| set.volume != world.volume);
    let growth = format!("volumes grow to {}", world.volume);
    let next = if grows && loss.is_none() { still.clone() } else { quorum::membership(&wish, &facts) };
    let announces: Vec<String> = match (&loss, grows) {
        (Some(loss), _) => vec![loss.clone()],
        (None, true) => vec![growth],
        (None, false) => next.is_under_way.then_some(becomes).into_iter().collect(),
    };
    let is_granted =
        announces.iter().all(|words| cached.contains(words)) && (loss.is_none() || wish.may_lose_quorum);
    let taken = if is_granted { &next } else { &still };
    let template = Template { told: taken.peers, hash: format!("new-{}", taken.peers).into() };
    let write = match (grows, is_granted) {
        (true, true) if loss.is_none() => Write::Orphan,
        _ => Write::Apply {
            replicas: taken.replicas,
            told: taken.peers,
            partition: quorum::partition(taken.replicas, &template.hash, &facts),
            template,
        },
    };
    Pass {
        write,
        announces,
        hash: None,
        records: Some(still.replicas),
        says: next.waits_for.as_ref().map(|wait| wait.text("shop-admin")).unwrap_or_default(),
        is_refused: next.is_refused,
    }
}

/// The plan of a whole stack.
fn by_stack(world: &World) -> Pass {
    let cached = &world.cached;
    let plan: Vec<_> = cached
        .announced
        .iter()
        .map(|words| serde_json::from_str::<serde_json::Value>(words).unwrap())
        .collect();
    let agreed = cached.hash.clone().filter(|_| world.agrees);
    let recorded = cached
        .recorded
        .map(|replicas| json!({"name": "admin", "kind": "StatefulSet", "ready": true, "replicas": replicas}));
    let stack: PrismStack = serde_json::from_value(json!({
        "apiVersion": "prism.io/v1alpha1", "kind": "PrismStack",
        "metadata": {
            "name": "shop", "namespace": "web", "uid": "0000-1111", "generation": world.generation,
            "annotations": agreed.map(|hash| json!({"prism.io/approved-plan": hash})).unwrap_or(json!({})),
        },
        "spec": {
            "proxy": {"enabled": false},
            "admin": {"replicas": world.wanted, "storage": {"size": format!("{}Gi", world.volume)}},
        },
        "status": {"plan": plan, "planHash": cached.hash, "components": recorded.into_iter().collect::<Vec<_>>()},
    }))
    .unwrap();
    let mut facts = Facts { admin: world.facts(), ..Facts::default() };
    if let (Some(live), Some(set)) = (&mut facts.admin.stateful_set, &world.set) {
        live.claims = vec![Claim {
            name: "data".to_owned(),
            size: format!("{}Gi", set.volume),
            storage_class: None,
            access_modes: vec!["ReadWriteOnce".to_owned()],
        }];
    }
    let plan = stack::plan(&stack, &facts).unwrap();
    let admin = plan.admin.unwrap();
    let Workload::StatefulSet(set) = &admin.program.children.workload else { panic!("a StatefulSet") };
    let notes = set.metadata.annotations.as_ref().unwrap();
    let spec = set.spec.as_ref().unwrap();
    let told = notes["prism.io/members"].parse().unwrap();
    let strategy = spec.update_strategy.as_ref().unwrap().rolling_update.as_ref().unwrap();
    let write = if admin.is_held {
        admin.program.scaling.wake.map_or(Write::Nothing, Write::Scale)
    } else if admin.program.replace.is_some() {
        Write::Orphan
    } else {
        Write::Apply {
            replicas: spec.replicas.unwrap(),
            told,
            partition: strategy.partition.unwrap(),
            template: Template { told, hash: notes["prism.io/template-hash"].as_str().into() },
        }
    };
    let words = plan.approval.actions.iter().map(|action| serde_json::to_string(action).unwrap());
    Pass {
        write,
        announces: words.collect(),
        hash: plan.approval.hash.clone(),
        records: Some(admin.program.program.replicas),
        says: admin.next_step.unwrap_or_default(),
        is_refused: !plan.problems.is_empty(),
    }
}

#[test]
fn the_rules_lose_no_member_and_always_come_to_rest() {
    run(100_000, by_rules);
}

#[test]
fn the_plan_of_a_stack_loses_no_member_and_always_comes_to_rest() {
    run(500, by_stack);
}
