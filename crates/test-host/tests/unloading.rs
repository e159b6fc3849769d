//! What happens when a host lets go of the library.

#![cfg(target_os = "linux")]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
};
use test_host::{Blocks, Pace, Performer, Plugin, Timeline};

/// Every thread that has called into the library runs a destructor of its standard library when it ends. If the last
/// instance went in between on another thread, and the library with it, that is a crash in a thread of the host's.
#[test]
fn the_library_outlives_its_last_instance() {
    let library = test_host::find_bundle().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.clap");
    fs::copy(&library, &other).unwrap();
    assert!(!mapped(&library));
    // Closing any library takes away what nothing holds any more.
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
