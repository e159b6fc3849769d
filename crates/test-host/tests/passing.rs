//! Everything that the player sends besides notes is passed through, in order and at its own sample; invalid events are
//! not. Needs the bundle, like `bundle.rs`.

use std::sync::Once;

use test_host::{
    Audio, Blocks, Event, NoteEventKind, NoteExpressionType as Kind, Output, Pace, Performer, Plugin, Status, Timed,
    param_id,
};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 64;

fn plugin() -> Plugin {
    static REQUESTED: Once = Once::new();
    REQUESTED.call_once(Status::request);
    Plugin::load(&test_host::find_bundle().unwrap()).expect("the bundle must load")
}

/// Sends these events to a plugin, 37 samples apart; returns them with their times, and the plugin's output.
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
            // Key pressure becomes a note expression in CLAP.
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
    let play = |learned: &str| {
        let mut plugin = plugin();
        plugin.edit_state(&[("learnt", learned)]).unwrap();
        plugin.set("mode", "trigger").unwrap();
        plugin.set_offline(true).unwrap();
        plugin.activate(RATE, 512).unwrap();
        let chord = [60, 64, 67].map(|key| Timed { at: 100, event: Event::note_on(0, key, 80) });
        let offs = [60, 64, 67].map(|key| Timed { at: 9_000, event: Event::note_off(0, key) });
        // Soft takeover: the controller first has to pass the parameter's value.
        let controls = [(20, 127, 24_000), (21, 127, move_at - 1_000), (21, 0, move_at)];
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
    assert_eq!((controllers(&none), controllers(&calls), controllers(&both)), (3, 2, 0));
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
    // Only parameters that are set once are on no page, and bypass, for which the host has its own switch.
    for parameter in parameters.iter().filter(|parameter| parameter.automatable && !parameter.bypass) {
        let reached = pages.iter().any(|page| page.parameters.contains(&Some(parameter.id)));
        assert!(reached, "{} is on no page", parameter.name);
    }
}

/// Plays these events to a plugin with these settings for some seconds; returns its output and its figures.
fn play(settings: &[(&str, &str)], events: &[Timed], seconds: u64) -> (Vec<Output>, Status) {
    let mut plugin = plugin();
    for (id, text) in [("silence", "300 ms")].iter().chain(settings) {
        plugin.set(id, text).unwrap();
    }
    plugin.set_offline(true).unwrap();
    plugin.activate(RATE, 512).unwrap();
    let outputs = plugin.run(|audio: &mut Audio| {
        let end = seconds * RATE as u64;
        Performer::new(events, Blocks::Of(512), Pace::Offline, None).play_until(audio, end, |_| ())?;
        assert_eq!(audio.violations(), [""; 0]);
        assert_eq!(audio.heap_calls(), 0);
        Ok(audio.take_outputs())
    });
    (outputs.unwrap(), plugin.status().unwrap())
}

/// Sample at which the plugin begins to play by itself; its notes have no ids, unlike the player's in these tests.
fn entry(outputs: &[Output], from: u64) -> Option<u64> {
    outputs
        .iter()
        .find(|output| output.at >= from && matches!(output.event, Event::NoteOn { .. }))
        .map(|output| output.at)
}

/// An event for a note with an id; without `place`, it names the note by its id alone.
fn named(at: u64, id: i32, place: Option<(i16, i16)>, kind: NoteEventKind) -> Timed {
    let (channel, key) = place.unwrap_or((-1, -1));
    Timed { at, event: Event::Named { id, channel, key, kind } }
}

