//! What the property tests share.

use proptest::test_runner::{Config, RngSeed};

/// The same cases in every run, and none written to files.
pub fn cases(cases: u32) -> Config {
    Config { cases, rng_seed: RngSeed::Fixed(2026), failure_persistence: None, ..Config::default() }
}
