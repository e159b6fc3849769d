//! Notes that the player still held at the hand-over. The network says how long they will last; when their keys come
//! up, it can hear how long they did.

use model::{Decoder, Snapshot};
use notes::listener::{CAPACITY, LONGEST_S};
use notes::{Note, Successor};

/// More notes than these are not heard again while the take goes on: it would take too long.
const SOON: usize = 128;

/// The first note that was held, and all that followed it.
#[derive(Debug)]
pub struct Held {
    /// What the network knew before them.
    before: Snapshot,
    notes: Vec<Tail>,
    /// Some of them lasted otherwise than the network has heard.
    changed: bool,
}

/// One of them.
#[derive(Debug)]
struct Tail {
    /// As it was played, in seconds of the stream.
    note: Note,
    /// As the network hears it.
    heard: Successor,
    end: End,
}

/// What is known of a note's end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It had ended before the hand-over.
    Before,
    /// It has not ended.
    Open,
    /// It has ended since.
    Since,
}

impl Held {
    /// None so far, and what the network knows before them.
    pub fn new(before: Snapshot) -> Self {
        Self { before, notes: Vec::new(), changed: false }
    }

    /// One more note: as it was played until the hand-over, and as the network hears it. `false`: there are too many.
    pub fn push(&mut self, note: Note, heard: Successor, held: bool) -> bool {
        self.notes.push(Tail { note, heard, end: if held { End::Open } else { End::Before } });
        self.notes.len() <= CAPACITY
    }

    /// One of them may have ended: how it was played in the end.
    pub fn ended(&mut self, note: &Note) {
        let place = |note: &Note| (note.onset, note.pitch);
        let is = |tail: &&mut Tail| tail.end != End::Before && place(&tail.note) == place(note);
        if let Some(tail) = self.notes.iter_mut().find(is) {
            // Held on two channels it ends twice, and the later end comes later.
            self.changed |= tail.heard.duration != note.duration;
            (tail.note.duration, tail.heard.duration, tail.end) = (note.duration, note.duration, End::Since);
        }
    }

    /// What has not ended by then, in seconds of the stream, has lasted until then at least.
    pub fn last_until(&mut self, time: f64) {
        for tail in &mut self.notes {
            let so_far = (time - tail.note.onset).min(LONGEST_S);
            if tail.end == End::Open {
                tail.note.duration = tail.note.duration.max(so_far);
                self.changed |= so_far > tail.heard.duration;
                tail.heard.duration = tail.heard.duration.max(so_far);
            }
        }
    }

    /// The network hears them anew, if they are others than it has heard, and few enough.
    pub fn hear_anew(&mut self, decoder: &mut Decoder) -> bool {
        let anew = self.changed && self.notes.len() <= SOON;
        if anew {
            self.changed = false;
            decoder.restore(&self.before);
            decoder.feed_all(&self.notes.iter().map(|tail| tail.heard).collect::<Vec<_>>());
        }
        anew
    }

    /// The notes as they were played, the latest first.
    pub fn latest_played(&self) -> impl Iterator<Item = Note> {
        self.notes.iter().rev().map(|tail| tail.note)
    }

    /// The notes as the network hears them, the latest first.
    pub fn latest_heard(&self) -> impl Iterator<Item = Successor> {
        self.notes.iter().rev().map(|tail| tail.heard)
    }

    /// The snapshot, to be used again.
    pub fn into_snapshot(self) -> Snapshot {
        self.before
    }
}
