//! Bytes -> [`Score`].

use crate::beats::{Beats, Meter, TimeSignature};
use crate::chunks::Frame;
use crate::events::{Event, Events};
use crate::keys::{DRUMS, End, Keys, Ticked};
use crate::tempo::{DEFAULT_TEMPO_US, TempoMap};
use crate::{ReadError, Warnings};
use notes::Note;
use notes::listener::LONGEST_S;

/// The sustain pedal's controller number.
const SUSTAIN: u8 = 64;
/// Controllers that end all notes of a channel: all sound off, all notes off.
const ALL_OFF: [u8; 2] = [120, 123];
/// Meta events.
const TRACK_NAME: u8 = 0x03;
const INSTRUMENT_NAME: u8 = 0x04;
const PROGRAM_NAME: u8 = 0x08;
const TEMPO: u8 = 0x51;
const TIME_SIGNATURE: u8 = 0x58;
/// Notes and changes of pedal, tempo and signature that are read at most; the piano's longest works have some 100,000.
/// Each takes ten times as much memory as it may take of the file.
const MOST_EVENTS: usize = 1 << 20;
/// Tracks that are read at most: no header can announce more.
const MOST_TRACKS: usize = u16::MAX as usize;
/// A file of patterns: its tracks do not sound together.
const FORMAT_PATTERNS: u16 = 2;
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
    pub warnings: Warnings,
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

/// Everything of the file before ticks become seconds.
#[derive(Default)]
struct Collected {
    notes: Vec<Ticked>,
    pedal: Vec<(u64, u8, bool)>,
    /// Microseconds in a quarter note; `None` where a pattern begins, at the standard's tempo.
    tempo: Vec<(u64, Option<u32>)>,
    /// (tick, numerator, denominator).
    signatures: Vec<(u64, u8, u8)>,
    /// All notes off, all sound off: (channel, tick).
    all_off: Vec<(u8, u64)>,
    warnings: Warnings,
    /// Where the first event that cannot be read begins.
    damage: Option<usize>,
}

/// Reads a Standard MIDI File.
///
/// Note-offs are paired first in, first out per (track, channel, pitch): by channel alone, the two
/// hands of a piano part would end each other's notes. Where note-offs are missing, a strike of the key, or all notes
/// off, ends the note. The tempo map is global; in format 2, where tracks are patterns, each has its own, and they come
/// one after another.
///
/// Lengths and counts that are wrong, bytes that are no events, and the like, do not keep what is around them from being
/// read; [`Score::warnings`] counts them. An error means that there is no note, or nothing that tells how long a tick is.
/// Never panics; it takes memory in proportion to the length of `bytes`, and never more than 100 MB beyond twice that.
pub fn read(bytes: &[u8]) -> Result<Score, ReadError> {
    let frame = Frame::open(bytes)?;
    let mut collected = Collected::default();
    collected.warnings.bytes_before_header = frame.before_header;
    collected.warnings.misspelled_chunks = usize::from(frame.misspelled);
    let mut keys = Keys::new();
    let (mut at, mut tracks, mut start) = (frame.tracks, 0, 0);
    while let Some(extent) = frame.track(at).filter(|_| tracks < MOST_TRACKS) {
        if start > 0 {
            // A pattern begins with a bar, and knows nothing of the tempo before.
            collected.tempo.push((start, None));
            collected.signatures.push((start, 4, 4));
        }
        let mut events = Events::new(&frame.bytes[..extent.limit], extent.start, extent.said);
        let end = collected.track(&mut events, &mut keys, start);
        if collected.len() > MOST_EVENTS {
            return Err(ReadError::TooMuch);
        }
        if frame.format == FORMAT_PATTERNS {
            start = end;
        }
        let warnings = &mut collected.warnings;
        warnings.misspelled_chunks += usize::from(extent.misspelled);
        if !events.ended() && extent.said > frame.bytes.len() && extent.limit == frame.bytes.len() {
            warnings.cut_off += 1;
        } else {
            warnings.tracks_without_end += usize::from(!events.ended());
            warnings.wrong_track_lengths += usize::from(events.at() != extent.said);
        }
        at = frame.after(&extent, &events);
        tracks += 1;
    }
    if frame.format == FORMAT_PATTERNS && tracks > 1 {
        collected.warnings.patterns = tracks;
    }
    collected.warnings.missing_tracks = frame.announced.saturating_sub(tracks);
    if collected.notes.is_empty() {
        let Warnings { drums, cut_off, missing_tracks, .. } = collected.warnings;
        return Err(match collected.damage {
            _ if drums > 0 => ReadError::DrumsOnly,
            _ if cut_off + missing_tracks > 0 => ReadError::Truncated { bytes: bytes.len() },
            Some(byte) => ReadError::Damaged { byte },
            None => ReadError::NoNotes,
        });
    }
    drop(keys);
    Ok(collected.finish(&frame))
}

