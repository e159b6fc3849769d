//! The framework's worker thread, tested in a separate process, so that no other test creates instances.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[allow(dead_code, missing_docs)]
#[path = "../src/tests/probe.rs"]
mod probe;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nice_plug::wrapper::vst3::Wrapper;

use probe::{Probe, VST3};

/// Number of this process's threads. Not found by name: a thread gets its name only after it has started.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn the_worker_ends_with_the_first_instance_and_no_instance_misses_it() {
    let without = threads();
    for _ in 0..3 {
        let instances = [(); 3].map(|()| Wrapper::<Probe<VST3>>::new());
        let patience = Instant::now() + Duration::from_secs(10);
        while threads() > without && Instant::now() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(threads(), without);
        drop(instances);
    }
}
