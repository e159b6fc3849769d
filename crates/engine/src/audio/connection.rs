//! The audio side's end of the link to the generator, and what it knows about the generator.

use std::sync::Arc;

use super::offline_wait::OfflineWait;
use crate::link::messages::{Message, Revision};
use crate::link::queues::AudioEnd;
use crate::link::status::{Health, Status};

/// The link to the generator, with the values last read from it.
pub struct Connection {
    /// The queues.
    pub audio_end: AudioEnd,
    /// Counts and gauges.
    pub status: Arc<Status>,
    /// Waits for the generator, offline only.
    pub patience: OfflineWait,
    /// [`Status::lapses`] at the last call of [`Self::has_lapsed`].
    lapses: u32,
    /// [`AudioEnd::asked`] at the last call of [`Self::is_asked`].
    asked: u32,
    /// Whether both threads agree on whose turn it is; see [`AudioEnd::mend`].
    agreed: bool,
}

impl Connection {
    /// A connection over this audio end.
    pub fn new(audio_end: AudioEnd, status: Arc<Status>) -> Self {
        let (lapses, asked) = (status.lapses(), audio_end.asked());
        Self { audio_end, status, patience: OfflineWait::default(), lapses, asked, agreed: true }
    }

    /// Begins a block in this revision.
    pub fn open(&mut self, revision: u64) {
        self.agreed = self.audio_end.mend(Revision(revision));
    }

    /// Whether the generator can take the turn.
    pub fn can_play(&self) -> bool {
        self.agreed && matches!(self.status.health(), Health::Starting | Health::Ready)
    }

    /// Whether the generator has lost the current take since the last call.
    pub fn has_lapsed(&mut self) -> bool {
        let lapses = self.status.lapses();
        std::mem::replace(&mut self.lapses, lapses) != lapses
    }

    /// Whether a replay was requested from the window since the last call.
    pub fn is_asked(&mut self) -> bool {
        let asked = self.audio_end.asked();
        std::mem::replace(&mut self.asked, asked) != asked
    }

    /// Offline, waits until the queue to the generator has room outside its reserve; one event uses little of that.
    pub fn await_room(&mut self) {
        let audio_end = &self.audio_end;
        self.patience.wait_until(&self.status, || audio_end.has_room());
    }

    /// Sends a note of the player, and counts it as heard or, if there is no room, as an overflow.
    pub fn tell(&mut self, report: Message) {
        self.await_room();
        if self.audio_end.offer(report) {
            self.status.counts.heard.add(1);
        } else {
            self.status.counts.overflows.add(1);
        }
    }
}
