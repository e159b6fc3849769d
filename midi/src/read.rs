//! Bytes -> [`Score`].

use crate::ReadError;
use crate::beats::{Beats, Meter, TimeSignature};
use crate::tempo::{Division, TempoMap};
use midly::{EventIter, MetaMessage, MidiMessage, TrackEventKind};
use notes::Note;
use std::collections::VecDeque;

/// General MIDI's drum channel (10 for people): its keys are drums, not pitches.
const DRUMS: u8 = 9;
/// The sustain pedal's controller number.
const SUSTAIN: u8 = 64;
/// Notes and changes of pedal and tempo that are read at most; the piano's longest works have some 100,000. Each takes
/// ten times as much memory as it may take of the file.
const MOST_EVENTS: usize = 1 << 20;
/// Tracks that are read at most: no header can announce more.
const MOST_TRACKS: usize = u16::MAX as usize;
/// Controller values from here on mean "pedal down".
pub const PEDAL_DOWN: u8 = 64;

/// What a MIDI file holds for a keyboard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Sorted by (onset, pitch). Onsets are raw: chords are as they were played, `spread` is 0.
    /// Silence before the first note is kept.
    pub notes: Vec<Note>,
    /// Changes of the sustain pedal, in time order.
    pub pedal: Vec<Pedal>,
    /// Where the notes stand in beats and bars; `None` if the file's ticks are parts of seconds (SMPTE).
    pub beats: Option<Beats>,
    /// What was odd about the file and how often.
    pub dirt: Dirt,
}

/// The sustain pedal going down or up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pedal {
    /// Seconds from the beginning of the file.
    pub time: f64,
    /// 0–15.
    pub channel: u8,
    /// Down at controller values of [`PEDAL_DOWN`] and above.
    pub down: bool,
}

/// Counts of what real files have and tidy ones have not. None of it keeps a file from being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dirt {
    /// Tracks with at least one note.
    pub note_tracks: usize,
    /// Tempo events in all tracks.
    pub tempo_events: usize,
    /// Tempo events that another one at the same tick overrode.
    pub tempo_overridden: usize,
    /// Note-ons of a key that was already down on the same track and channel.
    pub restruck: usize,
    /// Note-offs without a note; ignored.
    pub orphan_offs: usize,
    /// Notes without a note-off; they end with their track.
    pub unended: usize,
    /// Notes that end at the tick they begin at; kept with duration 0.
    pub zero_durations: usize,
    /// Notes that begin together with another one of the same pitch.
    pub unisons: usize,
    /// Notes that begin while an earlier one of the same pitch sounds, on whatever track.
    pub overlaps: usize,
    /// Notes on the drum channel; left out.
    pub drums: usize,
}

/// A note in ticks.
struct Ticked {
    on: u64,
    off: u64,
    pitch: u8,
    velocity: u8,
}

/// Everything of the file before ticks become seconds.
#[derive(Default)]
struct Collected {
    notes: Vec<Ticked>,
    pedal: Vec<(u64, u8, bool)>,
    tempo: Vec<(u64, u32)>,
    /// (tick, numerator, denominator).
    signatures: Vec<(u64, u8, u8)>,
    dirt: Dirt,
}

/// Reads a Standard MIDI File.
///
/// Note-offs are paired first in, first out per (track, channel, pitch): by channel alone, the two
/// hands of a piano part would end each other's notes. The tempo map is global. Never panics; it takes
/// memory in proportion to the length of `bytes`, and never more than 100 MB beyond twice that.
pub fn read(bytes: &[u8]) -> Result<Score, ReadError> {
    let file = Chunks::open(bytes)?;
    let mut collected = Collected::default();
    // Keys that are down, per (channel, pitch): indices into the notes of this track.
    let mut down: Vec<VecDeque<usize>> = vec![VecDeque::new(); 16 * 128];
    for &(offset, track) in &file.tracks {
        read_track(track, &mut collected, &mut down).map_err(|at| ReadError::Damaged { byte: offset + at })?;
        if collected.len() > MOST_EVENTS {
            return Err(ReadError::TooMuch);
        }
    }
    if collected.notes.is_empty() {
        return Err(if collected.dirt.drums > 0 { ReadError::DrumsOnly } else { ReadError::NoNotes });
    }
    Ok(collected.finish(file.division))
}

