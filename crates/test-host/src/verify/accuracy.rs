//! *Accuracy*: over ten minutes of tempo steps and ramps, each generated note sounds at its place in the bar, and
//! errors do not accumulate.
//!
//! The reference is the same take at a constant tempo, rendered at so high a sample rate that its rounding is
//! negligible: what a take plays in beats does not depend on tempo changes after the hand-over.

use anyhow::{Result, ensure};
use rand::Rng;
use test_host::{Blocks, Change, PlayedNote, Plugin};

use super::render::{Setup, render};
use super::scenario::{Scenario, TICKS, ticks};
use super::{Context, Row};

/// The take's length, in seconds.
const LONG_S: f64 = 600.0;
const QUICK_S: f64 = 20.0;
/// Tempo until the hand-over; the reference keeps it throughout.
const TEMPO: f64 = 120.0;
/// Sample rate of the reference, in hertz.
const FINE: f64 = 960_000.0;
const RATE: f64 = 48_000.0;
/// Block sizes, in samples.
const SIZES: [u32; 4] = [64, 256, 480, 1024];
/// Tolerance for rounding, in samples: half a sample for the note itself, and the rounding of the reference.
const ROUNDING: f64 = 0.5 + 0.1;
/// Maximum difference between the mean errors of the first and the last fifth, in samples.
const DRIFT: f64 = 0.1;

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let long = if context.quick { QUICK_S } else { LONG_S };
    let settings = [plugin.param_event("silence", "300 ms")?];
    let cases = if context.quick { 1 } else { SIZES.len() as u64 };
    let found = context.each(cases, |number| take(context, number, &settings, long))?;
    let mut onsets = Row::new("accuracy: onsets over 10 minutes", "samples");
    let mut drift = Row::new("accuracy: drift over 10 minutes", "samples");
    for (number, errors) in found.iter().enumerate() {
        for error in errors {
            let wrong = error.samples.abs() > ROUNDING + error.unknown;
            let worst = if error.unknown > 0.0 { 0.0 } else { error.samples.abs() };
            let told = || format!("case {number}: by {:.2} samples at {:.3} s", error.samples, error.at);
            onsets.case(worst, wrong.then(told));
        }
        let known: Vec<&Error> = errors.iter().filter(|error| error.unknown == 0.0).collect();
        let mean = |from: f64, to: f64| {
            let of = known.iter().filter(|error| (from..to).contains(&error.at)).map(|error| error.samples);
            let of: Vec<f64> = of.collect();
            of.iter().sum::<f64>() / of.len().max(1) as f64
        };
        // If rounding is unbiased, the mean over some hundred notes is 0 within a twentieth of a sample.
        let drifted = (mean(long * 0.8, long) - mean(0.0, long * 0.2)).abs();
        let told = || format!("case {number}: by {drifted:.2} samples");
        drift.case(drifted, (!context.quick && drifted > DRIFT).then(told));
    }
    Ok(vec![onsets, drift])
}

/// The deviation of a note from its place.
struct Error {
    /// Time in seconds.
    at: f64,
    samples: f64,
    /// Tolerance because of tempo changes that the host does not report exactly, in samples; 0 elsewhere.
    unknown: f64,
}

fn take(context: &Context, number: u64, settings: &[test_host::Event], long: f64) -> Result<Vec<Error>> {
    let end = ticks(long);
    let (mut scenario, release) = Scenario::plain(context.seed, number, settings, TEMPO, end);
    let hand_over = (release + 90) as f64 / TICKS as f64;
    let rng = &mut model::note_rng(context.seed ^ 0xacc, number);
    let mut now = release + 120;
    while now < end {
        scenario.changes.push((now, Change::Tempo(rng.random_range(60.0..180.0))));
        if rng.random_bool(0.5) {
            let ramp = rng.random_range(300..3000);
            scenario.changes.push((now + 10, Change::Ramp(rng.random_range(-2.0..6.0))));
            scenario.changes.push((now + 10 + ramp, Change::Ramp(0.0)));
            now += 10 + ramp;
        }
        now += rng.random_range(100..3000);
    }
    // Half of the hosts split their blocks at tempo changes.
    scenario.cuts = number.is_multiple_of(2);
    let map = scenario.tempo_map();
    let (from, beats) = (map.beats(hand_over), map.beats(long) - map.beats(hand_over));

    let blocks = SIZES[number as usize % SIZES.len()];
    let setup = Setup::offline(RATE, Blocks::Of(blocks));
    let rendered = render(&context.bundle, &scenario, &setup)?;
    let straight = ticks(hand_over + beats * 60.0 / TEMPO + 1.0);
    let yardstick = Scenario { changes: Vec::new(), end: straight, ..scenario };
    let yardstick = render(&context.bundle, &yardstick, &Setup::offline(FINE, Blocks::Of(4096)))?;
    ensure!(rendered.notes.len() > 10, "only {} notes", rendered.notes.len());

    // Sorted by key, because rounding can swap two notes of a chord.
    let by_key = |notes: &[PlayedNote]| {
        let mut notes = notes.to_vec();
        notes.sort_by_key(|note| (note.key, note.on));
        notes
    };
    let place = |fine: &PlayedNote| map.seconds(from + (fine.on as f64 / FINE - hand_over) * TEMPO / 60.0);
    let due: Vec<PlayedNote> = yardstick.notes.iter().filter(|fine| place(fine) < long - 0.01).copied().collect();
    let played: Vec<PlayedNote> = rendered.notes[..due.len().min(rendered.notes.len())].to_vec();
    ensure!(played.len() == due.len(), "{} notes, but {} at a steady tempo", played.len(), due.len());
    let mut errors = Vec::new();
    for (note, fine) in by_key(&played).iter().zip(&by_key(&due)) {
        let same = (note.key, note.velocity) == (fine.key, fine.velocity);
        ensure!(same, "the note at {:.3} s differs from the one at a steady tempo", note.on as f64 / RATE);
        let at = place(fine);
        let unknown = map.unknown(at, setup.longest_s()) * RATE;
        errors.push(Error { at, samples: note.on as f64 - at * RATE, unknown });
    }
    Ok(errors)
}
