//! A single thread that wakes the resting generators of all instances in the process. The audio thread must not
//! wake other threads, so something has to poll frequently whether playing has begun; one thread does it for all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use crate::link::queues::SleepFlag;

/// Polling interval.
const POLL: Duration = Duration::from_millis(5);

/// All generator threads that are watched.
static WATCH_LIST: Mutex<WatchList> = Mutex::new(WatchList { watched: Vec::new(), waker: None, next: 0 });

struct WatchList {
    watched: Vec<Watched>,
    /// The thread that watches them; runs while there are any.
    waker: Option<Waker>,
    /// The number of the next one to be added.
    next: u64,
}

struct Watched {
    number: u64,
    sleep_flag: SleepFlag,
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
    pub fn new(sleep_flag: SleepFlag, thread: Thread) -> Self {
        let mut list = WATCH_LIST.lock().unwrap_or_else(PoisonError::into_inner);
        let number = list.next;
        list.next += 1;
        list.watched.push(Watched { number, sleep_flag, thread });
        if list.waker.is_none() {
            list.waker = Waker::start().ok();
        }
        Self(number)
    }
}

impl Drop for WakeGuard {
    fn drop(&mut self) {
        let mut list = WATCH_LIST.lock().unwrap_or_else(PoisonError::into_inner);
        list.watched.retain(|watched| watched.number != self.0);
        let waker = if list.watched.is_empty() { list.waker.take() } else { None };
        // The watching thread takes the lock itself. After the last instance the library may be unloaded, so the thread
        // must not outlive it.
        drop(list);
        if let Some(Waker { stop, thread }) = waker {
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
                let list = WATCH_LIST.lock().unwrap_or_else(PoisonError::into_inner);
                list.watched
                    .iter()
                    .filter(|watched| watched.sleep_flag.take_wake_request())
                    .for_each(|watched| watched.thread.unpark());
                drop(list);
                thread::park_timeout(POLL);
            }
        })?;
        Ok(Self { stop, thread })
    }
}
