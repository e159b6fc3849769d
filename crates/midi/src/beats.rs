//! Musical time: the positions of notes in beats and bars.

use crate::tempo::TempoMap;

/// Positions that differ by at most this many beats count as the same bar line: ticks are not binary fractions of a
/// beat.
const SAME_BEAT: f64 = 1e-6;

/// A file's musical time. A beat is a quarter note, counted from the beginning of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Beats {
    /// The beat at which each of [`Score::notes`](crate::Score::notes) begins, in the same order: ticks by division,
    /// unrounded.
    pub onsets: Vec<f64>,
    /// Time signatures and bar lines.
    pub meter: Meter,
    pub(crate) tempo: TempoMap,
}

impl Beats {
    /// The beat at a time in seconds from the beginning of the file: for times that are not onsets in the file, such as
    /// a chord's common onset. Before 0, the first tempo applies.
    pub fn at(&self, seconds: f64) -> f64 {
        self.tempo.beat(seconds)
    }
}

/// A time signature and where it takes effect. A bar begins there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeSignature {
    /// Quarter notes from the beginning of the file.
    pub beat: f64,
    /// Number of units per bar, at least 1.
    pub numerator: u8,
    /// The unit as a fraction of a whole note: 1, 2, 4, ... 128.
    pub denominator: u8,
}

impl TimeSignature {
    /// Length of a bar in quarter notes.
    pub fn bar_length(&self) -> f64 {
        f64::from(self.numerator) * 4.0 / f64::from(self.denominator)
    }
}

/// A position in a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarPosition {
    /// Quarter notes since the bar line, at least 0 and less than `length`.
    pub position: f64,
    /// Length of the bar in quarter notes, according to its time signature.
    pub length: f64,
}

/// Time signatures, which define the bar lines: one at each signature, then one after every full bar. An upbeat written
/// as a bar with its own signature (1/4, then 4/4) counts as a bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meter {
    /// Sorted by beat, at most one per beat.
    signatures: Vec<TimeSignature>,
}

impl Meter {
    /// From signatures in any order; the last of several at one beat wins.
    pub fn new(mut signatures: Vec<TimeSignature>) -> Self {
        signatures.sort_by(|a, b| a.beat.total_cmp(&b.beat));
        signatures.dedup_by(|later, kept| {
            let same = later.beat == kept.beat;
            if same {
                *kept = *later;
            }
            same
        });
        Self { signatures }
    }

    /// The file's time signatures, in order. The first one may come after beat 0.
    pub fn signatures(&self) -> &[TimeSignature] {
        &self.signatures
    }

    /// The position of a beat in its bar. Before the first signature, bars are 4/4 from beat 0, as the standard
    /// defines.
    pub fn at(&self, beat: f64) -> BarPosition {
        let after = self.signatures.partition_point(|signature| signature.beat <= beat + SAME_BEAT);
        let default = TimeSignature { beat: 0.0, numerator: 4, denominator: 4 };
        let signature = self.signatures[..after].last().copied().unwrap_or(default);
        let length = signature.bar_length();
        let position = (beat - signature.beat).rem_euclid(length);
        BarPosition { position: if length - position <= SAME_BEAT { 0.0 } else { position }, length }
    }
}
