//! The worker thread of nice-plug 0.4.2 for VST3 on Linux, which is ended at once.
//!
//! nice-plug runs the window's news there ("a parameter has changed") while no window is open, or the host has no
//! `IRunLoop` (`wrapper/vst3/inner.rs`, `schedule_gui`; `event_loop/background_thread.rs`). If the window opens or closes
//! meanwhile, two threads meet in one `AtomicRefCell`; once it is open, the worker touches what is the window's own
//! thread's: either way the worker panics or the host's thread does. And when the last instance goes, a worker that has
//! ended before (by a panic, or because a task outlived the instance it was for) makes the instance's end panic where
//! nothing can unwind: the host is aborted.
//!
//! A plug-in that looks at its parameters by itself and has no background tasks does not need the worker. So the first
//! instance ends it, by a panic that no hook hears of; what is sent there afterwards is refused and gone. One instance that
//! is never dropped holds the worker's channel, so that nobody ever finds it ended.
//!
//! Gone when pluginval passes at strictness 10, with the window, in a build that does not call [`retire`].

use std::mem;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug::prelude::Vst3Plugin;
use nice_plug::wrapper::vst3::Wrapper;

/// Set by the first instance.
static RETIRED: AtomicBool = AtomicBool::new(false);

/// Ends the worker of all instances, if that was not done yet. To be called by each instance's `Plugin::editor`, which
/// knows how to give the worker the plug-in's only task: [`end`].
pub fn retire<P: Vst3Plugin>(give_task: impl FnOnce()) {
    if !RETIRED.swap(true, Ordering::Relaxed) {
        mem::forget(Wrapper::<P>::new());
        give_task();
    }
}

/// What the worker does with the only task it is ever given.
pub fn end() {
    panic::resume_unwind(Box::new("the worker is not needed"));
}
