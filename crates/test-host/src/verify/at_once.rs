//! *At once*: a parameter change is audible from the first note after it, and in none before it, no matter how many
//! notes had already been generated.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rand::Rng;
use test_host::{Blocks, Event, Pace, PlayedNote, Plugin};

use super::render::{Setup, render};
use super::scenario::{Scenario, TICKS, samples, ticks};
use super::{Context, Row};

const RATE: f64 = 48_000.0;
const TEMPO: f64 = 120.0;
/// Numbers of renders (all, and with `--quick`), and of parameter changes in each.
const RENDERS: u64 = 12;
const QUICK: u64 = 2;
const MOVES: u64 = 10;
/// Time that the model needs in real time to regenerate the next note, in seconds.
const TO_THINK: f64 = 0.015;
/// Minimum look-ahead that each change discards, in seconds: 4 beats.
const LOOK_AHEAD_S: f64 = 4.0 * 60.0 / TEMPO;
/// Maximum thread time for rolling back to the change, in microseconds; not affected by other programs on this machine.
const ROLLBACK_US: f64 = 1_000.0;
/// If the audio thread is ever late by this much, the machine is busy and its measurements say nothing.
const BUSY: Duration = Duration::from_millis(3);
const ATTEMPTS: usize = 5;

/// The expected effect of a change on the first note after it.
#[derive(Clone, Copy, Debug)]
enum Effect {
    Velocity(u8),
    Keys(u8, u8),
    Longest(f64),
}

impl Effect {
    fn shows_in(self, note: &PlayedNote) -> bool {
        match self {
            Self::Velocity(velocity) => note.velocity == velocity,
            Self::Keys(low, high) => (low..=high).contains(&note.key),
            Self::Longest(seconds) => note.off - note.on <= (seconds * RATE) as u64 + 1,
        }
    }
}

/// A parameter change: its events, and the expected effect.
struct Move {
    events: Vec<Event>,
    effect: Effect,
}

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let settings = [
        plugin.param_event("silence", "300 ms")?,
        plugin.param_event("dynamics", "fixed")?,
        plugin.param_event("velocity", "64")?,
    ];
    let mut moves = Vec::new();
    for velocity in [1, 20, 45, 70, 95, 127] {
        let events = vec![plugin.param_event("velocity", &velocity.to_string())?];
        moves.push(Move { events, effect: Effect::Velocity(velocity) });
    }
    // In CLAP, the range of an integer parameter starts at 0, which for `low` is MIDI key 0.
    let lowest = plugin.parameters()?.into_iter().find(|parameter| parameter.id == test_host::param_id("low"));
    ensure!(lowest.is_some_and(|lowest| lowest.max == 127.0), "`low` is not a MIDI key");
    let range = |low: u8, high: u8| {
        let set = |id, value: u8| Event::Param { id: test_host::param_id(id), value: value.into() };
        vec![set("low", low), set("high", high)]
    };
    for (low, high) in [(30, 40), (60, 66), (90, 100), (0, 127)] {
        moves.push(Move { events: range(low, high), effect: Effect::Keys(low, high) });
    }
    for longest in [0.05, 0.1, 0.2] {
        let events = vec![plugin.param_event("longest", &format!("{longest:.2} s"))?];
        moves.push(Move { events, effect: Effect::Longest(longest) });
    }

    let renders = if context.quick { QUICK } else { RENDERS };
    let found = context.each(renders, |number| offline(context, number, &settings, &moves))?;
    let mut heard = Row::new("at once: the first note after a move", "notes late");
    for moved in &found {
        let number = moved.scenario.number;
        for (at, late) in &moved.late {
            heard.case(f64::from(*late), (*late > 0).then(|| format!("case {number}: not heard at {at:.3} s")));
        }
    }
    let mut rows = vec![heard];
    if !context.quick {
        rows.extend(in_real_time(context, renders, &found)?);
    }
    Ok(rows)
}

/// A render with parameter changes: for each, its time in seconds and the number of notes that missed its effect.
struct Moved {
    scenario: Scenario,
    late: Vec<(f64, u32)>,
    notes: Vec<PlayedNote>,
}

fn setup(pace: Pace) -> Setup {
    Setup { rate: RATE, blocks: Blocks::Of(256), pace }
}

