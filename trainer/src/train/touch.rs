//! How long a pianist keeps keys down who lets the pedal hold what sounds.
//!
//! Scores say how long notes sound; so do players without a pedal. With it, keys come up when the hand moves on: in
//! recordings of people half of all notes are shorter than a tenth of a second, whatever their written length, and from
//! one to the next by a factor of more than two. A network that has never heard that plays legato to everyone.

use notes::Note;
use rand::Rng;

/// No key comes up sooner, in seconds.
const SHORTEST_S: f64 = 0.015;
/// No key stays down for longer than this times what is written.
const LONGEST: f64 = 1.6;
/// How much of what a touch strays by is still there at the next onset.
const KEPT: f64 = 0.75;

/// A pianist's touch: durations are drawn towards a length of its own, and stray.
pub struct Touch {
    /// Natural logarithm of that length in seconds.
    length: f64,
    /// How much of a written duration's distance from it is left, in logarithms.
    follows: f64,
    /// Standard deviations, in logarithms: from onset to onset little by little, and from note to note.
    wanders: f64,
    uneven: f64,
}

impl Touch {
    /// A touch like those that are heard.
    pub fn draw(rng: &mut impl Rng) -> Self {
        Self {
            length: rng.random_range(0.045f64.ln()..0.18f64.ln()),
            follows: rng.random_range(0.2..0.9),
            wanders: rng.random_range(0.05..0.65),
            uneven: rng.random_range(0.1..0.55),
        }
    }

    /// Plays notes so, in order of their onsets.
    pub fn play(&self, notes: &mut [Note], rng: &mut impl Rng) {
        // Even numbers of variance 1; sums of them are as good as normal.
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
        let touch = Touch { length: 0.1f64.ln(), follows: 0.3, wanders: 0.4, uneven: 0.4 };
        let play = |seconds: f64, rng: &mut Pcg32| {
            let note = |n| Note { onset: f64::from(n) / 4.0, spread: 0.0, duration: seconds, pitch: 60, velocity: 64 };
            let mut notes: Vec<Note> = (0..20_000).map(note).collect();
            touch.play(&mut notes, rng);
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
