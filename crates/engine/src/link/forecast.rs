//! The pitch forecast: how likely the network considers each pitch to come next. Written by the generator while the
//! window is open, read by the editor, through a triple buffer.

use model::Decoder;
use triple_buffer::{Input, Output, triple_buffer};

use crate::link::viewer::Viewer;

/// Number of MIDI keys.
const PITCHES: usize = 128;
/// The step assumed for the next note, in seconds: a melody's step, not a chord.
const STEP_S: f64 = 0.25;

/// The pitch forecast.
#[derive(Clone, Debug)]
pub struct PitchForecast {
    /// Probability of each pitch; all 0 while there is no forecast.
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
pub fn forecast_link(viewer: Viewer) -> (PitchForecastWriter, Output<PitchForecast>) {
    let (out, seen) = triple_buffer(&PitchForecast::default());
    (PitchForecastWriter { out, viewer }, seen)
}

impl PitchForecastWriter {
    /// Whether the window is open.
    pub fn is_seen(&self) -> bool {
        self.viewer.opening().is_some()
    }

    /// Publishes this decoder's forecast if the window is open. It costs a fraction of generating one note.
    pub fn publish(&mut self, decoder: &mut Decoder) {
        if self.is_seen() {
            decoder.pitch_distribution(STEP_S, &mut self.out.input_buffer_mut().pitches);
            self.out.publish();
            self.viewer.repaint();
        }
    }

    /// Clears the forecast: there is no decoder any more.
    pub fn clear(&mut self) {
        *self.out.input_buffer_mut() = PitchForecast::default();
        self.out.publish();
        self.viewer.repaint();
    }
}
