//! What the property tests share.

use proptest::test_runner::{Config, RngSeed};

/// The same cases in every run, and none written to files. A few are enough for Miri, which is hundreds of times slower
/// and looks at what is done, not at what comes out.
pub fn cases(cases: u32) -> Config {
    let cases = if cfg!(miri) { cases.div_ceil(128) } else { cases };
    Config { cases, rng_seed: RngSeed::Fixed(2026), failure_persistence: None, ..Config::default() }
}

/// How long time must go on without drift, in seconds.
#[allow(dead_code)]
pub const LONG_S: f64 = if cfg!(miri) { 0.5 } else { 600.0 };
