//! The audio side's end of the link to the generator, and what it knows of it.

use std::sync::Arc;

use super::offline_wait::OfflineWait;
use crate::link::messages::{Message, Revision};
use crate::link::queues::AudioEnd;
use crate::link::status::{Health, Status};

/// See the [module](self).
pub struct Connection {
    /// The queues.
    pub near: AudioEnd,
    /// Counts and gauges.
    pub status: Arc<Status>,
    /// Waits for it, offline.
    pub patience: OfflineWait,
    /// What [`Status::lapses`] was last.
    lapses: u32,
    /// What [`AudioEnd::asked`] was last.
    asked: u32,
    /// Both threads agree on whose turn it is; see [`AudioEnd::mend`].
    agreed: bool,
}

impl Connection {
    /// The audio end of this link.
    pub fn new(near: AudioEnd, status: Arc<Status>) -> Self {
        let (lapses, asked) = (status.lapses(), near.asked());
        Self { near, status, patience: OfflineWait::default(), lapses, asked, agreed: true }
    }

    /// A block begins in this revision.
    pub fn open(&mut self, revision: u64) {
        self.agreed = self.near.mend(Revision(revision));
    }

    /// Whether there is somebody to take the turn.
    pub fn can_play(&self) -> bool {
        self.agreed && matches!(self.status.health(), Health::Starting | Health::Ready)
    }

    /// Whether the generator has lost the take under way since the last call.
    pub fn has_lapsed(&mut self) -> bool {
        let lapses = self.status.lapses();
        std::mem::replace(&mut self.lapses, lapses) != lapses
    }

    /// Whether the window has asked for a take since the last call.
    pub fn is_asked(&mut self) -> bool {
        let asked = self.near.asked();
        std::mem::replace(&mut self.asked, asked) != asked
    }

    /// Offline, waits until the generator can be told more: of the reserve, an event takes little.
    pub fn await_room(&mut self) {
        let near = &self.near;
        self.patience.wait_until(&self.status, || near.has_room());
    }

    /// Hands over a note of the player's; one that finds no room is counted.
    pub fn tell(&mut self, report: Message) {
        self.await_room();
        if self.near.offer(report) {
            self.status.heard.add(1);
        } else {
            self.status.overflows.add(1);
        }
    }
}
