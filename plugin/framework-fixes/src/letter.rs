//! Letter keys that a VST3 host offers to the window.
//!
//! VST3 hosts offer letters as characters, which nice-plug 0.4.2 does not forward (`wrapper/vst3/view.rs`,
//! `dispatch_virtual_key`). As a workaround the window gets the Help key, which no window uses, and finds the letter in
//! a thread-local variable for the duration of the call. Remove this when the framework forwards letters.

use std::cell::Cell;

thread_local! {
    static LETTER: Cell<Option<char>> = const { Cell::new(None) };
}

/// Makes `letter` available through [`offered`] while `call` runs.
pub(crate) fn beside<T>(letter: char, call: impl FnOnce() -> T) -> T {
    LETTER.set(Some(letter));
    let done = call();
    LETTER.set(None);
    done
}

/// The letter that the host offers with the current call, if any.
pub fn offered() -> Option<char> {
    LETTER.get()
}
