//! Tests every parameter of the built `.clap` as a host uses it: shown and parsed as text, set, stored, and changed at
//! a sample. Each must have its effect on the output from that sample on and not before; the tables in `cases` state
//! the effects. A parameter without an entry there fails the test.
//!
//! Needs the bundle, like `bundle.rs`. Played offline, so nothing depends on the machine's speed.

mod cases;

use cases::{MODEL, NOTES, TIME, TURN};
use test_host::{
    Audio, Blocks, Event, Output, Pace, Performer, PlayedNote, Plugin, SortedOutput, Timed, Timeline, param_id,
};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 512;
/// Length of a case, in seconds.
const END_S: f64 = 11.0;
/// End of the phrase, in seconds.
const PHRASE_S: f64 = 2.0;
/// Length of a sixteenth note at the transport's tempo, in seconds.
const SIXTEENTH_S: f64 = 0.125;
/// A time during the plugin's turn, in seconds; not at the start of a block.
const IN_TURN_S: f64 = 5.002;

/// A parameter and its expected effect.
struct Case {
    id: &'static str,
    /// Parameters that have to be set for it to have an effect.
    given: &'static [(&'static str, &'static str)],
    /// What the player does in addition to the phrase.
    player: &'static [Does],
    /// Time of the change, in seconds, and the new value as text.
    at: f64,
    to: &'static str,
    /// Whether the parameter had its effect, given what was played without the change and with it.
    acts: fn(&Played, &Played) -> bool,
}

/// An action of the player in addition to the phrase; times in seconds.
#[derive(Clone, Copy)]
enum Does {
    Holds { key: u8, from: f64, to: f64 },
    Controls { controller: u8, from: f64, to: f64 },
}

/// What the plugin played in a case.
struct Played {
    notes: Vec<PlayedNote>,
    outputs: Vec<Output>,
}

impl Played {
    /// The model's notes that begin in this time range.
    fn within(&self, from: f64, to: f64) -> Vec<PlayedNote> {
        let within = samples(from)..samples(to);
        self.notes.iter().filter(|note| within.contains(&note.on)).copied().collect()
    }

    /// Whether any notes begin in this time range, and all of them satisfy `is`.
    fn all(&self, from: f64, to: f64, is: impl Fn(&PlayedNote) -> bool) -> bool {
        let notes = self.within(from, to);
        !notes.is_empty() && notes.iter().all(is)
    }

    fn first_s(&self) -> f64 {
        self.notes.first().map_or(f64::INFINITY, |note| note.on as f64 / RATE)
    }

    /// Whether no note begins or sounds in this time range.
    fn is_silent(&self, from: f64, to: f64) -> bool {
        !self.notes.iter().any(|note| note.on < samples(to) && note.off > samples(from) + 1)
    }

    /// Whether all onsets after `from` fall on a grid: at one of `lines` within each period of `every` seconds.
    fn on_lines(&self, from: f64, lines: &[f64], every: f64) -> bool {
        self.all(from, END_S, |note| {
            let place = (note.on as f64 / RATE).rem_euclid(every);
            lines.iter().any(|line| (place - line).abs() < 5e-5 || (every - place + line).abs() < 5e-5)
        })
    }

    fn controllers(&self, number: u8) -> usize {
        let is =
            |event: &Event| matches!(event, Event::Midi([status, cc, _]) if status & 0xf0 == 0xb0 && *cc == number);
        self.outputs.iter().filter(|output| is(&output.event)).count()
    }
}

fn samples(seconds: f64) -> u64 {
    (seconds * RATE).round() as u64
}

/// The keys of notes.
fn pitches(notes: &[PlayedNote]) -> Vec<u8> {
    notes.iter().map(|note| note.key).collect()
}

fn music(notes: &[PlayedNote]) -> Vec<(u64, u64, u8, u8)> {
    notes.iter().map(|note| (note.on, note.off, note.key, note.velocity)).collect()
}

/// Has its own test below, because offline nothing is late.
const LATE: &str = "late";

fn cases() -> impl Iterator<Item = &'static Case> {
    [TURN, TIME, NOTES, MODEL].into_iter().flatten()
}

fn plugin() -> Plugin {
    Plugin::load(&test_host::find_bundle().unwrap()).expect("the bundle must load")
}

