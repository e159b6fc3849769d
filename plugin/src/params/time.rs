//! How the model's time relates to the host's.

use engine::settings::Rhythm;
use nice_plug::prelude::*;

use super::choices::{BeatSource, Grid, Speed};
use super::{amount, factor, share};

/// See the [module](self).
#[derive(Params)]
pub struct TimeParams {
    /// How far the model's onsets are drawn to the grid: 0 % is free, 100 % on its lines. What comes of it is
    /// what the network hears itself play.
    #[id = "strength"]
    pub strength: FloatParam,

    /// The grid that onsets are drawn to.
    #[id = "grid"]
    pub grid: EnumParam<Grid>,

    /// Where every second line of the grid lies between its neighbours: 50 % is straight, 67 % a triplet.
    #[id = "swing"]
    pub swing: FloatParam,

    /// Whose pulse the grid follows: the host's bar lines, or the beat of the player's phrase. With no
    /// transport running, the host's beats begin at the hand-over; a phrase without a beat leaves it to the
    /// host.
    #[id = "pulse"]
    pub pulse: EnumParam<BeatSource>,

    /// How fast the model's music goes by. The network knows nothing of it.
    #[id = "speed"]
    pub speed: EnumParam<Speed>,

    /// Below 1 fewer notes, above 1 more, by about this factor: longer or shorter steps become likelier.
    #[id = "density"]
    pub density: FloatParam,

    /// A note that comes too late for its moment is shifted by this at most; a later one is dropped.
    #[id = "late"]
    pub late_ms: FloatParam,
}

impl Default for TimeParams {
    fn default() -> Self {
        Self {
            strength: share("Grid strength", 0.0, 0.0, 1.0),
            grid: EnumParam::new("Grid", Grid::Sixteenth),
            swing: share("Swing", 0.5, 0.5, 0.75),
            pulse: EnumParam::new("BeatSource", BeatSource::Host),
            speed: EnumParam::new("Speed", Speed::Normal),
            density: factor("Density", 1.0, 0.25, 4.0),
            late_ms: amount("Late notes", 50.0, 0.0, 500.0, 1.0, " ms"),
        }
    }
}

impl TimeParams {
    /// The same as plain values.
    pub fn rhythm(&self) -> Rhythm {
        Rhythm {
            strength: self.strength.value(),
            grid: self.grid.value().into(),
            swing: self.swing.value(),
            pulse: self.pulse.value().into(),
            speed: self.speed.value().into(),
            density: self.density.value(),
        }
    }
}
