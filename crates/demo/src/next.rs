//! What to type after the demo.

use crate::install::PATTERN;
use crate::place::{NAMESPACE, Place};

/// Commands that work as they stand, from the folder of the checkout.
pub(crate) fn print(place: &Place) {
    let kubectl = format!("{} -n {NAMESPACE}", place.kubectl);
    let config = if place.is_local { String::new() } else { format!(" KUBECONFIG={}", place.kubeconfig) };
    let fewest = r#"'{"spec":{"autoscaling":{"minReplicas":4}}}'"#;
    let end = if place.is_local {
        "make cluster-down".to_owned()
    } else {
        format!("{kubectl} delete prismpattern {PATTERN}")
    };
    let rows = [
        (format!("{kubectl} get prism"), "all of Prism's objects"),
        (format!("{kubectl} explain prismpattern.spec.autoscaling"), "what can be written"),
        (format!("make run{config}"), "the operator again, in a terminal of its own; then"),
        (format!("{kubectl} delete service {PATTERN}"), "a child is removed …"),
        (format!("{kubectl} get service {PATTERN}"), "… and is back"),
        (format!("{kubectl} patch prismpattern {PATTERN} --type merge -p {fewest}"), "scale up"),
        (format!("{kubectl} get pods --watch"), "more pods within 15 s"),
        (end, "the end"),
    ];
    println!("\nWhat to try next");
    for (command, why) in rows {
        println!("  {command}\n      {why}");
    }
}
