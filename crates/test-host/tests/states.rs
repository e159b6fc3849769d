//! What projects store: every format that was ever released still loads, a newer one loads as far as it can be
//! understood, and a damaged one does no harm.

use std::sync::Once;

use anyhow::Result;
use probe::{damage, heap};
use serde_json::{Value, json};
use test_host::{Event, Plugin, Status, Timed};

/// One file for each released format, oldest first, each with values that differ from a new instance's. None is ever
/// changed or removed. The first has no format number yet.
const STATES: [&str; 2] = [include_str!("states/0.json"), include_str!("states/1.json")];

fn plugin() -> Plugin {
    // Before any instance reads the environment, because tests run concurrently.
    static REQUESTED: Once = Once::new();
    REQUESTED.call_once(Status::request);
    test_host::find_bundle().and_then(|path| Plugin::load(&path)).expect("the bundle must load")
}

/// A state as a host passes it on: preceded by its length, as 8 bytes.
fn stream(json: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes(), json].concat()
}

fn load(plugin: &mut Plugin, state: &Value) -> Result<()> {
    plugin.load_state(&stream(state.to_string().as_bytes()))
}

fn saved(plugin: &mut Plugin) -> Value {
    serde_json::from_slice(&plugin.save_state().unwrap()[8..]).unwrap()
}

#[test]
fn every_state_that_was_released_loads_as_it_was_saved() {
    for text in STATES {
        let state: Value = serde_json::from_str(text).unwrap();
        let mut plugin = plugin();
        let new = saved(&mut plugin);
        load(&mut plugin, &state).unwrap();
        let now = saved(&mut plugin);
        let mut differ = 0;
        // From before search existed: loaded states play without it.
        assert_eq!(now["params"]["search"], json!({ "string": "off" }));
        for (id, value) in state["params"].as_object().unwrap() {
            assert_eq!(now["params"][id], *value, "{id}");
            differ += usize::from(new["params"][id] != *value);
        }
        assert!(differ >= 8, "the fixture says little");
        for (name, value) in state["fields"].as_object().unwrap() {
            let parsed = |value: &Value| serde_json::from_str::<Value>(value.as_str().unwrap()).unwrap();
            let (value, now) = (parsed(value), parsed(&now["fields"][name]));
            match value.as_object().filter(|_| name != "format") {
                // Later releases may store additional parts.
                Some(parts) => parts.iter().for_each(|(part, value)| assert_eq!(now[part], *value, "{name} {part}")),
                None if name == "format" => {}
                None => assert_eq!(now, value, "{name}"),
            }
        }
    }
}

/// Loads what it understands of a newer state, ignores the rest, and reports that the state is newer.
#[test]
fn a_newer_state_loads_as_far_as_it_is_understood() {
    let mut plugin = plugin();
    let mut state: Value = serde_json::from_str(STATES[STATES.len() - 1]).unwrap();
    load(&mut plugin, &state).unwrap();
    assert!(!plugin.status().unwrap().newer_state);
    let before = saved(&mut plugin);

    state["version"] = json!("99.0.0");
    state["fields"]["format"] = json!("99");
    state["fields"]["sparkle"] = json!("{\"much\": true}");
    state["params"]["sparkle"] = json!({ "f32": 0.5 });
    state["params"]["seed"] = json!({ "i32": 77 });
    // A known parameter with an unknown type of value.
    state["params"]["bypass"] = json!({ "string": "sometimes" });
    load(&mut plugin, &state).unwrap();
    assert!(plugin.status().unwrap().newer_state, "it says so");
    let after = saved(&mut plugin);
    assert_eq!(after["params"]["seed"], json!({ "i32": 77 }));
    for (id, value) in before["params"].as_object().unwrap().iter().filter(|(id, _)| *id != "seed") {
        assert_eq!(after["params"][id], *value, "{id}");
    }
    assert_eq!(after["params"].get("sparkle"), None);
}

/// The framework takes numbers in a state as they are. An index that no choice has would abort the host when it saves.
#[test]
fn values_out_of_range_are_limited_or_refused_and_the_state_can_be_saved() {
    let new = saved(&mut plugin());
    let mut state: Value = serde_json::from_str(STATES[STATES.len() - 1]).unwrap();
    for (id, value, then) in [
        ("mode", json!({ "i32": 99 }), new["params"]["mode"].clone()),
        ("mode", json!({ "i32": -1 }), new["params"]["mode"].clone()),
        ("mode", json!({ "i32": 2 }), json!({ "string": "trade" })),
        ("channel", json!({ "i32": 200 }), json!({ "i32": 16 })),
        ("low", json!({ "i32": 200 }), json!({ "i32": 127 })),
        ("mine", json!({ "i32": -1 }), json!({ "i32": 1 })),
        ("silence", json!({ "f32": 1e30 }), json!({ "f32": 10_000.0 })),
    ] {
        let mut plugin = plugin();
        state["params"][id] = value;
        load(&mut plugin, &state).unwrap();
        assert_eq!(saved(&mut plugin)["params"][id], then, "{id}");
    }
}

/// No matter what a project file contains: no crash, no excessive memory, every value in its range, and the plugin
/// still plays.
#[test]
fn damaged_states_do_no_harm() {
    /// Allowed memory beyond twice the file's size, in bytes: parameter values as text, in trees.
    const SPARE: usize = 64 << 10;
    const CASES: usize = 1_500;
    let mut plugin = plugin();
    let parameters = plugin.parameters().unwrap();
    let good = STATES.map(|text| text.as_bytes().to_vec());
    let (mut loaded, mut refused) = (0, 0);
    for case in 0..CASES {
        let json = damage::damaged_file(&good, 9, case);
        let bytes = stream(&json);
        let (result, taken) = heap::measured(|| plugin.load_state(&bytes));
        assert!(taken.peak <= 2 * bytes.len() + SPARE, "case {case}, {} bytes: {taken:?}", bytes.len());
        match result {
            Ok(()) => {
                loaded += 1;
                plugin.save_state().unwrap();
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
        for parameter in &parameters {
            let value = plugin.value(parameter.id).unwrap();
            let range = parameter.min..=parameter.max;
            assert!(range.contains(&value), "case {case}: {} is {value}", parameter.name);
        }
    }
    assert!(loaded > 100 && refused > 300, "{loaded} loaded, {refused} refused");
    // Wrong lengths, and less data than a length.
    for bytes in [&[0xff; 20][..], &[1, 0, 0, 0, 0, 0, 0, 1, b'{'], b"\x10\0\0\0\0\0\0\0{}", b"\x01", b""] {
        assert!(plugin.load_state(bytes).is_err(), "{bytes:?}");
    }
    plugin.activate(48_000.0, 512).unwrap();
    let events = [Timed { at: 0, event: Event::note_on(0, 60, 90) }, Timed { at: 999, event: Event::note_off(0, 60) }];
    let outputs = plugin.run(|audio| {
        let mut performer =
            test_host::Performer::new(&events, test_host::Blocks::Of(512), test_host::Pace::Offline, None);
        performer.play_until(audio, 48_000, |_| ())?;
        Ok(audio.take_outputs())
    });
    assert!(outputs.is_ok());
}
