//! Musical time: where notes stand in beats and bars.

use crate::tempo::TempoMap;

/// Beats by which two positions may differ and still be the same bar line: ticks are no binary fractions of a beat.
const SAME_BEAT: f64 = 1e-6;

/// A file's musical time. A beat is a quarter note; beats are counted from the beginning of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Beats {
    /// Where each of [`Score::notes`](crate::Score::notes) begins, in the same order: ticks by division, without rounding.
    pub onsets: Vec<f64>,
    /// The bars.
    pub meter: Meter,
    pub(crate) tempo: TempoMap,
}

impl Beats {
    /// The beat at a moment, in seconds from the beginning of the file: for what is not a note of the file any
    /// more, such as a chord's common onset. Before 0 the first tempo goes on.
    pub fn at(&self, seconds: f64) -> f64 {
        self.tempo.beat(seconds)
    }
}

/// A time signature and where it begins to hold. A bar begins there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeSignature {
    /// Quarter notes from the beginning of the file.
    pub beat: f64,
    /// Units in a bar, at least 1.
    pub numerator: u8,
    /// The unit as a fraction of a whole note: 1, 2, 4, ... 128.
    pub denominator: u8,
}

impl TimeSignature {
    /// Quarter notes in a bar.
    pub fn bar_length(&self) -> f64 {
        f64::from(self.numerator) * 4.0 / f64::from(self.denominator)
    }
}

/// A place in a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BarPosition {
    /// Quarter notes since the bar line, from 0 to below `length`.
    pub position: f64,
    /// Quarter notes in such a bar, by its signature.
    pub length: f64,
}

/// Time signatures, and with them the bar lines: one at each signature, then one after every bar. An upbeat that the
/// file writes as a bar of its own (1/4, then 4/4) is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meter {
    /// By beat, one at each at most.
    signatures: Vec<TimeSignature>,
}

impl Meter {
    /// In any order; of two at one beat the last one holds.
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

    /// What the file says, in order. None of it need stand at beat 0.
    pub fn signatures(&self) -> &[TimeSignature] {
        &self.signatures
    }

    /// Where a beat lies in its bar. Where no signature holds yet, bars are 4/4 from beat 0 on, as the standard has it.
    pub fn at(&self, beat: f64) -> BarPosition {
        let after = self.signatures.partition_point(|signature| signature.beat <= beat + SAME_BEAT);
        let default = TimeSignature { beat: 0.0, numerator: 4, denominator: 4 };
        let signature = self.signatures[..after].last().copied().unwrap_or(default);
        let length = signature.bar_length();
        let position = (beat - signature.beat).rem_euclid(length);
        BarPosition { position: if length - position <= SAME_BEAT { 0.0 } else { position }, length }
    }
}
