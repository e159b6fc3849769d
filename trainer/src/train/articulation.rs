//! Articulation of pianists who let the pedal sustain the sound: how long they keep keys down.
//!
//! In scores, and without the pedal, notes sound for as long as they are written. With it, keys are released when the
//! hand moves on: in recordings of people, half of all notes are shorter than a tenth of a second, regardless of their
//! written length, and durations vary by a factor of more than two from one note to the next. A network that was never
//! trained on this always continues legato.

use notes::Note;
use rand::Rng;

/// Minimum duration, in seconds.
const SHORTEST_S: f64 = 0.015;
/// Maximum factor on written durations.
const LONGEST: f64 = 1.6;
/// Autocorrelation of the wandering deviation from one onset to the next.
const KEPT: f64 = 0.75;

/// A pianist's articulation: durations are drawn toward a typical length, and deviate at random.
pub struct Articulation {
    /// Natural logarithm of the typical length in seconds.
    length: f64,
    /// Fraction of the distance of a written duration from it that is kept, in logarithms.
    follows: f64,
    /// Standard deviations of the logarithm: slowly varying from onset to onset, and independent for each note.
    wanders: f64,
    uneven: f64,
}

impl Articulation {
    /// Draws an articulation as found in recordings.
    pub fn draw(rng: &mut impl Rng) -> Self {
        Self {
            length: rng.random_range(0.045f64.ln()..0.18f64.ln()),
            follows: rng.random_range(0.2..0.9),
            wanders: rng.random_range(0.05..0.65),
            uneven: rng.random_range(0.1..0.55),
        }
    }

    /// Shortens or lengthens notes, which are in order of their onsets.
    pub fn apply(&self, notes: &mut [Note], rng: &mut impl Rng) {
        // Uniform random numbers of variance 1, the sums of which are approximately normal.
        let mut even = || rng.random_range(-1.0..1.0f64) * 3f64.sqrt();
        let mut wander = self.wanders * even();
        let mut onset = f64::NEG_INFINITY;
        for note in notes {
            if note.onset > onset {
                wander = KEPT * wander + (1.0 - KEPT * KEPT).sqrt() * self.wanders * even();
                onset = note.onset;
            }
            let written = note.duration.max(SHORTEST_S);
            let strays = wander + self.uneven * (even() + even()) * 0.5f64.sqrt();
            let played = (self.length + self.follows * (written.ln() - self.length) + strays).exp();
            note.duration = played.clamp(SHORTEST_S, LONGEST * written);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::Pcg32;

    #[test]
    fn durations_come_nearer_to_each_other_and_stray() {
        let rng = &mut Pcg32::new(1, 1);
        let articulation = Articulation { length: 0.1f64.ln(), follows: 0.3, wanders: 0.4, uneven: 0.4 };
        let play = |seconds: f64, rng: &mut Pcg32| {
            let note = |n| Note { onset: f64::from(n) / 4.0, spread: 0.0, duration: seconds, pitch: 60, velocity: 64 };
            let mut notes: Vec<Note> = (0..20_000).map(note).collect();
            articulation.apply(&mut notes, rng);
            let logs = notes.iter().map(|note| note.duration.ln());
            let mean = logs.clone().sum::<f64>() / 20_000.0;
            (mean.exp(), (logs.map(|log| (log - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt())
        };
        let (long, strays) = play(1.0, rng);
        assert!((long - 0.1f64.powf(0.7)).abs() < 0.02 && (strays - 0.56).abs() < 0.04, "{long} {strays}");
        let (short, _) = play(0.1, rng);
        assert!(short < 0.1 && short > 0.08, "not much longer than written: {short}");
    }
}