/// What a track says of itself.
#[derive(Default)]
struct Track {
    /// It is called a piano.
    name: bool,
    /// The program of the drum channel that was chosen last is a piano's.
    program: bool,
    /// Notes on other channels than the drums'.
    others: bool,
}

impl Track {
    /// Whether what stands on the drum channel is for a piano. A name speaks for the track as a whole; the program
    /// may as well be that of a drum kit, as long as the keys do not say otherwise.
    fn is_piano(&self, notes: &[Ticked]) -> bool {
        // Bass drums, snare drums, hi-hats, crash and ride cymbal: what most of any drum part is made of.
        const KIT: [u8; 9] = [35, 36, 38, 40, 42, 44, 46, 49, 51];
        let drums = || notes.iter().filter(|note| note.channel == DRUMS);
        let kit = drums().filter(|note| KIT.contains(&note.pitch)).count();
        self.name && !self.others || self.program && 2 * kit < drums().count()
    }
}

/// Whether a name says that something is a piano.
fn names_a_piano(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let says = |word: &str| name.windows(word.len()).any(|part| part == word.as_bytes());
    ["piano", "klavier", "clavier"].into_iter().any(says) && !["drum", "perc"].into_iter().any(says)
}

impl Collected {
    fn len(&self) -> usize {
        self.notes.len() + self.pedal.len() + self.tempo.len() + self.signatures.len() + self.all_off.len()
    }

    /// Reads one track that begins at `tick`; returns the tick at which it ends.
    fn track(&mut self, events: &mut Events, keys: &mut Keys, mut tick: u64) -> u64 {
        let first = self.notes.len();
        let mut track = Track::default();
        while let Some((delta, event)) = events.next().filter(|_| self.len() <= MOST_EVENTS) {
            tick += u64::from(delta);
            match event {
                Event::NoteOn { channel, key, velocity } => {
                    track.others |= channel != DRUMS;
                    keys.on(&mut self.notes, tick, channel, key, velocity);
                }
                Event::NoteOff { channel, key } => keys.off(&mut self.notes, tick, channel, key),
                Event::Controller { channel, number: SUSTAIN, value } => {
                    self.pedal.push((tick, channel, value >= PEDAL_DOWN));
                }
                Event::Controller { channel, number, .. } if ALL_OFF.contains(&number) => {
                    keys.all_off(&mut self.notes, tick, channel);
                    self.all_off.push((channel, tick));
                }
                Event::Program { channel: DRUMS, program } => track.program = program < 8,
                Event::Meta(TRACK_NAME | INSTRUMENT_NAME | PROGRAM_NAME, name) => track.name |= names_a_piano(name),
                Event::Meta(TEMPO, &[a, b, c, ..]) => self.tempo(tick, u32::from_be_bytes([0, a, b, c])),
                Event::Meta(TIME_SIGNATURE, &[numerator, power, ..]) => self.signature(tick, numerator, power),
                _ => {}
            }
        }

        let is_piano = track.is_piano(&self.notes[first..]);
        let faults = keys.end(&mut self.notes, tick, is_piano);
        let drums = self.notes[first..].iter().filter(|note| note.channel == DRUMS).count();
        let warnings = &mut self.warnings;
        if is_piano {
            warnings.piano_on_drum_channel += drums;
        } else if drums > 0 {
            warnings.drums += drums;
            let of_track = self.notes.split_off(first);
            self.notes.extend(of_track.into_iter().filter(|note| note.channel != DRUMS));
        }
        warnings.restruck += faults.restruck;
        warnings.orphan_offs += faults.orphan_offs;
        warnings.note_tracks += usize::from(self.notes.len() > first);
        let faults = events.faults();
        warnings.bad_values += faults.bad_values;
        warnings.bad_metas += faults.bad_lengths;
        warnings.unknown_bytes += faults.unknown_bytes;
        warnings.system_messages += faults.system_messages;
        self.damage = self.damage.or(faults.first);
        tick
    }

    /// A quarter note takes so many microseconds; 0 says nothing.
    fn tempo(&mut self, tick: u64, us: u32) {
        match us {
            0 => self.warnings.bad_metas += 1,
            1.. => self.tempo.push((tick, Some(us))),
        }
    }

