//! What can be told of the notes heard so far without any learning: which pitch classes and
//! pitches were frequent, which keys are down and for how long. A sense of key, given instead of
//! learnt: with it the network learns pitch about three times faster.

use notes::Successor;

use crate::encoding::PITCHES;

/// Decay per note of the pitch-class profile that follows a modulation.
const FAST: f32 = 0.94;
/// Decay per note of the pitch-class profile that holds the key.
const SLOW: f32 = 0.985;
/// Decay per note of the profile of pitches.
const PITCH: f32 = 0.97;
/// Decay per note of the profile of the last few pitches.
const RECENT: f32 = 0.85;
/// A note that ends less than this after an onset (seconds) does not sound on through it.
const OVERLAP_S: f32 = 0.010;

/// The context of the last note heard. Plain data of fixed size: it is saved and rolled back with
/// the network's state.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    pub(crate) fast: [f32; 12],
    pub(crate) slow: [f32; 12],
    pub(crate) pitches: [f32; PITCHES],
    pub(crate) recent: [f32; PITCHES],
    /// Seconds each pitch sounds on after the last onset; 0: silent.
    pub(crate) remaining: [f32; PITCHES],
    /// The last note's pitch.
    pub(crate) last: Option<u8>,
    /// The pitch before the last one.
    pub(crate) before: Option<u8>,
    /// Place of the last note in its chord, from 0.
    pub(crate) place: u8,
    /// Velocities heard lately, averaged; MIDI units.
    pub(crate) velocity: f32,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            fast: [0.0; 12],
            slow: [0.0; 12],
            pitches: [0.0; PITCHES],
            recent: [0.0; PITCHES],
            remaining: [0.0; PITCHES],
            last: None,
            before: None,
            place: 0,
            velocity: 64.0,
        }
    }
}

impl Context {
    /// Takes in the next note.
    pub fn feed(&mut self, note: &Successor) {
        let step = note.step as f32;
        let pitch = usize::from(note.pitch.min(127));
        self.place = match self.last {
            Some(_) if note.step == 0.0 => self.place.saturating_add(1),
            _ => 0,
        };
        for remaining in &mut self.remaining {
            *remaining = (*remaining - step).max(0.0);
        }
        self.remaining[pitch] = self.remaining[pitch].max(note.duration as f32);
        decay(&mut self.fast, FAST, pitch % 12);
        decay(&mut self.slow, SLOW, pitch % 12);
        decay(&mut self.pitches, PITCH, pitch);
        decay(&mut self.recent, RECENT, pitch);
        self.velocity = match self.last {
            None => f32::from(note.velocity),
            Some(_) => 0.9 * self.velocity + 0.1 * f32::from(note.velocity),
        };
        self.before = self.last;
        self.last = Some(pitch as u8);
    }

    /// Seconds that `pitch` sounds on at the onset `step` seconds after the last one; 0: it does not.
    pub(crate) fn sounds_on(&self, pitch: usize, step: f32) -> f32 {
        let left = self.remaining[pitch] - step;
        if left > OVERLAP_S { left } else { 0.0 }
    }

    /// The lowest pitch that may come next: inside a chord pitches ascend.
    pub fn floor(&self, step: f64) -> u8 {
        match self.last {
            Some(last) if step == 0.0 => last + 1,
            _ => 0,
        }
    }
}

/// Lets a profile fade by `factor` and counts one more in `class`, so that it sums to 1 in the long run.
fn decay(profile: &mut [f32], factor: f32, class: usize) {
    for value in profile.iter_mut() {
        *value *= factor;
    }
    profile[class] += 1.0 - factor;
}
