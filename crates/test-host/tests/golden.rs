//! The golden takes, played by the built plugin: must match what `crates/engine/tests/golden.rs` wrote, sample by
//! sample. Needs the bundle, like `bundle.rs`; `cargo xtask cross` runs this on the Windows bundle.

use serde_json::Value;
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, SortedOutput, Timed, Timeline};

/// Samples per second.
const RATE: f64 = 48_000.0;

#[test]
fn the_built_plugin_plays_the_golden_takes() {
    let golden: Value = serde_json::from_str(include_str!("../../engine/golden/takes.json")).unwrap();
    let tempo = golden["tempo"].as_f64().unwrap();
    for scene in golden["scenes"].as_array().unwrap() {
        let numbers =
            |value: &Value| -> Vec<u64> { value.as_array().unwrap().iter().filter_map(Value::as_u64).collect() };
        let list = |what: &str| scene[what].as_array().unwrap().iter().map(numbers).collect::<Vec<_>>();
        let mut plugin = Plugin::load(&test_host::find_bundle().unwrap()).unwrap();
        plugin.set("silence", "300").unwrap();
        for parameter in scene["parameters"].as_array().unwrap() {
            plugin.set(parameter[0].as_str().unwrap(), parameter[1].as_str().unwrap()).unwrap();
        }
        let mut events = Vec::new();
        for note in list("played") {
            let (key, velocity) = (note[2] as u8, note[3] as u8);
            events.push(Timed { at: note[0], event: Event::note_on(0, key, velocity) });
            events.push(Timed { at: note[1], event: Event::note_off(0, key) });
        }
        if let Some(at) = scene["pressed"].as_u64() {
            events.push(Timed { at, event: plugin.param_event("go", "On").unwrap() });
        }
        events.sort_by_key(|timed| timed.at);
        plugin.set_offline(true).unwrap();
        plugin.activate(RATE, 512).unwrap();
        let rolling = scene["rolls"].as_bool().unwrap().then(|| Timeline::rolling(tempo));
        let end = (scene["seconds"].as_f64().unwrap() * RATE) as u64;
        let outputs = plugin.run(|audio: &mut Audio| {
            let mut performer = Performer::new(&events, Blocks::Of(512), Pace::Offline, rolling);
            performer.play_until(audio, end, |_| ())?;
            Ok(audio.take_outputs())
        });
        let account = SortedOutput::of(&events, &outputs.unwrap());
        let of = |note: &test_host::PlayedNote| vec![note.on, note.off, note.key.into(), note.velocity.into()];
        let played: Vec<Vec<u64>> = account.notes.iter().map(of).filter(|note| note[1] < end).collect();
        assert_eq!(played, list("sounded"), "{}", scene["name"]);
    }
}