#[test]
fn a_note_off_by_its_id_ends_that_note_and_no_other() {
    let events = [
        named(100, 1, Some((0, 60)), NoteEventKind::On(0.5)),
        named(200, 2, Some((3, 64)), NoteEventKind::On(0.5)),
        named(300, 3, Some((0, 67)), NoteEventKind::On(0.5)),
        // Struck again before its first note has ended.
        named(400, 4, Some((3, 64)), NoteEventKind::On(0.5)),
        named(24_000, 1, None, NoteEventKind::Off(0.25)),
        named(24_100, 3, None, NoteEventKind::Choke),
        named(24_200, 3, None, NoteEventKind::Off(0.25)),
        named(24_300, 2, None, NoteEventKind::Expression(Kind::Pressure, 0.5)),
        named(24_400, 2, Some((3, 64)), NoteEventKind::Off(0.5)),
        named(144_000, 4, None, NoteEventKind::Off(0.75)),
    ];
    let (outputs, status) = play(&[], &events, 6);
    let passed = outputs.iter().filter(|output| matches!(output.event, Event::Named { .. }));
    let passed: Vec<Timed> = passed.map(|output| Timed { at: output.at, event: output.event }).collect();
    let wanted = [
        events[0],
        events[1],
        events[2],
        events[3],
        named(24_000, 1, Some((0, 60)), NoteEventKind::Off(0.25)),
        named(24_100, 3, Some((0, 67)), NoteEventKind::Off(0.0)),
        named(24_300, 2, Some((3, 64)), NoteEventKind::Expression(Kind::Pressure, 0.5)),
        events[8],
        named(144_000, 4, Some((3, 64)), NoteEventKind::Off(0.75)),
    ];
    assert_eq!(passed, wanted);
    assert_eq!(status.invalid, 1, "a note that had ended");
    assert!(entry(&outputs, 0).is_some_and(|at| at >= 144_000 + 14_400), "{:?}", entry(&outputs, 0));
}

/// A note-off by id alone ends its note, no matter what else is struck on its key, by MIDI or with an id already in
/// use.
#[test]
fn an_id_names_its_note_whatever_is_struck_meanwhile() {
    let midi = |at: u64, status: u8, key: u8| Timed { at, event: Event::Midi([status, key, 70]) };
    let mut events = vec![
        named(100, 1, Some((0, 60)), NoteEventKind::On(0.5)),
        midi(200, 0x90, 60),
        named(300, 1, None, NoteEventKind::Off(0.25)),
        midi(400, 0x80, 60),
        named(500, 2, Some((0, 62)), NoteEventKind::On(0.5)),
        named(600, 2, Some((0, 64)), NoteEventKind::On(0.5)),
        named(700, 2, None, NoteEventKind::Off(0.25)),
        named(800, 2, None, NoteEventKind::Choke),
    ];
    // Five notes on one key.
    events.extend((3..8).map(|id| named(900 + id as u64, id, Some((0, 65)), NoteEventKind::On(0.5))));
    events.extend((3..8).map(|id| named(1_000 + id as u64, id, None, NoteEventKind::Off(0.25))));
    let (outputs, status) = play(&[], &events, 1);
    let places = [(0, 60), (0, 64), (0, 62), (0, 65), (0, 65), (0, 65), (0, 65), (0, 65)];
    let ends = events.iter().filter_map(|timed| match timed.event {
        Event::Named { id, kind: NoteEventKind::Off(velocity), .. } => Some((timed.at, id, velocity)),
        Event::Named { id, kind: NoteEventKind::Choke, .. } => Some((timed.at, id, 0.0)),
        _ => None,
    });
    let wanted =
        ends.zip(places).map(|((at, id, velocity), place)| named(at, id, Some(place), NoteEventKind::Off(velocity)));
    let passed = outputs.iter().filter(|o| matches!(o.event, Event::Named { kind: NoteEventKind::Off(_), .. }));
    let passed: Vec<Timed> = passed.map(|output| Timed { at: output.at, event: output.event }).collect();
    assert_eq!(passed, wanted.collect::<Vec<_>>());
    assert_eq!(status.invalid, 0);
}

