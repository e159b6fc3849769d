//! *Trade*: the player and the model take turns by bars, through 4/4, 7/8 and 3/4 and a tempo ramp: no note of the
//! model begins before its first bar line or sounds past its last.

use anyhow::{Result, ensure};
use rand::Rng;
use rand_pcg::Pcg32;
use test_host::{Blocks, Change, Event, Plugin, Timeline};

use super::render::{Setup, render};
use super::scenario::{Scenario, TICKS, ticks};
use super::{Context, Row};

const RATE: f64 = 48_000.0;
const CASES: u64 = 200;
const QUICK: u64 = 2;
/// Block sizes, in samples.
const SIZES: [u32; 5] = [64, 17, 256, 1024, 4096];
/// Time signatures, and the number of bars of each; the last one continues.
const SIGNATURES: [((u16, u16), u32); 3] = [((4, 4), 5), ((7, 8), 6), ((3, 4), 9)];

/// A bar: start and end in quarter notes, and whether it is the model's.
#[derive(Clone, Copy, Debug)]
struct Bar {
    start: f64,
    end: f64,
    mine: bool,
}

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let mut settings = Vec::new();
    for bars in ["1", "2", "3"] {
        settings.push([plugin.param_event("yours", bars)?, plugin.param_event("mine", bars)?]);
    }
    let mode = plugin.param_event("mode", "trade")?;
    let cases = if context.quick { QUICK } else { CASES };
    let found = context.each(cases, |number| {
        let rng = &mut model::note_rng(context.seed ^ 0x7ade, number);
        let (yours, mine) = (rng.random_range(1..=3), rng.random_range(1..=3));
        let start = [mode, settings[yours - 1][0], settings[mine - 1][1]];
        trade(context, number, &start, bars(yours as u32, mine as u32), rng)
    })?;
    let mut row = Row::new("trade: notes over the line", "samples");
    for (number, notes) in found.iter().enumerate() {
        for (at, over) in notes {
            row.case(*over, (*over > 0.0).then(|| format!("case {number}: by {over:.1} samples at {at:.3} s")));
        }
    }
    ensure!(row.cases > 10 * found.len() as u64, "only {} notes", row.cases);
    Ok(vec![row])
}

/// All bars, and whether they are the model's.
fn bars(yours: u32, mine: u32) -> Vec<Bar> {
    let mut bars: Vec<Bar> = Vec::new();
    for (signature, count) in SIGNATURES {
        for _ in 0..count {
            let start = bars.last().map_or(0.0, |bar| bar.end);
            let end = start + f64::from(signature.0) * 4.0 / f64::from(signature.1);
            let mine = bars.len() as u32 % (yours + mine) >= yours;
            bars.push(Bar { start, end, mine });
        }
    }
    bars
}

/// For each note: when it began, in seconds, and by how many samples it lay outside the model's bars.
fn trade(
    context: &Context,
    number: u64,
    settings: &[Event],
    bars: Vec<Bar>,
    rng: &mut Pcg32,
) -> Result<Vec<(f64, f64)>> {
    let mut timeline = Timeline::rolling(rng.random_range(70.0..160.0));
    let mut line = 0.0;
    for (signature, count) in SIGNATURES {
        timeline.signature_changes.push((line, signature));
        line += f64::from(count) * f64::from(signature.0) * 4.0 / f64::from(signature.1);
    }
    let ramp = rng.random_range(600..1_500);
    let ramps = Change::Ramp(rng.random_range(-3.0..8.0));
    let changes = vec![(ramp, ramps), (ramp + rng.random_range(600..2_000), Change::Ramp(0.0))];
    let mut scenario =
        Scenario { number, events: Vec::new(), timeline: Some(timeline), changes, cuts: rng.random_bool(0.5), end: 0 };
    let map = scenario.tempo_map();
    scenario.events.extend(settings.iter().map(|&setting| (0, setting)));
    for bar in bars.iter().filter(|bar| !bar.mine) {
        // Inside the bar: not before the model's last note has certainly ended, and over before the next line.
        let (from, to) = (ticks(map.seconds(bar.start)) + 20, ticks(map.seconds(bar.end)) - 12);
        for _ in 0..rng.random_range(0..5) {
            let on = rng.random_range(from..to - 20);
            let key = rng.random_range(40..90);
            scenario.events.push((on, Event::note_on(0, key, rng.random_range(30..=120))));
            scenario.events.push((rng.random_range(on + 6..to), Event::note_off(0, key)));
        }
    }
    // Automation, at which the plugin's wrapper splits its blocks.
    let end = bars.last().map_or(0, |bar| ticks(map.seconds(bar.end)));
    for _ in 0..rng.random_range(0..200) {
        let event = Event::Param { id: test_host::param_id("temp"), value: rng.random_range(0.7..1.3) };
        scenario.events.push((rng.random_range(0..end), event));
    }
    scenario.events.sort_by_key(|event| event.0);
    let last = bars.last().map_or(0.0, |bar| bar.end);
    // A tick before the last bar line, which may lie within the model's turn.
    scenario.end = ticks(map.seconds(last)) - 1;

    let setup = Setup::offline(RATE, Blocks::Of(SIZES[number as usize % SIZES.len()]));
    let rendered = render(&context.bundle, &scenario, &setup)?;
    ensure!(rendered.faults.is_empty(), "{}", rendered.faults[0]);
    let end = scenario.end as f64 / TICKS as f64;
    let sample =
        |beats: f64| (map.seconds(beats).min(end) * RATE, map.unknown(map.seconds(beats), setup.longest_s()) * RATE);
    if context.case.is_some() {
        scenario.print(&context.knobs);
        for bar in &bars {
            println!(
                "bar from {:.4} s, {}",
                map.seconds(bar.start),
                if bar.mine { "the model's" } else { "the player's" }
            );
        }
        for note in &rendered.notes {
            println!("note from {:.4} s to {:.4} s", note.on as f64 / RATE, note.off as f64 / RATE);
        }
    }
    let over = rendered.notes.iter().map(|note| {
        let (on, off) = (note.on as f64, note.off as f64);
        let outside = turns(&bars).into_iter().map(|(start, end)| {
            let ((start, excused), (end, also)) = (sample(start), sample(end));
            // A bar line is rounded to the nearest sample.
            (start - excused - 0.5 - on).max(off - end - also - 0.5).max(0.0)
        });
        (on / RATE, outside.fold(f64::INFINITY, f64::min))
    });
    Ok(over.collect())
}

/// The model's turns: consecutive bars of the model, joined; in quarter notes.
fn turns(bars: &[Bar]) -> Vec<(f64, f64)> {
    let mut turns: Vec<(f64, f64)> = Vec::new();
    for bar in bars.iter().filter(|bar| bar.mine) {
        match turns.last_mut().filter(|turn| turn.1 == bar.start) {
            Some(turn) => turn.1 = bar.end,
            None => turns.push((bar.start, bar.end)),
        }
    }
    turns
}
