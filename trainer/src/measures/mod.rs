//! What `evaluate` measures. Everything here is deterministic and independent of the number of cores.

pub mod baselines;
pub mod copier;
pub mod degeneration;
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

/// Nats per note on the 10 ms grid: step and duration fall into cells of [10k-5, 10k+5) ms, cell 0 is
/// [0, 5), and a model pays -log of the mass it puts on the cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct NatsPerNote {
    /// Of 128 pitches.
    pub pitch: f64,
    /// On the grid.
    pub step: f64,
    /// On the grid.
    pub duration: f64,
    /// In 32 levels; absent where a network has none.
    pub velocity: Option<f64>,
    /// In bins of 2 ms, 0 outside chords; absent where a network has none. In no sum.
    pub spread: Option<f64>,
    /// pitch + step + duration.
    pub timed: f64,
}
