//! CPU time that a block of 64 samples costs the audio thread, in real time: while idle, while the player plays, and
//! while the model plays. The thread gets real-time priority, as in hosts, where the system allows it (`urgent`). On a
//! busy machine, other programs evict caches and interrupts hit random blocks. So the same music is played [`ROUNDS`]
//! times, and `own_p999_us` is the 99.9th percentile of each block's minimum. For comparison, two controls without the
//! plugin: `nothing`, which does no work, and `as_long`, which adds numbers for as long as a block of the plugin takes.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use probe::usage;
use serde_json::{Map, Value};
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, Timed, Timeline};

use super::Spread;

/// Samples per second.
pub const RATE: f64 = 48_000.0;
/// Samples per block.
pub const BLOCK: u32 = 64;
const TEMPO: f64 = 120.0;
/// Time for which each state is measured, in seconds: enough for a 99.9th percentile.
const WATCHED_S: f64 = 10.0;
/// Number of times that each state is measured.
const ROUNDS: usize = 3;
/// Time for the model to load and to take its turn, in seconds.
const SETTLE_S: f64 = 2.0;
/// Loop iterations that are timed to find how long one takes.
const SUMMED: u64 = 1 << 22;
/// Time between two of the player's notes, in seconds.
const STEP_S: f64 = 0.125;

/// Measures the three states and the two controls.
pub fn run() -> Result<Value> {
    let mut rows = Map::new();
    let listening = figure(0.0, SETTLE_S + WATCHED_S);
    let playing = figure(0.1, 1.0);
    let mut playing_us = 1.0;
    for (name, events) in [("idle", &[][..]), ("listening", &listening), ("playing", &playing)] {
        let (mut all, mut least, mut allocs) = (vec![], vec![], 0);
        let mut urgent = true;
        for round in 1..=ROUNDS {
            eprintln!("process: {name}, round {round} of {ROUNDS}");
            let Watched { us, calls, urgent: hurried } = watch(name, events)?;
            allocs += calls;
            urgent &= hurried;
            least.resize(us.len(), f64::INFINITY);
            least.iter_mut().zip(&us).for_each(|(least, us)| *least = us.min(*least));
            all.extend(us);
        }
        let all = Spread::of(all).context("no block was processed")?;
        playing_us = all.median_us;
        let mut row = serde_json::to_value(all)?;
        row["own_p999_us"] = Spread::of(least).map(|own| own.p999_us).into();
        row["urgent"] = urgent.into();
        row["allocs"] = probe::heap::CAN_WATCH.then_some(allocs).into();
        rows.insert(name.to_owned(), row);
    }
    rows.insert("nothing".to_owned(), serde_json::to_value(control(0.0))?);
    rows.insert("as_long".to_owned(), serde_json::to_value(control(playing_us))?);
    Ok(Value::Object(rows))
}

/// Measurements of one run.
struct Watched {
    /// CPU time of each block, in microseconds.
    us: Vec<f64>,
    /// Number of heap calls.
    calls: u64,
    /// Whether the thread had real-time priority; see [`set_realtime_priority`].
    urgent: bool,
}

/// Plays `events` and measures every block after the first [`SETTLE_S`] seconds.
fn watch(name: &str, events: &[Timed]) -> Result<Watched> {
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    plugin.set("turn", "until you play")?;
    plugin.set("silence", "300 ms")?;
    plugin.activate(RATE, BLOCK)?;
    let timeline = if name == "idle" { Timeline::standing(TEMPO) } else { Timeline::rolling(TEMPO) };
    let mut performer = Performer::new(events, Blocks::Of(BLOCK), Pace::RealTime, Some(timeline));
    plugin.run(|audio: &mut Audio| {
        let urgent = set_realtime_priority();
        performer.play_until(audio, samples(SETTLE_S), |_| ())?;
        let mut us = Vec::with_capacity((WATCHED_S * RATE) as usize / BLOCK as usize + 1);
        let before = audio.heap_calls();
        while audio.now() < samples(SETTLE_S + WATCHED_S) {
            performer.play_until(audio, audio.now() + u64::from(BLOCK), |_| ())?;
            us.push(audio.cpu_cost().as_secs_f64() * 1e6);
        }
        Ok(Watched { us, calls: audio.heap_calls() - before, urgent })
    })
}

/// The cost of the measurement itself on this machine: waits in the same way, then runs a loop for `us` microseconds.
fn control(us: f64) -> Option<Spread> {
    let block = Duration::from_secs_f64(f64::from(BLOCK) / RATE);
    let work = |times: u64| {
        for number in 0..times {
            black_box(number);
        }
    };
    let began = usage::thread_cpu();
    work(SUMMED);
    let each_us = (usage::thread_cpu() - began).as_secs_f64() * 1e6 / SUMMED as f64;
    let times = (us / each_us) as u64;
    let begin = Instant::now();
    let blocks = (WATCHED_S * RATE) as u32 / BLOCK;
    let cost = |number: u32| {
        thread::sleep((begin + number * block).saturating_duration_since(Instant::now()));
        let before = usage::thread_cpu();
        work(times);
        (usage::thread_cpu() - before).as_secs_f64() * 1e6
    };
    let costs = thread::scope(|scope| {
        let urgent = scope.spawn(|| {
            set_realtime_priority();
            (0..blocks).map(cost).collect()
        });
        urgent.join().ok()
    });
    Spread::of(costs?)
}

/// Gives this thread real-time priority, as audio threads have; returns whether the system allowed it.
fn set_realtime_priority() -> bool {
    #[cfg(target_os = "linux")]
    {
        /// The middle of the range 1 to 99.
        const PRIORITY: i32 = 50;
        let wish = libc::sched_param { sched_priority: PRIORITY };
        // SAFETY: only requests a scheduling policy for the calling thread.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &wish) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Notes of the player from `begin` to `end`, in seconds.
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

/// Converts seconds to samples.
pub fn samples(seconds: f64) -> u64 {
    (seconds * RATE) as u64
}
