//! What happens to a take when the transport changes: checks `docs/time.md` line by line.

use anyhow::Result;
use rand::Rng;
use test_host::{Audio, Blocks, Change, Event, Pace, Performer, PlayedNote, Plugin, SortedOutput};

use super::compare::compare;
use super::render::{LONGEST_BLOCK, Rendered, Setup, render};
use super::scenario::{Scenario, TICKS, samples, ticks};
use super::{Context, Row};

const RATE: f64 = 48_000.0;
const TEMPO: f64 = 120.0;
/// A number of beats that is a whole number of bars in every common time signature, because the position in the bar is
/// an input of the model.
const WHOLE_BARS: f64 = 1260.0;
/// Number of cases per behavior.
const CASES: u64 = 50;
const QUICK: u64 = 1;
/// Block sizes, in samples.
const SIZES: [u32; 4] = [256, 64, 1024, 480];

/// Checks one case of a behavior: returns by how many samples it is off, and what is wrong, if anything.
type Behavior = fn(&Case) -> Result<(f64, Option<String>)>;

const BEHAVIORS: [(&str, Behavior); 8] = [
    ("transport: a stop ends the take", stop),
    ("transport: a start clears the phrase", start),
    ("transport: the take continues over a loop", over_a_loop),
    ("transport: the take continues after a jump", jump),
    ("transport: a tempo keeps the beats", tempo),
    ("transport: punch-in changes nothing", punch_in),
    ("transport: a pre-roll changes nothing", pre_roll),
    ("transport: a new sample rate starts fresh", sample_rate),
];

/// A phrase and its answer, with a moment at which something happens.
struct Case<'a> {
    context: &'a Context,
    scenario: Scenario,
    /// Tick of the hand-over.
    hand_over: u64,
    /// A tick during the model's turn.
    moment: u64,
    setup: Setup,
    settings: &'a [Event],
}

