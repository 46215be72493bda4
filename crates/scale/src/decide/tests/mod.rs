mod asks;
mod holds;
mod says;

use super::*;
use crate::policy::{Change, Limits, Pace, PolicyMetric, Rules, Select, Target, Window};
use prism_api::scaling::{ScalingDecision, ScalingWindow};
use rstest::rstest;

/// What a test starts from: 1 to 10 replicas, 1000 for each, the default behavior.
fn policy() -> Policy {
    with_target(Target::AverageValue(1000.0))
}

fn with_target(target: Target) -> Policy {
    Policy {
        mode: ScalingMode::Active,
        limits: Limits { min: 1, max: 10 },
        windows: Vec::new(),
        metrics: vec![PolicyMetric { name: "lag".into(), target, rate: None }],
        up: Rules::up(),
        down: Rules::down(),
        fallback: None,
        polling_interval: SignedDuration::from_secs(10),
        cooldown: SignedDuration::from_secs(300),
        max_age: SignedDuration::from_secs(60),
        hold: None,
    }
}

/// No window and no policy is in the way.
fn unhindered(target: Target) -> Policy {
    let mut policy = with_target(target);
    policy.limits = Limits { min: 0, max: 1000 };
    policy.up.policies = vec![Pace { change: Change::Pods(1000), period: SignedDuration::from_secs(1) }];
    policy.down.stabilization = SignedDuration::ZERO;
    policy.cooldown = SignedDuration::ZERO;
    policy
}

fn time(second: i64) -> Timestamp {
    "2026-01-01T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

fn look(second: i64, current: i32, value: f64) -> Observation {
    let at = time(second);
    Observation { at, current, ready: current, metrics: vec![Ok(Reading::new(value, at))] }
}

fn blind(second: i64, current: i32) -> Observation {
    Observation {
        metrics: vec![Err(Problem::new(ProblemKind::Late, "timeout"))],
        ..look(second, current, 0.0)
    }
}

/// One decision after the other, each carried out.
struct Run {
    policy: Policy,
    state: State,
    replicas: i32,
}

impl Run {
    fn new(policy: Policy, replicas: i32) -> Self {
        Self { policy, state: State::default(), replicas }
    }

    fn see(&mut self, seen: &Observation) -> Decision {
        let (decision, state) = decide(&self.policy, &self.state, seen);
        self.state = state;
        self.replicas = decision.desired;
        decision
    }

    fn look(&mut self, second: i64, value: f64) -> Decision {
        self.see(&look(second, self.replicas, value))
    }

    fn blind(&mut self, second: i64) -> Decision {
        self.see(&blind(second, self.replicas))
    }
}

fn held(decision: &Decision) -> Option<HeldBy> {
    decision.held.map(|held| held.by)
}
