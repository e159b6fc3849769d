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

fn workers() -> usize {
    let names = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "bg-worker").count()
}

#[test]
fn the_worker_ends_with_the_first_instance_and_no_instance_misses_it() {
    for _ in 0..3 {
        let instances = [(); 3].map(|()| Wrapper::<Probe<VST3>>::new());
        let patience = Instant::now() + Duration::from_secs(10);
        while workers() > 0 && Instant::now() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(workers(), 0);
        drop(instances);
    }
}
