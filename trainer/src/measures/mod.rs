//! The measures of `evaluate`. All are deterministic and independent of the number of cores.

pub mod baselines;
pub mod copier;
pub mod degeneration;
pub mod diversity;
pub mod entry;
pub mod excerpts;
pub mod fit;
pub mod free_running;
pub mod histogram;
pub mod likelihood;
pub mod report;
pub mod similarity;
pub mod two_sample;

use serde::Serialize;

/// Nats per note on the 10 ms grid: steps and durations fall into cells of [10k-5, 10k+5) ms (cell 0 is [0, 5)), and a
/// model's score is -log of the probability of the cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NatsPerNote {
    /// Pitch, of 128.
    pub pitch: f64,
    /// Step, on the grid.
    pub step: f64,
    /// Duration, on the grid.
    pub duration: f64,
    /// Velocity, in 32 levels; absent for networks without one.
    pub velocity: Option<f64>,
    /// Spread, in bins of 2 ms, 0 outside chords; absent for networks without one. Not part of any sum.
    pub spread: Option<f64>,
    /// pitch + step + duration.
    pub timed: f64,
}
