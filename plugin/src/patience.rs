//! Waiting for the inference thread, which only an offline render may do: there the audio thread has
//! no deadline, and every note counts. In real time nothing here ever waits.

use std::thread;
use std::time::{Duration, Instant};

use crate::status::{Health, Status};

/// The longest one wait may last.
const LONGEST: Duration = Duration::from_secs(5);
/// How long to sleep between two looks.
const NAP: Duration = Duration::from_micros(100);

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    offline: bool,
    /// A wait has been in vain: no further one before the other side shows a sign of life.
    spent: bool,
}

impl Patience {
    /// Whether the host renders offline.
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Says whether the host renders offline.
    pub fn set_offline(&mut self, offline: bool) {
        *self = Self { offline, spent: false };
    }

    /// The other side has shown a sign of life.
    pub fn renew(&mut self) {
        self.spent = false;
    }

    /// Offline: waits until `done`, or until there is nothing more to wait for. In real time: asks once.
    pub fn wait_until(&mut self, status: &Status, mut done: impl FnMut() -> bool) {
        if done() || !self.offline || self.spent {
            return;
        }
        let start = Instant::now();
        while matches!(status.health(), Health::Starting | Health::Ready) {
            if start.elapsed() >= LONGEST {
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
