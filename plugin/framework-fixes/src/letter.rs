//! The letter that a VST3 host offers to the window.
//!
//! VST3 hosts offer letters as such, which nice-plug 0.4.2 (`wrapper/vst3/view.rs`, `dispatch_virtual_key`) does not hand
//! on: for the time of a call, one travels beside a key that no window uses, Help. Gone when the window is asked about
//! letters without it.

use std::cell::Cell;

thread_local! {
    static LETTER: Cell<Option<char>> = const { Cell::new(None) };
}

/// Lets a letter travel beside a call.
pub(crate) fn beside<T>(letter: char, call: impl FnOnce() -> T) -> T {
    LETTER.set(Some(letter));
    let done = call();
    LETTER.set(None);
    done
}

/// The letter that travels so; `None`: none does.
pub fn offered() -> Option<char> {
    LETTER.get()
}