/// A broken chord up and down and a cadence, slightly uneven, and the player's additional actions.
fn events(player: &[Does]) -> Vec<Timed> {
    let mut events = Vec::new();
    let mut hold = |key: u8, on: f64, off: f64, velocity: u8| {
        events.push(Timed { at: samples(on), event: Event::note_on(0, key, velocity) });
        events.push(Timed { at: samples(off), event: Event::note_off(0, key) });
    };
    for (index, key) in [60, 64, 67, 72, 67, 64, 62, 65].into_iter().enumerate() {
        let on = 0.11 + 0.17 * index as f64 + 0.004 * f64::from(key % 3);
        hold(key, on, on + 0.16, 60 + key % 20);
    }
    for (index, key) in [48, 55, 59, 65].into_iter().enumerate() {
        hold(key, 1.55 + 0.006 * index as f64, PHRASE_S, 70);
    }
    for does in player {
        match *does {
            Does::Holds { key, from, to } => hold(key, from, to, 80),
            Does::Controls { .. } => {}
        }
    }
    for does in player {
        if let Does::Controls { controller, from, to } = *does {
            events.push(Timed { at: samples(from), event: Event::Midi([0xb0, controller, 127]) });
            events.push(Timed { at: samples(to), event: Event::Midi([0xb0, controller, 0]) });
        }
    }
    events.sort_by_key(|timed| timed.at);
    events
}

/// Plays a case, with or without the change of its parameter.
fn play(case: &Case, moves: bool) -> Played {
    let mut plugin = plugin();
    plugin.set("silence", "300 ms").unwrap();
    for (id, text) in case.given {
        plugin.set(id, text).unwrap_or_else(|error| panic!("{}: {error:#}", case.id));
    }
    let mut events = events(case.player);
    let wanted = plugin.value_of(case.id, case.to).unwrap();
    if moves {
        assert_ne!(plugin.get(case.id).unwrap(), wanted, "{} moves nowhere", case.id);
        let at = samples(case.at);
        assert_ne!(at % u64::from(BLOCK), 0, "{} moves between two blocks", case.id);
        let place = events.partition_point(|timed| timed.at < at);
        events.insert(place, Timed { at, event: plugin.param_event(case.id, case.to).unwrap() });
    }
    plugin.set_offline(true).unwrap();
    plugin.activate(RATE, BLOCK).unwrap();
    let outputs = plugin.run(|audio: &mut Audio| {
        let rolling = Some(Timeline::rolling(120.0));
        Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, rolling).play_until(audio, samples(END_S), |_| ())?;
        assert_eq!(audio.violations(), [""; 0], "{}", case.id);
        Ok(audio.take_outputs())
    });
    let outputs = outputs.unwrap();
    if moves {
        let is = plugin.get(case.id).unwrap();
        assert!((is - wanted).abs() < 1e-4, "{} is at {is} and not at {wanted}", case.id);
    }
    let account = SortedOutput::of(&events, &outputs);
    Played { notes: account.with_hanging_until(samples(END_S)), outputs }
}

fn check(cases: &[Case]) {
    // The first instance loads the weights; while it lives, the others share them.
    let mut keeper = plugin();
    keeper.activate(RATE, BLOCK).unwrap();
    let mut idle = Vec::new();
    for case in cases {
        let (without, with) = (play(case, false), play(case, true));
        let before = |played: &Played| music(&played.within(0.0, case.at));
        let begun =
            |notes: Vec<(u64, u64, u8, u8)>| notes.into_iter().map(|(on, _, key, velocity)| (on, key, velocity));
        assert!(begun(before(&without)).eq(begun(before(&with))), "{} acts before it moves", case.id);
        if !(case.acts)(&without, &with) {
            let list = |played: &Played| {
                let line = |note: &PlayedNote| {
                    let (on, off) = (note.on as f64 / RATE, note.off as f64 / RATE);
                    format!("{on:.3}-{off:.3} {} {} {}", note.key, note.velocity, note.channel)
                };
                played.notes.iter().map(line).collect::<Vec<_>>().join("\n  ")
            };
            idle.push(format!("{}: without\n  {}\nwith\n  {}", case.id, list(&without), list(&with)));
        }
    }
    assert!(idle.is_empty(), "these do not act as they should:\n{}", idle.join("\n"));
}

#[test]
fn those_of_the_turn_act() {
    check(TURN);
}