fn offline(context: &Context, number: u64, settings: &[Event], moves: &[Move]) -> Result<Moved> {
    let (mut scenario, release) = Scenario::plain(context.seed, number, settings, TEMPO, 0);
    let rng = &mut model::note_rng(context.seed ^ 0xa70c, number);
    let mut now = release + 90 + ticks(LOOK_AHEAD_S);
    let mut made = Vec::new();
    for _ in 0..MOVES {
        let chosen = &moves[rng.random_range(0..moves.len())];
        scenario.events.extend(chosen.events.iter().map(|&event| (now, event)));
        made.push((now, chosen.effect));
        now += rng.random_range(ticks(0.5)..ticks(1.5));
    }
    scenario.end = now + ticks(1.0);
    let rendered = render(&context.bundle, &scenario, &setup(Pace::Offline))?;
    let mut late = Vec::new();
    for (index, &(at, effect)) in made.iter().enumerate() {
        let until = made.get(index + 1).map_or(u64::MAX, |next| samples(next.0, RATE));
        let after = rendered.notes.iter().filter(|note| (samples(at, RATE)..until).contains(&note.on));
        // A note that is cut short by the end of the render proves nothing about its length.
        let unheard = after.take_while(|note| !effect.shows_in(note)).count();
        late.push((at as f64 / TICKS as f64, unheard as u32));
    }
    // Up to the first change, the notes must be the same as without any.
    let first = made.first().map_or(0, |first| first.0);
    let without = Scenario {
        events: scenario.events.iter().filter(|event| event.0 < first).copied().collect(),
        end: first,
        ..scenario.clone()
    };
    let without = render(&context.bundle, &without, &setup(Pace::Offline))?;
    let ons = |notes: &[PlayedNote]| -> Vec<_> {
        notes
            .iter()
            .filter(|note| note.on + 2 < samples(first, RATE))
            .map(|note| (note.on, note.key, note.velocity))
            .collect()
    };
    ensure!(ons(&without.notes) == ons(&rendered.notes), "a move is heard before it is made");
    Ok(Moved { scenario, late, notes: rendered.notes })
}

/// Plays the same in real time: measures how far ahead the model was, and how long a rollback takes.
fn in_real_time(context: &Context, renders: u64, found: &[Moved]) -> Result<[Row; 3]> {
    let mut same = Row::new("at once: in real time", "notes differ");
    let mut back = Row::new("at once: back to the move", "ms");
    let mut ahead = Row::new("at once: look-ahead kept", "s short");
    let played = context.each(renders, |number| {
        let moved = found.iter().find(|moved| moved.scenario.number == number).context("it was not rendered")?;
        let mut attempt = 1;
        loop {
            let rendered = render(&context.bundle, &moved.scenario, &setup(Pace::RealTime))?;
            let slow = rendered.status.rollback_us.unwrap_or(0.0) > ROLLBACK_US || differ(moved, &rendered.notes) > 0;
            if !slow || rendered.lateness < BUSY || attempt == ATTEMPTS {
                return Ok(rendered);
            }
            attempt += 1;
        }
    })?;
    for (moved, rendered) in found.iter().zip(&played) {
        let (number, differ) = (moved.scenario.number, differ(moved, &rendered.notes));
        same.case(differ as f64, (differ > 0).then(|| format!("case {number}: {differ} notes differ from offline")));
        let us = rendered.status.rollback_us.unwrap_or(f64::INFINITY);
        back.case(us / 1e3, (us > ROLLBACK_US).then(|| format!("case {number}: {us:.0} us")));
        let short = LOOK_AHEAD_S - rendered.status.look_ahead_s.unwrap_or(0.0);
        ahead.case(short.max(0.0), (short > 0.0).then(|| format!("case {number}: {short:.2} s less than 4 beats")));
    }
    let medians = played.iter().filter_map(|rendered| rendered.status.rollback_median_us);
    let mut medians: Vec<f64> = medians.collect();
    medians.sort_by(f64::total_cmp);
    if let Some(median) = medians.get(medians.len() / 2) {
        back.name = format!("{} (thread time, median {:.2} ms)", back.name, median / 1e3);
    }
    Ok([same, back, ahead])
}

/// Number of notes that differ from offline, except those too soon after a change for any machine to generate.
fn differ(offline: &Moved, live: &[PlayedNote]) -> usize {
    let late = |note: &PlayedNote| {
        let on = note.on as f64 / RATE;
        offline.late.iter().any(|(at, _)| (*at..at + TO_THINK).contains(&on))
    };
    let is_in = |note: &PlayedNote, notes: &[PlayedNote]| {
        notes
            .iter()
            .any(|other| (other.key, other.velocity) == (note.key, note.velocity) && other.on.abs_diff(note.on) <= 1)
    };
    offline.notes.iter().filter(|note| !late(note) && !is_in(note, live)).count()
}