impl Case<'_> {
    fn render(&self, scenario: &Scenario) -> Result<Rendered> {
        render(&self.context.bundle, scenario, &self.setup)
    }

    /// The same scenario with changes of the transport.
    fn with(&self, changes: Vec<(u64, Change)>) -> Scenario {
        Scenario { changes, ..self.scenario.clone() }
    }

    fn sample(&self, tick: u64) -> u64 {
        samples(tick, RATE)
    }
}

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let settings = [plugin.param_event("silence", "300 ms")?];
    let cases = if context.quick { QUICK } else { CASES };
    let mut rows = Vec::new();
    for (name, behavior) in BEHAVIORS {
        let found = context.each(cases, |number| {
            let end = ticks(12.0);
            let (scenario, release) = Scenario::plain(context.seed, number, &settings, TEMPO, end);
            let rng = &mut model::note_rng(context.seed ^ 0x7245, number);
            let hand_over = release + 90;
            let moment = hand_over + rng.random_range(ticks(0.7)..ticks(2.5));
            let setup = Setup::offline(RATE, Blocks::Of(SIZES[number as usize % SIZES.len()]));
            behavior(&Case { context, scenario, hand_over, moment, setup, settings: &settings })
        })?;
        let mut row = Row::new(name, "samples");
        for (number, (worst, what)) in found.into_iter().enumerate() {
            row.case(worst, what.map(|what| format!("case {number}: {what}")));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Checks that the take is the same up to the stop, and that nothing sounds from it on, because nothing new is played.
fn stop(case: &Case) -> Result<(f64, Option<String>)> {
    let stop = case.sample(case.moment);
    let rendered = case.render(&case.with(vec![(case.moment, Change::Stop)]))?;
    let over = rendered.notes.iter().map(|note| note.off.saturating_sub(stop)).max().unwrap_or(0);
    // There may be none: some answers begin after the stop.
    let straight = case.render(&case.scenario)?;
    let due = straight.notes.iter().filter(|note| note.on < stop).map(|note| (note.on, note.key, note.velocity));
    let missing =
        due.filter(|due| !rendered.notes.iter().any(|note| *due == (note.on, note.key, note.velocity))).count();
    let missing = (missing > 0).then(|| format!("{missing} notes before the stop are missing"));
    Ok((over as f64, missing.or((over > 0).then(|| format!("a note sounds {over} samples after the stop")))))
}

/// Checks that a start clears the phrase: nothing is generated until a new phrase is played, and the answer to it is
/// the same as in a bounce without the earlier phrase.
fn start(case: &Case) -> Result<(f64, Option<String>)> {
    let start = case.moment + 300;
    let changes = vec![(case.moment, Change::Stop), (start, Change::Start)];
    let (alone, _) = Scenario::plain(case.context.seed, 99, case.settings, TEMPO, ticks(9.0));
    let mut scenario = case.with(changes);
    scenario.events.retain(|event| event.0 < case.moment);
    // A second later; until then, there is nothing to answer.
    let later = start + TICKS;
    scenario.events.extend(alone.events.iter().map(|&(at, event)| (at + later, event)));
    scenario.end = alone.end + later;
    let answer = case.render(&scenario)?;
    let shift = case.sample(later);
    let after: Vec<PlayedNote> = answer.notes.iter().filter(|note| note.on >= case.sample(start)).copied().collect();
    if let Some(note) = after.iter().find(|note| note.on < shift) {
        return Ok((0.0, Some(format!("it plays {} samples after the start", note.on - case.sample(start)))));
    }
    let back: Vec<PlayedNote> =
        after.iter().map(|note| PlayedNote { on: note.on - shift, off: note.off - shift, ..*note }).collect();
    // In the bounce, the phrase is at the same song position, and so at the same position in the bar.
    let mut bounce = alone.clone();
    let before = case.moment + TICKS;
    bounce.events = alone.events.iter().map(|&(at, event)| (if at == 0 { 0 } else { at + before }, event)).collect();
    bounce.end += before;
    let bounced = case.render(&bounce)?;
    let second = case.sample(before);
    let bounced: Vec<PlayedNote> =
        bounced.notes.iter().map(|note| PlayedNote { on: note.on - second, off: note.off - second, ..*note }).collect();
    let difference = compare(&alone, (&bounced, &case.setup), (&back, &case.setup));
    let none = bounced.is_empty().then(|| "there is no answer".to_owned());
    Ok((difference.samples, difference.what.or(none)))
}

/// Checks that notes continue over a loop at the same beats as without it; notes sounding at the loop's end end there.
fn over_a_loop(case: &Case) -> Result<(f64, Option<String>)> {
    let length = 4.0;
    let map = case.scenario.tempo_map();
    let from = map.beats(case.hand_over as f64 / TICKS as f64).floor();
    let mut looping = case.with(Vec::new());
    if let Some(timeline) = &mut looping.timeline {
        timeline.loop_range = Some((from, from + length));
    }
    let straight = case.render(&case.scenario)?;
    let seams: Vec<u64> =
        (1..20).map(|turn| (map.seconds(from + f64::from(turn) * length) * RATE).round() as u64).collect();
    let cut = cut_at(&straight.notes, &seams);
    let looped = case.render(&looping)?;
    let difference = compare(&case.scenario, (&cut, &case.setup), (&looped.notes, &case.setup));
    Ok((difference.samples, difference.what))
}

/// Checks that notes continue after a jump as if there had been none; notes sounding at the jump end there.
fn jump(case: &Case) -> Result<(f64, Option<String>)> {
    let straight = case.render(&case.scenario)?;
    let beats = case.moment as f64 / TICKS as f64 * TEMPO / 60.0;
    let jumped = case.render(&case.with(vec![(case.moment, Change::Jump(beats + WHOLE_BARS))]))?;
    let cut = cut_at(&straight.notes, &[case.sample(case.moment)]);
    let difference = compare(&case.scenario, (&cut, &case.setup), (&jumped.notes, &case.setup));
    Ok((difference.samples, difference.what))
}

/// The notes, with those that sound at one of `moments` ended there.
fn cut_at(notes: &[PlayedNote], moments: &[u64]) -> Vec<PlayedNote> {
    let cut = |note: &PlayedNote| {
        let off = moments.iter().find(|moment| (note.on + 1..note.off).contains(moment)).copied();
        PlayedNote { off: off.unwrap_or(note.off), ..*note }
    };
    notes.iter().map(cut).collect()
}

/// Checks that at half the tempo everything from there on takes twice as long.
fn tempo(case: &Case) -> Result<(f64, Option<String>)> {
    let straight = case.render(&case.scenario)?;
    let slower = Scenario { end: case.scenario.end * 2, ..case.with(vec![(case.moment, Change::Tempo(TEMPO / 2.0))]) };
    let slow = case.render(&slower)?;
    let map = slower.tempo_map();
    let place = |sample: u64| (map.seconds(sample as f64 / RATE * TEMPO / 60.0) * RATE).round() as u64;
    let stretched: Vec<PlayedNote> =
        straight.notes.iter().map(|note| PlayedNote { on: place(note.on), off: place(note.off), ..*note }).collect();
    let last = place(case.sample(case.scenario.end - 30));
    let until = |notes: &[PlayedNote]| -> Vec<PlayedNote> {
        notes.iter().filter(|note| note.on < last).map(|note| PlayedNote { off: note.off.min(last), ..*note }).collect()
    };
    // At half the tempo, half a sample becomes a whole one.
    let difference = compare(&slower, (&until(&stretched), &case.setup), (&until(&slow.notes), &case.setup));
    Ok((difference.samples, difference.what))
}

/// Checks that recording does not change what is played.
fn punch_in(case: &Case) -> Result<(f64, Option<String>)> {
    unchanged(case, vec![(case.moment, Change::Record(true)), (case.moment + 400, Change::Record(false))])
}

/// Checks that a phrase played in a pre-roll, and its answer, are like any other.
fn pre_roll(case: &Case) -> Result<(f64, Option<String>)> {
    unchanged(case, vec![(0, Change::PreRoll(true)), (case.moment, Change::PreRoll(false))])
}

fn unchanged(case: &Case, changes: Vec<(u64, Change)>) -> Result<(f64, Option<String>)> {
    let plain = case.render(&case.scenario)?;
    let changed = case.render(&case.with(changes))?;
    let difference = compare(&case.scenario, (&plain.notes, &case.setup), (&changed.notes, &case.setup));
    Ok((difference.samples, difference.what))
}

/// Checks that an instance activated at another sample rate in the middle of its turn plays like a new one.
fn sample_rate(case: &Case) -> Result<(f64, Option<String>)> {
    let other = Setup { rate: 96_000.0, ..case.setup.clone() };
    let fresh = render(&case.context.bundle, &case.scenario, &other)?;
    let mut plugin = super::render::plugin(&case.context.bundle, &case.setup)?;
    let mut play = |rate: f64, end: u64| -> Result<Vec<PlayedNote>> {
        let events = case.scenario.timed(rate);
        let timeline = case.scenario.timeline.clone();
        let outputs = plugin.run(|audio: &mut Audio| {
            let mut performer = Performer::new(&events, case.setup.blocks.clone(), Pace::Offline, timeline);
            performer.play_until(audio, end, |_| ())?;
            Ok(audio.take_outputs())
        })?;
        plugin.deactivate();
        plugin.activate(other.rate, LONGEST_BLOCK)?;
        let account = SortedOutput::of(&events, &outputs);
        // Notes that were sounding at deactivation end in the first block after it.
        let stray = account.stray.iter().filter(|stray| stray.block > 0).count();
        anyhow::ensure!(stray == 0 && account.lost.is_empty(), "{:?}", account.faults());
        Ok(account.with_hanging_until(end))
    };
    play(RATE, case.sample(case.moment))?;
    let again = play(other.rate, samples(case.scenario.end, other.rate))?;
    let difference = compare(&case.scenario, (&fresh.notes, &other), (&again, &other));
    Ok((difference.samples, difference.what))
}
