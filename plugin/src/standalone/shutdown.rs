//! How the app ends: whatever sounds ends first, since what hears it over a cable would sound for ever.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set when the app is about to end.
static LEAVING: AtomicBool = AtomicBool::new(false);
/// Blocks since then.
static BLOCKS: AtomicU32 = AtomicU32::new(0);
/// Set when a signal has asked for the end.
static ASKED: AtomicBool = AtomicBool::new(false);

/// In the first all notes end, and with it they leave; it may have begun before.
const ENOUGH: u32 = 3;
/// A server that has stopped plays no blocks.
const PATIENCE: Duration = Duration::from_millis(700);

/// For the audio thread: whether all is to end.
pub fn is_leaving() -> bool {
    LEAVING.load(Ordering::Relaxed)
}

/// For the audio thread, once a block.
pub fn counts() {
    if is_leaving() {
        BLOCKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Has all notes ended; returns when they have left.
pub fn bid() {
    LEAVING.store(true, Ordering::Relaxed);
    let began = Instant::now();
    while BLOCKS.load(Ordering::Relaxed) < ENOUGH && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the app, or its window, is to close.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Has Ctrl-C and a request to terminate close the app; the second time they end it at once.
pub fn upon_signals() {
    let asked = || {
        if ASKED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    if let Err(error) = ctrlc::set_handler(asked) {
        eprintln!("Ctrl-C ends the app without ending its notes: {error}.");
    }
}
