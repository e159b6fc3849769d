//! What the model expects: how likely each pitch is to come next. Told by the generator while
//! somebody looks, read by the editor through a triple buffer.

use model::Decoder;
use triple_buffer::{Input, Output, triple_buffer};

use crate::link::viewer::Viewer;

/// MIDI keys.
const PITCHES: usize = 128;
/// The next note is imagined this long after the latest one, in seconds: a melody's step, no chord.
const STEP_S: f64 = 0.25;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct PitchForecast {
    /// Probability of each pitch; all 0 while nothing is known.
    pub pitches: [f32; PITCHES],
}

impl Default for PitchForecast {
    fn default() -> Self {
        Self { pitches: [0.0; PITCHES] }
    }
}

/// The generator's end.
pub struct PitchForecastWriter {
    out: Input<PitchForecast>,
    viewer: Viewer,
}

/// Both ends, for this window.
pub fn outlook(viewer: Viewer) -> (PitchForecastWriter, Output<PitchForecast>) {
    let (out, seen) = triple_buffer(&PitchForecast::default());
    (PitchForecastWriter { out, viewer }, seen)
}

impl PitchForecastWriter {
    /// Whether somebody looks.
    pub fn is_seen(&self) -> bool {
        self.viewer.opening().is_some()
    }

    /// Tells what this decoder expects, if somebody looks. It costs a part of generating one note.
    pub fn tell(&mut self, decoder: &mut Decoder) {
        if self.is_seen() {
            decoder.pitch_distribution(STEP_S, &mut self.out.input_buffer_mut().pitches);
            self.out.publish();
            self.viewer.repaint();
        }
    }

    /// There is no decoder any more.
    pub fn clear(&mut self) {
        *self.out.input_buffer_mut() = PitchForecast::default();
        self.out.publish();
        self.viewer.repaint();
    }
}
