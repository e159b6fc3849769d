//! How long this thread has worked: what others do on the same machine does not count, where the system
//! tells it. Elsewhere, how long it took.

#[cfg(unix)]
use rustix::time::{ClockId, clock_gettime};

#[cfg(not(unix))]
use crate::clock::Instant;

/// See the [module](self). For one thread; not for the audio thread, since it asks the system.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    #[cfg(unix)]
    start_us: f64,
    #[cfg(not(unix))]
    start: Instant,
}

impl Stopwatch {
    /// Begins to count.
    pub fn start() -> Self {
        #[cfg(unix)]
        return Self { start_us: worked_us() };
        #[cfg(not(unix))]
        return Self { start: Instant::now() };
    }

    /// Since then, in microseconds.
    pub fn us(&self) -> f64 {
        #[cfg(unix)]
        return worked_us() - self.start_us;
        #[cfg(not(unix))]
        return self.start.elapsed().as_secs_f64() * 1e6;
    }
}

#[cfg(unix)]
fn worked_us() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 * 1e-3
}
