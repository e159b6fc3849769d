//! The look-ahead: generated notes that have not sounded yet, in order of onset. Lives on the audio thread.
//!
//! Every note carries the revision in which it was generated. Raising the revision *from* a time voids
//! the notes of older revisions at and after that time; their notes before it stay valid, even if they
//! arrive late through a queue.

use std::collections::VecDeque;

/// How many raises are remembered. A note older than all of them is void, whatever its time.
const RAISES: usize = 64;

/// A note to be played. Times are in beats on [`crate::Clock`]'s unrolled axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Planned {
    /// When it begins, including its spread.
    pub onset: f64,
    /// When it ends.
    pub end: f64,
    /// The revision in which it was generated.
    pub revision: u64,
    /// Its index in its take.
    pub index: u32,
    /// MIDI channel, 0–15.
    pub channel: u8,
    /// MIDI key, 0–127.
    pub pitch: u8,
    /// MIDI velocity, 1–127.
    pub velocity: u8,
}

/// Why a note was not added to the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is from a revision that has since been superseded at its onset. Normal for notes still in the queue
    /// when the revision is raised.
    Void,
    /// There is no room; the note is dropped and counted.
    Full,
    /// Its onset or end is not finite.
    Invalid,
}

/// A queue of at most `N` future notes, ordered by onset; at equal onsets, by arrival.
#[derive(Debug)]
pub struct Schedule<const N: usize> {
    notes: VecDeque<Planned>,
    revision: u64,
    /// The latest raises, oldest first: the revision that began, and the beat from which it holds.
    raises: VecDeque<(u64, f64)>,
    overflowed: u64,
}

impl<const N: usize> Default for Schedule<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Schedule<N> {
    /// An empty schedule in revision 0. The only function here that allocates.
    pub fn new() -> Self {
        Self { notes: VecDeque::with_capacity(N), revision: 0, raises: VecDeque::with_capacity(RAISES), overflowed: 0 }
    }

    /// Adds a note. Fails if it is invalid or void, or if the schedule is full.
    pub fn push(&mut self, note: Planned) -> Result<(), Refusal> {
        if !(note.onset.is_finite() && note.end.is_finite()) {
            return Err(Refusal::Invalid);
        }
        if !self.is_valid(note.revision, note.onset) {
            return Err(Refusal::Void);
        }
        if self.notes.len() >= N {
            self.overflowed += 1;
            return Err(Refusal::Full);
        }
        let place = self.notes.partition_point(|earlier| earlier.onset <= note.onset);
        self.notes.insert(place, note);
        Ok(())
    }

    /// The current revision: what newly generated notes must carry.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Begins a new revision and voids all older notes. Returns its number.
    pub fn raise_revision(&mut self) -> u64 {
        self.raise_revision_from(f64::NEG_INFINITY)
    }

    /// Begins a new revision and voids older notes from `time` on (NaN: all of them). Returns its number.
    pub fn raise_revision_from(&mut self, time: f64) -> u64 {
        let time = if time.is_nan() { f64::NEG_INFINITY } else { time };
        self.drop_from(time);
        if self.raises.len() >= RAISES {
            self.raises.pop_front();
        }
        self.revision += 1;
        self.raises.push_back((self.revision, time));
        self.revision
    }

    /// Whether a note generated in `revision` may sound at `onset`.
    pub fn is_valid(&self, revision: u64, onset: f64) -> bool {
        let unknown = self.revision - self.raises.len() as u64;
        (unknown..=self.revision).contains(&revision)
            && self.raises.iter().rev().take_while(|raise| raise.0 > revision).all(|raise| onset < raise.1)
    }

    /// Drops the notes whose onset is at `time` or later; returns how many.
    pub fn drop_from(&mut self, time: f64) -> usize {
        let kept = self.notes.partition_point(|note| note.onset < time);
        let dropped = self.notes.len() - kept;
        self.notes.truncate(kept);
        dropped
    }

    /// Removes and returns the first note, if it is due before `time` (a block's [`crate::Span::end`], or the
    /// time of the next event in it).
    pub fn pop_before(&mut self, time: f64) -> Option<Planned> {
        self.next_onset().filter(|&onset| onset < time).and_then(|_| self.notes.pop_front())
    }

    /// Moves all notes to another MIDI channel.
    pub fn set_channel(&mut self, channel: u8) {
        for note in &mut self.notes {
            note.channel = channel;
        }
    }

    /// The onset of the first note, in beats.
    pub fn next_onset(&self) -> Option<f64> {
        self.notes.front().map(|note| note.onset)
    }

    /// The notes in order of onset.
    pub fn iter(&self) -> impl Iterator<Item = &Planned> {
        self.notes.iter()
    }

    /// How many notes are scheduled.
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// Whether no note is scheduled.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Number of notes dropped so far because there was no room.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}
