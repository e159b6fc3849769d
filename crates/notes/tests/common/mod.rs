//! Shared by the property tests.

use proptest::test_runner::{Config, RngSeed};

/// The same cases in every run, with no failure files. A few are enough for Miri, which is hundreds of times slower
/// and checks memory accesses, not results.
pub fn cases(cases: u32) -> Config {
    let cases = if cfg!(miri) { cases.div_ceil(128) } else { cases };
    Config { cases, rng_seed: RngSeed::Fixed(2026), failure_persistence: None, ..Config::default() }
}

/// How long the clock must run without drift, in seconds.
#[allow(dead_code)]
pub const LONG_S: f64 = if cfg!(miri) { 0.5 } else { 600.0 };
