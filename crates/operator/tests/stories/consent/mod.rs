//! What crosses from one namespace into another: every reference of every kind, without consent, with it,
//! after it was withdrawn, and with marks that somebody has forged. Read from the audit log and from the
//! objects, and printed.

mod cell;
mod references;

use std::{collections::BTreeSet, fmt::Write, time::Duration};

use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use prism_testbed::{audit::Mark, eventually};
use serde_json::{Value, json};

use self::{
    cell::{COLUMNS, Cell, Seen, WITHDRAWN},
    references::{REFERENCES, Reference},
};
use crate::{support::PATIENCE, world::World};

/// Nothing is written for so long: reports wait for five seconds at most.
const QUIET: Duration = Duration::from_secs(7);

/// Waits until the operator has written nothing for a while.
async fn settled(world: &World, since: Mark) {
    eventually("the operator has come to rest", PATIENCE * 3, async || {
        let last = world.writes_since(since).iter().map(|write| write.received).max();
        let rest = last.map(|last| Timestamp::now().duration_since(last));
        let is_quiet = rest.is_none_or(|rest| Duration::try_from(rest).unwrap_or_default() > QUIET);
        if is_quiet { Ok(()) } else { Err(format!("it wrote {rest:?} ago")) }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_crosses_a_namespace_that_its_owner_has_not_consented_to() {
    let world = World::begin().await;
    let start = world.mark();
    let mut cells = Vec::new();
    for (row, reference) in REFERENCES.iter().enumerate() {
        for column in 0..COLUMNS.len() {
            cells.push(Cell {
                reference,
                column,
                a: format!("a{row}-{column}"),
                b: format!("b{row}-{column}"),
            });
        }
    }
    join_all(cells.iter().map(|cell| cell.host(&world))).await;
    join_all(cells.iter().map(|cell| cell.ask(&world))).await;
    settled(&world, start).await;
    let requests = world.requests_since(start);
    let first = cells.iter().map(async |cell| cell.seen(&requests, cell.arrived(&world).await));
    let mut seen = join_all(first).await;

    // What was given is taken back.
    let withdrawn = world.mark();
    let before = join_all(cells.iter().map(|cell| cell.bodies(&world))).await;
    for cell in cells.iter().filter(|cell| cell.column == WITHDRAWN) {
        cell.withdraw(&world).await;
    }
    settled(&world, withdrawn).await;
    let requests = world.requests_since(withdrawn);
    for (index, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.column == WITHDRAWN) {
        let was_given = seen[index].arrived != "-";
        let is_same = cell.bodies(&world).await == before[index];
        let arrived = match (was_given, is_same) {
            (true, true) => "frozen".to_owned(),
            (true, false) => "changed".to_owned(),
            (false, _) => cell.arrived(&world).await,
        };
        seen[index] = cell.seen(&requests, arrived);
    }

    let mut table = String::new();
    let mut wrong = Vec::new();
    for (cells, seen) in cells.chunks(COLUMNS.len()).zip(seen.chunks(COLUMNS.len())) {
        let Reference { kind, field, expected, .. } = cells[0].reference;
        write!(table, "{kind:<16} {field:<36}").unwrap();
        for ((seen, expected), column) in seen.iter().zip(expected).zip(COLUMNS) {
            let Seen { reads, writes, arrived } = seen;
            write!(table, " | {reads:>2} r {writes:>2} w  {arrived:<24}").unwrap();
            let crosses = expected.contains("objects");
            if arrived != expected || *reads > 0 && !crosses || *writes > 0 && !crosses {
                wrong.push(format!("{kind} {field}, {column}: {arrived}, {reads} reads, {writes} writes"));
            }
        }
        table.push('\n');
    }
    println!("{:<53} | {}\n{table}", "reference", COLUMNS.map(|column| format!("{column:<34}")).join(" | "));
    assert!(wrong.is_empty(), "{wrong:#?}");
    world.end().await;
}

/// A field of a custom resource that names a namespace is in the table above, or has a reason not to be.
#[test]
fn every_field_that_names_a_namespace_is_in_the_matrix() {
    let known: BTreeSet<(String, String)> =
        REFERENCES.iter().map(|reference| (reference.kind.to_owned(), reference.field.to_owned())).collect();
    let mut missing = Vec::new();
    for crd in prism_api::all_crds().unwrap() {
        let kind = crd.spec.names.kind.clone();
        for version in &crd.spec.versions {
            let schema = json!(version.schema.as_ref().unwrap().open_api_v3_schema);
            let mut found = Vec::new();
            namespaces_below(&schema["properties"]["spec"], "", &mut found);
            missing.extend(
                found.into_iter().map(|field| (kind.clone(), field)).filter(|one| !known.contains(one)),
            );
        }
    }
    assert_eq!(missing, []);
}

/// Paths of the blocks that have a field `namespace`. Affinity is the scheduler's: the operator passes it on.
fn namespaces_below(schema: &Value, path: &str, found: &mut Vec<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        match name.as_str() {
            "namespace" => found.push(path.to_owned()),
            "affinity" => {}
            name => namespaces_below(property, &below(name), found),
        }
    }
    if schema["items"].is_object() {
        namespaces_below(&schema["items"], &format!("{path}[]"), found);
    }
}
