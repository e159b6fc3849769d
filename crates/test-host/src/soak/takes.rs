//! Long takes that are withdrawn, replaced or interrupted: checks how soon the next take begins.

use std::path::Path;

use anyhow::{Context, Result};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg32;
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, Timed, Timeline};

use super::report::Report;

const RATE: f64 = 16_000.0;
const BLOCK: u32 = 2_048;
/// Range of lengths of a take, in seconds.
const LENGTHS_S: [f64; 2] = [1.0, 150.0];
/// Time to wait for the next take, in seconds.
const TIMEOUT_S: f64 = 15.0;

/// Plays this many takes, ends each, and waits for the next one.
pub fn play(bundle: &Path, seed: u64, takes: u64, report: &mut Report) -> Result<()> {
    for take in 0..takes {
        let mut rng = Pcg32::new(seed, take);
        let mut plugin = Plugin::load(bundle)?;
        report.instances += 1;
        let speed = *["normal", "half", "double"].choose(&mut rng).context("speeds")?;
        let own = *["On", "Off"].choose(&mut rng).context("switches")?;
        for (id, text) in [("silence", "300"), ("speed", speed), ("own", own)] {
            plugin.set(id, text)?;
        }
        plugin.set_offline(true)?;
        plugin.activate(RATE, BLOCK)?;
        // A phrase of two seconds and the silence, then the take.
        let over = samples(3.0 + rng.random_range(LENGTHS_S[0]..LENGTHS_S[1]));
        let mut events = phrase(0, &mut rng);
        let press =
            |plugin: &mut Plugin, at: u64, id: &str| plugin.param_event(id, "On").map(|event| Timed { at, event });
        let called = match rng.random_range(0..3) {
            0 => {
                events.push(press(&mut plugin, over, "another")?);
                over
            }
            1 => {
                events.push(press(&mut plugin, over, "undo")?);
                events.push(press(&mut plugin, over + samples(0.5), "go")?);
                over + samples(0.5)
            }
            _ => {
                let entry = phrase(over, &mut rng);
                let released = entry.last().map_or(over, |last| last.at);
                events.extend(entry);
                released
            }
        };
        let outputs = plugin.run(|audio: &mut Audio| {
            let timeline = Some(Timeline::rolling(rng.random_range(40.0..200.0)));
            let mut performer = Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, timeline);
            performer.play_until(audio, called + samples(TIMEOUT_S), |_| ())?;
            report.asked_heap(audio.heap_calls());
            Ok(audio.take_outputs())
        })?;
        let next = outputs.iter().find(|output| output.at > called && output.event.note().is_some_and(|(on, _)| on));
        let pause_s = next.map_or(TIMEOUT_S, |next| (next.at - called) as f64 / RATE);
        report.longest_pause_s = report.longest_pause_s.max(pause_s);
        if next.is_none() {
            report.silences += 1;
            report.describe(|| format!("take {take}: nothing follows within {TIMEOUT_S} s, {speed} speed, own {own}"));
        }
        report.takes += 1;
        report.take_in(&mut plugin)?;
    }
    Ok(())
}

fn samples(seconds: f64) -> u64 {
    (seconds * RATE).round() as u64
}

/// Eight keys, one after another, starting at this sample.
fn phrase(from: u64, rng: &mut Pcg32) -> Vec<Timed> {
    let key = |n: u64, rng: &mut Pcg32| {
        let (key, at) = (rng.random_range(48..84), from + n * samples(0.25));
        [
            Timed { at, event: Event::note_on(0, key, 80) },
            Timed { at: at + samples(0.2), event: Event::note_off(0, key) },
        ]
    };
    (0..8).flat_map(|n| key(n, rng)).collect()
}
