//! Whose turn it is, and what is remembered of it, tested on the built `.clap` as a musician would try it. Needs the
//! bundle, like `bundle.rs`; offline, so nothing depends on the machine's speed.

use test_host::{Audio, Blocks, Event, Output, Pace, Performer, PlayedNote, Plugin, SortedOutput, Timed, Timeline};

mod common;
use common::{RATE, phrase, samples};

/// Plays these events to a new instance with these settings until `end` in seconds; `moves` are parameter changes:
/// (time in seconds, id, text).
fn play(settings: &[(&str, &str)], events: &[Timed], moves: &[(f64, &str, &str)], end: f64) -> Vec<Output> {
    let mut plugin = Plugin::load(&test_host::find_bundle().unwrap()).unwrap();
    for (id, text) in [("silence", "300")].iter().chain(settings) {
        plugin.set(id, text).unwrap();
    }
    let mut events = events.to_vec();
    for (at, id, text) in moves {
        events.push(Timed { at: samples(*at), event: plugin.param_event(id, text).unwrap() });
    }
    events.sort_by_key(|timed| timed.at);
    plugin.set_offline(true).unwrap();
    plugin.activate(RATE, 512).unwrap();
    let rolling = Some(Timeline::rolling(120.0));
    let outputs = plugin.run(|audio: &mut Audio| {
        let mut performer = Performer::new(&events, Blocks::Of(512), Pace::Offline, rolling);
        performer.play_until(audio, samples(end), |_| ())?;
        Ok(audio.take_outputs())
    });
    outputs.unwrap()
}

/// The plugin's own notes that have ended: (note-on, key, velocity, note-off).
fn music(events: &[Timed], outputs: &[Output]) -> Vec<(u64, u8, u8, u64)> {
    let of = |note: &PlayedNote| (note.on, note.key, note.velocity, note.off);
    SortedOutput::of(events, outputs).notes.iter().map(of).collect()
}

/// All triggers give the same notes as the button, whether held or toggled, and have no other effect: a key is not a
/// note of the phrase, and a pedal does not lengthen notes. Trigger events are not passed through.
#[test]
fn every_trigger_is_the_trigger_and_nothing_else() {
    let turns = [(2.5, 5.5), (6.0, 8.0)];
    let set = [("mode", "trigger"), ("pedin", "On"), ("pedhold", "On")];
    let button: Vec<_> = turns.into_iter().flat_map(|(from, to)| [(from, "go", "On"), (to, "go", "Off")]).collect();
    let played = phrase(0.1);
    let by_button = music(&played, &play(&set, &played, &button, 9.0));
    assert!(by_button.len() > 10, "{by_button:?}");
    for (on, .., off) in &by_button {
        let within = |(from, to): &(f64, f64)| *on >= samples(*from) && *off <= samples(*to);
        assert!(turns.iter().any(within), "it plays from {on} to {off}");
    }
    let triggers =
        [("key", 0x90, 24), ("controller", 0xb0, 80), ("sustain pedal", 0xb0, 64), ("sostenuto pedal", 0xb0, 66)];
    for (name, status, number) in triggers.into_iter().chain([("soft pedal", 0xb0, 67)]) {
        for toggles in ["Off", "On"] {
            let touch = |at: f64, down: bool| {
                let value = if down { 100 } else { 0 };
                Timed { at: samples(at), event: Event::Midi([status, number, value]) }
            };
            let mut events = played.clone();
            for (from, to) in turns {
                events.push(touch(from, true));
                if toggles == "On" {
                    events.extend([touch(from + 0.1, false), touch(to, true), touch(to + 0.1, false)]);
                } else {
                    events.push(touch(to, false));
                }
            }
            let set: Vec<_> = set.into_iter().chain([("trigby", name), ("trigtog", toggles)]).collect();
            let outputs = play(&set, &events, &[], 9.0);
            assert_eq!(music(&played, &outputs), by_button, "{name}, toggles: {toggles}");
            let passed = |output: &&Output| match output.event {
                Event::Midi([status, moved, _]) => (status & 0xf0, moved) == (0xb0, number),
                event => status == 0x90 && event.note().is_some_and(|note| note.1.1 == number),
            };
            assert_eq!(outputs.iter().find(passed), None, "{name} reaches the output");
        }
    }
}

/// If the player enters while the trigger is held, releasing the trigger must not start anything.
#[test]
fn a_trigger_let_go_after_an_entry_calls_nobody() {
    let mut events = phrase(0.1);
    let key = |at: f64, event| Timed { at: samples(at), event };
    events.extend([key(4.0, Event::note_on(0, 60, 80)), key(4.2, Event::note_off(0, 60))]);
    let moves = [(2.5, "go", "On"), (4.5, "go", "Off"), (6.0, "go", "On"), (8.0, "go", "Off")];
    let notes = music(&events, &play(&[("mode", "trigger")], &events, &moves, 9.0));
    let began = |from: f64, to: f64| notes.iter().filter(|note| (samples(from)..samples(to)).contains(&note.0)).count();
    assert!(began(2.5, 4.0) > 0 && began(6.0, 8.0) > 0, "{notes:?}");
    assert_eq!((began(4.0, 6.0), began(8.0, 9.0)), (0, 0), "{notes:?}");
}

