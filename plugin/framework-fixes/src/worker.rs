//! Ends nice-plug 0.4.2's worker thread for VST3 on Linux right away.
//!
//! nice-plug runs the window's notifications ("a parameter has changed") on that thread while no window is open, or if
//! the host has no `IRunLoop` (`wrapper/vst3/inner.rs`, `schedule_gui`; `event_loop/background_thread.rs`). If the
//! window opens or closes meanwhile, two threads borrow the same `AtomicRefCell`; once it is open, the worker accesses
//! data of the window's thread. Either way the worker or the host's thread panics. And when the last instance is
//! dropped after the worker has already ended (by a panic, or because a task outlived its instance), the drop panics
//! where nothing can unwind: the host is aborted.
//!
//! A plugin that polls its own parameters and has no background tasks does not need the worker. So the first instance
//! ends it with a panic that bypasses the panic hook; tasks sent to it later are refused and lost. One leaked instance
//! keeps the worker's channel alive, so that nothing ever notices that the worker has ended.
//!
//! Remove this when pluginval passes at strictness 10, with the window, in a build that does not call [`end_worker`].

use std::mem;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug::prelude::Vst3Plugin;
use nice_plug::wrapper::vst3::Wrapper;

/// Whether the worker has been told to end.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Ends the worker of all instances, once. Each instance's `Plugin::editor` calls it; `give_task` must send the worker
/// the plugin's only task, [`end_task`].
pub fn end_worker<P: Vst3Plugin>(give_task: impl FnOnce()) {
    if !ENDED.swap(true, Ordering::Relaxed) {
        mem::forget(Wrapper::<P>::new());
        give_task();
    }
}

/// The only task that the worker ever gets.
pub fn end_task() {
    panic::resume_unwind(Box::new("the worker is not needed"));
}