/// The file's outer frame, checked for completeness.
struct Chunks<'a> {
    division: Division,
    /// Each track's events and how far into the file they begin.
    tracks: Vec<(usize, &'a [u8])>,
}

impl<'a> Chunks<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, ReadError> {
        let truncated = ReadError::Truncated { bytes: bytes.len() };
        if bytes.is_empty() {
            return Err(ReadError::Empty);
        }
        // Windows' .rmi: a MIDI file inside a RIFF chunk, after 20 bytes.
        let mut at = if bytes.len() > 20 && &bytes[..4] == b"RIFF" && &bytes[8..12] == b"RMID" { 20 } else { 0 };
        let magic = &bytes[at..bytes.len().min(at + 4)];
        if !b"MThd".starts_with(magic) {
            return Err(ReadError::NotMidi);
        }
        let header_len = be32(bytes, at + 4).ok_or(truncated)?;
        let header = bytes.get(at + 8..(at + 8).saturating_add(header_len)).ok_or(truncated)?;
        let &[_, _, tracks_hi, tracks_lo, division_hi, division_lo, ..] = header else {
            return Err(ReadError::NotMidi);
        };
        let announced = usize::from(u16::from_be_bytes([tracks_hi, tracks_lo]));
        let division = read_division(division_hi, division_lo)?;
        at += 8 + header_len;

        let mut tracks = Vec::new();
        while at < bytes.len() && tracks.len() < MOST_TRACKS {
            let chunk = be32(bytes, at + 4).and_then(|len| {
                let from = at + 8;
                Some((from, bytes.get(from..from.checked_add(len)?)?))
            });
            match chunk {
                Some((from, data)) => {
                    if &bytes[at..at + 4] == b"MTrk" {
                        tracks.push((from, data));
                    }
                    at = from + data.len();
                }
                // Rubbish behind the last track harms nobody.
                None if tracks.len() >= announced => break,
                None => return Err(truncated),
            }
        }
        if tracks.len() < announced {
            return Err(truncated);
        }
        Ok(Self { division, tracks })
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_be_bytes(field.try_into().ok()?)).ok()
}

fn read_division(hi: u8, lo: u8) -> Result<Division, ReadError> {
    let division = u16::from_be_bytes([hi, lo]);
    let nothing = ReadError::Division { division };
    if hi < 0x80 {
        return if division == 0 { Err(nothing) } else { Ok(Division::Metrical(division)) };
    }
    let frames_per_second = match hi.wrapping_neg() {
        24 => 24.0,
        25 => 25.0,
        29 => 30.0 / 1.001, // drop frame
        30 => 30.0,
        _ => return Err(nothing),
    };
    if lo == 0 { Err(nothing) } else { Ok(Division::Timecode(frames_per_second * f64::from(lo))) }
}

