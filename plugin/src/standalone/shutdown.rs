//! Shuts the app down. Sounding notes are ended first: at the other end of a MIDI cable they would sound forever.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set when the app is shutting down.
static SHUTTING_DOWN: AtomicBool = AtomicBool::new(false);
/// Blocks finished since then.
static BLOCKS: AtomicU32 = AtomicU32::new(0);
/// Set when a signal has asked the app to exit.
static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Blocks to wait for: the first may already have been running; the next one ends all notes and sends the note-offs.
const ENOUGH: u32 = 3;
/// The longest wait: a server that has stopped plays no blocks.
const TIMEOUT: Duration = Duration::from_millis(700);

/// For the audio thread: whether the app is shutting down.
pub fn is_shutting_down() -> bool {
    SHUTTING_DOWN.load(Ordering::Relaxed)
}

/// For the audio thread: counts a finished block.
pub fn count_block() {
    if is_shutting_down() {
        BLOCKS.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ends all notes, and returns when that has been sent.
pub fn end_notes() {
    SHUTTING_DOWN.store(true, Ordering::Relaxed);
    let began = Instant::now();
    while BLOCKS.load(Ordering::Relaxed) < ENOUGH && began.elapsed() < TIMEOUT {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the app should exit, or its window close.
pub fn is_requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Lets Ctrl-C and termination requests close the app; a second one exits at once.
pub fn on_signals() {
    let asked = || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    };
    if let Err(error) = ctrlc::set_handler(asked) {
        eprintln!("warning: Ctrl-C will quit without ending the notes: {error}");
    }
}
