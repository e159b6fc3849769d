//! Failures of the generator thread, which the plugin simulates on request (see [`ACCIDENTS`]): their cost on the audio thread, and their
//! effect on the output.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, SortedOutput, Timed};

use super::report::{Accident, Report};
use crate::bench::Spread;

/// The failures, as values of `ANTIPHON_FAULT`, which a plugin built with the feature `fault-injection` reads; first an
/// empty one, for comparison.
const ACCIDENTS: [&str; 7] = ["", "freeze=0.1@20", "freeze=1@20", "freeze=10@20", "slow=100@0", "panic@20", "end@20"];
const RATE: f64 = 48_000.0;
const BLOCK: u32 = 480;
/// Time limit for the model to be ready.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Length of each run in seconds; the longest failure lasts ten.
const SECONDS: u64 = 16;

/// Plays through all failures, in real time.
pub fn play(bundle: &Path, report: &mut Report) -> Result<()> {
    for what in ACCIDENTS {
        // SAFETY: no other thread is running: earlier instances are gone, and this program's threads have been joined.
        unsafe { std::env::set_var("ANTIPHON_FAULT", what) };
        let (accident, faults) = one(bundle, what)?;
        report.instances += 1;
        report.hanging += accident.faults as u64;
        for fault in faults {
            report.describe(|| format!("accident `{what}`: {fault}"));
        }
        report.accidents.push(accident);
    }
    // SAFETY: see above.
    unsafe { std::env::remove_var("ANTIPHON_FAULT") };
    Ok(())
}

/// Plays through one failure; returns its measurements and the faults found.
fn one(bundle: &Path, what: &'static str) -> Result<(Accident, Vec<String>)> {
    let mut plugin = Plugin::load(bundle)?;
    plugin.set("silence", "100")?;
    plugin.activate(RATE, BLOCK)?;
    plugin.wait_until(TIMEOUT, |status| status.health != "starting")?;
    // The player plays three times in the first half, and once more in the last second, which ends Antiphon's turn. The
    // run ends before the silence after that is long enough for another turn.
    let seconds = RATE as u64;
    let phrase = |from: u64| {
        (0..4_u64).flat_map(move |number| {
            let (key, at) = (60 + (number * 3) as u8, from + number * 9_600);
            [Timed { at, event: Event::note_on(0, key, 80) }, Timed { at: at + 7_000, event: Event::note_off(0, key) }]
        })
    };
    let input: Vec<Timed> = [0, 3, 6, SECONDS - 1].into_iter().flat_map(|second| phrase(second * seconds)).collect();
    let end = input.last().map_or(0, |last| last.at) + 2_400;
    let silence = Cell::new(0.0_f64);
    let play = |audio: &mut Audio| {
        let mut costs = Vec::new();
        let mut performer = Performer::new(&input, Blocks::Of(BLOCK), Pace::RealTime, None);
        while audio.now() < end {
            performer.play_until(audio, audio.now() + u64::from(BLOCK), |_| ())?;
            costs.push(audio.cpu_cost().as_secs_f64() * 1e6);
        }
        Ok((costs, audio.take_outputs()))
    };
    let (costs, outputs) = plugin.run_beside(play, |plugin| {
        silence.set(silence.get().max(plugin.status()?.silence_s));
        Ok(())
    })?;
    let status = plugin.status()?;
    let account = SortedOutput::of(&input, &outputs);
    let began: Vec<u64> = account.notes.iter().map(|note| note.block).collect();
    let densest = began.iter().map(|block| began.iter().filter(|other| *other == block).count()).max();
    let cost = Spread::of(costs).unwrap_or_default();
    let faults = account.faults();
    let accident = Accident {
        what,
        block_us: cost.median_us,
        slow_block_us: cost.p99_us,
        played: account.notes.len(),
        densest: densest.unwrap_or_default(),
        late: status.late + status.dropped,
        restarts: status.restarts,
        silence_s: silence.get(),
        faults: faults.len(),
    };
    Ok((accident, faults))
}
