//! Notes that are not drawn but known: a take that is heard again, or one that goes round and round.

use notes::Note;

/// The shortest time in which a loop goes round, in seconds.
pub const SHORTEST_LOOP_S: f64 = 0.25;

/// Notes that come at known times. Times are seconds since the hand-over.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    notes: Vec<Note>,
    /// Where the first round begins, and how long one lasts; `None`: there is one only.
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
        notes.retain(|note| note.struck() < length);
        Self { notes, round: Some((begin, length)) }
    }

    /// When it begins.
    pub fn begin(&self) -> f64 {
        self.round.map_or(0.0, |(begin, _)| begin)
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
