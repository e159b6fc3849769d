//! Notes that the player still held at the hand-over. Their durations are first sampled from the network; when the keys
//! come up, the notes can be fed again with their actual durations.

use model::{Decoder, Snapshot};
use notes::listener::{CAPACITY, LONGEST_S};
use notes::{Note, Successor};

/// The most notes that are fed again during the take; more would take too long.
const SOON: usize = 128;

/// The first note that was held, and all after it.
#[derive(Debug)]
pub struct HeldNotes {
    /// The network's state before them.
    before: Snapshot,
    notes: Vec<HeldNote>,
    /// Whether some durations differ from those fed to the network.
    changed: bool,
}

/// One of these notes.
#[derive(Debug)]
struct HeldNote {
    /// As it was played, in stream seconds.
    note: Note,
    /// As it is fed to the network.
    fed: Successor,
    end: NoteEnd,
}

/// Whether a note has ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum NoteEnd {
    /// It had ended before the hand-over.
    Before,
    /// It has not ended.
    Open,
    /// It has ended since.
    Since,
}

impl HeldNotes {
    /// No notes yet. `before`: the network's state before them.
    pub fn new(before: Snapshot) -> Self {
        Self { before, notes: Vec::new(), changed: false }
    }

    /// Adds a note, as it was played until the hand-over and as it was fed to the network. `false`: there are too many.
    pub fn push(&mut self, note: Note, fed: Successor, held: bool) -> bool {
        self.notes.push(HeldNote { note, fed, end: if held { NoteEnd::Open } else { NoteEnd::Before } });
        self.notes.len() <= CAPACITY
    }

    /// Corrects the duration of a note that has ended, if it is one of these.
    pub fn ended(&mut self, note: &Note) {
        let place = |note: &Note| (note.onset, note.pitch);
        let is = |held_note: &&mut HeldNote| held_note.end != NoteEnd::Before && place(&held_note.note) == place(note);
        if let Some(held_note) = self.notes.iter_mut().find(is) {
            // A note held on two channels ends twice; the later end is the one that counts.
            self.changed |= held_note.fed.duration != note.duration;
            (held_note.note.duration, held_note.fed.duration, held_note.end) =
                (note.duration, note.duration, NoteEnd::Since);
        }
    }

    /// Extends notes that have not ended so that they last at least until `time`, in stream seconds.
    pub fn last_until(&mut self, time: f64) {
        for held_note in &mut self.notes {
            let so_far = (time - held_note.note.onset).min(LONGEST_S);
            if held_note.end == NoteEnd::Open {
                held_note.note.duration = held_note.note.duration.max(so_far);
                self.changed |= so_far > held_note.fed.duration;
                held_note.fed.duration = held_note.fed.duration.max(so_far);
            }
        }
    }

    /// Feeds the notes again with their current durations, if some have changed and there are few enough. Returns
    /// whether it did.
    pub fn feed_again(&mut self, decoder: &mut Decoder) -> bool {
        let anew = self.changed && self.notes.len() <= SOON;
        if anew {
            self.changed = false;
            decoder.restore(&self.before);
            decoder.feed_all(&self.notes.iter().map(|held_note| held_note.fed).collect::<Vec<_>>());
        }
        anew
    }

    /// The notes as they were played, latest first.
    pub fn latest_played(&self) -> impl Iterator<Item = Note> {
        self.notes.iter().rev().map(|held_note| held_note.note)
    }

    /// The notes as they are fed to the network, latest first.
    pub fn latest_fed(&self) -> impl Iterator<Item = Successor> {
        self.notes.iter().rev().map(|held_note| held_note.fed)
    }

    /// The snapshot, for reuse.
    pub fn into_snapshot(self) -> Snapshot {
        self.before
    }
}
