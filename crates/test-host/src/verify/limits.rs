//! *Limits*: notes that may not be played are not, tested with the shipped weights: thousands of notes under random
//! limits, and under chords that the player holds in a duet.

use anyhow::{Result, ensure};
use rand::Rng;
use rand_pcg::Pcg32;
use test_host::{Blocks, Event, PlayedNote, Plugin};

use super::render::{Setup, render};
use super::scenario::{Scenario, samples, ticks};
use super::{Context, Row};

const RATE: f64 = 48_000.0;
const RENDERS: u64 = 40;
const QUICK: u64 = 2;
/// Length of a render in seconds, in full and with `--quick`.
const LONG_S: f64 = 60.0;
const QUICK_S: f64 = 12.0;

/// Scales as the plugin names them, in semitones above the tonic.
const SCALES: [(&str, &[u8]); 12] = [
    ("major", &[0, 2, 4, 5, 7, 9, 11]),
    ("natural minor", &[0, 2, 3, 5, 7, 8, 10]),
    ("harmonic minor", &[0, 2, 3, 5, 7, 8, 11]),
    ("melodic minor", &[0, 2, 3, 5, 7, 9, 11]),
    ("dorian", &[0, 2, 3, 5, 7, 9, 10]),
    ("phrygian", &[0, 1, 3, 5, 7, 8, 10]),
    ("lydian", &[0, 2, 4, 6, 7, 9, 11]),
    ("mixolydian", &[0, 2, 4, 5, 7, 9, 10]),
    ("pentatonic", &[0, 2, 4, 7, 9]),
    ("minor pentatonic", &[0, 3, 5, 7, 10]),
    ("blues", &[0, 3, 5, 6, 7, 10]),
    ("whole tone", &[0, 2, 4, 6, 8, 10]),
];
const TONICS: [&str; 12] = ["C", "C#/Db", "D", "D#/Eb", "E", "F", "F#/Gb", "G", "G#/Ab", "A", "A#/Bb", "B"];

/// The limits of a render.
#[derive(Clone, Debug)]
struct Limits {
    tonic: usize,
    scale: usize,
    keys: (u8, u8),
    voices: usize,
    longest_s: f64,
    /// Maximum number of times that a pitch may come in a row. Checked for one voice only: with chords, the output does
    /// not show which notes share an onset.
    repeats: usize,
    velocity: u8,
}

impl Limits {
    fn random(rng: &mut Pcg32) -> Self {
        let low = rng.random_range(20..70);
        Self {
            tonic: rng.random_range(0..TONICS.len()),
            scale: rng.random_range(0..SCALES.len()),
            keys: (low, low + rng.random_range(18..40)),
            voices: if rng.random_bool(0.4) { 1 } else { rng.random_range(2..7) },
            longest_s: f64::from(rng.random_range(10..120)) / 100.0,
            repeats: rng.random_range(1..4),
            velocity: rng.random_range(1..=127),
        }
    }

    fn settings(&self, plugin: &mut Plugin) -> Result<Vec<Event>> {
        // In CLAP, the range of an integer parameter starts at 0; for a key, that is the MIDI key.
        let key = |name, key: u8| Event::Param { id: test_host::param_id(name), value: key.into() };
        Ok(vec![
            plugin.param_event("key", TONICS[self.tonic])?,
            plugin.param_event("scale", SCALES[self.scale].0)?,
            key("low", self.keys.0),
            key("high", self.keys.1),
            plugin.param_event("poly", &self.voices.to_string())?,
            plugin.param_event("longest", &format!("{:.2} s", self.longest_s))?,
            plugin.param_event("repeats", &self.repeats.to_string())?,
            plugin.param_event("dynamics", "fixed")?,
            plugin.param_event("velocity", &self.velocity.to_string())?,
        ])
    }

