//! Conditioning inputs beside the notes: the kind of source they come from, where the last onset lies in the beat and
//! bar, and how much of the turn is left. Each may be unknown; training withholds each now and then, so that the
//! network works without.

use serde::{Deserialize, Serialize};

/// Where notes come from. The kinds differ in timing, dynamics and chords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A file entered or edited note by note, with expressive tempo and dynamics.
    Sequenced,
    /// A score, rendered with human-like deviations.
    Score,
    /// An audio recording, transcribed to notes.
    Transcription,
    /// A piano roll or another mechanical recording of a performance.
    Roll,
}

impl Source {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Sequenced, Self::Score, Self::Transcription, Self::Roll];

    /// The name used in manifests and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sequenced => "sequenced",
            Self::Score => "score",
            Self::Transcription => "transcription",
            Self::Roll => "roll",
        }
    }
}

/// The position of an onset in musical time. A beat is a quarter note, as in MIDI files and hosts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meter {
    /// Seconds per beat, above 0.
    pub beat_s: f64,
    /// Beats since the start of the bar; within [0, `bar`) where bars are known.
    pub position: f64,
    /// Beats per bar; 0: bars are unknown, and only the fractional part of `position` is meaningful.
    pub bar: f64,
}

impl Meter {
    /// The position `seconds` later, at the same tempo and bar length.
    pub fn after(self, seconds: f64) -> Self {
        let position = self.position + seconds / self.beat_s;
        let length = if self.bar > 0.0 { self.bar } else { 1.0 };
        Self { position: position - length * (position / length).floor(), ..self }
    }
}

/// What is left of a turn after the last onset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Remaining {
    /// Seconds until the turn ends.
    Seconds(f64),
    /// Number of notes still to play.
    Notes(u32),
}

impl Remaining {
    /// What is left after one more note, with a step of `step` seconds.
    pub fn after(self, step: f64) -> Self {
        match self {
            Self::Seconds(seconds) => Self::Seconds((seconds - step).max(0.0)),
            Self::Notes(notes) => Self::Notes(notes.saturating_sub(1)),
        }
    }
}

/// The conditioning inputs at one onset.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditioning {
    /// Kind of source.
    pub source: Option<Source>,
    /// Position in the beat and bar.
    pub meter: Option<Meter>,
    /// Remainder of the turn.
    pub remaining: Option<Remaining>,
}

impl Conditioning {
    /// The inputs one note and `step` seconds later, if nothing changes.
    pub fn after(self, step: f64) -> Self {
        Self {
            source: self.source,
            meter: self.meter.map(|meter| meter.after(step)),
            remaining: self.remaining.map(|remaining| remaining.after(step)),
        }
    }
}

/// The conditioning inputs of a whole training piece. By default nothing is known and every attribute is learned.
#[derive(Clone, Debug, PartialEq)]
pub struct PieceConditioning {
    /// Inputs before the first note.
    pub start: Conditioning,
    /// Inputs at each note's onset, one per note; if empty, they are extrapolated from `start`.
    pub per_note: Vec<Conditioning>,
    /// Which attributes contribute to the loss, in the order of `Attribute::ALL`: a source without dynamics cannot
    /// teach velocity.
    pub learns: [bool; 5],
}

impl Default for PieceConditioning {
    fn default() -> Self {
        Self { start: Conditioning::default(), per_note: Vec::new(), learns: [true; 5] }
    }
}
