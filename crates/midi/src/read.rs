//! Reading: bytes to [`Score`].

use crate::beats::{Beats, Meter, TimeSignature};
use crate::chunks::Frame;
use crate::events::{Event, Events};
use crate::keys::{DRUMS, End, Keys, TickedNote};
use crate::tempo::{DEFAULT_TEMPO_US, TempoMap};
use crate::{ReadError, Warnings};
use notes::Note;
use notes::listener::LONGEST_S;

/// The sustain pedal's controller number.
const SUSTAIN: u8 = 64;
/// Controllers that end all notes of a channel: all sound off, all notes off.
const ALL_OFF: [u8; 2] = [120, 123];
/// Meta event types.
const TRACK_NAME: u8 = 0x03;
const INSTRUMENT_NAME: u8 = 0x04;
const PROGRAM_NAME: u8 = 0x08;
const TEMPO: u8 = 0x51;
const TIME_SIGNATURE: u8 = 0x58;
/// Maximum number of notes and of pedal, tempo and signature changes; the piano's longest works have some 100,000. Each
/// takes about ten times as much memory as in the file.
const MAX_EVENTS: usize = 1 << 20;
/// Maximum number of tracks: no header can announce more.
const MAX_TRACKS: usize = u16::MAX as usize;
/// The format whose tracks are patterns, which do not sound together.
const FORMAT_PATTERNS: u16 = 2;
/// Controller values from here on mean "pedal down".
pub const PEDAL_DOWN: u8 = 64;

/// The keyboard part of a MIDI file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Sorted by (onset, pitch). Onsets are raw: chords are as played, and `spread` is 0. Silence before the first note
    /// is kept.
    pub notes: Vec<Note>,
    /// Sustain pedal changes, in time order.
    pub pedal: Vec<Pedal>,
    /// Musical time of the notes; `None` if the file uses SMPTE time.
    pub beats: Option<Beats>,
    /// What is odd about the file.
    pub warnings: Warnings,
}

/// The sustain pedal going down or up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pedal {
    /// Seconds from the beginning of the file.
    pub time: f64,
    /// MIDI channel, 0–15.
    pub channel: u8,
    /// Whether the pedal is down: controller values of [`PEDAL_DOWN`] and above.
    pub down: bool,
}

/// The contents of the file before ticks are converted to seconds.
#[derive(Default)]
struct Collected {
    notes: Vec<TickedNote>,
    pedal: Vec<(u64, u8, bool)>,
    /// (tick, microseconds per quarter note); `None` at the start of a pattern: back to the default tempo.
    tempo: Vec<(u64, Option<u32>)>,
    /// (tick, numerator, denominator).
    signatures: Vec<(u64, u8, u8)>,
    /// All notes off and all sound off: (channel, tick).
    all_off: Vec<(u8, u64)>,
    warnings: Warnings,
    /// Position of the first unreadable event, in bytes.
    damage: Option<usize>,
}

/// Reads a Standard MIDI File.
///
/// Note-offs are paired first in, first out per (track, channel, pitch): by channel alone, the two hands of a piano
/// part would end each other's notes. Where note-offs are missing, the next strike of the key or an all-notes-off ends
/// the note. The tempo map is global; in format 2, where tracks are patterns, each pattern has its own, and patterns
/// follow one another.
///
/// Wrong lengths and counts, bytes that are not events, and similar faults do not keep the rest from being read;
/// [`Score::warnings`] counts them. Memory use is proportional to the length of `bytes`, and never more than 100 MB
/// beyond twice that. Never panics.
///
/// # Errors
/// If there are no notes, too many, or nothing that defines the length of a tick.
pub fn read(bytes: &[u8]) -> Result<Score, ReadError> {
    let frame = Frame::open(bytes)?;
    let mut collected = Collected::default();
    collected.warnings.bytes_before_header = frame.before_header;
    collected.warnings.misspelled_chunks = usize::from(frame.misspelled);
    let mut keys = Keys::new();
    let (mut at, mut tracks, mut start) = (frame.tracks, 0, 0);
    while let Some(extent) = frame.track(at).filter(|_| tracks < MAX_TRACKS) {
        if start > 0 {
            // A pattern begins with a bar and does not inherit the tempo.
            collected.tempo.push((start, None));
            collected.signatures.push((start, 4, 4));
        }
        let mut events = Events::new(&frame.bytes[..extent.limit], extent.start, extent.said);
        let end = collected.track(&mut events, &mut keys, start);
        if collected.len() > MAX_EVENTS {
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

/// What a track says about itself.
#[derive(Default)]
struct Track {
    /// Its name says piano.
    name: bool,
    /// The latest program change on the drum channel selects a piano.
    program: bool,
    /// It has notes on channels other than the drum channel.
    others: bool,
}

impl Track {
    /// Whether the notes on the drum channel are for a piano. A name applies to the track as a whole. A program number
    /// may also mean a drum kit, so it only counts if the keys do not look like drums.
    fn is_piano(&self, notes: &[TickedNote]) -> bool {
        // Bass drums, snare drums, hi-hats, crash and ride cymbal: most of any drum part.
        const KIT: [u8; 9] = [35, 36, 38, 40, 42, 44, 46, 49, 51];
        let drums = || notes.iter().filter(|note| note.channel == DRUMS);
        let kit = drums().filter(|note| KIT.contains(&note.pitch)).count();
        self.name && !self.others || self.program && 2 * kit < drums().count()
    }
}

/// Whether a track, instrument or program name says piano.
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
        while let Some((delta, event)) = events.next().filter(|_| self.len() <= MAX_EVENTS) {
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

    /// Adds a tempo of `us` microseconds per quarter note; 0 is invalid.
    fn tempo(&mut self, tick: u64, us: u32) {
        match us {
            0 => self.warnings.bad_metas += 1,
            1.. => self.tempo.push((tick, Some(us))),
        }
    }

    /// Adds a time signature of `numerator` / 2^`power`.
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
        // Neighboring ticks may round to the same time. The sort is stable, so equal notes stay in file order.
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

    /// Ends notes without an end of their own at an all-notes-off on another track.
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

    /// Counts notes without length or end, and keys played by two tracks at once. Needs the notes in order.
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
