//! The framework's worker thread for VST3 on Linux, which is sent home at once.
//!
//! nice-plug 0.4.2 runs the window's news there ("a parameter has changed") while no window is open, or the host has no
//! `IRunLoop`. If the window opens or closes meanwhile, two threads meet in one `AtomicRefCell`; once it is
//! open, the worker touches what is the window's own thread's: either way the worker panics or the host's thread does.
//! And when the last instance goes, a worker that has ended before (by a panic, or because a task outlived the
//! instance it was for) makes the instance's end panic where nothing can unwind: the host is aborted.
//!
//! Nothing here needs the worker: the window looks at parameters by itself, and there are no background tasks. So the
//! first instance ends it, by a panic that no hook hears of; what is sent there afterwards is refused and gone. One
//! instance that is never dropped holds the worker's channel, so that nobody ever finds it ended.

use std::mem;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug::prelude::*;
use nice_plug::wrapper::vst3::Wrapper;

use crate::{Antiphon, Vst3};

/// Set by the first instance.
static RETIRED: AtomicBool = AtomicBool::new(false);

/// Ends the worker of all instances, if that was not done yet. To be called with each instance's executor.
pub fn retire(worker: &AsyncExecutor<Antiphon<Vst3>>) {
    if !RETIRED.swap(true, Ordering::Relaxed) {
        mem::forget(Wrapper::<Antiphon<Vst3>>::new());
        worker.execute_background(());
    }
}

/// What the worker does with the only task it is ever given.
pub fn end_worker() {
    panic::resume_unwind(Box::new("the worker has gone home"));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    fn workers() -> usize {
        let names = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == "bg-worker").count()
    }

    #[test]
    fn no_worker_meets_the_window_and_nobody_misses_it() {
        let before = workers();
        for _ in 0..3 {
            let instances = [(); 3].map(|()| Wrapper::<Antiphon<Vst3>>::new());
            let patience = Instant::now() + Duration::from_secs(10);
            while workers() > before && Instant::now() < patience {
                thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(workers(), before);
            drop(instances);
        }
    }
}