/// When the player enters, no further note begins; sounding notes end immediately or, with `ring`, at their full
/// length.
#[test]
fn what_sounds_ends_at_once_or_at_its_length() {
    let played = phrase(0.1);
    let alone = music(&played, &play(&[], &played, &[], 12.0));
    // In the middle of a long note.
    let long = alone.iter().find(|note| note.3 - note.0 > samples(0.1)).expect("a note that lasts");
    let entry = (long.0 + long.3) / 2;
    let key = |event| Timed { at: entry, event };
    let mut events = played.clone();
    events.extend([key(Event::note_on(0, 20, 80)), Timed { at: entry + 9_600, event: Event::note_off(0, 20) }]);
    let until = entry as f64 / RATE + 0.45;
    for ring in ["Off", "On"] {
        let notes =
            SortedOutput::of(&events, &play(&[("ring", ring)], &events, &[], until)).with_hanging_until(u64::MAX);
        assert!(!notes.is_empty() && notes.iter().all(|note| note.on < entry), "{ring}: {notes:?}");
        for note in notes {
            let own = alone.iter().find(|own| own.0 == note.on && own.1 == note.key).expect("as without the entry");
            let (rings, ended) = (ring == "On", note.off.min(samples(until)));
            let expected = if rings { own.3.min(samples(until)) } else { own.3.min(entry) };
            // A note that would have been cut by the next one on its key continues.
            let struck_again = alone.iter().any(|other| other.1 == own.1 && other.0 == own.3);
            if rings && struck_again {
                assert!(ended >= expected, "ring out {ring}: {note:?} for {own:?}");
            } else {
                assert_eq!(ended, expected, "ring out {ring}: {note:?} for {own:?}");
            }
        }
    }
}

/// The plugin continues from its own notes, too, unless that is turned off or they are undone; then the next take does
/// not depend on them.
#[test]
fn it_remembers_its_own_notes_if_it_is_to() {
    let mut events = phrase(0.1);
    events.extend(phrase(8.0));
    // Two takes. The first has a different seed and is ended by the button, so that its length is the same whatever it
    // plays.
    let second = |own: &str, seed: &str, undo: bool| {
        let set = [("own", own), ("temp", "1.3"), ("seed", seed)];
        let mut moves = vec![(7.0, "go", "On"), (7.9, "seed", "5")];
        moves.extend(undo.then_some((7.8, "undo", "On")));
        let notes = music(&events, &play(&set, &events, &moves, 24.0));
        let (first, second): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| note.0 < samples(8.0));
        assert!(first.len() > 3 && second.len() > 3, "own {own}, seed {seed}, undo {undo}: {first:?}, {second:?}");
        (first, second)
    };
    let (one, both) = second("On", "1", false);
    let (other, both_other) = second("On", "2", false);
    assert_ne!(one, other);
    assert_ne!(both, both_other, "it also continues from its own notes");
    let (_, only_mine) = second("Off", "1", false);
    assert_eq!(second("Off", "2", false).1, only_mine, "it continues from the player's notes only");
    assert_eq!(second("On", "1", true).1, only_mine, "what is taken back was never played");
}

/// No matter how long a take was, and at what speed, the next one starts as soon as after a short one.
#[test]
fn after_a_long_take_the_next_one_comes_at_once() {
    let played = phrase(0.1);
    let entry = |at: f64| {
        let mut events = played.clone();
        events.extend(phrase(at));
        events
    };
    // Time from the end of a take of `length` seconds, or from the end of the player's entry there, to the next note,
    // in seconds.
    let pause = |length: f64, set: &[(&str, &str)], moves: &[(f64, &str, &str)], enters: bool| {
        let at = 3.0 + length;
        let events = if enters { entry(at) } else { played.clone() };
        let moves: Vec<_> = moves.iter().map(|(after, id, text)| (at + after, *id, *text)).collect();
        let notes = music(&events, &play(set, &events, &moves, at + 8.0));
        let after = samples(at + if enters { 1.9 } else { 0.05 });
        assert!(notes.iter().filter(|note| note.0 < after).count() > 3, "{set:?}, {moves:?}: no take of {length} s");
        notes.iter().find(|note| note.0 >= after).map(|note| (note.0 - after) as f64 / RATE)
    };
    let another: &[_] = &[(0.0, "another", "On")];
    let undo: &[_] = &[(0.0, "undo", "On"), (0.02, "go", "On")];
    for (set, moves, enters) in [
        (&[][..], another, false),
        (&[], undo, false),
        (&[("speed", "half")], another, false),
        (&[("speed", "double")], another, false),
        (&[("own", "Off")], &[], true),
    ] {
        for length in [5.0, 75.0] {
            let pause = pause(length, set, moves, enters);
            assert!(pause.is_some_and(|pause| pause < 2.0), "{set:?}, {moves:?}, {length} s: {pause:?}");
        }
    }
}