    /// A bar has `numerator` units of 1 / 2^`power`.
    fn signature(&mut self, tick: u64, numerator: u8, power: u8) {
        match (numerator, 1u8.checked_shl(power.into())) {
            (1.., Some(denominator)) => self.signatures.push((tick, numerator, denominator)),
            _ => self.warnings.bad_metas += 1,
        }
    }

    fn finish(mut self, frame: &Frame) -> Score {
        self.end_open_notes();
        self.notes.sort_by_key(|note| (note.on, note.pitch));
        self.count_notes();
        let mut ticks: Vec<u64> = self.tempo.iter().filter(|(_, us)| us.is_some()).map(|&(tick, _)| tick).collect();
        self.warnings.tempo_events = ticks.len();
        ticks.sort_unstable();
        ticks.dedup();
        self.warnings.tempo_overridden = self.warnings.tempo_events - ticks.len();

        let tempo = std::mem::take(&mut self.tempo);
        let tempo = tempo.into_iter().map(|(tick, us)| (tick, us.unwrap_or(DEFAULT_TEMPO_US))).collect();
        let map = TempoMap::new(frame.division, tempo);
        let mut notes: Vec<Note> = Vec::with_capacity(self.notes.len());
        for note in &self.notes {
            let onset = map.seconds(note.on);
            let has_end = matches!(note.end, End::Off | End::AllOff);
            let longest = if has_end { f64::INFINITY } else { LONGEST_S };
            let duration = (map.seconds(note.off) - onset).min(longest);
            notes.push(Note { onset, spread: 0.0, duration, pitch: note.pitch, velocity: note.velocity });
        }
        let onsets: Option<Vec<f64>> = self.notes.iter().map(|note| map.tick_beat(note.on)).collect();
        // Neighboring ticks may round to one moment; stable, so equal notes stay in file order.
        let order = |a: &Note, b: &Note| a.onset.total_cmp(&b.onset).then(a.pitch.cmp(&b.pitch));
        if !notes.is_sorted_by(|a, b| order(a, b).is_le()) {
            notes.sort_by(order);
        }

        self.pedal.sort_by_key(|&(tick, ..)| tick);
        let mut state = [false; 16];
        let mut pedal = Vec::new();
        for (tick, channel, is_down) in self.pedal {
            if state[usize::from(channel)] != is_down {
                state[usize::from(channel)] = is_down;
                pedal.push(Pedal { time: map.seconds(tick), channel, down: is_down });
            }
        }
        let beats = onsets.map(|onsets| {
            let signature = |&(tick, numerator, denominator): &(u64, u8, u8)| {
                Some(TimeSignature { beat: map.tick_beat(tick)?, numerator, denominator })
            };
            let meter = Meter::new(self.signatures.iter().filter_map(signature).collect());
            Beats { onsets, meter, tempo: map }
        });
        Score { notes, pedal, beats, warnings: self.warnings }
    }

    /// Where a note has no end of its own, all notes off on another track ends it, too.
    fn end_open_notes(&mut self) {
        self.all_off.sort_unstable();
        for note in self.notes.iter_mut().filter(|note| matches!(note.end, End::Restrike | End::Track)) {
            let after = self.all_off.partition_point(|&event| event <= (note.channel, note.on));
            let next = self.all_off.get(after).filter(|&&(channel, tick)| channel == note.channel && tick < note.off);
            if let Some(&(_, tick)) = next {
                (note.off, note.end) = (tick, End::AllOff);
            }
        }
    }

    /// Needs the notes in order. Counts notes without length or end, and what two tracks play on one key.
    fn count_notes(&mut self) {
        let mut last: [Option<(u64, u64)>; 128] = [None; 128]; // (onset, latest end) per pitch
        for note in &self.notes {
            self.warnings.zero_durations += usize::from(note.on == note.off);
            match note.end {
                End::Off => {}
                End::Restrike => self.warnings.ended_by_restrike += 1,
                End::AllOff => self.warnings.ended_by_all_off += 1,
                End::Track => self.warnings.unended += 1,
            }
            let entry = &mut last[usize::from(note.pitch)];
            if let Some((on, end)) = *entry {
                self.warnings.unisons += usize::from(on == note.on);
                self.warnings.overlaps += usize::from(on < note.on && note.on < end);
            }
            *entry = Some((note.on, entry.map_or(note.off, |(_, end)| end.max(note.off))));
        }
    }
}
