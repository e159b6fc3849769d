//! What a decoder knew at one moment, to go back to: small enough that there may be one for every note.
//!
//! The memory of repetition memory is three times as large as the rest, and a new note touches all of it. So it is
//! copied only every [`REPLAYED`] notes; snapshots share the copy before them, and hold the notes heard
//! since. These are heard again when it goes back.

use std::sync::Arc;

use crate::{
    context::{Context, Lately},
    network::State,
    repetition::{RepetitionMemory, Symbol},
    trunk::Memory,
};

/// Notes after which the repetition memory are copied: hearing so many again takes a part of a step's time.
const REPLAYED: usize = 64;

/// What a decoder knows at a note. 11 KiB, and a share of a copy of the repetition memory.
#[derive(Clone, Debug)]
pub struct Snapshot {
    memory: Memory,
    lately: Lately,
    begins: bool,
    trail: Trail,
}

/// Where the repetition memory come from: a copy, and the notes since.
#[derive(Clone, Debug)]
struct Trail {
    copy: Arc<RepetitionMemory>,
    since: [Symbol; REPLAYED],
    count: usize,
}

/// Keeps the way back from the present state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// `None`: nobody has asked for a snapshot lately.
    trail: Option<Trail>,
}

impl Trace {
    /// A note is heard.
    pub fn hear(&mut self, symbol: Symbol) {
        if let Some(trail) = &mut self.trail {
            match trail.since.get_mut(trail.count) {
                Some(place) => (*place, trail.count) = (symbol, trail.count + 1),
                None => self.trail = None,
            }
        }
    }

    /// Everything is another.
    pub fn forget(&mut self) {
        self.trail = None;
    }

    fn trail(&mut self, repetition: &RepetitionMemory) -> &Trail {
        self.trail.get_or_insert_with(|| Trail {
            copy: Arc::new(repetition.clone()),
            since: [Symbol::default(); REPLAYED],
            count: 0,
        })
    }

    /// The present state.
    pub fn snapshot(&mut self, state: &State) -> Snapshot {
        let State { memory, context: Context { lately, repetition }, begins } = state;
        let trail = self.trail(repetition).clone();
        Snapshot { memory: memory.clone(), lately: lately.clone(), begins: *begins, trail }
    }

    /// The same in place of an older one, whose memory it takes.
    pub fn snapshot_into(&mut self, state: &State, out: &mut Snapshot) {
        let State { memory, context: Context { lately, repetition }, begins } = state;
        out.memory.copy_from(memory);
        out.lately.clone_from(lately);
        out.begins = *begins;
        out.trail.clone_from(self.trail(repetition));
    }

    /// Makes `state` what it was then.
    pub fn restore(&mut self, snapshot: &Snapshot, state: &mut State) {
        let State { memory, context: Context { lately, repetition }, begins } = state;
        memory.copy_from(&snapshot.memory);
        lately.clone_from(&snapshot.lately);
        *begins = snapshot.begins;
        let Trail { copy, since, count } = &snapshot.trail;
        repetition.as_mut().clone_from(copy);
        since[..*count].iter().for_each(|&symbol| repetition.feed(symbol));
        self.trail = Some(snapshot.trail.clone());
    }
}
