//! What to type after the demo.

use prism_demo::Place;

use crate::stack::{NAMESPACE, STACK};

/// Commands that work as they stand, from the folder of the checkout.
pub(crate) fn print(place: &Place) {
    let kubectl = format!("{} -n {NAMESPACE}", place.kubectl);
    let config = if place.is_local { String::new() } else { format!(" KUBECONFIG={}", place.kubeconfig) };
    let patch = |admins: u8| {
        format!(
            r#"{kubectl} patch prismstack {STACK} --type merge -p '{{"spec":{{"admin":{{"replicas":{admins}}}}}}}'"#
        )
    };
    let (end, how) = if place.is_local {
        ("make cluster-down".to_owned(), "the end")
    } else {
        (format!("{kubectl} delete prismstack {STACK}"), "the end; the operator has to run for it")
    };
    let rows = [
        (format!("{kubectl} get prism"), "all of Prism's objects"),
        (format!("{kubectl} describe prismstack {STACK}"), "the conditions, and every part"),
        (format!("make run{config}"), "the operator again, in a terminal of its own; then"),
        (format!("{kubectl} delete service {STACK}-proxy"), "a child is removed, and is back at once"),
        (patch(5), "two admins more, one at a time"),
        (patch(1), "refused: one of five cannot agree on anything; the status says what to do"),
        (end, how),
    ];
    println!("\nWhat to try next (docs/stacks.md tells more)");
    for (command, why) in rows {
        println!("  {command}\n      {why}");
    }
}
