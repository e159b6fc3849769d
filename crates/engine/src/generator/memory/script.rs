//! Notes that are not drawn but known: a take that is heard again, or one that goes round and round.

use notes::Note;

use crate::link::messages::ON_END_S;

/// The shortest time in which a loop goes round, in seconds.
pub const SHORTEST_LOOP_S: f64 = 0.25;

/// Notes that come at known times. Times are seconds since the hand-over.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    notes: Vec<Note>,
    /// See [`Script::rounds`].
    round: Option<(f64, f64)>,
}

impl Script {
    /// These notes once, from the hand-over on.
    pub fn once(notes: Vec<Note>) -> Self {
        Self { notes, round: None }
    }

    /// Those of these notes that are struck within `length` seconds, round and round from `begin` on.
    pub fn round(mut notes: Vec<Note>, begin: f64, length: f64) -> Self {
        let length = length.max(SHORTEST_LOOP_S);
        notes.retain(|note| note.struck() < length - ON_END_S);
        Self { notes, round: Some((begin, length)) }
    }

    /// When the first round begins, and how long each lasts; `None`: there is one only.
    pub fn rounds(&self) -> Option<(f64, f64)> {
        self.round
    }

    /// Its how-manieth note, from 0; `None`: there are no more.
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
