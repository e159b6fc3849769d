//! Measures this thread's CPU time, where the system provides it, so that other load on the machine does not
//! count. Elsewhere, measures elapsed time.

#[cfg(unix)]
use rustix::time::{ClockId, clock_gettime};

#[cfg(not(unix))]
use crate::clock::Instant;

/// Measures time on one thread. Not for the audio thread, since it makes a system call.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    #[cfg(unix)]
    start_us: f64,
    #[cfg(not(unix))]
    start: Instant,
}

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        #[cfg(unix)]
        return Self { start_us: worked_us() };
        #[cfg(not(unix))]
        return Self { start: Instant::now() };
    }

    /// Time since the start, in microseconds.
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
