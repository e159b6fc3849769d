//! Converts a MIDI file to the events that a host sends to the plugin.

use std::path::Path;

use anyhow::Result;
use test_host::{Event, Timed};

use crate::BadInput;

/// The phrase played if no file is given; see `phrases/README.md`.
const BUILT_IN: &[u8] = include_bytes!("../phrases/old-french-song.mid");
/// Silence before the first note, in seconds: no player starts exactly at the transport's first sample.
const LEAD_IN_S: f64 = 0.5;
/// The channel of all events, as from a single keyboard.
const CHANNEL: u8 = 0;
/// MIDI controller number of the sustain pedal.
const SUSTAIN: u8 = 64;

/// A phrase as timed events; times in samples.
#[derive(Debug)]
pub struct Phrase {
    /// File name or title, for display.
    pub name: String,
    /// Note and pedal events, sorted by time.
    pub events: Vec<Timed>,
    /// Time of the last note-off.
    pub end: u64,
    /// Number of notes.
    pub notes: usize,
    /// Problems found in the file; empty if there are none.
    pub warnings: String,
}

impl Phrase {
    /// Reads the file at `path`, or the built-in phrase if there is none. Fails with [`BadInput`].
    pub fn load(path: Option<&Path>, sample_rate: f64) -> Result<Self> {
        let Some(path) = path else {
            let name = "Tchaikovsky, Old French Song (op. 39 no. 16)";
            return Self::read(name.to_owned(), BUILT_IN, sample_rate);
        };
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|e| BadInput(format!("cannot read {name}: {e}")))?;
        Self::read(name, &bytes, sample_rate)
    }

    fn read(name: String, bytes: &[u8], sample_rate: f64) -> Result<Self> {
        let score = midi::read(bytes).map_err(|e| BadInput(format!("{name}: {e}")))?;
        let first = score.notes.first().map_or(0.0, notes::Note::struck);
        let sample = |time: f64| ((time - first + LEAD_IN_S).max(0.0) * sample_rate).round() as u64;

        let mut events = Vec::new();
        let mut notes = 0;
        // A keyboard has only one of each key: a key that is struck again is released first.
        for pitch in 0..128 {
            let of_key = score.notes.iter().filter(|note| note.pitch == pitch);
            let mut strikes: Vec<(u64, u64, u8)> =
                of_key.map(|note| (sample(note.struck()), sample(note.end()), note.velocity)).collect();
            strikes.sort_unstable();
            strikes.dedup_by_key(|strike| strike.0);
            for (index, &(on, off, velocity)) in strikes.iter().enumerate() {
                let next = strikes.get(index + 1).map_or(u64::MAX, |next| next.0);
                let off = off.max(on + 1).min(next);
                events.push((on, 2, Event::note_on(CHANNEL, pitch, velocity)));
                events.push((off, 0, Event::note_off(CHANNEL, pitch)));
                notes += 1;
            }
        }
        let end = events.iter().map(|event| event.0).max().unwrap_or(0);
        for pedal in &score.pedal {
            let value = if pedal.down { 127 } else { 0 };
            let event = Event::Midi([0xb0 | CHANNEL, SUSTAIN, value]);
            events.push((sample(pedal.time).min(end), 1, event));
        }
        // At the same sample: note-offs, pedal, note-ons.
        events.sort_by_key(|&(at, rank, _)| (at, rank));
        let events = events.into_iter().map(|(at, _, event)| Timed { at, event }).collect();
        Ok(Self { name, events, end, notes, warnings: score.warnings.to_string() })
    }
}
