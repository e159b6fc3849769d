//! Waiting for the generator, which only an offline render may do: there the audio thread has
//! no deadline, and every note counts. In real time nothing here ever waits; nor does it where there are no threads,
//! and whoever drives the generator does so between the blocks.

use std::thread;
use std::time::Duration;

use crate::clock::Instant;
use crate::link::status::{Health, Status};

/// For how long the other side may show no sign of life before it counts as dead.
const DEAD: Duration = Duration::from_secs(5);
/// The longest one wait may last, however lively the other side: a machine may be very busy.
const LONGEST: Duration = Duration::from_secs(30);
/// How long to sleep between two looks.
const NAP: Duration = Duration::from_micros(100);

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct OfflineWait {
    offline: bool,
    /// A wait has been in vain: no further one before something comes from the other side.
    spent: bool,
}

impl OfflineWait {
    /// Whether the host renders offline.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Says whether the host renders offline.
    pub fn set_offline(&mut self, offline: bool) {
        *self = Self { offline, spent: false };
    }

    /// Something has come from the other side.
    pub fn renew(&mut self) {
        self.spent = false;
    }

    /// Offline: waits until `done`, or until there is nothing more to wait for. In real time: asks once.
    pub fn wait_until(&mut self, status: &Status, mut done: impl FnMut() -> bool) {
        if done() || !self.offline || self.spent || cfg!(target_family = "wasm") {
            return;
        }
        let start = Instant::now();
        while matches!(status.health(), Health::Starting | Health::Ready) {
            let waited = start.elapsed();
            if waited.min(status.silence()) >= DEAD || waited >= LONGEST {
                self.spent = true;
                status.timeouts.add(1);
                return;
            }
            thread::sleep(NAP);
            if done() {
                return;
            }
        }
    }
}
