//! Constraints on what may be played next, derived from what is sounding and what was struck. A constraint masks
//! classes before anything is drawn; a note is never moved afterwards.
//!
//! If no pitch satisfies all constraints, they are dropped in this order: first the scale, then the held chord. The
//! range is never dropped; if nothing else is left, a note may be repeated more often than allowed.

use crate::encoding::PITCHES;

/// Constraints on pitch, as bit sets: bit p is pitch p.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pitches {
    /// The playable part of the keyboard; never empty.
    pub range: u128,
    /// The pitches of the chord to follow.
    pub chord: u128,
    /// The pitches of the scale.
    pub scale: u128,
}

impl Pitches {
    /// No constraint.
    pub const ALL: Self = Self { range: u128::MAX, chord: u128::MAX, scale: u128::MAX };

    /// The pitches that satisfy as many of the constraints as possible; never empty.
    pub fn wanted(&self) -> u128 {
        let ever_wider = [self.range & self.chord & self.scale, self.range & self.chord, self.range];
        ever_wider.into_iter().find(|&pitches| pitches != 0).unwrap_or(u128::MAX)
    }

    /// [`Pitches::wanted`] without pitches outside `fresh`, unless none would be left.
    pub fn fresh(&self, fresh: u128) -> u128 {
        let wanted = self.wanted();
        if wanted & fresh == 0 { wanted } else { wanted & fresh }
    }
}

/// All pitches, in every octave, of a pitch-class set. Bit 0 of `classes` is C.
pub fn of_classes(classes: u16) -> u128 {
    (0..PITCHES).filter(|pitch| classes >> (pitch % 12) & 1 == 1).fold(0, |set, pitch| set | 1 << pitch)
}

/// The pitch classes of a set of pitches.
pub fn classes_of(pitches: u128) -> u16 {
    (0..PITCHES).filter(|&pitch| pitches >> pitch & 1 == 1).fold(0, |set, pitch| set | 1 << (pitch % 12))
}

/// The pitches between two keys, inclusive; the arguments may come in either order.
pub fn range(lowest: u8, highest: u8) -> u128 {
    let [low, high] = [lowest.min(highest).min(127), highest.max(lowest).min(127)];
    (u128::MAX << low) & (u128::MAX >> (127 - high))
}

/// The keys during a take: until when each is held down, and at how many consecutive onsets it was struck.
/// Plain data of fixed size, saved and rolled back with the network's state. Times are in seconds, from any origin.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyState {
    /// The last onset.
    onset: f64,
    /// Release time of each key.
    ends: [f64; PITCHES],
    /// Number of consecutive onsets that struck each key: up to the last onset, and up to the one before.
    rows: [[u8; PITCHES]; 2],
}

impl Default for KeyState {
    fn default() -> Self {
        Self { onset: f64::NEG_INFINITY, ends: [f64::NEG_INFINITY; PITCHES], rows: [[0; PITCHES]; 2] }
    }
}

impl KeyState {
    /// Strikes a key, to be released at `end`. Notes with the same onset form one chord.
    pub fn strike(&mut self, onset: f64, pitch: u8, end: f64) {
        if onset != self.onset {
            let [last, before] = &mut self.rows;
            std::mem::swap(last, before);
            last.fill(0);
            self.onset = onset;
        }
        let pitch = usize::from(pitch.min(127));
        self.rows[0][pitch] = self.rows[1][pitch].saturating_add(1);
        self.ends[pitch] = end;
    }

    /// Number of keys that are still down at the time `at`.
    pub fn held(&self, at: f64) -> usize {
        self.ends.iter().filter(|&&end| end > at).count()
    }

    /// The time from which on fewer than `voices` keys are down.
    pub fn free_at(&self, voices: usize) -> f64 {
        let mut ends = self.ends;
        let place = PITCHES - voices.clamp(1, PITCHES);
        *ends.select_nth_unstable_by(place, f64::total_cmp).1
    }

    /// The pitches that can be struck again without exceeding `most` onsets in a row (`None`: no limit), in the last
    /// chord or at the next onset.
    pub fn fresh(&self, most: Option<u8>, in_chord: bool) -> u128 {
        let Some(most) = most else { return u128::MAX };
        let row = &self.rows[usize::from(in_chord)];
        (0..PITCHES).filter(|&pitch| row[pitch] < most).fold(0, |set, pitch| set | 1 << pitch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_give_way_in_their_order() {
        let c_major = of_classes(0b1010_1011_0101);
        let wanted = Pitches { range: range(60, 72), chord: 1 << 61 | 1 << 64, scale: c_major };
        assert_eq!(wanted.wanted(), 1 << 64);
        assert_eq!(wanted.fresh(!(1 << 64)), 1 << 64, "better repeated than out of the scale");
        let wanted = Pitches { chord: 1 << 61 | 1 << 40, ..wanted };
        assert_eq!(wanted.wanted(), 1 << 61, "better out of the scale than out of the chord");
        let wanted = Pitches { chord: 1 << 40, ..wanted };
        assert_eq!(wanted.wanted(), range(72, 60), "never out of the range");
        assert_eq!(wanted.fresh(!(1 << 60)), range(61, 72));
        assert_eq!(classes_of(c_major), 0b1010_1011_0101);
        assert_eq!([range(0, 127), range(127, 127), range(3, 4)], [u128::MAX, 1 << 127, 0b11000]);
    }

    #[test]
    fn hands_know_when_a_voice_is_free() {
        let mut hands = KeyState::default();
        assert_eq!(hands.free_at(1), f64::NEG_INFINITY);
        for (pitch, end) in [(60, 3.0), (64, 1.0), (67, 2.0)] {
            hands.strike(0.0, pitch, end);
        }
        assert_eq!([1, 2, 3, 4].map(|voices| hands.free_at(voices)), [3.0, 2.0, 1.0, f64::NEG_INFINITY]);
        assert_eq!([0.0, 1.0, 2.5, 3.0].map(|at| hands.held(at)), [3, 2, 1, 0]);
        hands.strike(0.5, 60, 0.8);
        assert_eq!(hands.free_at(1), 2.0, "struck again, it is one key still");
    }

    #[test]
    fn rows_are_counted_by_onsets() {
        let mut hands = KeyState::default();
        let is_fresh = |hands: &KeyState, pitch: u8, in_chord| hands.fresh(Some(2), in_chord) >> pitch & 1 == 1;
        for onset in [0.0, 1.0] {
            assert!(is_fresh(&hands, 60, false));
            hands.strike(onset, 60, onset + 0.5);
            hands.strike(onset, 64, onset + 0.5);
        }
        assert!(!is_fresh(&hands, 60, false) && !is_fresh(&hands, 64, false) && is_fresh(&hands, 67, false));
        hands.strike(2.0, 67, 2.5);
        assert!(is_fresh(&hands, 60, false), "the row was broken");
        assert!(!is_fresh(&hands, 60, true), "but not yet in this chord");
        assert_eq!(hands.fresh(None, true), u128::MAX);
    }
}
