//! The notes of a take that are too old to roll back to. Bounded, however long the take lasts: the latest notes are
//! kept, the player's in preference to Antiphon's.

use std::collections::VecDeque;

use notes::Note;

use super::Remembered;

/// The most notes that the history remembers individually when the take ends. Half of its capacity, so that notes from
/// before the take stay, however long the take is.
pub const HEARD: usize = 256;
/// The most notes that can be replayed: a quarter of an hour of dense music, 320 KiB.
const PLAYED: usize = 8192;

/// The older notes of a take. Times are in seconds since the hand-over.
#[derive(Debug, Default)]
pub struct Past {
    /// The notes as they were fed to the network.
    heard: VecDeque<Remembered>,
    /// Sum of the steps of notes no longer in `heard` that came before its first one, in seconds.
    gone_s: f64,
    /// Whether Antiphon played the note, and the note as it was played.
    played: VecDeque<(bool, Note)>,
    /// The onset of the last note that is no longer in `played`.
    gone_onset: Option<f64>,
    /// Number of Antiphon's notes, including those no longer kept.
    own: u32,
    /// Whether the player joined in.
    joined: bool,
}

impl Past {
    /// Adds a note, as it was fed to the network and as it was played.
    pub fn push(&mut self, heard: Remembered, note: Note) {
        self.own += u32::from(heard.mine);
        self.joined |= !heard.mine;
        if self.heard.len() == HEARD {
            self.drop_oldest();
        }
        if self.played.len() == PLAYED
            && let Some((_, oldest)) = self.played.pop_front()
        {
            self.gone_onset = Some(oldest.onset);
        }
        self.played.push_back((heard.mine, note));
        self.heard.push_back(heard);
    }

    /// Forgets a note, but not the time that it took.
    fn drop_oldest(&mut self) {
        let place = self.heard.iter().position(|heard| heard.mine).unwrap_or(0);
        let gone_s = self.heard.remove(place).map_or(0.0, |heard| heard.step_s());
        match self.heard.get_mut(place) {
            Some(next) if place > 0 => next.note.step += gone_s * next.speed,
            _ => self.gone_s += gone_s,
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
        self.played.back().map(|(_, note)| note.onset)
    }

    /// The notes to be remembered individually, and the sum of the steps of those before them, in seconds.
    pub fn heard(&mut self) -> (impl Iterator<Item = Remembered>, f64) {
        (self.heard.drain(..), self.gone_s)
    }

    /// The notes that can be replayed: Antiphon's own or the player's.
    pub fn played(&self, own: bool) -> impl Iterator<Item = Note> {
        self.played.iter().filter(move |(mine, _)| *mine == own).map(|(_, note)| *note)
    }

    /// At most `most` of the latest notes, whoever played them, in order.
    pub fn latest(&self, most: usize) -> impl Iterator<Item = Note> {
        self.played.range(self.played.len().saturating_sub(most)..).map(|(_, note)| *note)
    }

    /// The time from which the take can be replayed, a whole number of bars after the hand-over; `None`: all of it can
    /// be. `bar`: length of a bar in seconds.
    pub fn heard_from(&self, bar: f64) -> Option<f64> {
        self.gone_onset.map(|onset| ((onset / bar).floor() + 1.0) * bar)
    }
}

#[cfg(test)]
mod tests {
    use model::Moment;
    use notes::Successor;

    use super::*;

    #[test]
    fn of_a_long_take_the_latest_notes_stay() {
        let mut past = Past::default();
        let note = |n: usize| Note { onset: 0.25 * n as f64, spread: 0.0, duration: 0.1, pitch: 60, velocity: 80 };
        let push = |past: &mut Past, n: usize| {
            let heard = Successor::after(n.checked_sub(1).map(|n| note(n).onset), &note(n));
            past.push(
                Remembered {
                    note: Successor { step: 2.0 * heard.step, ..heard },
                    mine: n != 1,
                    speed: 2.0,
                    moment: Moment::default(),
                },
                note(n),
            );
        };
        (0..PLAYED).for_each(|n| push(&mut past, n));
        assert_eq!((past.heard_from(2.0), past.played(true).count()), (None, PLAYED - 1));
        (PLAYED..3 * PLAYED).for_each(|n| push(&mut past, n));
        assert!(past.heard.capacity() < 2 * HEARD && past.played.capacity() < 2 * PLAYED);
        assert_eq!((past.own(), past.joined(), past.played(false).count()), (3 * PLAYED as u32 - 1, true, 0));
        let first = past.played(true).next().unwrap().onset;
        assert_eq!(first, note(2 * PLAYED).onset);
        assert_eq!(past.heard_from(3.0), Some(4098.0), "the bar line after what is gone");
        let latest = past.latest_onset().unwrap();
        let (heard, gone_s) = past.heard();
        let heard: Vec<Remembered> = heard.collect();
        assert_eq!(heard.iter().map(|heard| heard.step_s()).sum::<f64>() + gone_s, latest, "no time is lost");
        assert_eq!((heard.len(), gone_s, heard[0].mine, heard[1].mine), (HEARD, 0.0, false, true));
    }
}
