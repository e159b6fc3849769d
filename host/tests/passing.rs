//! What the player sends besides notes goes through, in order and each at its own sample. Needs the bundle, as
//! `bundle.rs` does.

use host::{Audio, Blocks, Event, NoteExpressionType as Kind, Output, Pace, Performer, Plugin, Timed, param_id};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 64;

fn plugin() -> Plugin {
    Plugin::load(&host::find_bundle().unwrap()).expect("the bundle must load")
}

/// What comes out of a plugin that gets these events one after the other, 37 samples apart.
fn passed(events: impl IntoIterator<Item = Event>) -> (Vec<Timed>, Vec<Output>) {
    let events: Vec<Timed> =
        events.into_iter().enumerate().map(|(index, event)| Timed { at: 37 * index as u64, event }).collect();
    let mut plugin = plugin();
    plugin.set("silence", "10000 ms").unwrap();
    plugin.activate(RATE, BLOCK).unwrap();
    let outputs = plugin.run(|audio: &mut Audio| {
        let end = 37 * events.len() as u64 + 1;
        Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, end, |_| ())?;
        Ok(audio.take_outputs())
    });
    (events, outputs.unwrap())
}

#[test]
fn pedals_controllers_bends_and_pressure_pass_in_order_on_every_channel() {
    let mut events = Vec::new();
    for channel in 0..16_u8 {
        events.push(Event::note_on(channel, 60 + channel, 80));
        for controller in (0..120).step_by(7).chain([64, 66, 67, 74]) {
            events.push(Event::Midi([0xb0 | channel, controller, 127 - controller]));
        }
        events.push(Event::Midi([0xa0 | channel, 60 + channel, 33]));
        events.push(Event::Midi([0xd0 | channel, 99, 0]));
        events.push(Event::Midi([0xe0 | channel, 0x11, 0x52]));
        events.push(Event::note_off(channel, 60 + channel));
    }
    let (sent, got) = passed(events);
    assert_eq!(got.len(), sent.len());
    for (sent, got) in sent.iter().zip(&got) {
        assert_eq!(got.at, sent.at, "{:?}", sent.event);
        match (sent.event, got.event) {
            // Pressure on a key is an expression of its note in CLAP's own dialect.
            (Event::Midi([status, key, value]), Event::Expression { kind, channel, key: on, value: is })
                if status & 0xf0 == 0xa0 =>
            {
                assert_eq!((kind, channel, on), (Kind::Pressure, (status & 0xf).into(), key.into()));
                assert!((is - f64::from(value) / 127.0).abs() < 1e-3, "{value} is {is}");
            }
            (sent, got) if sent.note().is_some() => assert!(got.is_same_note(&sent), "{sent:?} is {got:?}"),
            (sent, got) => assert_eq!(sent, got),
        }
    }
}

#[test]
fn expressions_of_notes_pass() {
    let kinds = [
        (Kind::Volume, 2.5),
        (Kind::Pan, 0.25),
        (Kind::Tuning, -7.5),
        (Kind::Vibrato, 0.75),
        (Kind::Expression, 0.5),
        (Kind::Brightness, 0.125),
        (Kind::Pressure, 1.0),
    ];
    let mut events = Vec::new();
    for channel in [0, 9, 15] {
        events.push(Event::note_on(channel, 70, 80));
        let channel_of = i16::from(channel);
        events.extend(kinds.map(|(kind, value)| Event::Expression { kind, channel: channel_of, key: 70, value }));
        events.push(Event::note_off(channel, 70));
    }
    let (sent, got) = passed(events);
    assert_eq!(got.len(), sent.len());
    for (sent, got) in sent.iter().zip(&got) {
        assert_eq!(got.at, sent.at, "{:?}", sent.event);
        match (sent.event, got.event) {
            (
                Event::Expression { kind, channel, key, value },
                Event::Expression { kind: k, channel: c, key: on, value: v },
            ) => {
                assert_eq!((k, c, on), (kind, channel, key));
                assert!((v - value).abs() < 1e-6, "{kind:?}: {value} is {v}");
            }
            (sent, got) => assert!(got.is_same_note(&sent), "{sent:?} is {got:?}"),
        }
    }
}

#[test]
fn a_learnt_controller_moves_its_parameter_at_its_sample_and_goes_no_further() {
    let move_at = 2 * 48_000 + 7;
    let play = |learnt: &str| {
        let mut plugin = plugin();
        plugin.edit_state(&[("learnt", learnt)]).unwrap();
        plugin.set("mode", "trigger").unwrap();
        plugin.set_offline(true).unwrap();
        plugin.activate(RATE, 512).unwrap();
        let chord = [60, 64, 67].map(|key| Timed { at: 100, event: Event::note_on(0, key, 80) });
        let offs = [60, 64, 67].map(|key| Timed { at: 9_000, event: Event::note_off(0, key) });
        let controls = [(20, 127, 24_000), (21, 0, move_at)];
        let controls = controls.map(|(cc, value, at)| Timed { at, event: Event::Midi([0xb0, cc, value]) });
        let events: Vec<Timed> = chord.into_iter().chain(offs).chain(controls).collect();
        let outputs = plugin.run(|audio: &mut Audio| {
            Performer::new(&events, Blocks::Of(512), Pace::Offline, None).play_until(audio, 5 * 48_000, |_| ())?;
            assert_eq!(audio.violations(), [""; 0]);
            assert_eq!(audio.heap_calls(), 0);
            Ok(audio.take_outputs())
        });
        (outputs.unwrap(), plugin.text("temp").unwrap(), plugin.text("go").unwrap())
    };
    let controllers = |outputs: &[Output]| outputs.iter().filter(|o| matches!(o.event, Event::Midi(_))).count();
    let starts = |outputs: &[Output], from: u64, to: u64| -> Vec<(u64, Event)> {
        let begins = outputs.iter().filter(|output| output.event.note().is_some_and(|(on, _)| on));
        begins.filter(|output| (from..to).contains(&output.at)).map(|output| (output.at, output.event)).collect()
    };
    let (calls, warm, went) = play(r#"{"go":20}"#);
    let (both, cold, _) = play(r#"{"go":20,"temp":21}"#);
    let (none, ..) = play("{}");
    assert_eq!((warm.as_str(), cold.as_str(), went.as_str()), ("1.00", "0.10", "On"));
    assert_eq!((controllers(&none), controllers(&calls), controllers(&both)), (2, 1, 0));
    assert!(starts(&none, 24_000, 240_000).is_empty(), "nobody called");
    assert!(starts(&calls, 24_000, move_at).len() > 3, "the pad called");
    assert_eq!(starts(&calls, 0, move_at), starts(&both, 0, move_at));
    assert_ne!(starts(&calls, move_at, 240_000), starts(&both, move_at, 240_000));
}

#[test]
fn a_controllers_knobs_find_what_matters_most_on_the_first_page() {
    let mut plugin = plugin();
    let parameters = plugin.parameters().unwrap();
    let pages = plugin.remote_controls().unwrap();
    let main = ["mode", "silence", "turn", "key", "temp", "density", "strength", "seed"];
    assert_eq!(pages[0].parameters, main.map(|id| Some(param_id(id))));
    // Everything can be reached but what is set once: bypass has the host's own switch.
    for parameter in parameters.iter().filter(|parameter| parameter.automatable && !parameter.bypass) {
        let reached = pages.iter().any(|page| page.parameters.contains(&Some(parameter.id)));
        assert!(reached, "{} is on no page", parameter.name);
    }
}
