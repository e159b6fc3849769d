//! How the model's time relates to the host's.

use engine::settings::Rhythm;
use nice_plug::prelude::*;

use super::choices::{BeatSource, Grid, Speed};
use super::{amount, factor, share};

/// The parameters of the group *Time*.
#[derive(Params)]
pub struct TimeParams {
    /// How strongly the model's onsets are quantized: 0 % is free, 100 % exactly on the grid. The network gets the
    /// quantized notes as its own input.
    #[id = "strength"]
    pub strength: FloatParam,

    /// The grid that onsets are quantized to.
    #[id = "grid"]
    pub grid: EnumParam<Grid>,

    /// The position of every second grid line between its neighbors: 50 % is straight, 67 % a triplet.
    #[id = "swing"]
    pub swing: FloatParam,

    /// Whether the grid follows the host's beat or that of the player's phrase. While the transport is stopped, the
    /// host's beats start at the hand-over; if the phrase has no clear beat, the host's is used.
    #[id = "pulse"]
    pub pulse: EnumParam<BeatSource>,

    /// How fast the model's music is played; the network is not affected.
    #[id = "speed"]
    pub speed: EnumParam<Speed>,

    /// Factor on the number of notes, approximately: below 1 longer steps become likelier, above 1 shorter ones.
    #[id = "density"]
    pub density: FloatParam,

    /// A note that is ready too late is shifted by at most this much; a later one is dropped.
    #[id = "late"]
    pub late_ms: FloatParam,
}

impl Default for TimeParams {
    fn default() -> Self {
        Self {
            strength: share("Grid strength", 0.0, 0.0, 1.0),
            grid: EnumParam::new("Grid", Grid::Sixteenth),
            swing: share("Swing", 0.5, 0.5, 0.75),
            pulse: EnumParam::new("Beat source", BeatSource::Host),
            speed: EnumParam::new("Speed", Speed::Normal),
            density: factor("Density", 1.0, 0.25, 4.0),
            late_ms: amount("Late notes", 50.0, 0.0, 500.0, 1.0, " ms"),
        }
    }
}

impl TimeParams {
    /// The current values, apart from late notes.
    pub fn rhythm(&self) -> Rhythm {
        Rhythm {
            strength: self.strength.value(),
            grid: self.grid.value().into(),
            swing: self.swing.value(),
            beat_source: self.pulse.value().into(),
            speed: self.speed.value().into(),
            density: self.density.value(),
        }
    }
}
