//! *Bounce = live*: random scenarios give the same music in every block size, at every sample rate, and in real time.

use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use test_host::{Blocks, Event, Pace, PlayedNote, Plugin};

use super::compare::{Difference, compare};
use super::render::{LONGEST_BLOCK, Rendered, Setup, render};
use super::scenario::{Knob, Scenario, TICKS};
use super::{Context, Row};

/// Number of scenarios, and how many of them are also played in real time.
const SCENARIOS: u64 = 200;
const IN_REAL_TIME: usize = 20;
const QUICK: u64 = 6;
/// Sample rates, in hertz.
const RATES: [f64; 3] = [48_000.0, 44_100.0, 96_000.0];
/// Block sizes, in samples; random ones are tested as well.
const SIZES: [u32; 6] = [480, 1, 17, 64, 1024, LONGEST_BLOCK];
/// In real time, a note cannot come immediately after a change that affects it, because the model has to regenerate it.
/// This is the time that it needs, in seconds.
const TO_THINK: f64 = 0.015;
/// If the audio thread is ever late by this much, the machine is busy and the run says nothing.
const BUSY: Duration = Duration::from_millis(3);
/// Maximum number of runs on a busy machine.
const ATTEMPTS: usize = 5;

/// The renders of a scenario: the reference, and the differences from it.
struct Outcome {
    scenario: Scenario,
    reference: Rendered,
    blocks: Vec<(Setup, Difference)>,
    rates: Vec<(Setup, Difference)>,
}

pub fn run(context: &Context, _: &mut Plugin) -> Result<Vec<Row>> {
    let count = if context.quick { QUICK } else { SCENARIOS };
    let outcomes = context.each(count, |number| offline(context, number))?;
    let mut blocks = Row::new("bounce: block sizes", "samples");
    let mut rates = Row::new("bounce: sample rates", "samples");
    let mut sound = Row::new("bounce: notes begin and end", "faults");
    let notes: usize = outcomes.iter().map(|outcome| outcome.reference.notes.len()).sum();
    for outcome in &outcomes {
        let number = outcome.scenario.number;
        add(&mut blocks, number, &outcome.blocks);
        add(&mut rates, number, &outcome.rates);
        let faults = &outcome.reference.faults;
        sound.case(faults.len() as f64, faults.first().map(|fault| format!("scenario {number}: {fault}")));
    }
    // If hardly anything was played, the comparison proves nothing.
    let enough = context.case.is_some() || notes as u64 > 5 * count;
    blocks.case(0.0, (!enough).then(|| format!("only {notes} notes in {count} scenarios")));
    blocks.cases -= 1;
    blocks.name = format!("{} ({notes} notes)", blocks.name);
    let mut rows = vec![blocks, rates, sound];
    if !context.quick && context.case.is_none() {
        rows.push(automated(context, &outcomes));
    }
    if !context.quick {
        rows.push(in_real_time(context, &outcomes)?);
    }
    Ok(rows)
}

/// Checks that every automatable parameter is automated in at least two scenarios with notes.
fn automated(context: &Context, outcomes: &[Outcome]) -> Row {
    let mut row = Row::new("bounce: parameters automated", "scenarios less than 2");
    for Knob { parameter, .. } in &context.knobs {
        let of = outcomes.iter().filter(|outcome| outcome.scenario.automates(parameter));
        let scenarios = of.filter(|outcome| !outcome.reference.notes.is_empty()).count();
        let told = || format!("{} moves in {scenarios} scenarios", parameter.name);
        row.case(2usize.saturating_sub(scenarios) as f64, (scenarios < 2).then(told));
    }
    row
}

/// Renders one scenario in every block size at one sample rate, and in one block size at every sample rate.
fn offline(context: &Context, number: u64) -> Result<Outcome> {
    let scenario = Scenario::new(context.seed, number, &context.knobs);
    if context.case.is_some() {
        scenario.print(&context.knobs);
    }
    let rng = &mut model::note_rng(context.seed ^ 0xb10c, number);
    let random: Vec<u32> = (0..97).map(|_| rng.random_range(1..=1024)).collect();
    let mut sizes: Vec<Blocks> = SIZES.map(Blocks::Of).into();
    sizes.push(Blocks::Cycle(random));
    let home = (number % RATES.len() as u64) as usize;

    let first = Setup::offline(RATES[home], sizes[0].clone());
    let reference = render(&context.bundle, &scenario, &first)?;
    if context.case.is_some() {
        println!("{}:", first.name());
        print_notes(&reference.music(), first.rate);
    }
    let against = |setup: Setup| -> Result<(Setup, Difference)> {
        let rendered = render(&context.bundle, &scenario, &setup)?;
        let mut difference = compare(&scenario, (&reference.music(), &first), (&rendered.music(), &setup));
        if context.case.is_some() {
            println!("{}: {:?}", setup.name(), difference.what);
            print_notes(&rendered.music(), setup.rate);
        }
        difference.what = difference.what.or_else(|| rendered.faults.first().cloned());
        Ok((setup, difference))
    };
    let blocks = sizes[1..].iter().map(|size| against(Setup::offline(RATES[home], size.clone())));
    let blocks: Vec<_> = blocks.collect::<Result<_>>()?;
    let others = (1..RATES.len()).map(|step| RATES[(home + step) % RATES.len()]);
    let rates = others.map(|rate| against(Setup::offline(rate, sizes[0].clone())));
    let rates: Vec<_> = rates.collect::<Result<_>>()?;
    Ok(Outcome { scenario, blocks, rates, reference })
}

