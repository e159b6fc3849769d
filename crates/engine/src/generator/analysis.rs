//! What the player's own notes say of key, loudness, pace and pulse. Plain data of fixed size.

use model::key::key_of;
use model::limits::of_classes;
use notes::Successor;

use crate::generator::pulse::{ONSETS, Pulse, pulse};
use crate::settings::Scale;

/// What a note leaves of what earlier ones say: the key is held for longer than a loudness.
const KEY: f64 = 0.99;
const LOUDNESS: f32 = 0.9;
const PACE: f64 = 0.95;
/// For the key, notes count as long as they are, within these bounds, in seconds.
const COUNTS_S: [f64; 2] = [0.05, 2.0];
/// A longer step is a pause, and says nothing of pace, in seconds.
const PAUSE_S: f64 = 2.0;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct PhraseAnalysis {
    /// How much of each pitch class was heard.
    classes: [f64; 12],
    /// Mean MIDI velocity of the last notes.
    loudness: Option<f32>,
    /// Mean logarithm of the last steps in seconds, chords and pauses apart.
    pace: Option<f64>,
    /// The last onsets and their weights: a ring.
    onsets: [(f64, f64); ONSETS],
    /// How many there were.
    count: usize,
}

impl Default for PhraseAnalysis {
    fn default() -> Self {
        Self { classes: [0.0; 12], loudness: None, pace: None, onsets: [(0.0, 0.0); ONSETS], count: 0 }
    }
}

impl PhraseAnalysis {
    /// Hears a note of the player, whose onset is `at` these seconds of any axis. `begins`: it has no step,
    /// nothing of the player's came before it.
    pub fn hear(&mut self, at: f64, note: &Successor, begins: bool) {
        let velocity = f32::from(note.velocity);
        self.classes.iter_mut().for_each(|class| *class *= KEY);
        self.classes[usize::from(note.pitch % 12)] += note.duration.clamp(COUNTS_S[0], COUNTS_S[1]);
        self.loudness = Some(self.loudness.map_or(velocity, |mean| LOUDNESS * mean + (1.0 - LOUDNESS) * velocity));
        if !begins {
            self.pace = track(self.pace, note.step);
        }
        if note.step == 0.0 && !begins && self.count > 0 {
            self.onsets[(self.count - 1) % ONSETS].1 += f64::from(velocity);
        } else {
            self.onsets[self.count % ONSETS] = (at, velocity.into());
            self.count += 1;
        }
    }

    /// The pitches of the key and scale that the notes are in: of the scales of that key, the one that has
    /// most of them. `None`: they are in none.
    pub fn scale(&self) -> Option<u128> {
        let key = key_of(&self.classes)?;
        let scales = match key.minor {
            false => &[Scale::Major, Scale::Mixolydian, Scale::Lydian][..],
            true => &[Scale::Minor, Scale::HarmonicMinor, Scale::MelodicMinor, Scale::Dorian, Scale::Phrygian],
        };
        let covers = |scale: u16| -> f64 {
            (0..12).filter(|class| scale >> class & 1 == 1).map(|class| self.classes[class]).sum()
        };
        let scales = scales.iter().map(|scale| scale.upon(key.tonic)).map(|scale| (covers(scale), scale));
        let best = scales.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map(|(_, scale)| of_classes(scale))
    }

    /// Mean MIDI velocity of the last notes.
    pub fn loudness(&self) -> Option<f32> {
        self.loudness
    }

    /// Mean logarithm of the last steps in seconds.
    pub fn pace(&self) -> Option<f64> {
        self.pace
    }

    /// The pulse of the last notes, on the axis on which they were heard.
    pub fn pulse(&self) -> Option<Pulse> {
        let first = self.count.saturating_sub(ONSETS);
        let mut onsets = [(0.0, 0.0); ONSETS];
        let onsets = &mut onsets[..self.count - first];
        for (place, onset) in onsets.iter_mut().enumerate() {
            *onset = self.onsets[(first + place) % ONSETS];
        }
        pulse(onsets)
    }
}

/// Takes one more step, in seconds, into a mean of their logarithms.
pub fn track(mean: Option<f64>, step: f64) -> Option<f64> {
    if step <= 0.0 || step > PAUSE_S {
        return mean;
    }
    let logarithm = libm::log(step);
    Some(mean.map_or(logarithm, |mean| PACE * mean + (1.0 - PACE) * logarithm))
}

#[cfg(test)]
mod tests {
    use model::limits::classes_of;

    use super::*;

    #[test]
    fn a_phrase_has_a_key_and_a_scale() {
        let heard = |pitches: &[u8]| {
            let mut ear = PhraseAnalysis::default();
            for (i, &pitch) in pitches.iter().enumerate() {
                let step = if i == 0 { 0.0 } else { 0.4 };
                ear.hear(i as f64 * 0.4, &Successor { step, spread: 0.0, duration: 0.4, pitch, velocity: 70 }, i == 0);
            }
            ear.scale().map(classes_of)
        };
        assert_eq!(heard(&[]), None);
        // Tunes that stress tonic and fifth, and end on the tonic.
        assert_eq!(heard(&[62, 66, 69, 74, 73, 71, 69, 67, 66, 64, 62]), Some(Scale::Major.upon(2)), "D major");
        let harmonic = [57, 60, 64, 69, 68, 69, 64, 65, 64, 62, 60, 59, 57];
        assert_eq!(heard(&harmonic), Some(Scale::HarmonicMinor.upon(9)), "A minor with its leading note");
        let dorian = [62, 65, 69, 74, 72, 71, 69, 67, 65, 64, 62];
        assert_eq!(heard(&dorian), Some(Scale::Dorian.upon(2)), "D dorian");
        let mixolydian = [67, 71, 74, 79, 77, 76, 74, 72, 71, 69, 67];
        assert_eq!(heard(&mixolydian), Some(Scale::Mixolydian.upon(7)), "G mixolydian");
    }

    #[test]
    fn it_follows_the_player() {
        let mut ear = PhraseAnalysis::default();
        for i in 0..200 {
            let velocity = if i < 100 { 110 } else { 40 };
            let step = if i % 10 == 9 { 5.0 } else { 0.25 };
            ear.hear(i as f64, &Successor { step, spread: 0.0, duration: 0.3, pitch: 60, velocity }, i == 0);
        }
        assert!((ear.loudness().unwrap() - 40.0).abs() < 1.0);
        assert!((ear.pace().unwrap().exp() - 0.25).abs() < 1e-9, "pauses are no pace");
    }
}
