//! A single thread that wakes the resting generators of all instances in the process. The audio thread must not
//! wake other threads, so something has to poll frequently whether playing has begun; one thread does it for all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crate::link::queues::SleepFlag;

/// Polling interval.
const LOOK: Duration = Duration::from_millis(5);

/// All generator threads that are watched.
static ALL: Mutex<All> = Mutex::new(All { watched: Vec::new(), watch: None, next: 0 });

struct All {
    watched: Vec<Watched>,
    /// The thread that watches them; runs while there are any.
    watch: Option<Waker>,
    /// The number of the next one to be added.
    next: u64,
}

struct Watched {
    number: u64,
    pulse: SleepFlag,
    thread: Thread,
}

struct Waker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Keeps a generator thread watched until it is dropped.
pub struct WakeGuard(u64);

impl WakeGuard {
    /// From now on, `thread` is woken when its audio thread is not at rest. If the watching thread cannot be started,
    /// `thread` wakes only by its own timeout.
    pub fn new(pulse: SleepFlag, thread: Thread) -> Self {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let number = all.next;
        all.next += 1;
        all.watched.push(Watched { number, pulse, thread });
        if all.watch.is_none() {
            all.watch = Waker::start().ok();
        }
        Self(number)
    }
}

impl Drop for WakeGuard {
    fn drop(&mut self) {
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        all.watched.retain(|watched| watched.number != self.0);
        let watch = if all.watched.is_empty() { all.watch.take() } else { None };
        // The watching thread takes the lock itself. After the last instance the library may be unloaded, so the thread
        // must not outlive it.
        drop(all);
        if let Some(Waker { stop, thread }) = watch {
            stop.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Waker {
    fn start() -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("antiphon watch".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
                all.watched
                    .iter()
                    .filter(|watched| watched.pulse.quickens())
                    .for_each(|watched| watched.thread.unpark());
                drop(all);
                thread::park_timeout(LOOK);
            }
        })?;
        Ok(Self { stop, thread })
    }
}
