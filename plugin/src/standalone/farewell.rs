//! How the program ends: whatever sounds ends first, since what hears it over a cable would sound for ever.
//!
//! The framework's own way out, on Ctrl-C, stops at once, and does nothing while there is a window.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set when the program is about to end.
static LEAVING: AtomicBool = AtomicBool::new(false);
/// Blocks since then.
static BLOCKS: AtomicU32 = AtomicU32::new(0);
/// Set when a signal has asked for the end.
static ASKED: AtomicBool = AtomicBool::new(false);

/// In the first all notes end, and with it they leave; it may have begun before.
const ENOUGH: u32 = 3;
/// A server that has stopped plays no blocks.
const PATIENCE: Duration = Duration::from_millis(500);

/// For the audio thread, once a block: whether all is to end.
pub fn is_leaving() -> bool {
    let leaving = LEAVING.load(Ordering::Relaxed);
    if leaving {
        BLOCKS.fetch_add(1, Ordering::Relaxed);
    }
    leaving
}

/// Has all notes ended; returns when they have left.
pub fn bid() {
    LEAVING.store(true, Ordering::Relaxed);
    let began = Instant::now();
    while BLOCKS.load(Ordering::Relaxed) < ENOUGH && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(1));
    }
}

/// For the window, whether it is to close.
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Has Ctrl-C and a request to terminate close the window; without one, all notes end before the framework hears of it.
/// The second time they end the program at once. To be called before there is any other thread.
#[cfg(unix)]
pub fn upon_signals(has_window: bool) {
    // SAFETY: plain calls on a set of this function's own, which is empty before it is filled.
    let set = unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGINT);
        libc::sigaddset(&mut set, libc::SIGTERM);
        // All threads to come inherit it: the signals reach none of them, but are waited for below.
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        set
    };
    thread::spawn(move || {
        let mut signal = 0;
        // SAFETY: a set, and room for the signal's number.
        unsafe { libc::sigwait(&set, &mut signal) };
        ASKED.store(true, Ordering::Relaxed);
        if !has_window {
            bid();
        }
        // SAFETY: calls as above; what is raised goes to the framework's handler.
        unsafe {
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
            libc::raise(libc::SIGINT);
            libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            libc::sigwait(&set, &mut signal);
        }
        std::process::exit(130);
    });
}

/// Elsewhere the framework's way must do.
#[cfg(not(unix))]
pub fn upon_signals(_: bool) {}
