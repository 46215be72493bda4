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
    facts::{Claim, Facts},
    resolved::ResolvedPattern,
};
use crate::quantity::compare;

/// Name of the volume and of its claim template.
pub(super) const VOLUME: &str = "data";
/// Where the runner finds the volume if the spec does not say.
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

/// Compares the wish with what is there. Claim templates are immutable (kubernetes/kubernetes#69041).
pub(super) fn judge(pattern: &ResolvedPattern, facts: &Facts) -> StorageVerdict {
    let live = facts.stateful_set.as_ref().filter(|_| pattern.kind.value == WorkloadKind::StatefulSet);
    let Some(live) = live else {
        return StorageVerdict::InPlace;
    };
    match (pattern.spec.storage.as_ref().map(claim), live.claims.first()) {
        (None, None) => StorageVerdict::InPlace,
        (Some(_), None) | (None, Some(_)) => StorageVerdict::Replace(Replace::Claims),
        (Some(wanted), Some(live)) => judge_change(wanted, live),
    }
}

fn judge_change(wanted: Claim, live: &Claim) -> StorageVerdict {
    let refused = |reason, advice| StorageVerdict::Refused { reason, advice, keep: live.clone() };
    if wanted.storage_class != live.storage_class {
        let class =
            live.storage_class.as_ref().map_or("left out".to_owned(), |class| format!("set back to {class}"));
        return refused(
            reason::STORAGE_CLASS_CHANGE_REFUSED,
            format!(
                "spec.storage.storageClass cannot change once volumes exist: it has to be {class}; to move the data, create a new pattern"
            ),
        );
    }
    if wanted.access_modes != live.access_modes {
        return refused(
            reason::IMMUTABLE_CHANGE_REFUSED,
            format!(
                "spec.storage.accessModes cannot change once volumes exist: set them back to {}",
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
                "spec.storage.size: volumes cannot shrink from {} to {}; set it to at least {0}",
                live.size, wanted.size
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
pub(super) fn template(pattern: &ResolvedPattern, verdict: &StorageVerdict) -> Option<PersistentVolumeClaim> {
    let claim = match verdict {
        StorageVerdict::Refused { keep, .. } => keep.clone(),
        StorageVerdict::InPlace | StorageVerdict::Replace(_) => claim(pattern.spec.storage.as_ref()?),
    };
    // No label that follows an editable field: the template cannot change.
    let labels = BTreeMap::from([
        (labels::APP_MANAGED_BY.to_owned(), names::MANAGED_BY.to_owned()),
        (labels::PATTERN_INSTANCE.to_owned(), pattern.name.clone()),
    ]);
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
        let verdict = match judge_change(with(size, class), &with("1Gi", None)) {
            StorageVerdict::InPlace => None,
            StorageVerdict::Replace(_) => Some("grow"),
            StorageVerdict::Refused { reason, .. } => Some(reason),
        };
        assert_eq!(verdict, expected);
    }
}