/// Prints notes, for debugging a failure.
fn print_notes(notes: &[PlayedNote], rate: f64) {
    for note in notes {
        let (on, off) = (note.on as f64 / rate, note.off as f64 / rate);
        println!("    {on:9.5} s to {off:9.5} s, channel {} key {} velocity {}", note.channel, note.key, note.velocity);
    }
}

fn add(row: &mut Row, number: u64, differences: &[(Setup, Difference)]) {
    let worst = differences.iter().map(|(_, difference)| difference.samples).fold(0.0, f64::max);
    let wrong = differences.iter().find_map(|(setup, difference)| Some((setup, difference.what.as_ref()?)));
    row.case(worst, wrong.map(|(setup, what)| format!("scenario {number} in {}: {what}", setup.name())));
}

/// Plays the same scenarios in real time. If the machine was busy in every run of a failed scenario, the next scenario
/// takes its place.
fn in_real_time(context: &Context, outcomes: &[Outcome]) -> Result<Row> {
    let fit = outcomes.iter().filter(|outcome| outcome.reference.notes.len() >= 5 && leaves_time(outcome));
    let fit: Vec<&Outcome> = fit.take(2 * IN_REAL_TIME).collect();
    let mut row = Row::new("bounce: in real time", "late notes");
    let mut judged = 0;
    for fit in fit.chunks(IN_REAL_TIME) {
        let fit = &fit[..fit.len().min(IN_REAL_TIME - judged)];
        for live in context.each(fit.len() as u64, |index| live(context, fit[index as usize]))? {
            judged += usize::from(!live.busy);
            if !live.busy {
                let told = live.what.map(|what| format!("scenario {} in real time: {what}", live.number));
                row.case(live.late as f64, told);
            }
        }
    }
    if context.case.is_none() && judged < IN_REAL_TIME {
        row.case(0.0, Some(format!("only {judged} scenarios left the model enough time and ran on an idle machine")));
    }
    Ok(row)
}

/// The result of a scenario in real time.
struct Live {
    number: u64,
    /// Number of late notes.
    late: u64,
    /// The first thing that went wrong.
    what: Option<String>,
    /// Whether every run failed while the host itself was late, which says nothing about the plugin.
    busy: bool,
}

/// Whether no generated note follows a change that affects it too soon for any machine to generate.
fn leaves_time(outcome: &Outcome) -> bool {
    let rate = RATES[(outcome.scenario.number % RATES.len() as u64) as usize];
    let ons = || outcome.reference.notes.iter().map(|note| note.on as f64 / rate);
    let causes = outcome.scenario.events.iter().filter(|(_, event)| !matches!(event, Event::NoteOff { .. }));
    let causes = causes.map(|event| event.0).chain(outcome.scenario.changes.iter().map(|change| change.0));
    causes.map(|at| at as f64 / TICKS as f64).all(|at| !ons().any(|on| (at..at + TO_THINK).contains(&on)))
}

fn live(context: &Context, outcome: &Outcome) -> Result<Live> {
    let scenario = &outcome.scenario;
    let rate = RATES[(scenario.number % RATES.len() as u64) as usize];
    let reference = Setup::offline(rate, Blocks::Of(SIZES[0]));
    let setup = Setup { rate, blocks: Blocks::Of(256), pace: Pace::RealTime };
    let mut attempt = 1;
    loop {
        let rendered = render(&context.bundle, scenario, &setup)?;
        let late = rendered.status.late + rendered.status.dropped;
        let difference = compare(scenario, (&outcome.reference.music(), &reference), (&rendered.music(), &setup));
        let what = (late > 0).then(|| format!("{late} notes are late")).or(difference.what);
        let busy = what.is_some() && rendered.lateness > BUSY;
        if !busy || attempt == ATTEMPTS {
            return Ok(Live { number: scenario.number, late, what, busy });
        }
        attempt += 1;
    }
}
