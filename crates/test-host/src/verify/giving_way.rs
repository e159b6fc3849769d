//! *Giving way*: once the player enters, the model begins no note until its next turn, and its sounding notes and pedal
//! end within the block.

use anyhow::Result;
use rand::Rng;
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, SortedOutput, Timed, Timeline};

use super::render::{PEDAL, Setup, plugin};
use super::{Context, Row};

const RATE: f64 = 48_000.0;
/// Number of entries, and the number of renders that they are divided among.
const ENTRIES: u64 = 100_000;
const RENDERS: u64 = 50;
const QUICK: u64 = 500;
/// The shortest silence that causes a hand-over, in samples.
const SILENCE: u64 = 2_400;
/// Block sizes, in samples; each render uses one of them.
const SIZES: [u32; 5] = [64, 17, 256, 480, 1024];

/// A turn of the player: its first note-on and the hand-over after it, in samples.
struct Turn {
    entry: u64,
    hand_over: u64,
}

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let settings = [plugin.param_event("silence", "50 ms")?, plugin.param_event("pedout", "On")?];
    let (renders, entries) = if context.quick { (2, QUICK / 2) } else { (RENDERS, ENTRIES / RENDERS) };
    let found = context.each(renders, |number| entries_of(context, number, &settings, entries))?;
    let mut ons = Row::new("giving way: note-ons", "samples");
    let mut ends = Row::new("giving way: note-offs", "samples");
    let mut answers = 0;
    for (number, found) in found.into_iter().enumerate() {
        answers += found.answered;
        for late in found.begun {
            ons.case(late as f64, (late > 0).then(|| format!("render {number}: a note {late} samples after an entry")));
        }
        for late in found.ended {
            ends.case(late as f64, (late > 0).then(|| format!("render {number}: a note ends {late} samples after")));
        }
    }
    ons.name = format!("{} (it had played before {answers})", ons.name);
    // If the model hardly played before the entries, the check proves nothing.
    let enough = context.case.is_some() || answers * 20 > ons.cases;
    if !enough {
        ons.case(0.0, Some("the model was playing before too few entries".to_owned()));
    }
    Ok(vec![ons, ends])
}

/// For each entry: by how many samples the last note of the model began, and ended, too late.
struct Found {
    begun: Vec<u64>,
    ended: Vec<u64>,
    /// Number of turns in which the model played.
    answered: u64,
}

fn entries_of(context: &Context, number: u64, settings: &[Event], entries: u64) -> Result<Found> {
    let rng = &mut model::note_rng(context.seed ^ 0x61fe, number);
    let mut events: Vec<_> = settings.iter().map(|&event| Timed { at: 0, event }).collect();
    let mut turns = Vec::new();
    let mut at = 1_000;
    for _ in 0..entries {
        let entry = at;
        for _ in 0..rng.random_range(1..=2) {
            let (key, velocity) = (rng.random_range(40..88), rng.random_range(30..=120));
            events.push(Timed { at, event: Event::note_on(0, key, velocity) });
            at += rng.random_range(200..3_000);
            events.push(Timed { at, event: Event::note_off(0, key) });
        }
        turns.push(Turn { entry, hand_over: at + SILENCE });
        at += SILENCE + rng.random_range(1..20_000);
    }
    // One render in five waits for the model. The others do not, as in real time, although they run much faster than
    // that: notes generated too late arrive in a later turn, and must not sound there.
    let pace = if number.is_multiple_of(5) { Pace::Offline } else { Pace::RealTime };
    let blocks = Blocks::Of(SIZES[number as usize % SIZES.len()]);
    let mut plugin = plugin(&context.bundle, &Setup { rate: RATE, blocks: blocks.clone(), pace })?;
    let outputs = plugin.run(|audio: &mut Audio| {
        let mut performer = Performer::new(&events, blocks, Pace::Offline, Some(Timeline::rolling(120.0)));
        performer.play_until(audio, at, |_| ())?;
        Ok(audio.take_outputs())
    })?;
    let account = SortedOutput::of(&events, &outputs);
    // The pedal is treated as a note: it begins and ends like any other.
    let mut notes = account.with_hanging_until(at);
    notes.extend(account.pedal_until(64, PEDAL, at));
    notes.sort_by_key(|note| note.on);

    let mut found = Found { begun: Vec::new(), ended: Vec::new(), answered: 0 };
    let mut next = 0;
    for (index, turn) in turns.iter().enumerate() {
        let until = turns.get(index + 1).map_or(u64::MAX, |next| next.entry);
        let (mut begun, mut ended) = (0, 0);
        let mut answered = false;
        while let Some(note) = notes.get(next).filter(|note| note.on < until) {
            if note.on < turn.hand_over && note.on >= turn.entry {
                begun = begun.max(note.on - turn.entry + 1);
            }
            ended = ended.max(note.off.saturating_sub(until));
            answered |= note.on >= turn.hand_over;
            next += 1;
        }
        found.begun.push(begun);
        found.ended.push(ended);
        found.answered += u64::from(answered);
    }
    Ok(found)
}
