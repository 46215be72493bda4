//! Where the pods run.

use k8s_openapi::{
    api::core::v1::{
        Affinity, PodAffinityTerm, PodAntiAffinity, PodSpec, Toleration, TopologySpreadConstraint,
        WeightedPodAffinityTerm,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use prism_api::placement::PlacementStrategy;

use super::Program;

const HOST: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";
const REGION: &str = "topology.kubernetes.io/region";

/// Writes the placement into `pod`: first what the preset stands for, then what the spec says.
pub(super) fn fill(program: &Program, pod: &mut PodSpec) {
    let wish = program.placement.clone();
    let preset = wish.strategy.map(|strategy| expand(strategy, program)).unwrap_or_default();
    let constraints = if wish.topology_spread_constraints.is_empty() {
        preset.constraints
    } else {
        wish.topology_spread_constraints
            .into_iter()
            .map(|constraint| about_own_pods(constraint, program))
            .collect()
    };
    let tolerations: Vec<_> = wish.tolerations.into_iter().chain(preset.tolerations).collect();
    pod.affinity = wish.affinity.or(preset.affinity);
    pod.node_selector = (!wish.node_selector.is_empty()).then_some(wish.node_selector);
    pod.node_name = wish.node_name;
    pod.tolerations = (!tolerations.is_empty()).then_some(tolerations);
    pod.topology_spread_constraints = (!constraints.is_empty()).then_some(constraints);
    pod.priority_class_name = wish.priority_class_name;
    pod.runtime_class_name = wish.runtime_class_name;
    pod.scheduler_name = wish.scheduler_name;
}

/// What a preset stands for. All of it is a preference, so that a cluster with fewer zones or nodes
/// still runs every pod; who wants pods to wait instead writes the constraint out.
#[derive(Default)]
struct Preset {
    constraints: Vec<TopologySpreadConstraint>,
    affinity: Option<Affinity>,
    tolerations: Vec<Toleration>,
}

fn expand(strategy: PlacementStrategy, program: &Program) -> Preset {
    let apart = Some(keep_apart(program));
    match strategy {
        PlacementStrategy::MultiZone => {
            Preset { constraints: vec![spread(ZONE, program)], affinity: apart, ..Preset::default() }
        }
        PlacementStrategy::MultiRegion => Preset {
            constraints: vec![spread(REGION, program), spread(ZONE, program)],
            affinity: apart,
            ..Preset::default()
        },
        PlacementStrategy::DedicatedNodes => Preset {
            tolerations: vec![Toleration {
                key: Some("dedicated".to_owned()),
                operator: Some("Exists".to_owned()),
                effect: Some("NoSchedule".to_owned()),
                ..Toleration::default()
            }],
            affinity: apart,
            ..Preset::default()
        },
    }
}

fn spread(topology_key: &str, program: &Program) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: topology_key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(own_pods(program)),
        ..TopologySpreadConstraint::default()
    }
}

/// A constraint without a selector would count no pods at all: it means the program's own.
fn about_own_pods(constraint: TopologySpreadConstraint, program: &Program) -> TopologySpreadConstraint {
    let selector = constraint.label_selector.unwrap_or_else(|| own_pods(program));
    TopologySpreadConstraint { label_selector: Some(selector), ..constraint }
}

/// Rather another node than one that has a pod of the program.
fn keep_apart(program: &Program) -> Affinity {
    let term = PodAffinityTerm {
        topology_key: HOST.to_owned(),
        label_selector: Some(own_pods(program)),
        ..PodAffinityTerm::default()
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: term,
            }]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn own_pods(program: &Program) -> LabelSelector {
    LabelSelector { match_labels: Some(program.pod_selector.clone()), ..LabelSelector::default() }
}
