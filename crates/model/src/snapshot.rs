//! Snapshots of a decoder's state, small enough to keep one per note.
//!
//! The repetition memory is three times as large as everything else, and each note changes all of it. So it is copied
//! only every [`REPLAYED`] notes; snapshots share the latest copy and store the notes fed since, which are replayed on
//! restore.

use std::sync::Arc;

use crate::{
    context::{Context, RecentContext},
    network::State,
    repetition::{RepetitionMemory, Symbol},
    trunk::TrunkState,
};

/// Notes between copies of the repetition memory: replaying this many takes a fraction of a step's time.
const REPLAYED: usize = 32;

/// The state of a decoder after a note: 11 KiB, plus a share in a copy of the repetition memory.
#[derive(Clone, Debug)]
pub struct Snapshot {
    trunk: TrunkState,
    recent: RecentContext,
    begins: bool,
    trail: Trail,
}

/// How to rebuild the repetition memory: a copy, and the notes since.
#[derive(Clone, Debug)]
struct Trail {
    copy: Arc<RepetitionMemory>,
    since: [Symbol; REPLAYED],
    count: usize,
}

/// Keeps the trail that leads to the current state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    /// `None`: no snapshot was taken recently.
    trail: Option<Trail>,
}

impl Trace {
    /// Records a note that is fed.
    pub fn push(&mut self, symbol: Symbol) {
        if let Some(trail) = &mut self.trail {
            match trail.since.get_mut(trail.count) {
                Some(place) => (*place, trail.count) = (symbol, trail.count + 1),
                None => self.trail = None,
            }
        }
    }

    /// Drops the trail, for when the state was replaced.
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

    /// Saves the current state.
    pub fn snapshot(&mut self, state: &State) -> Snapshot {
        let State { trunk, context: Context { recent, repetition }, begins } = state;
        let trail = self.trail(repetition).clone();
        Snapshot { trunk: trunk.clone(), recent: recent.clone(), begins: *begins, trail }
    }

    /// Like [`Trace::snapshot`], reusing the memory of an older snapshot.
    pub fn snapshot_into(&mut self, state: &State, out: &mut Snapshot) {
        let State { trunk, context: Context { recent, repetition }, begins } = state;
        out.trunk.copy_from(trunk);
        out.recent.clone_from(recent);
        out.begins = *begins;
        out.trail.clone_from(self.trail(repetition));
    }

    /// Restores a saved state.
    pub fn restore(&mut self, snapshot: &Snapshot, state: &mut State) {
        let State { trunk, context: Context { recent, repetition }, begins } = state;
        trunk.copy_from(&snapshot.trunk);
        recent.clone_from(&snapshot.recent);
        *begins = snapshot.begins;
        let Trail { copy, since, count } = &snapshot.trail;
        repetition.as_mut().clone_from(copy);
        since[..*count].iter().for_each(|&symbol| repetition.feed(symbol));
        self.trail = Some(snapshot.trail.clone());
    }
}
