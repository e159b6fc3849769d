//! Waits for the generator, in offline renders only: there the audio thread has no deadline, and every
//! note counts. In real time nothing here ever waits; nor does it where there are no threads and the
//! generator is driven by calls between the blocks.

use std::thread;
use std::time::Duration;

use crate::clock::Instant;
use crate::link::status::{Health, Status};

/// If the generator's heartbeat is silent for this long, it counts as dead.
const DEAD: Duration = Duration::from_secs(5);
/// The longest that one wait may last, even with a heartbeat: the machine may be very busy.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to sleep between two checks.
const POLL: Duration = Duration::from_micros(100);

/// Bounded waiting for the generator; see the [module documentation](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct OfflineWait {
    offline: bool,
    /// A wait has timed out: no further one until a note arrives.
    timed_out: bool,
}

impl OfflineWait {
    /// Whether the host renders offline.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Sets whether the host renders offline.
    pub fn set_offline(&mut self, offline: bool) {
        *self = Self { offline, timed_out: false };
    }

    /// A note has arrived: waiting makes sense again.
    pub fn renew(&mut self) {
        self.timed_out = false;
    }

    /// Offline, waits until `done` returns `true`, the generator stops being healthy or a timeout passes. In real
    /// time, calls `done` once.
    pub fn wait_until(&mut self, status: &Status, mut done: impl FnMut() -> bool) {
        if done() || !self.offline || self.timed_out || cfg!(target_family = "wasm") {
            return;
        }
        let start = Instant::now();
        while matches!(status.health(), Health::Starting | Health::Ready) {
            let waited = start.elapsed();
            if waited.min(status.unresponsive_for()) >= DEAD || waited >= LONGEST {
                self.timed_out = true;
                status.counts.timeouts.add(1);
                return;
            }
            thread::sleep(POLL);
            if done() {
                return;
            }
        }
    }
}
