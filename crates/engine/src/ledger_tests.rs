//! The ledger against histories that a watch and the engine's own writes can produce.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::object::KindInfo;

const OWNER: Kind = Kind(&KindInfo::new("example.io", "v1", "Parent", "parents"));
const CHILD: Kind = Kind(&KindInfo::new("apps", "v1", "Deployment", "deployments").workload());

fn ledger() -> Ledger {
    Ledger::new(Signature {
        manager: "us",
        mark: "example.io/owned-by",
        stamp: "example.io/applied",
        finalizer: "example.io/cleanup",
        notes: "example.io/",
        adoption_label: "app",
        adoption_consent: "example.io/adopt",
        owner_kinds: vec![OWNER],
    })
}

fn live(version: u64, fields: &str) -> Live {
    serde_json::from_value(json!({
        "metadata": {
            "name": "web", "namespace": "ns", "uid": "u1", "resourceVersion": version.to_string(),
            "ownerReferences": [{"apiVersion": "example.io/v1", "kind": "Parent", "name": "p", "uid": "owner", "controller": true}],
            "managedFields": [{"manager": "us", "operation": "Apply", "fieldsV1": {fields: {}}}],
        },
        "spec": {"replicas": 3},
        "status": {"readyReplicas": 1},
    }))
    .unwrap()
}

fn key() -> ObjectKey {
    ObjectKey::new(CHILD, "ns", "web")
}

fn owner() -> ObjectKey {
    ObjectKey::new(OWNER, "ns", "p")
}

#[test]
fn the_echo_of_our_own_write_wakes_nobody() {
    let ledger = ledger();
    ledger.record(&key(), &live(5, "f:a"));
    assert!(ledger.observe(CHILD, Event::Apply(live(5, "f:a"))).is_empty());
}

#[test]
fn drift_wakes_the_owner() {
    let ledger = ledger();
    ledger.record(&key(), &live(5, "f:a"));
    assert_eq!(ledger.observe(CHILD, Event::Apply(live(6, "f:b"))), vec![owner()]);
}

#[test]
fn a_change_that_matters_to_nobody_wakes_nobody() {
    let ledger = ledger();
    ledger.record(&key(), &live(5, "f:a"));
    assert!(ledger.observe(CHILD, Event::Apply(live(6, "f:a"))).is_empty());
}

#[test]
fn a_deleted_child_is_gone_and_wakes_its_owner() {
    let ledger = ledger();
    ledger.record(&key(), &live(5, "f:a"));
    assert_eq!(ledger.observe(CHILD, Event::Delete(live(7, "f:a"))), vec![owner()]);
    assert_eq!(ledger.get(&key()), None);
}

#[test]
fn an_answer_that_arrives_after_the_deletion_does_not_bring_the_child_back() {
    let ledger = ledger();
    ledger.observe(CHILD, Event::Apply(live(5, "f:a")));
    ledger.observe(CHILD, Event::Delete(live(7, "f:a")));
    ledger.record(&key(), &live(6, "f:a"));
    assert_eq!(ledger.get(&key()), None);
}

#[test]
fn a_relist_drops_what_it_does_not_mention() {
    let ledger = ledger();
    ledger.record(&key(), &live(5, "f:a"));
    ledger.observe(CHILD, Event::Init);
    assert_eq!(ledger.observe(CHILD, Event::InitDone), vec![owner()]);
    assert_eq!(ledger.get(&key()), None);
}

#[test]
fn a_relist_keeps_what_was_made_while_it_ran() {
    let ledger = ledger();
    ledger.observe(CHILD, Event::Init);
    ledger.record(&key(), &live(5, "f:a"));
    assert!(ledger.observe(CHILD, Event::InitDone).is_empty());
    assert!(ledger.get(&key()).is_some());
}

#[test]
fn losing_its_owner_reference_wakes_the_old_owner() {
    let ledger = ledger();
    ledger.record(&key(), &live(5, "f:a"));
    let mut orphan = live(6, "f:b");
    orphan.metadata.owner_references = None;
    assert_eq!(ledger.observe(CHILD, Event::Apply(orphan)), vec![owner()]);
    let owner = Owner { key: owner(), uid: "owner".into() };
    assert!(ledger.children(&owner).is_empty());
}

#[test]
fn what_an_earlier_process_remembered_never_overrides_what_this_one_knows() {
    let ledger = ledger();
    let answer = ledger.record(&key(), &live(5, "f:a"));
    let wanted = Digest::of(&json!("new"));
    ledger.mark_applied(&key(), wanted, &answer);
    let stale = Applied { uid: "u1".into(), wanted: Digest::of(&json!("old")), owned: wanted };
    ledger.recall(&Owner { key: owner(), uid: "owner".into() }, [(key(), stale)]);
    assert_eq!(ledger.applied(&key()).unwrap().wanted, wanted);
}

proptest! {
    /// Whatever the order in which answers and watch events arrive, the newest state wins once
    /// the watch has delivered everything.
    #[test]
    fn the_watch_has_the_last_word(
        states in prop::collection::vec(any::<bool>(), 1..12),
        answered in prop::collection::vec(any::<bool>(), 12),
        delay in 0usize..4,
    ) {
        let ledger = ledger();
        let version = |index: usize| index as u64 + 1;
        let field = |index: usize| format!("f:{index}");
        let answer = |index: usize| {
            if states[index] && answered[index] {
                ledger.record(&key(), &live(version(index), &field(index)));
            }
        };
        for (index, exists) in states.iter().enumerate() {
            if *exists {
                ledger.observe(CHILD, Event::Apply(live(version(index), &field(index))));
            } else {
                ledger.observe(CHILD, Event::Delete(live(version(index), "f:gone")));
            }
            if index >= delay {
                answer(index - delay);
            }
        }
        let last = states.len() - 1;
        (states.len().saturating_sub(delay)..states.len()).for_each(answer);
        let expected = states[last].then(|| live(version(last), &field(last)).ownership("us"));
        prop_assert_eq!(ledger.get(&key()).map(|seen| seen.ownership), expected);
    }
}

#[test]
fn a_mark_names_an_owner_in_another_namespace() {
    let ledger = ledger();
    let owner = Owner { key: ObjectKey::new(OWNER, "home", "p"), uid: "u-1".into() };
    let mut live = Live::default();
    live.metadata.namespace = Some("away".to_owned());
    live.metadata.annotations = Some([("example.io/owned-by".to_owned(), owner.to_mark())].into());
    let seen = ledger.read(CHILD, &live);
    assert_eq!(seen.owner, Some(owner));
    assert!(seen.is_marked);
}

#[test]
fn a_kind_that_is_no_longer_served_wakes_the_owners_of_what_was_there() {
    let ledger = ledger();
    ledger.observe(CHILD, Event::Apply(live(1, "f:a")));
    assert_eq!(ledger.drop_kind(CHILD).len(), 1);
    assert!(ledger.drop_kind(CHILD).is_empty());
}
