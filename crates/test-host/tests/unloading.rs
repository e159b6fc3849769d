//! What happens when a host unloads the library.

#![cfg(target_os = "linux")]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};
use test_host::{Blocks, Pace, Performer, Plugin, Timeline};

/// When a thread that has called into the library ends, it runs a destructor of the library's copy of the standard
/// library. If the last instance, and with it the library, were gone by then, a thread of the host would crash.
#[test]
fn the_library_outlives_its_last_instance() {
    let library = test_host::find_bundle().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.clap");
    fs::copy(&library, &other).unwrap();
    assert!(!mapped(&library));
    // Closing any library also unloads those that are no longer referenced.
    for library in [&library, &other].map(PathBuf::clone) {
        thread::spawn(move || {
            let mut plugin = Plugin::load(&library).unwrap();
            plugin.activate(48_000.0, 64).unwrap();
            let mut performer = Performer::new(&[], Blocks::Of(64), Pace::Offline, Some(Timeline::rolling(120.0)));
            plugin.run(|audio| performer.play_until(audio, 640, |_| ())).unwrap();
        })
        .join()
        .unwrap();
    }
    assert!(mapped(&library), "the library went with its last instance");
}

fn mapped(library: &Path) -> bool {
    let library = library.canonicalize().unwrap();
    fs::read_to_string("/proc/self/maps").unwrap().lines().any(|line| line.ends_with(library.to_str().unwrap()))
}
