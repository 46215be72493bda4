//! Volumes of a `StatefulSet`: what can change in place, what cannot, and what never can.

use std::{cmp::Ordering, collections::BTreeMap};

use k8s_openapi::{
    api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements},
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta},
};
use prism_api::{
    condition::reason,
    labels, names,
    workload::{StorageSpec, WorkloadKind},
};

use super::{
    Program,
    facts::{Claim, ProgramFacts, VolumeFacts},
};
use crate::quantity::compare;

/// Name of the volume and of its claim template.
pub const VOLUME: &str = "data";
/// Where the program finds the volume if the spec does not say.
pub(super) const DEFAULT_MOUNT_PATH: &str = "/var/lib/prism";
/// Size of the volume if the spec does not say.
const DEFAULT_SIZE: &str = "1Gi";

/// What becomes of the volumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageVerdict {
    /// The workload can be applied as it is wanted.
    InPlace,
    /// The `StatefulSet` has to be made anew.
    Replace(Replace),
    /// The wish cannot be fulfilled. The workload keeps the volumes it has; all else is applied.
    Refused {
        /// Reason of the condition.
        reason: &'static str,
        /// What to do about it.
        advice: String,
        /// The claim that stays.
        keep: Claim,
    },
}

/// How a `StatefulSet` is made anew. Its pods and volumes are left alone and adopted afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Its claims grow to this size first.
    Grow(String),
    /// It gets volumes, or loses them; the volumes it had stay in the cluster.
    Claims,
}

impl StorageVerdict {
    /// How the `StatefulSet` has to be made anew, if it has to.
    pub(super) fn replace(&self) -> Option<Replace> {
        match self {
            Self::Replace(replace) => Some(replace.clone()),
            Self::InPlace | Self::Refused { .. } => None,
        }
    }
}

/// What to say about a storage class that does not exist. The claims are made all the same: they are
/// bound as soon as it does. A class that goes when its volumes are bound takes nothing with it.
pub(super) fn missing_class(program: &Program, facts: &ProgramFacts) -> Option<String> {
    let class = program.storage.as_ref()?.storage_class.as_ref().filter(|class| !class.is_empty())?;
    let runs = facts.stateful_set.as_ref().is_some_and(|set| set.desired > 0 && set.available >= set.desired);
    let is_missing = !runs && facts.storage_classes.as_ref().is_some_and(|known| !known.contains(class));
    is_missing.then(|| {
        format!(
            "{}.storage.storageClass: the cluster has no StorageClass {class}; create it, or name another one",
            program.field
        )
    })
}

/// The size that claims have to get which were there before the `StatefulSet`, and are smaller than its template:
/// Kubernetes takes them as they are.
pub(super) fn grow(program: &Program, verdict: &StorageVerdict, facts: &ProgramFacts) -> Option<String> {
    let is_smaller =
        |volume: &VolumeFacts, size: &str| compare(&volume.size, size).is_some_and(Ordering::is_lt);
    let wanted = match verdict {
        // Its claims grow on the way.
        StorageVerdict::Replace(Replace::Grow(_)) => return None,
        StorageVerdict::Refused { keep, .. } => keep.size.clone(),
        StorageVerdict::InPlace | StorageVerdict::Replace(Replace::Claims) => {
            claim(program.storage.as_ref().filter(|_| program.kind == WorkloadKind::StatefulSet)?).size
        }
    };
    facts.volumes.iter().any(|volume| is_smaller(volume, &wanted)).then_some(wanted)
}

/// Compares the wish with what is there. Claim templates are immutable (kubernetes/kubernetes#69041).
pub(super) fn judge(program: &Program, facts: &ProgramFacts) -> StorageVerdict {
    let live = facts.stateful_set.as_ref().filter(|_| program.kind == WorkloadKind::StatefulSet);
    let wanted = program.storage.as_ref().map(claim);
    if let Some(wanted) = wanted.as_ref().filter(|_| program.kind == WorkloadKind::StatefulSet)
        && let Some(refused) = judge_leftovers(program, wanted, facts)
    {
        return refused;
    }
    let Some(live) = live else {
        return StorageVerdict::InPlace;
    };
    match (wanted, live.claims.first()) {
        (None, None) => StorageVerdict::InPlace,
        (Some(_), None) | (None, Some(_)) => StorageVerdict::Replace(Replace::Claims),
        (Some(wanted), Some(live)) => judge_change(program, wanted, live),
    }
}

