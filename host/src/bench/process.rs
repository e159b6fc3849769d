//! What a block of 64 samples costs the audio thread, in real time: while nobody plays, while the player does,
//! and while the model does. A machine that is busy takes away caches and adds its interrupts: `nothing` says
//! how much of it all is that.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use host::{Audio, Blocks, Event, Pace, Performer, Plugin, Timed, Timeline};
use probe::usage;
use serde_json::{Map, Value};

use super::Spread;

/// Samples per second.
pub const RATE: f64 = 48_000.0;
/// Samples per block.
pub const BLOCK: u32 = 64;
const TEMPO: f64 = 120.0;
/// How long each state is watched, in seconds: enough for a 99.9th percentile.
const WATCHED_S: f64 = 15.0;
/// Until the model has been loaded and has found its turn.
const SETTLE_S: f64 = 2.0;
/// Notes of the player: one in so many seconds.
const STEP_S: f64 = 0.125;

/// Measures the three states.
pub fn run() -> Result<Value> {
    let mut rows = Map::new();
    let listening = figure(0.0, SETTLE_S + WATCHED_S);
    let playing = figure(0.1, 1.0);
    for (name, events) in [("idle", &[][..]), ("listening", &listening), ("playing", &playing)] {
        eprintln!("process: {name}");
        let mut plugin = Plugin::load(&host::find_bundle()?)?;
        plugin.set("turn", "until you play")?;
        plugin.set("silence", "300 ms")?;
        plugin.activate(RATE, BLOCK)?;
        let timeline = if name == "idle" { Timeline::standing(TEMPO) } else { Timeline::rolling(TEMPO) };
        let mut performer = Performer::new(events, Blocks::Of(BLOCK), Pace::RealTime, Some(timeline));
        let (us, allocs) = plugin.run(|audio: &mut Audio| {
            performer.play_until(audio, samples(SETTLE_S), |_| ())?;
            let mut us = Vec::with_capacity((WATCHED_S * RATE) as usize / BLOCK as usize + 1);
            let before = audio.heap_calls();
            while audio.now() < samples(SETTLE_S + WATCHED_S) {
                performer.play_until(audio, audio.now() + u64::from(BLOCK), |_| ())?;
                us.push(audio.cpu_cost().as_secs_f64() * 1e6);
            }
            Ok((us, audio.heap_calls() - before))
        })?;
        let mut row = serde_json::to_value(Spread::of(us).context("no block was processed")?)?;
        row["allocs"] = probe::heap::CAN_WATCH.then_some(allocs).into();
        rows.insert(name.to_owned(), row);
    }
    rows.insert("nothing".to_owned(), serde_json::to_value(nothing())?);
    Ok(Value::Object(rows))
}

/// What the measuring itself costs on this machine, as it is now: the same waiting, and nothing done.
fn nothing() -> Option<Spread> {
    let block = Duration::from_secs_f64(f64::from(BLOCK) / RATE);
    let begin = Instant::now();
    let blocks = (WATCHED_S * RATE) as u32 / BLOCK;
    let cost = |number: u32| {
        thread::sleep((begin + number * block).saturating_duration_since(Instant::now()));
        let before = usage::thread_cpu();
        (usage::thread_cpu() - before).as_secs_f64() * 1e6
    };
    Spread::of((0..blocks).map(cost).collect())
}

/// The player's notes between two moments, in seconds.
pub fn figure(begin: f64, end: f64) -> Vec<Timed> {
    let count = ((end - begin) / STEP_S) as u64;
    let note = |number: u64| {
        let (key, at) = (48 + (number * 7 % 24) as u8, begin + number as f64 * STEP_S);
        [
            Timed { at: samples(at), event: Event::note_on(0, key, 70) },
            Timed { at: samples(at + 0.9 * STEP_S), event: Event::note_off(0, key) },
        ]
    };
    (0..count).flat_map(note).collect()
}

/// Seconds in samples.
pub fn samples(seconds: f64) -> u64 {
    (seconds * RATE) as u64
}
