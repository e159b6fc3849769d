//! Which pitch classes and pitches were frequent. A sense of key, given instead of learned: with it the network learns
//! pitch about three times faster.

use crate::{encoding::PITCHES, repetition::half_octaves};

/// Decay per note of the pitch-class profile that follows a modulation.
const FAST: f32 = 0.94;
/// Decay per note of the pitch-class profile that holds the key.
const SLOW: f32 = 0.985;
/// Decay per note of the pitch-class profile that remembers the home key for minutes.
const HOME: f32 = 0.9995;
/// Decay per note of the profile of pitches.
const PITCH: f32 = 0.97;
/// Decay per note of the profile of the last few pitches.
const RECENT: f32 = 0.85;

/// Levels of how much the music keeps to a pitch class; about two are an even share, which is not where they are cut.
pub(crate) const LEVELS: usize = 8;
/// Classes of how long ago a pitch was struck.
pub(crate) const RECENCIES: usize = 16;

/// Shares that fade from note to note.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profiles {
    pub fast: [f32; 12],
    pub slow: [f32; 12],
    /// Sums to [`Profiles::home_weight`], so that it is a key from the first notes on.
    pub home: [f32; 12],
    pub home_weight: f32,
    pub pitches: [f32; PITCHES],
    pub recent: [f32; PITCHES],
    /// Notes since each pitch was struck; 0: it was the last. [`u8::MAX`]: not lately.
    since: [u8; PITCHES],
}

impl Default for Profiles {
    fn default() -> Self {
        Self {
            fast: [0.0; 12],
            slow: [0.0; 12],
            home: [0.0; 12],
            home_weight: 0.0,
            pitches: [0.0; PITCHES],
            recent: [0.0; PITCHES],
            since: [u8::MAX; PITCHES],
        }
    }
}

impl Profiles {
    /// Takes in the next pitch.
    pub fn feed(&mut self, pitch: u8) {
        let pitch = usize::from(pitch);
        decay(&mut self.fast, FAST, pitch % 12);
        decay(&mut self.slow, SLOW, pitch % 12);
        decay(&mut self.home, HOME, pitch % 12);
        self.home_weight = HOME * self.home_weight + 1.0 - HOME;
        decay(&mut self.pitches, PITCH, pitch);
        decay(&mut self.recent, RECENT, pitch);
        self.since.iter_mut().for_each(|since| *since = since.saturating_add(1));
        self.since[pitch] = 0;
    }

    /// How long ago `pitch` was struck, in half octaves of notes: 0 for the last note. `None`: not lately.
    pub fn recency(&self, pitch: usize) -> Option<usize> {
        Some(half_octaves(self.since[pitch].checked_add(1)?.into()))
    }

    /// How much the music lately, for a while, and as a whole keeps to a pitch class, in levels.
    pub fn levels(&self, class: usize) -> [usize; 3] {
        let home = if self.home_weight > 0.0 { self.home[class] / self.home_weight } else { 0.0 };
        [self.fast[class], self.slow[class], home].map(|share| ((share * 23.7) as usize).min(LEVELS - 1))
    }
}

/// Lets a profile fade by `factor` and counts one more in `class`, so that it sums to 1 in the long run.
fn decay(profile: &mut [f32], factor: f32, class: usize) {
    for value in profile.iter_mut() {
        *value *= factor;
    }
    profile[class] += 1.0 - factor;
}