#[test]
fn those_of_time_act() {
    check(TIME);
}

#[test]
fn those_of_notes_act() {
    check(NOTES);
}

#[test]
fn those_of_the_model_act() {
    check(MODEL);
}

/// In a host that runs too fast, the model is late. With *Late notes* at 0, late notes are dropped; otherwise they are
/// played later than in the bounce.
#[test]
fn the_one_for_late_notes_acts() {
    let shifted = |late: &str, hurry: u32| {
        let live = |pace: Pace| {
            let mut plugin = plugin();
            plugin.set("silence", "300 ms").unwrap();
            plugin.set(LATE, late).unwrap();
            // Without search: it plans many notes at once, and then either all are in time or all are too late to
            // shift.
            plugin.set("search", "off").unwrap();
            plugin.set_offline(pace == Pace::Offline).unwrap();
            plugin.activate(RATE, BLOCK).unwrap();
            let events = events(&[]);
            let play = |audio: &mut Audio| {
                let rolling = Some(Timeline::rolling(120.0));
                Performer::new(&events, Blocks::Of(64), pace, rolling).play_until(audio, samples(END_S), |_| ())?;
                Ok(audio.take_outputs())
            };
            let outputs = plugin.run(play).unwrap();
            SortedOutput::of(&events, &outputs).notes
        };
        let bounce = live(Pace::Offline);
        let is_due = |note: &PlayedNote| bounce.iter().any(|due| due.on == note.on && due.key == note.key);
        live(Pace::Hurried(hurry)).iter().filter(|note| !is_due(note)).count()
    };
    let hurries = || [100, 200, 400, 800, 1600].into_iter().cycle();
    for hurry in hurries().take(5) {
        assert_eq!(shifted("0 ms", hurry), 0, "hurry {hurry}");
    }
    assert!(hurries().take(20).any(|hurry| shifted("500 ms", hurry) > 0), "it is never late");
}

#[test]
fn every_parameter_is_named_reads_what_it_shows_and_comes_back_with_the_project() {
    let mut first = plugin();
    let parameters = first.parameters().unwrap();
    let ids: Vec<&str> = cases().map(|case| case.id).chain([LATE]).collect();
    for parameter in &parameters {
        let Some(id) = ids.iter().find(|id| param_id(id) == parameter.id) else {
            panic!("no table here says what `{}` does", parameter.name);
        };
        let number = parameter.id;
        for part in 0..=8 {
            let value = parameter.min + (parameter.max - parameter.min) * f64::from(part) / 8.0;
            let value = if parameter.stepped { value.round() } else { value };
            let text = first.text_of(number, value).unwrap();
            let read = first.value_read(number, &text).unwrap_or_else(|error| panic!("{id}: {error:#}"));
            assert_eq!(first.text_of(number, read).unwrap(), text, "{id} at {value}");
            for typed in [text.to_uppercase(), text.to_lowercase(), format!("  {text} ")] {
                let again = first.value_read(number, &typed).unwrap_or_else(|error| panic!("{id}: {error:#}"));
                // With the same tolerance as below.
                assert!((again - read).abs() < 1e-6, "{id}: {typed} is read as {again}");
            }
            if parameter.stepped {
                // nice-plug calculates in 32 bits.
                assert!((read - value).abs() < 0.01, "{id}: {text} is read as {read}");
            }
        }
        assert!(first.value_read(number, "nonsense").is_err(), "{id} reads nonsense");
        assert_eq!(first.get(id).unwrap(), parameter.default, "{id}");
        assert!(parameter.writable, "{id}");
    }
    assert_eq!(parameters.len(), ids.len(), "a table names a parameter that does not exist");

    // Sets each parameter to a value other than its default, saves the state and loads it.
    for case in cases() {
        first.set(case.id, case.to).unwrap();
    }
    first.set(LATE, "7 ms").unwrap();
    let state = first.save_state().unwrap();
    let mut second = plugin();
    second.load_state(&state).unwrap();
    for parameter in &parameters {
        let id = ids.iter().find(|id| param_id(id) == parameter.id).unwrap();
        assert_ne!(second.get(id).unwrap(), parameter.default, "{id}");
        assert_eq!(second.text(id).unwrap(), first.text(id).unwrap(), "{id}");
    }
    assert_eq!(second.save_state().unwrap(), state);
}
