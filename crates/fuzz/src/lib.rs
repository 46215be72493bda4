//! Properties under hostile input: a few hundred cases in the test suite, minutes of them with `make fuzz`.
//!
//! An input that fails is made smaller, and kept in `regressions/`: from then on it is tried first.

pub mod documents;
pub mod hostile;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, FileFailurePersistence, TestCaseError, TestRunner};

/// For how long each property is tried, in seconds. Without it: [`CASES`] cases.
const SECONDS: &str = "FUZZ_SECONDS";

/// Cases of one round.
const CASES: u32 = 256;

/// Tries `property` on what `strategy` makes. `source` is the `file!()` of the test.
///
/// # Panics
/// With the smallest input found for which the property does not hold.
pub fn fuzz<S>(source: &'static str, strategy: &S, property: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S: Strategy,
    S::Value: Debug,
{
    let seconds = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or_default());
    let mut cases: u64 = 0;
    loop {
        let mut runner = TestRunner::new(Config {
            cases: CASES,
            source_file: Some(source),
            failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
            ..Config::default()
        });
        let held = runner.run(strategy, &property);
        assert!(
            held.is_ok(),
            "after {cases} cases: {}",
            held.err().map(|error| error.to_string()).unwrap_or_default()
        );
        cases += u64::from(CASES);
        if Instant::now() >= deadline {
            break;
        }
    }
    println!("{source}: {cases} cases");
}
