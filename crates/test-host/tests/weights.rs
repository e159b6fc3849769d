//! A project whose weights file was moved or is damaged. Needs the bundle, like `bundle.rs`.

use std::fs;
use std::path::Path;

use test_host::{Blocks, Event, Pace, Performer, Plugin, SortedOutput, Status, Timed};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 256;
/// A valid weights file that differs from the built-in weights.
const SEED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../weights/seed.safetensors");

fn plugin() -> Plugin {
    Status::request();
    Plugin::load(&test_host::find_bundle().unwrap()).unwrap()
}

/// The plugin's notes after a short phrase: (sample, key).
fn answer(plugin: &mut Plugin) -> Vec<(u64, u8)> {
    plugin.set_offline(true).unwrap();
    plugin.activate(RATE, BLOCK).unwrap();
    let mut events = Vec::new();
    for (n, key) in (0..).zip([60, 64, 67, 72]) {
        events.push(Timed { at: n * 12_000, event: Event::note_on(0, key, 80) });
        events.push(Timed { at: n * 12_000 + 10_000, event: Event::note_off(0, key) });
    }
    let outputs = plugin
        .run(|audio| {
            Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, 480_000, |_| ())?;
            Ok(audio.take_outputs())
        })
        .unwrap();
    plugin.deactivate();
    let notes = SortedOutput::of(&events, &outputs).notes;
    notes.iter().map(|note| (note.on, note.key)).collect()
}

#[test]
fn the_built_in_weights_play_at_once_where_a_file_is_gone_or_cut() {
    let built_in = answer(&mut plugin());
    assert!(built_in.len() > 5, "{built_in:?}");
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.safetensors");
    fs::write(&cut, &fs::read(SEED).unwrap()[..1_000_000]).unwrap();
    for path in [folder.path().join("gone.safetensors"), cut] {
        let mut plugin = plugin();
        plugin.choose_weights(&path).unwrap();
        assert_eq!(answer(&mut plugin), built_in, "{}", path.display());
        let status = plugin.status().unwrap();
        assert!(status.stand_in && status.health == "ready", "{status:?}");
        let state = String::from_utf8(plugin.save_state().unwrap()[8..].to_vec()).unwrap();
        assert!(state.contains(path.file_name().unwrap().to_str().unwrap()), "the project keeps its choice");
    }
}

#[test]
fn a_project_finds_its_weights_under_another_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.safetensors");
    fs::copy(SEED, &path).unwrap();
    let mut first = plugin();
    first.choose_weights(&path).unwrap();
    let played = answer(&mut first);
    let project = first.save_state().unwrap();
    drop(first);

    let open = |state: &[u8]| {
        let mut plugin = plugin();
        plugin.load_state(state).unwrap();
        let played = answer(&mut plugin);
        (played, plugin.status().unwrap().stand_in, plugin.save_state().unwrap())
    };
    let there = |name: &str| fs::rename(&path, folder.path().join(name)).unwrap();
    there("私の重み.safetensors");
    // By now, there may be a different file under the old name.
    for other in [None, Some("not weights at all")] {
        if let Some(text) = other {
            fs::write(&path, text).unwrap();
        }
        let (again, stand_in, saved) = open(&project);
        assert_eq!((again, stand_in), (played.clone(), false), "{other:?}");
        assert!(String::from_utf8_lossy(&saved).contains("mine.safetensors"), "the project says what it has said");
    }
    fs::remove_file(folder.path().join("私の重み.safetensors")).unwrap();
    assert!(open(&project).1, "nowhere");
    assert!(Path::new(SEED).exists());
}
