//! Writing: notes to bytes.

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};
use notes::Note;

/// Ticks per quarter note in files from [`write()`].
pub const PPQ: u16 = 960;

/// A constant tempo, as a file stores it: in whole microseconds per quarter note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo {
    micros_per_quarter: u32,
}

impl Tempo {
    /// The nearest tempo that a file can store, 3.6 to 60 million beats per minute; 120 for invalid values.
    pub fn bpm(bpm: f64) -> Self {
        if !(bpm.is_finite() && bpm > 0.0) {
            return Self::default();
        }
        // The cast saturates; the clamp keeps 1 to 2^24 - 1.
        Self { micros_per_quarter: ((60e6 / bpm).round() as u32).clamp(1, 0x00ff_ffff) }
    }

    /// Seconds per tick.
    pub fn tick_s(self) -> f64 {
        f64::from(self.micros_per_quarter) / (f64::from(PPQ) * 1e6)
    }

    fn tick(self, seconds: f64) -> u64 {
        (seconds / self.tick_s()).round() as u64 // saturates; NaN and negative times are 0
    }
}

impl Default for Tempo {
    /// 120 beats per minute: a tick is 0.52 ms.
    fn default() -> Self {
        Self { micros_per_quarter: 500_000 }
    }
}

/// A track to write.
#[derive(Clone, Copy, Debug)]
pub struct Track<'a> {
    /// The name that sequencers show.
    pub name: &'a str,
    /// MIDI channel, 0–15.
    pub channel: u8,
    /// In any order; a note is struck at [`Note::struck`] and released at [`Note::end`].
    pub notes: &'a [Note],
}

/// Writes a format 1 file: the tempo on its own track, then `tracks`.
///
/// A key can be down only once per track: a note ends where its key is struck again, and notes of one key struck at the
/// same tick are merged, with the longest duration and the highest velocity. No note is shorter than a tick.
pub fn write(tracks: &[Track], tempo: Tempo) -> Vec<u8> {
    let mut smf = Smf::new(Header::new(Format::Parallel, Timing::Metrical(u15::new(PPQ))));
    smf.tracks.push(vec![meta(MetaMessage::Tempo(u24::new(tempo.micros_per_quarter))), meta(MetaMessage::EndOfTrack)]);
    for track in tracks {
        let channel = u4::new(track.channel.min(15));
        let mut events = vec![meta(MetaMessage::TrackName(track.name.as_bytes()))];
        let mut now = 0;
        for event in key_events(track.notes, tempo) {
            // 28 bits of ticks are 38 hours at 120 bpm; longer gaps are clamped.
            let delta = u28::new((event.tick - now).min(0x0fff_ffff) as u32);
            now = event.tick;
            let (key, vel) = (u7::new(event.pitch), u7::new(event.velocity));
            let message =
                if event.velocity > 0 { MidiMessage::NoteOn { key, vel } } else { MidiMessage::NoteOff { key, vel } };
            events.push(TrackEvent { delta, kind: TrackEventKind::Midi { channel, message } });
        }
        events.push(meta(MetaMessage::EndOfTrack));
        smf.tracks.push(events);
    }
    let mut bytes = Vec::new();
    smf.write_std(&mut bytes).expect("a Vec takes everything");
    bytes
}

fn meta(message: MetaMessage) -> TrackEvent {
    TrackEvent { delta: u28::new(0), kind: TrackEventKind::Meta(message) }
}

/// A key going down, or up if `velocity` is 0. Sorted by time, releases before strikes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KeyEvent {
    tick: u64,
    down: bool,
    pitch: u8,
    velocity: u8,
}

fn key_events(notes: &[Note], tempo: Tempo) -> Vec<KeyEvent> {
    // (pitch, on, off, velocity), so that sorting groups the notes of a key.
    let mut keys: Vec<(u8, u64, u64, u8)> = notes
        .iter()
        .map(|note| {
            let on = tempo.tick(note.struck());
            let off = tempo.tick(note.end()).max(on.saturating_add(1));
            (note.pitch.min(127), on, off, note.velocity.clamp(1, 127))
        })
        .collect();
    keys.sort_unstable();
    keys.dedup_by(|later, kept| {
        let same = (later.0, later.1) == (kept.0, kept.1);
        if same {
            kept.2 = kept.2.max(later.2);
            kept.3 = kept.3.max(later.3);
        } else if later.0 == kept.0 {
            kept.2 = kept.2.min(later.1);
        }
        same
    });
    let mut events = Vec::with_capacity(keys.len() * 2);
    for (pitch, on, off, velocity) in keys {
        events.push(KeyEvent { tick: on, down: true, pitch, velocity });
        events.push(KeyEvent { tick: off, down: false, pitch, velocity: 0 });
    }
    events.sort_unstable();
    events
}
