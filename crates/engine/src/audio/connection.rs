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
    pub offline_wait: OfflineWait,
    /// [`Status::lost_takes`] at the last call of [`Self::has_lost_take`].
    lost_takes: u32,
    /// [`AudioEnd::replay_requests`] at the last call of [`Self::replay_requested`].
    replay_requests: u32,
    /// Whether both threads agree on whose turn it is; see [`AudioEnd::resync`].
    agreed: bool,
    /// Whether the generator has been told to abandon its take because a message was lost.
    abandoned: bool,
}

impl Connection {
    /// A connection over this audio end.
    pub fn new(audio_end: AudioEnd, status: Arc<Status>) -> Self {
        let (lost_takes, replay_requests) = (status.lost_takes(), audio_end.replay_requests());
        let offline_wait = OfflineWait::default();
        Self { audio_end, status, offline_wait, lost_takes, replay_requests, agreed: true, abandoned: false }
    }

    /// Begins a block in this revision.
    pub fn open(&mut self, revision: u64) {
        let lost = self.audio_end.has_lost();
        self.agreed = self.audio_end.resync(Revision(revision));
        self.abandoned = lost && self.agreed;
    }

    /// Whether the generator can take the turn.
    pub fn can_play(&self) -> bool {
        self.agreed && matches!(self.status.health(), Health::Starting | Health::Ready)
    }

    /// Whether the generator has lost or abandoned the current take since the last call.
    pub fn has_lost_take(&mut self) -> bool {
        let lost_takes = self.status.lost_takes();
        let lost = std::mem::replace(&mut self.lost_takes, lost_takes) != lost_takes;
        std::mem::take(&mut self.abandoned) || lost
    }

    /// Whether a replay was requested from the window since the last call.
    pub fn replay_requested(&mut self) -> bool {
        let replay_requests = self.audio_end.replay_requests();
        std::mem::replace(&mut self.replay_requests, replay_requests) != replay_requests
    }

    /// Offline, waits until the queue to the generator has room outside its reserve; one event uses little of that.
    pub fn await_room(&mut self) {
        let audio_end = &self.audio_end;
        self.offline_wait.wait_until(&self.status, || audio_end.has_room());
    }

    /// Sends a note of the player, and counts it as heard or, if there is no room, as an overflow.
    pub fn send_note(&mut self, message: Message) {
        self.await_room();
        if self.audio_end.send_note(message) {
            self.status.counts.heard.add(1);
        } else {
            self.status.counts.overflows.add(1);
        }
    }
}