/// Kubernetes gives a pod the claim that is there, whatever class its template asks for. Of a template that is made
/// anew, somebody has to be told.
fn judge_leftovers(program: &Program, wanted: &Claim, facts: &ProgramFacts) -> Option<StorageVerdict> {
    let class = wanted.storage_class.as_ref()?;
    let has_template = facts.stateful_set.as_ref().is_some_and(|set| !set.claims.is_empty());
    let is_other =
        |volume: &&VolumeFacts| volume.storage_class.as_ref().is_some_and(|theirs| theirs != class);
    let other = facts.volumes.iter().find(is_other).filter(|_| !has_template)?;
    let theirs = other.storage_class.as_deref().unwrap_or_default();
    Some(StorageVerdict::Refused {
        reason: reason::STORAGE_CLASS_CHANGE_REFUSED,
        advice: format!(
            "{}.storage.storageClass: the volume {} was there before, and has the class {theirs}: set it to {theirs}, or delete the PersistentVolumeClaim, if its data is no longer needed",
            program.field, other.name
        ),
        keep: Claim { storage_class: Some(theirs.to_owned()), ..wanted.clone() },
    })
}

fn judge_change(program: &Program, wanted: Claim, live: &Claim) -> StorageVerdict {
    let refused = |reason, advice| StorageVerdict::Refused { reason, advice, keep: live.clone() };
    if wanted.storage_class != live.storage_class {
        let class =
            live.storage_class.as_ref().map_or("left out".to_owned(), |class| format!("set back to {class}"));
        return refused(
            reason::STORAGE_CLASS_CHANGE_REFUSED,
            format!(
                "{}.storage.storageClass cannot change once volumes exist: it has to be {class}; to move the data, make a new one beside it",
                program.field
            ),
        );
    }
    if wanted.access_modes != live.access_modes {
        return refused(
            reason::IMMUTABLE_CHANGE_REFUSED,
            format!(
                "{}.storage.accessModes cannot change once volumes exist: set them back to {}",
                program.field,
                live.access_modes.join(", ")
            ),
        );
    }
    match compare(&wanted.size, &live.size) {
        Some(Ordering::Equal) => StorageVerdict::InPlace,
        Some(Ordering::Greater) => StorageVerdict::Replace(Replace::Grow(wanted.size)),
        Some(Ordering::Less) | None => refused(
            reason::STORAGE_SHRINK_REFUSED,
            format!(
                "{}.storage.size: volumes cannot shrink from {} to {}; set it to at least {1}",
                program.field, live.size, wanted.size
            ),
        ),
    }
}

/// The claim that the spec asks for.
fn claim(storage: &StorageSpec) -> Claim {
    let modes = storage.access_modes.iter().map(|mode| mode.as_str().to_owned());
    let modes: Vec<String> = modes.collect();
    Claim {
        name: VOLUME.to_owned(),
        size: storage.size.as_ref().map_or_else(|| DEFAULT_SIZE.to_owned(), |size| size.0.clone()),
        storage_class: storage.storage_class.clone(),
        access_modes: if modes.is_empty() { vec!["ReadWriteOnce".to_owned()] } else { modes },
    }
}

/// The claim template: of the wish, or of what stays when the wish was refused.
pub(super) fn template(program: &Program, verdict: &StorageVerdict) -> Option<PersistentVolumeClaim> {
    let claim = match verdict {
        StorageVerdict::Refused { keep, .. } => keep.clone(),
        StorageVerdict::InPlace | StorageVerdict::Replace(_) => claim(program.storage.as_ref()?),
    };
    // No label that follows an editable field: the template cannot change.
    let mut labels = BTreeMap::from([(labels::APP_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned())]);
    labels.extend(program.pod_selector.clone());
    Some(PersistentVolumeClaim {
        metadata: ObjectMeta { name: Some(claim.name), labels: Some(labels), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(claim.access_modes),
            storage_class_name: claim.storage_class,
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([("storage".to_owned(), Quantity(claim.size))])),
                ..VolumeResourceRequirements::default()
            }),
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn with(size: &str, class: Option<&str>) -> Claim {
        Claim {
            name: VOLUME.to_owned(),
            size: size.to_owned(),
            storage_class: class.map(str::to_owned),
            access_modes: vec!["ReadWriteOnce".to_owned()],
        }
    }

    #[rstest]
    #[case::the_same_size_in_other_words("1024Mi", None, None)]
    #[case::growing_is_done("2Gi", None, Some("grow"))]
    #[case::shrinking_is_refused("512Mi", None, Some(reason::STORAGE_SHRINK_REFUSED))]
    #[case::another_class_is_refused("1Gi", Some("fast"), Some(reason::STORAGE_CLASS_CHANGE_REFUSED))]
    fn change(#[case] size: &str, #[case] class: Option<&str>, #[case] expected: Option<&str>) {
        let verdict = match judge_change(&Program::default(), with(size, class), &with("1Gi", None)) {
            StorageVerdict::InPlace => None,
            StorageVerdict::Replace(_) => Some("grow"),
            StorageVerdict::Refused { reason, .. } => Some(reason),
        };
        assert_eq!(verdict, expected);
    }
}