    /// The limit that a note breaks, given the notes before it; `None` if it breaks none.
    fn broken(&self, notes: &[PlayedNote], index: usize, end: u64) -> Option<&'static str> {
        let note = &notes[index];
        let above = (usize::from(note.key) + 12 - self.tonic) % 12;
        let longest = (self.longest_s * RATE) as u64 + 2;
        let sounding = notes[..=index].iter().filter(|other| other.off > note.on).count();
        let row = notes[..=index].iter().rev().take_while(|other| other.key == note.key).count();
        let faults = [
            ("the range", !(self.keys.0..=self.keys.1).contains(&note.key)),
            ("the scale", !SCALES[self.scale].1.contains(&(above as u8))),
            ("the polyphony", sounding > self.voices),
            ("the longest note", note.off < end && note.off - note.on > longest),
            ("the repeats", self.voices == 1 && row > self.repeats),
            ("the velocity", note.velocity != self.velocity),
        ];
        faults.into_iter().find(|fault| fault.1).map(|fault| fault.0)
    }
}

pub fn run(context: &Context, plugin: &mut Plugin) -> Result<Vec<Row>> {
    let (renders, long) = if context.quick { (QUICK, QUICK_S) } else { (RENDERS, LONG_S) };
    let silence = plugin.param_event("silence", "300 ms")?;
    let duet = [silence, plugin.param_event("mode", "duet")?, plugin.param_event("chord", "On")?];
    let mut limits = Vec::new();
    for number in 0..renders {
        let limited = Limits::random(&mut model::note_rng(context.seed ^ 0x11a1, number));
        let mut settings = limited.settings(plugin)?;
        settings.push(silence);
        limits.push((limited, settings));
    }
    let mut rows = Vec::new();
    for (name, chords) in [("limits: random ones", false), ("limits: the chord that is held", true)] {
        let mut row = Row::new(name, "notes");
        let found = context.each(renders, |number| {
            if chords {
                return under_chords(context, number, &duet, long);
            }
            let (limited, settings) = &limits[number as usize];
            let (scenario, _) = Scenario::plain(context.seed, number, settings, 120.0, ticks(long));
            let notes = render(&context.bundle, &scenario, &setup())?.notes;
            let end = samples(scenario.end, RATE);
            Ok((0..notes.len()).map(|index| (notes[index], limited.broken(&notes, index, end))).collect())
        })?;
        for (number, notes) in found.iter().enumerate() {
            for (note, broken) in notes {
                let told = broken.map(|what| format!("case {number}: {note:?} is not within {what}"));
                row.case(f64::from(u8::from(told.is_some())), told);
            }
        }
        ensure!(row.cases > 5 * found.len() as u64, "only {} notes", row.cases);
        rows.push(row);
    }
    Ok(rows)
}

fn setup() -> Setup {
    Setup::offline(RATE, Blocks::Of(256))
}

type Found = Vec<(PlayedNote, Option<&'static str>)>;

/// Plays while the player holds one chord after another; returns the notes that are not in the chord held.
fn under_chords(context: &Context, number: u64, settings: &[Event], long: f64) -> Result<Found> {
    let (mut scenario, release) = Scenario::plain(context.seed, number, settings, 120.0, ticks(long));
    let rng = &mut model::note_rng(context.seed ^ 0xc08d, number);
    let mut now = release + ticks(1.0);
    // Pitch classes held, as a bit set, by the sample from which they are.
    let mut held = vec![(0, 0u16)];
    while now + ticks(6.0) < scenario.end {
        let keys: Vec<u8> = (0..rng.random_range(2..5)).map(|place| 40 + 7 * place + rng.random_range(0..7)).collect();
        let mut classes = 0;
        for key in &keys {
            classes |= 1 << (key % 12);
            scenario.events.push((now, Event::note_on(0, *key, 70)));
            held.push((samples(now, RATE), classes));
            now += rng.random_range(0..6);
        }
        now += rng.random_range(ticks(1.0)..ticks(4.0));
        scenario.events.extend(keys.iter().map(|key| (now, Event::note_off(0, *key))));
        held.push((samples(now, RATE), 0));
        now += rng.random_range(60..ticks(1.0));
    }
    let notes = render(&context.bundle, &scenario, &setup())?.notes;
    let broken = |note: &PlayedNote| {
        let latest = held.partition_point(|held| held.0 <= note.on) - 1;
        // A note right at a change may belong to either side of it.
        let near = held[latest].0 + 1 >= note.on || held.get(latest + 1).is_some_and(|next| next.0 <= note.on + 1);
        let classes = held[latest].1;
        (!near && classes != 0 && classes >> (note.key % 12) & 1 == 0).then_some("the chord")
    };
    Ok(notes.iter().map(|note| (*note, broken(note))).collect())
}
