//! Notes that are known rather than sampled: a replay or a loop.

use notes::Note;

use crate::link::messages::{ON_END_S, TimelinePosition};
use crate::link::takes::TakeRecord;

/// The shortest loop, in seconds.
pub const SHORTEST_LOOP_S: f64 = 0.25;

/// Notes at known times, in seconds since the hand-over.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    notes: Vec<Note>,
    /// When the first round begins and how long each one lasts, in seconds; `None`: not a loop.
    round: Option<(f64, f64)>,
}

impl Script {
    /// Plays these notes once, from the hand-over on.
    pub fn once(notes: Vec<Note>) -> Self {
        Self { notes, round: None }
    }

    /// Loops those of these notes that are struck within `length` seconds, from `begin` on.
    pub fn round(mut notes: Vec<Note>, begin: f64, length: f64) -> Self {
        let length = length.max(SHORTEST_LOOP_S);
        notes.retain(|note| note.struck() < length - ON_END_S);
        Self { notes, round: Some((begin, length)) }
    }

    /// The note with this index, from 0; a loop continues into its next rounds. `None`: there are no more.
    pub fn note(&self, place: u64) -> Option<Note> {
        let Some((begin, length)) = self.round else {
            return self.notes.get(usize::try_from(place).ok()?).copied();
        };
        let count = self.notes.len() as u64;
        let rounds = place.checked_div(count)?;
        let note = self.notes.get((place % count) as usize)?;
        Some(Note { onset: begin + rounds as f64 * length + note.onset, ..*note })
    }
}

/// The notes of a recorded take at the current tempo, on the same beats.
pub fn replayed(record: &TakeRecord, position: &TimelinePosition) -> Vec<Note> {
    let stretch = record.beats_per_second / position.beats_per_second;
    let note = |note: &Note| Note {
        onset: note.onset * stretch,
        // The spread of a chord does not depend on the tempo.
        duration: (note.duration * stretch).max(note.spread),
        ..*note
    };
    record.notes.iter().map(note).collect()
}
