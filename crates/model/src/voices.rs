//! The latest notes, one by one. In music of several voices a note continues its own voice, whose last note is seldom
//! the latest of all: usually it is the nearest in pitch.

use notes::Successor;

use crate::share::ExactShares;

/// Notes kept: two or three chords.
const KEPT: usize = 12;
/// A velocity and another that it may be meant to equal differ by at most this: two levels.
const NEAR: u8 = 8;
/// How often a velocity near two others equals one of them by chance.
const EQUAL_BY_CHANCE: f32 = 0.12;
/// Decay of [`Voices::equal`] per note.
const EQUAL_DECAY: f32 = 0.97;

/// A recent note.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Earlier {
    pub pitch: u8,
    pub velocity: u8,
    /// Seconds, at least 0.01.
    pub duration: f32,
    /// Its delay inside its chord, in seconds.
    pub spread: f32,
    /// Seconds from its onset to the latest onset.
    pub age: f32,
}

/// The latest notes, most recent first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Voices {
    notes: [Option<Earlier>; KEPT],
    /// How often a velocity near an expected one equaled it. Steps entered by hand, piano rolls and scores without dynamics
    /// have one velocity for many notes.
    equal: ExactShares,
}

impl Default for Voices {
    fn default() -> Self {
        Self { notes: [None; KEPT], equal: ExactShares::new(EQUAL_DECAY, EQUAL_BY_CHANCE) }
    }
}

impl Voices {
    /// Appends a note. `habit`: it shows how often the player repeats velocities.
    pub fn feed(&mut self, note: &Successor, habit: bool) {
        if habit && let Some(expected) = self.near_velocity(note.pitch, note.step, note.velocity) {
            self.equal.feed(note.step, expected == note.velocity);
        }
        for earlier in self.notes.iter_mut().flatten() {
            earlier.age += note.step as f32;
        }
        self.notes.rotate_right(1);
        self.notes[0] = Some(Earlier {
            pitch: note.pitch.min(127),
            velocity: note.velocity,
            duration: (note.duration as f32).max(0.01),
            spread: note.spread as f32,
            age: 0.0,
        });
    }

    /// The latest note.
    pub fn last(&self) -> Option<&Earlier> {
        self.notes[0].as_ref()
    }

    /// The pitch `lag` notes back; 1 is the latest note.
    pub fn pitch(&self, lag: usize) -> Option<u8> {
        self.notes[lag - 1].map(|note| note.pitch)
    }

    /// The note that one of this pitch, `step` seconds after the last onset, most likely continues: the nearest in
    /// pitch among those with an earlier onset; of two equally near, the later.
    pub fn before(&self, pitch: u8, step: f64) -> Option<&Earlier> {
        let struck_before = |note: &&Earlier| step > 0.0 || note.age > 0.0;
        self.notes.iter().flatten().filter(struck_before).min_by_key(|note| note.pitch.abs_diff(pitch))
    }

    /// The nearest of the velocities that a note may be meant to repeat, if one is near: that of the last note, and of the
    /// note that it continues.
    fn near_velocity(&self, pitch: u8, step: f64, velocity: u8) -> Option<u8> {
        let expected = [self.last(), self.before(pitch, step)].into_iter().flatten().map(|note| note.velocity);
        expected.min_by_key(|expected| expected.abs_diff(velocity)).filter(|near| near.abs_diff(velocity) <= NEAR)
    }

    /// The velocity for one drawn as `velocity`: one near it that is repeated exactly. `None`: there is none, or `chance`,
    /// uniform in 0–1, decides against it, so that velocities are repeated as often as they were before.
    pub fn repeated_velocity(&self, pitch: u8, step: f64, velocity: u8, chance: f32) -> Option<u8> {
        self.near_velocity(pitch, step, velocity).filter(|_| self.equal.applies(step, chance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_goes_on_from_the_nearest_that_was_struck_before_it() {
        let mut voices = Voices::default();
        for (step, pitch) in [(0.0, 40), (0.0, 64), (0.5, 41), (0.0, 67)] {
            voices.feed(&Successor { step, spread: 0.0, duration: 0.4, pitch, velocity: 64 }, true);
        }
        let before = |voices: &Voices, pitch, step| voices.before(pitch, step).map(|note| (note.pitch, note.age));
        assert_eq!(before(&voices, 42, 0.5), Some((41, 0.0)));
        assert_eq!(before(&voices, 66, 0.5), Some((67, 0.0)));
        // Notes of the chord being struck do not continue one another.
        assert_eq!(before(&voices, 72, 0.0), Some((64, 0.5)));
        // Equally near above and below: the later one.
        voices.feed(&Successor { step: 0.5, spread: 0.0, duration: 0.4, pitch: 69, velocity: 64 }, true);
        assert_eq!(before(&voices, 68, 0.0), Some((67, 0.5)));
        assert_eq!(before(&voices, 68, 0.1), Some((69, 0.0)));
        assert_eq!(voices.pitch(2), Some(67));
    }

    #[test]
    fn velocities_are_repeated_as_often_as_the_player_repeats_them() {
        let after = |velocities: &[u8]| {
            let mut voices = Voices::default();
            for &velocity in velocities {
                voices.feed(&Successor { step: 0.5, spread: 0.0, duration: 0.4, pitch: 60, velocity }, true);
            }
            voices
        };
        let repeated = |voices: &Voices, velocity| {
            let chances = (0..100).map(|chance| chance as f32 / 100.0);
            chances.filter(|&chance| voices.repeated_velocity(62, 0.5, velocity, chance) == Some(100)).count()
        };
        let flat = after(&[100; 12]);
        assert!(repeated(&flat, 103) > 85 && repeated(&flat, 94) > 85);
        assert_eq!(repeated(&flat, 80), 0, "too far off to be meant as the same");
        let alive: Vec<u8> = (0..40).map(|n| 94 + n * 5 % 13).chain([100]).collect();
        assert!(repeated(&after(&alive), 103) < 5);
    }
}
