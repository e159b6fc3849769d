//! The notes of a take that are too old to roll back to. Bounded, however long the take lasts: the latest notes are
//! kept, the player's in preference to Antiphon's.

use std::collections::VecDeque;

use notes::Note;

use super::FedNote;
use crate::generator::phrasing::Sampled;

/// The most notes that the history remembers individually when the take ends. Half of its capacity, so that notes from
/// before the take stay, however long the take is.
pub const MOST_REMEMBERED: usize = 256;
/// The most notes that can be replayed: a quarter of an hour of dense music, 384 KiB.
const MOST_REPLAYABLE: usize = 8192;

/// The older notes of a take. Times are in seconds since the hand-over.
#[derive(Debug, Default)]
pub struct Past {
    /// The notes as they were fed to the network.
    fed: VecDeque<FedNote>,
    /// Sum of the steps of notes no longer in `fed` that came before its first one, in seconds.
    dropped_s: f64,
    /// Whether Antiphon played the note, and the note as it was played.
    played: VecDeque<(bool, Sampled)>,
    /// The onset of the last note that is no longer in `played`.
    dropped_onset: Option<f64>,
    /// Number of Antiphon's notes, including those no longer kept.
    own: u32,
    /// Whether the player joined in.
    joined: bool,
}

impl Past {
    /// Adds a note, as it was fed to the network and as it was played.
    pub fn push(&mut self, fed: FedNote, note: Sampled) {
        self.own += u32::from(fed.by_antiphon);
        self.joined |= !fed.by_antiphon;
        if self.fed.len() == MOST_REMEMBERED {
            self.drop_oldest();
        }
        if self.played.len() == MOST_REPLAYABLE
            && let Some((_, oldest)) = self.played.pop_front()
        {
            self.dropped_onset = Some(oldest.note.onset);
        }
        self.played.push_back((fed.by_antiphon, note));
        self.fed.push_back(fed);
    }

    /// Forgets a note, but not the time that it took.
    fn drop_oldest(&mut self) {
        let place = self.fed.iter().position(|fed| fed.by_antiphon).unwrap_or(0);
        let dropped_s = self.fed.remove(place).map_or(0.0, |fed| fed.step_s());
        match self.fed.get_mut(place) {
            Some(next) if place > 0 => next.note.step += dropped_s * next.speed,
            _ => self.dropped_s += dropped_s,
        }
    }

    /// Whether there were no notes.
    pub fn is_empty(&self) -> bool {
        self.played.is_empty()
    }

    /// Number of Antiphon's notes, including those no longer kept.
    pub fn own(&self) -> u32 {
        self.own
    }

    /// Whether the player joined in.
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// The latest onset.
    pub fn latest_onset(&self) -> Option<f64> {
        self.played.back().map(|(_, played)| played.note.onset)
    }

    /// The notes to be remembered individually, and the sum of the steps of those before them, in seconds.
    pub fn take_fed(&mut self) -> (impl Iterator<Item = FedNote>, f64) {
        (self.fed.drain(..), self.dropped_s)
    }

    /// The notes that can be replayed: Antiphon's own or the player's.
    pub fn played(&self, own: bool) -> impl Iterator<Item = Note> {
        self.played.iter().filter(move |(by_antiphon, _)| *by_antiphon == own).map(|(_, played)| played.note)
    }

    /// At most `most` of the latest notes, whoever played them, in order.
    pub fn latest(&self, most: usize) -> impl Iterator<Item = Sampled> {
        self.played.range(self.played.len().saturating_sub(most)..).map(|(_, played)| *played)
    }

    /// The time from which the take can be replayed, a whole number of bars after the hand-over; `None`: all of it can
    /// be. `bar`: length of a bar in seconds.
    pub fn replayable_from(&self, bar: f64) -> Option<f64> {
        self.dropped_onset.map(|onset| ((onset / bar).floor() + 1.0) * bar)
    }
}

#[cfg(test)]
mod tests {
    use model::Conditioning;
    use notes::Successor;

    use super::*;

    #[test]
    fn of_a_long_take_the_latest_notes_stay() {
        let mut past = Past::default();
        let note = |n: usize| Note { onset: 0.25 * n as f64, spread: 0.0, duration: 0.1, pitch: 60, velocity: 80 };
        let push = |past: &mut Past, n: usize| {
            let fed = Successor::after(n.checked_sub(1).map(|n| note(n).onset), &note(n));
            past.push(
                FedNote {
                    note: Successor { step: 2.0 * fed.step, ..fed },
                    by_antiphon: n != 1,
                    speed: 2.0,
                    moment: Conditioning::default(),
                },
                Sampled::whole(note(n)),
            );
        };
        (0..MOST_REPLAYABLE).for_each(|n| push(&mut past, n));
        assert_eq!((past.replayable_from(2.0), past.played(true).count()), (None, MOST_REPLAYABLE - 1));
        (MOST_REPLAYABLE..3 * MOST_REPLAYABLE).for_each(|n| push(&mut past, n));
        assert!(past.fed.capacity() < 2 * MOST_REMEMBERED && past.played.capacity() < 2 * MOST_REPLAYABLE);
        assert_eq!((past.own(), past.joined(), past.played(false).count()), (3 * MOST_REPLAYABLE as u32 - 1, true, 0));
        let first = past.played(true).next().unwrap().onset;
        assert_eq!(first, note(2 * MOST_REPLAYABLE).onset);
        assert_eq!(past.replayable_from(3.0), Some(4098.0), "the bar line after what is gone");
        let latest = past.latest_onset().unwrap();
        let (fed, dropped_s) = past.take_fed();
        let fed: Vec<FedNote> = fed.collect();
        assert_eq!(fed.iter().map(|fed| fed.step_s()).sum::<f64>() + dropped_s, latest, "no time is lost");
        assert_eq!((fed.len(), dropped_s, fed[0].by_antiphon, fed[1].by_antiphon), (MOST_REMEMBERED, 0.0, false, true));
    }
}
