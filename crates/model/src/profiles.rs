//! How frequent each pitch class and pitch was. This gives the network a sense of key instead of letting it learn one;
//! with it the network learns pitch about three times faster.

use crate::{encoding::PITCHES, repetition::half_octaves};

/// Decay per note of the pitch-class profile that follows a modulation.
const FAST: f32 = 0.94;
/// Decay per note of the pitch-class profile that holds the key.
const SLOW: f32 = 0.985;
/// Decay per note of the pitch-class profile that remembers the home key for minutes.
const HOME: f32 = 0.9995;
/// Decay per note of the pitch profile.
const PITCH: f32 = 0.97;
/// Decay per note of the profile of the last few pitches.
const RECENT: f32 = 0.85;

/// Levels of a pitch class's share, about two per even share (1/12), which is kept off the limits between levels.
pub(crate) const LEVELS: usize = 8;
/// Classes of how long ago a pitch was struck.
pub(crate) const RECENCIES: usize = 16;

/// Decaying shares of pitch classes and pitches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Profiles {
    pub fast: [f32; 12],
    pub slow: [f32; 12],
    /// Sums to [`Profiles::home_weight`]; their ratio is meaningful from the first notes on.
    pub home: [f32; 12],
    pub home_weight: f32,
    pub pitches: [f32; PITCHES],
    pub recent: [f32; PITCHES],
    /// Notes since each pitch was struck; 0 for the last note, [`u8::MAX`] if not recently.
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
    /// Adds a pitch.
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

    /// How long ago `pitch` was struck, in half octaves of notes: 0 for the last note, `None` if not recently.
    pub fn recency(&self, pitch: usize) -> Option<usize> {
        Some(half_octaves(self.since[pitch].checked_add(1)?.into()))
    }

    /// The level of a pitch class's share in the fast, the slow and the home profile.
    pub fn levels(&self, class: usize) -> [usize; 3] {
        let home = if self.home_weight > 0.0 { self.home[class] / self.home_weight } else { 0.0 };
        [self.fast[class], self.slow[class], home].map(|share| ((share * 23.7) as usize).min(LEVELS - 1))
    }
}

/// Decays a profile by `factor` and adds `1 - factor` to `class`, so that it sums to 1 in the long run.
fn decay(profile: &mut [f32], factor: f32, class: usize) {
    for value in profile.iter_mut() {
        *value *= factor;
    }
    profile[class] += 1.0 - factor;
}
