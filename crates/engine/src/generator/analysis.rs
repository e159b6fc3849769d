//! Analyzes the player's own notes: key, loudness, pace and pulse. Plain data of fixed size.

use model::constraints::of_classes;
use model::key::key_of;
use notes::Successor;

use crate::generator::pulse::{ONSETS, Pulse, keeps_to, pulse};
use crate::settings::Scale;

/// Decay factor per note of the running statistics: the key changes more slowly than the loudness.
const KEY: f64 = 0.99;
const LOUDNESS: f32 = 0.9;
const PACE: f64 = 0.95;
/// For the key, notes are weighted by duration, clamped to this range, in seconds.
const COUNTS_S: [f64; 2] = [0.05, 2.0];
/// A longer step, in seconds, is a pause and does not count toward the pace.
const PAUSE_S: f64 = 2.0;

/// Running statistics of the player's notes.
#[derive(Clone, Debug, PartialEq)]
pub struct PhraseAnalysis {
    /// Weight of each pitch class: decayed sum of durations, in seconds.
    classes: [f64; 12],
    /// Running mean of the notes' MIDI velocities.
    loudness: Option<f32>,
    /// Running mean of the natural logarithm of the steps in seconds, without chords and pauses.
    pace: Option<f64>,
    /// Ring buffer of the latest onsets, in seconds, and their weights.
    onsets: [(f64, f64); ONSETS],
    /// Number of onsets so far.
    count: usize,
}

impl Default for PhraseAnalysis {
    fn default() -> Self {
        Self { classes: [0.0; 12], loudness: None, pace: None, onsets: [(0.0, 0.0); ONSETS], count: 0 }
    }
}

impl PhraseAnalysis {
    /// Adds a note of the player with its onset `at`, in seconds on any axis. `begins`: the note has no step, since
    /// no note of the player came before it.
    pub fn push(&mut self, at: f64, note: &Successor, begins: bool) {
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

    /// The pitches of the notes' key and scale, as a bit mask: of the scales of that key, the one that covers the
    /// most weight. `None`: the notes have no clear key.
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

    /// Running mean of the notes' MIDI velocities.
    pub fn loudness(&self) -> Option<f32> {
        self.loudness
    }

    /// Running mean of the natural logarithm of the steps in seconds.
    pub fn pace(&self) -> Option<f64> {
        self.pace
    }

    /// The pulse of the latest notes, on the axis of their onsets.
    pub fn pulse(&self) -> Option<Pulse> {
        pulse(&self.latest_onsets())
    }

    /// Whether the latest notes were played to these beats, on the axis of their onsets; also if there are none.
    pub fn keeps_to(&self, beats: &Pulse) -> bool {
        self.count == 0 || keeps_to(&self.latest_onsets(), beats)
    }

    /// The latest onsets in ascending order, with their weights.
    fn latest_onsets(&self) -> Vec<(f64, f64)> {
        (self.count.saturating_sub(ONSETS)..self.count).map(|place| self.onsets[place % ONSETS]).collect()
    }
}

/// Adds a step, in seconds, to a running mean of logarithms. Steps of 0 and pauses do not count.
pub fn track(mean: Option<f64>, step: f64) -> Option<f64> {
    if step <= 0.0 || step > PAUSE_S {
        return mean;
    }
    let logarithm = libm::log(step);
    Some(mean.map_or(logarithm, |mean| PACE * mean + (1.0 - PACE) * logarithm))
}

#[cfg(test)]
mod tests {
    use model::constraints::classes_of;

    use super::*;

    #[test]
    fn a_phrase_has_a_key_and_a_scale() {
        let heard = |pitches: &[u8]| {
            let mut analysis = PhraseAnalysis::default();
            for (i, &pitch) in pitches.iter().enumerate() {
                let step = if i == 0 { 0.0 } else { 0.4 };
                analysis.push(
                    i as f64 * 0.4,
                    &Successor { step, spread: 0.0, duration: 0.4, pitch, velocity: 70 },
                    i == 0,
                );
            }
            analysis.scale().map(classes_of)
        };
        assert_eq!(heard(&[]), None);
        // Melodies that stress the tonic and the fifth and end on the tonic.
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
        let mut analysis = PhraseAnalysis::default();
        for i in 0..200 {
            let velocity = if i < 100 { 110 } else { 40 };
            let step = if i % 10 == 9 { 5.0 } else { 0.25 };
            analysis.push(i as f64, &Successor { step, spread: 0.0, duration: 0.3, pitch: 60, velocity }, i == 0);
        }
        assert!((analysis.loudness().unwrap() - 40.0).abs() < 1.0);
        assert!((analysis.pace().unwrap().exp() - 0.25).abs() < 1e-9, "pauses are no pace");
    }
}