#[test]
fn what_is_no_event_goes_no_further() {
    let no_number = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 5.0];
    let mut events = vec![Timed { at: 0, event: Event::note_on(0, 60, 80) }];
    let mut impossible = Vec::new();
    // Values below -1 cannot be tested: the host's library turns them into the wildcard.
    for (channel, key) in [(0, 200), (0, 128), (20, 60), (16, -1), (-1, 300), (i16::MAX, i16::MIN)] {
        impossible.push(Event::NoteOff { channel, key, velocity: 0.5 });
        impossible.push(Event::NoteOn { channel, key, velocity: 0.5 });
        impossible.push(Event::Choke { channel, key });
        impossible.push(Event::Expression { kind: Kind::Volume, channel, key, value: 1.0 });
    }
    impossible.push(Event::NoteOn { channel: -1, key: 60, velocity: 0.5 });
    impossible.push(Event::NoteOn { channel: 0, key: -1, velocity: 0.5 });
    impossible.extend([0x80, 0x90, 0xa0, 0xb0].map(|status| Event::Midi([status, 200, 100])));
    impossible.push(Event::Expression { kind: Kind::Tuning, channel: 0, key: 60, value: f64::NAN });
    events.extend((1..).zip(&impossible).map(|(n, event)| Timed { at: 500 * n, event: *event }));
    let held = 500 * (impossible.len() as u64 + 1);
    events.push(Timed { at: held, event: Event::note_off(0, 60) });
    let notes = (0..).zip(no_number).flat_map(|(n, velocity)| {
        [Event::NoteOn { channel: 0, key: 60, velocity }, Event::NoteOff { channel: 0, key: 60, velocity }]
            .map(|event| Timed { at: held + 500 + 100 * n, event })
    });
    events.extend(notes);
    let last = events.last().unwrap().at;

    let (outputs, status) = play(&[], &events, 6);
    assert_eq!(status.invalid, impossible.len() as u64);
    let passed: Vec<&Output> = outputs.iter().filter(|output| output.at <= last).collect();
    assert_eq!(passed.len(), 2 + 2 * no_number.len(), "{passed:?}");
    for output in passed {
        let (Event::NoteOn { channel, key, velocity } | Event::NoteOff { channel, key, velocity }) = output.event
        else {
            panic!("{output:?}")
        };
        assert!((channel, key) == (0, 60) && (0.0..=1.0).contains(&velocity), "{output:?}");
    }
    assert!(entry(&outputs, last + 1).is_some_and(|at| at >= last + 14_400), "the key was held all the time");
}

#[test]
fn what_shapes_notes_stays_with_them() {
    let shapes = |channel: u8, key: i16| {
        [
            Event::Expression { kind: Kind::Tuning, channel: channel.into(), key, value: 0.5 },
            Event::Expression { kind: Kind::Pressure, channel: channel.into(), key: -1, value: 0.5 },
            Event::Midi([0xa0 | channel, key as u8, 90]),
            Event::Midi([0xe0 | channel, 0, 96]),
            Event::Midi([0xd0 | channel, 90, 0]),
            Event::Midi([0xb0 | channel, 74, 90]),
        ]
    };
    let others = [1, 7, 11, 91].map(|controller| Event::Midi([0xb0, controller, 90]));
    let at = |from: u64, events: &[Event]| -> Vec<Timed> {
        (0..).zip(events).map(|(n, event)| Timed { at: from + 10 * n, event: *event }).collect()
    };
    let rest = [Event::Midi([0xe0, 0, 64]), Event::Midi([0xd0, 0, 0])];

    // With MIDI thru off from the start.
    let mut events = at(0, &[Event::note_on(0, 60, 80)]);
    events.extend([at(100, &shapes(0, 60)), at(200, &others), at(300, &rest)].concat());
    events.extend(at(400, &[Event::note_off(0, 60)]));
    let (outputs, _) = play(&[("pass", "Off"), ("silence", "100000")], &events, 1);
    let passed: Vec<Event> = outputs.iter().map(|output| output.event).collect();
    assert_eq!(passed, others);

    // With MIDI thru turned off while notes sound: what belongs to those notes still passes until they end, on their
    // own keys and channels.
    let off = plugin().param_event("pass", "Off").unwrap();
    let mut events = at(0, &[Event::note_on(0, 60, 80), Event::note_on(1, 72, 80)]);
    events.extend(at(90, &[off, Event::note_on(2, 72, 80)]));
    events.extend([at(200, &shapes(0, 60)), at(300, &shapes(2, 72)), at(400, &shapes(1, 60)[..1])].concat());
    events.extend(at(500, &[Event::note_off(0, 60)]));
    events.extend([at(600, &shapes(0, 60)), at(700, &rest), at(800, &rest)].concat());
    let (outputs, _) = play(&[("silence", "100000")], &events, 1);
    let passed: Vec<u64> = outputs.iter().map(|output| output.at).collect();
    assert_eq!(passed, [0, 10, 200, 210, 220, 230, 240, 250, 500, 700, 710], "{outputs:?}");
}
