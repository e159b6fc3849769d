//! *First note*: if the model wants to enter immediately, its first note comes at the latest in the block after the
//! hand-over.
//!
//! The search is on, as by default. Special weights make the model want to enter: they put nearly all probability on the
//! shortest possible step. A step cannot be shorter than the silence before the hand-over; that silence is chosen to end just
//! before the end of a step bin, so that the entry falls in what is left of the bin.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use model::encoding::{TIMES, time_range};
use model::{Kind, Weights, critic};
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, SortedOutput, Timed, Timeline};

use super::render::{Setup, prepare};
use super::{Context, Row};

const RATE: f64 = 48_000.0;
/// Samples per block.
const BLOCK: u64 = 64;
/// Number of hand-overs of each kind, and the number of renders that they are divided among.
const CASES: u64 = 100;
const RENDERS: u64 = 4;
/// Maximum number of missed hand-overs.
const MISSES: usize = 1;
/// What is left of the bin at the hand-over, in seconds: less than a block.
const LEFT_S: f64 = 0.0008;
/// The silence before a hand-over, in seconds.
const SILENCE_S: f64 = 0.3;
/// Time from one hand-over to the next, in samples.
const PERIOD: u64 = 40_000;
/// Number of notes in a phrase, enough for a search, and the time from one to the next, in samples.
const PHRASE: u64 = critic::MIN_NOTES as u64;
const STEP: u64 = 1_500;
/// If the audio thread is ever late by this much, the machine is busy and the render says nothing.
const BUSY: Duration = Duration::from_millis(1);
const ATTEMPTS: usize = 5;

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let weights = std::env::temp_dir().join(format!("antiphon-impatient-{}.safetensors", std::process::id()));
    std::fs::write(&weights, impatient()?.to_bytes()).context("cannot write the weights")?;
    let rows = rows(context, plugin, &weights);
    std::fs::remove_file(&weights)?;
    rows
}

fn rows(context: &Context, plugin: &mut Plugin, weights: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, triggered) in [("first note: after a silence", false), ("first note: after the trigger", true)] {
        let silence = if triggered { "10000 ms".to_owned() } else { format!("{:.0} ms", SILENCE_S * 1e3) };
        let settings = [
            plugin.param_event("silence", &silence)?,
            plugin.param_event("turn", "notes")?,
            plugin.param_event("notes", "1")?,
        ];
        let go = ["Off", "On"].map(|text| plugin.param_event("go", text));
        let [off, on] = go;
        let case = Case { settings, go: triggered.then_some([on?, off?]), weights: weights.to_owned() };
        // Offline, the machine cannot be at fault: none may be missed.
        let bounced =
            context.each(if context.quick { 1 } else { RENDERS }, |_| render(context, &case, Pace::Offline))?;
        let mut row = Row::new(&format!("{name}, bounced"), "blocks");
        for blocks in bounced.into_iter().flatten() {
            row.case(blocks as f64, (blocks > 1).then(|| format!("a first note leaves {blocks} blocks later")));
        }
        rows.push(row);
        if context.quick {
            // The timing depends on the machine.
            continue;
        }
        let found = context.each(RENDERS, |_| render(context, &case, Pace::RealTime))?;
        let blocks: Vec<u64> = found.into_iter().flatten().collect();
        let missed = blocks.iter().filter(|blocks| **blocks > 1).count();
        // All hand-overs are one case, because one in a hundred may be missed.
        let mut row = Row::new(&format!("{name} ({missed} of {} missed)", blocks.len()), "blocks");
        let worst = blocks.iter().copied().max().unwrap_or(u64::MAX);
        let told = format!("{missed} of {} first notes left later than in the next block", blocks.len());
        row.case(worst as f64, (missed > MISSES || (blocks.len() as u64) < CASES).then_some(told));
        rows.push(row);
    }
    Ok(rows)
}

/// The settings of a render, and what triggers its hand-overs.
struct Case {
    settings: [Event; 3],
    /// The trigger's on and off events, if the trigger hands over instead of the silence.
    go: Option<[Event; 2]>,
    weights: PathBuf,
}

/// For each hand-over, the number of blocks until its first note.
fn render(context: &Context, case: &Case, pace: Pace) -> Result<Vec<u64>> {
    let setup = Setup { rate: RATE, blocks: Blocks::Of(BLOCK as u32), pace };
    // Time from a note's onset to the hand-over, in seconds.
    let waited = (0..).map(|bin| time_range(bin).1).find(|end| *end > SILENCE_S + 0.1).unwrap_or(0.5) - LEFT_S;
    let waited = (waited * RATE).round() as u64;
    let mut events: Vec<_> = case.settings.iter().map(|&event| Timed { at: 0, event }).collect();
    let mut turns = Vec::new();
    for index in 0..CASES / RENDERS {
        // At varying samples within a block.
        let onset = 2_000 + PHRASE * STEP + index * PERIOD + index * 7 % BLOCK;
        let (key, turn) = (60 + (index % 12) as u8, onset + waited);
        for before in (1..PHRASE).rev() {
            let at = onset - before * STEP;
            events.push(Timed { at, event: Event::note_on(0, key + before as u8, 80) });
            events.push(Timed { at: at + STEP / 2, event: Event::note_off(0, key + before as u8) });
        }
        let held = waited - (SILENCE_S * RATE) as u64;
        events.push(Timed { at: onset, event: Event::note_on(0, key, 80) });
        events.push(Timed { at: onset + held, event: Event::note_off(0, key) });
        if let Some(go) = case.go {
            events.push(Timed { at: turn, event: go[(index % 2) as usize] });
        }
        turns.push(turn);
    }
    let end = turns.last().map_or(0, |turn| turn + PERIOD);
    let mut attempt = 1;
    loop {
        let mut plugin = Plugin::load(&context.bundle)?;
        plugin.choose_weights(&case.weights)?;
        prepare(&mut plugin, &setup)?;
        let (outputs, lateness) = plugin.run(|audio: &mut Audio| {
            let rolling = Some(Timeline::rolling(120.0));
            let mut performer = Performer::new(&events, setup.blocks.clone(), pace, rolling);
            performer.play_until(audio, end, |_| ())?;
            Ok((audio.take_outputs(), performer.lateness()))
        })?;
        let notes = SortedOutput::of(&events, &outputs).with_hanging_until(end);
        let blocks: Vec<u64> = turns
            .iter()
            .map(|turn| {
                let first = notes.iter().map(|note| note.on).find(|on| on >= turn);
                first.map_or(u64::MAX, |first| first / BLOCK - turn / BLOCK)
            })
            .collect();
        if pace == Pace::Offline || attempt == ATTEMPTS || lateness < BUSY || blocks.iter().all(|blocks| *blocks <= 1) {
            return Ok(blocks);
        }
        attempt += 1;
    }
}

/// Weights that put nearly all probability on the shortest step.
fn impatient() -> Result<Weights> {
    let random = Weights::random(Kind::Antiphon, 3);
    let mut tensors = random.tensors().clone();
    let bias = &mut tensors.get_mut("step.out.bias").context("the network has no step head")?.data;
    // Outputs beyond the step bins score what followed similar passages, and stay unchanged.
    for (bin, bias) in bias.iter_mut().take(TIMES).enumerate() {
        *bias = -20.0 * bin as f32;
    }
    Ok(Weights::new(random.card, tensors)?.with_critic(critic::random(3))?)
}
