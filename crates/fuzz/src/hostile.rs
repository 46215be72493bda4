//! Text, numbers and JSON that a user could write, and nobody would expect.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Texts that have broken parsers elsewhere.
const TEXTS: [&str; 30] = [
    "",
    " ",
    "-",
    "+",
    ".",
    "0",
    "-0",
    "-1",
    "1e2147483647",
    "1e-2147483648",
    "9223372036854775808",
    "170141183460469231731687303715884105728",
    "0x10",
    "NaN",
    "inf",
    "1Ki1",
    "\u{0}",
    "\u{feff}1",
    "٣",
    "$(A)",
    "$$",
    "../..",
    "a b",
    "a?b=c#d",
    "[::1",
    "fd00::1",
    "redis://u:p@h:1/2?x=y",
    "http://[",
    "60s1",
    "* * * * *",
];

/// Numbers in the forms of Kubernetes: quantities, durations, exponents, and what is nearly one.
pub fn amount() -> impl Strategy<Value = String> {
    "[-+]?[0-9]{0,40}(\\.[0-9]{0,20})?([eE][-+]?[0-9]{0,11})?(n|u|m|k|[KMGTPE]i?|s|ms|h|d)?([0-9]{1,3}[smh])?"
}

/// Any text.
pub fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned),
        amount(),
        "\\PC{0,40}",
        "[a-z0-9.-]{1,300}",
        "(redis|postgres|kafka|nats|https?)://[a-z0-9:@/?#&=\\[\\].$%-]{0,60}",
    ]
}

/// Any JSON value.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3i64..70_000).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(text(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Any number that a computer can mean, the impossible ones more often than in nature.
pub fn float() -> impl Strategy<Value = f64> {
    let special = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        1e-300,
        2e9,
    ];
    prop_oneof![proptest::sample::select(special.to_vec()), any::<f64>(), 0.0..1e6]
}
