//! *Late notes*: a host that requests its blocks faster than the model can generate. Each note must be where the bounce
//! has it; or later, by no more than *Late notes* allows, and counted; or missing, and counted.

use anyhow::Result;
use test_host::{Audio, Blocks, Pace, Performer, PlayedNote, Plugin, SortedOutput};

use super::render::{Setup, plugin as instance, render};
use super::scenario::{Scenario, samples, ticks};
use super::{Context, Row};

const RATE: f64 = 48_000.0;
const RENDERS: u64 = 8;
/// Time that each render runs too fast, and the time after it in real time for the model to catch up, in seconds.
const HURRIED_S: f64 = 20.0;
const CALM_S: f64 = 2.0;
/// Samples per block.
const BLOCK: u32 = 64;
/// Value of *Late notes*, in milliseconds.
const LATE_MS: u64 = 40;

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let settings = [plugin.param_event("silence", "300 ms")?, plugin.param_event("late", &format!("{LATE_MS} ms"))?];
    let renders = if context.quick { 2 } else { RENDERS };
    let found = context.each(renders, |number| {
        let (scenario, _) = Scenario::plain(context.seed, number, &settings, 120.0, ticks(HURRIED_S + CALM_S));
        let setup = |pace| Setup { rate: RATE, blocks: Blocks::Of(BLOCK), pace };
        let bounce = render(&context.bundle, &scenario, &setup(Pace::Offline))?;

        // Ranging from somewhat too fast to much too fast.
        let hurry = Pace::Hurried([100, 200, 400, 3_200][number as usize % 4]);
        let mut live = instance(&context.bundle, &setup(hurry))?;
        let (events, end) = (scenario.timed(RATE), samples(scenario.end, RATE));
        let outputs = live.run(|audio: &mut Audio| {
            let mut performer = Performer::new(&events, Blocks::Of(BLOCK), hurry, scenario.timeline.clone());
            performer.play_until(audio, samples(ticks(HURRIED_S), RATE), |_| ())?;
            performer.set_pace(Pace::RealTime);
            performer.play_until(audio, end, |_| ())?;
            Ok(audio.take_outputs())
        })?;
        let notes = SortedOutput::of(&events, &outputs).with_hanging_until(end);

        let mut left: Vec<_> = bounce.notes.iter().collect();
        let (mut shifted, mut strange, mut latest) = (0, 0, 0);
        let most = LATE_MS * RATE as u64 / 1000 + u64::from(BLOCK);
        for note in &notes {
            let same = |due: &&PlayedNote| {
                (due.key, due.velocity) == (note.key, note.velocity)
                    && (due.on..=due.on + most).contains(&(note.on + 1))
            };
            match left.iter().position(same) {
                Some(place) => {
                    let by = note.on.saturating_sub(left.remove(place).on);
                    shifted += u64::from(by > 1);
                    latest = latest.max(by);
                }
                None => strange += 1,
            }
        }
        Ok((live.status()?, shifted, left.len() as u64, strange, latest))
    })?;
    let mut row = Row::new("late: shifted, dropped, counted", "ms shifted");
    for (number, (status, shifted, missing, strange, latest)) in found.into_iter().enumerate() {
        // A shift by one sample cannot be seen. The last note of a render may still be on its way.
        let counted = shifted <= status.late && missing.abs_diff(status.dropped) <= 1;
        let told = || {
            format!(
                "case {number}: {shifted} notes are shifted ({} counted), {missing} missing ({}), {strange} unexpected",
                status.late, status.dropped
            )
        };
        row.case(latest as f64 * 1e3 / RATE, (!counted || strange > 0).then(told));
    }
    Ok(vec![row])
}