/// Reads one track; an error is the position of the first bytes that are no event.
fn read_track(track: &[u8], into: &mut Collected, down: &mut [VecDeque<usize>]) -> Result<(), usize> {
    let first = into.notes.len();
    let mut tick: u64 = 0;
    let mut events = EventIter::new(track);
    while !events.unread().is_empty() && into.len() <= MOST_EVENTS {
        let at = track.len() - events.unread().len();
        let status = events.running_status();
        let event = events.next().and_then(Result::ok).ok_or(at)?;
        if !matches!(event.kind, TrackEventKind::Midi { .. }) {
            // The standard ends running status at meta events and sysex; some writers go on with it.
            *events.running_status_mut() = status;
        }
        tick += u64::from(event.delta.as_int());
        match event.kind {
            TrackEventKind::Meta(MetaMessage::EndOfTrack) => break,
            TrackEventKind::Meta(MetaMessage::Tempo(us)) => into.tempo.push((tick, us.as_int())),
            TrackEventKind::Meta(MetaMessage::TimeSignature(numerator, power, ..)) => {
                into.signature(tick, numerator, power);
            }
            TrackEventKind::Midi { channel, message } => {
                let channel = channel.as_int();
                match message {
                    MidiMessage::NoteOn { key, vel } if vel > 0 => {
                        into.note_on(tick, channel, key.as_int(), vel.as_int(), down);
                    }
                    MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                        into.note_off(tick, channel, key.as_int(), down);
                    }
                    MidiMessage::Controller { controller, value } if controller == SUSTAIN => {
                        into.pedal.push((tick, channel, value >= PEDAL_DOWN));
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    // Whatever is still down ends with the track.
    for keys in down.iter_mut() {
        for index in keys.drain(..) {
            into.notes[index].off = tick;
            into.dirt.unended += 1;
        }
    }
    into.dirt.note_tracks += usize::from(into.notes.len() > first);
    Ok(())
}

impl Collected {
    fn len(&self) -> usize {
        self.notes.len() + self.pedal.len() + self.tempo.len() + self.signatures.len()
    }

    /// A signature of `numerator` units of 1 / 2^`power`; without a meaning it is passed over.
    fn signature(&mut self, tick: u64, numerator: u8, power: u8) {
        if let (1.., Some(denominator)) = (numerator, 1u8.checked_shl(power.into())) {
            self.signatures.push((tick, numerator, denominator));
        }
    }

    fn note_on(&mut self, tick: u64, channel: u8, pitch: u8, velocity: u8, down: &mut [VecDeque<usize>]) {
        if channel == DRUMS {
            self.dirt.drums += 1;
            return;
        }
        let keys = &mut down[usize::from(channel) * 128 + usize::from(pitch)];
        self.dirt.restruck += usize::from(!keys.is_empty());
        keys.push_back(self.notes.len());
        self.notes.push(Ticked { on: tick, off: tick, pitch, velocity });
    }

    fn note_off(&mut self, tick: u64, channel: u8, pitch: u8, down: &mut [VecDeque<usize>]) {
        if channel == DRUMS {
            return;
        }
        match down[usize::from(channel) * 128 + usize::from(pitch)].pop_front() {
            Some(index) => {
                self.dirt.zero_durations += usize::from(self.notes[index].on == tick);
                self.notes[index].off = tick;
            }
            None => self.dirt.orphan_offs += 1,
        }
    }

    fn finish(mut self, division: Division) -> Score {
        self.notes.sort_by_key(|note| (note.on, note.pitch));
        self.count_overlaps();
        self.dirt.tempo_events = self.tempo.len();
        let mut ticks: Vec<u64> = self.tempo.iter().map(|&(tick, _)| tick).collect();
        ticks.sort_unstable();
        ticks.dedup();
        self.dirt.tempo_overridden = self.tempo.len() - ticks.len();

        let map = TempoMap::new(division, self.tempo);
        // Each with its tick.
        let mut timed: Vec<(Note, u64)> = self
            .notes
            .iter()
            .map(|note| {
                let onset = map.seconds(note.on);
                let duration = map.seconds(note.off) - onset;
                (Note { onset, spread: 0.0, duration, pitch: note.pitch, velocity: note.velocity }, note.on)
            })
            .collect();
        // A tempo of 0 puts ticks on one moment; stable, so equal notes stay in file order.
        timed.sort_by(|(a, _), (b, _)| a.onset.total_cmp(&b.onset).then(a.pitch.cmp(&b.pitch)));

        self.pedal.sort_by_key(|&(tick, ..)| tick);
        let mut state = [false; 16];
        let mut pedal = Vec::new();
        for (tick, channel, is_down) in self.pedal {
            if state[usize::from(channel)] != is_down {
                state[usize::from(channel)] = is_down;
                pedal.push(Pedal { time: map.seconds(tick), channel, down: is_down });
            }
        }
        let onsets: Option<Vec<f64>> = timed.iter().map(|&(_, tick)| map.tick_beat(tick)).collect();
        let notes = timed.into_iter().map(|(note, _)| note).collect();
        let beats = onsets.map(|onsets| {
            let signature = |&(tick, numerator, denominator): &(u64, u8, u8)| {
                Some(TimeSignature { beat: map.tick_beat(tick)?, numerator, denominator })
            };
            let meter = Meter::new(self.signatures.iter().filter_map(signature).collect());
            Beats { onsets, meter, tempo: map }
        });
        Score { notes, pedal, beats, dirt: self.dirt }
    }

    /// Needs the notes in order. Counts what two tracks play on one key.
    fn count_overlaps(&mut self) {
        let mut last: [Option<(u64, u64)>; 128] = [None; 128]; // (onset, latest end) per pitch
        for note in &self.notes {
            let entry = &mut last[usize::from(note.pitch)];
            if let Some((on, end)) = *entry {
                self.dirt.unisons += usize::from(on == note.on);
                self.dirt.overlaps += usize::from(on < note.on && note.on < end);
            }
            *entry = Some((note.on, entry.map_or(note.off, |(_, end)| end.max(note.off))));
        }
    }
}
