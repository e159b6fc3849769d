//! What may be played next, told by what is sounding and what was struck. A limit rules classes out
//! of the distributions before anything is drawn; a note is never moved afterwards.
//!
//! If the limits leave no pitch, they give way one after another: the scale first, then the held chord,
//! never the range; and where nothing else is left, a note is repeated more often than it may.

use crate::encoding::PITCHES;

/// Which pitches are wanted. Bit p of each: pitch p.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pitches {
    /// The part of the keyboard that is played on; never empty.
    pub range: u128,
    /// The pitches of the chord that is followed.
    pub chord: u128,
    /// The pitches of the scale.
    pub scale: u128,
}

impl Pitches {
    /// No limit at all.
    pub const ALL: Self = Self { range: u128::MAX, chord: u128::MAX, scale: u128::MAX };

    /// Those that keep as many limits as leave any pitch; never none.
    pub fn wanted(&self) -> u128 {
        let ever_wider = [self.range & self.chord & self.scale, self.range & self.chord, self.range];
        ever_wider.into_iter().find(|&pitches| pitches != 0).unwrap_or(u128::MAX)
    }

    /// The same without those that were struck often enough, unless these are all.
    pub fn fresh(&self, fresh: u128) -> u128 {
        let wanted = self.wanted();
        if wanted & fresh == 0 { wanted } else { wanted & fresh }
    }
}

/// The pitches of a pitch-class set in every octave. Bit 0 of `classes` is C.
pub fn of_classes(classes: u16) -> u128 {
    (0..PITCHES).filter(|pitch| classes >> (pitch % 12) & 1 == 1).fold(0, |set, pitch| set | 1 << pitch)
}

/// The pitch classes of a set of pitches.
pub fn classes_of(pitches: u128) -> u16 {
    (0..PITCHES).filter(|&pitch| pitches >> pitch & 1 == 1).fold(0, |set, pitch| set | 1 << (pitch % 12))
}

/// The pitches from `lowest` to `highest`, or the other way round.
pub fn range(lowest: u8, highest: u8) -> u128 {
    let [low, high] = [lowest.min(highest).min(127), highest.max(lowest).min(127)];
    (u128::MAX << low) & (u128::MAX >> (127 - high))
}

/// The hands that play a take: which keys they hold down until when, and how often they have struck
/// each in a row. Plain data of fixed size: it is saved and rolled back with the network's state.
/// Times are seconds from any origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Hands {
    /// The last onset.
    onset: f64,
    /// When each key is released.
    ends: [f64; PITCHES],
    /// How many onsets in a row struck each key: up to the last one, and up to the one before it.
    rows: [[u8; PITCHES]; 2],
}

impl Default for Hands {
    fn default() -> Self {
        Self { onset: f64::NEG_INFINITY, ends: [f64::NEG_INFINITY; PITCHES], rows: [[0; PITCHES]; 2] }
    }
}

impl Hands {
    /// Strikes a key. Notes of one onset are one chord.
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

    /// How many keys are down after the moment `at`.
    pub fn held(&self, at: f64) -> usize {
        self.ends.iter().filter(|&&end| end > at).count()
    }

    /// From when on fewer than `voices` keys are down.
    pub fn free_at(&self, voices: usize) -> f64 {
        let mut ends = self.ends;
        let place = PITCHES - voices.clamp(1, PITCHES);
        *ends.select_nth_unstable_by(place, f64::total_cmp).1
    }

    /// The pitches that may be struck once more without being struck more than `most` times in a row,
    /// in the chord that was struck last or at the next onset.
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
        let mut hands = Hands::default();
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
        let mut hands = Hands::default();
        let is_fresh = |hands: &Hands, pitch: u8, in_chord| hands.fresh(Some(2), in_chord) >> pitch & 1 == 1;
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
