//! The examples do what their README says, from the command line on.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/backtest").join(name)
}

fn backtest(policies: &[&str], more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prism-backtest"));
    for policy in policies {
        command.arg("--policy").arg(example(policy));
    }
    command.arg("--series").arg(example("orders.csv")).args(more).output().unwrap()
}

#[test]
fn two_policies_are_compared() {
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("orders.svg");
    let svg = picture.to_str().unwrap();
    let more = ["--queue", "orders.arrivals=50", "--svg", svg];
    let output = backtest(&["lag.yaml", "drain.yaml"], &more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(text);
    let readme = std::fs::read_to_string(example("README.md")).unwrap();
    let figures = text.split("\n\n").next().unwrap();
    assert!(readme.contains(figures), "the README should show these figures:\n{figures}");
    assert!(std::fs::read_to_string(&picture).unwrap().ends_with("</svg>\n"));
}

#[test]
fn a_column_that_is_missing_is_named() {
    let output = backtest(&["drain.yaml"], &[]);
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("the series has no column pattern.consumer.throughput"), "{error}");
}
