//! What the network is told beside the notes, where it is known: what kind of source they come from, where
//! the last onset stands in beat and bar, and how much is left of the turn. Each may be unknown; in training
//! each is withheld now and then, so that the network does without.

use serde::{Deserialize, Serialize};

/// Where notes come from. Each kind has manners of its own in timing, dynamics and chords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Entered or edited note by note, with expressive tempo and dynamics.
    Sequenced,
    /// A score, played back with the small deviations that people have.
    Score,
    /// A recording, transcribed to notes.
    Transcription,
    /// A piano roll or another mechanical recording of a performance.
    Roll,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sequenced, Self::Score, Self::Transcription, Self::Roll];

    /// As manifests and the command line write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sequenced => "sequenced",
            Self::Score => "score",
            Self::Transcription => "transcription",
            Self::Roll => "roll",
        }
    }
}

/// Where an onset stands in musical time. A beat is a quarter note, as in MIDI files and hosts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meter {
    /// Seconds per beat, above 0.
    pub beat_s: f64,
    /// Beats since the bar began; within [0, `bar`) where the bar is known.
    pub position: f64,
    /// Beats in a bar; 0: bars are unknown, and only the fraction of `position` means something.
    pub bar: f64,
}

impl Meter {
    /// The same meter `seconds` later, if the tempo and the length of the bars stay.
    pub fn after(self, seconds: f64) -> Self {
        let position = self.position + seconds / self.beat_s;
        let length = if self.bar > 0.0 { self.bar } else { 1.0 };
        Self { position: position - length * (position / length).floor(), ..self }
    }
}

/// What is left of a turn after the last onset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Left {
    /// Seconds until the turn ends.
    Seconds(f64),
    /// Notes that are still to come.
    Notes(u32),
}

impl Left {
    /// What is left after one more note, `step` seconds later.
    pub fn after(self, step: f64) -> Self {
        match self {
            Self::Seconds(seconds) => Self::Seconds((seconds - step).max(0.0)),
            Self::Notes(notes) => Self::Notes(notes.saturating_sub(1)),
        }
    }
}

/// What is known at one onset, beside the notes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moment {
    /// Where the notes come from.
    pub source: Option<Source>,
    /// Its place in beat and bar.
    pub meter: Option<Meter>,
    /// What is left of the turn.
    pub left: Option<Left>,
}

impl Moment {
    /// What is known `step` seconds and one note later, if nothing changes.
    pub fn after(self, step: f64) -> Self {
        Self {
            source: self.source,
            meter: self.meter.map(|meter| meter.after(step)),
            left: self.left.map(|left| left.after(step)),
        }
    }
}

/// What is known of a whole piece in training, beside its notes. By default: nothing, and all of it is learned from.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// Before the first note.
    pub start: Moment,
    /// At each note's onset, as many as there are notes; or empty: what follows from the start.
    pub moments: Vec<Moment>,
    /// Which attributes are learned from it, in the order of `Attribute::ALL`: a source without dynamics teaches none.
    pub learns: [bool; 5],
}

impl Default for Told {
    fn default() -> Self {
        Self { start: Moment::default(), moments: Vec::new(), learns: [true; 5] }
    }
}
