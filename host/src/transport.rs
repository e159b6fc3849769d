//! The host's transport: what a DAW tells its plugins about musical time, block by block.

use clack_host::events::event_types::{TransportEvent, TransportFlags};
use clack_host::events::{EventFlags, EventHeader};
use clack_host::utils::{BeatTime, SecondsTime};

/// A song position that moves with the blocks. All fields may be changed between blocks, as a user
/// would: start, stop, jump, loop, tempo.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Whether the transport is rolling.
    pub playing: bool,
    /// Tempo at the start of the next block, in quarter notes per minute.
    pub tempo: f64,
    /// Change of tempo, in quarter notes per minute and second; 0 outside ramps.
    pub tempo_ramp: f64,
    /// Song position at the start of the next block, in quarter notes.
    pub beats: f64,
    /// Song position at the start of the next block, in seconds.
    pub seconds: f64,
    /// Loop start and end in quarter notes, while the loop is on.
    pub loop_range: Option<(f64, f64)>,
    /// Numerator and denominator of the time signature; bars are counted from beat 0.
    pub signature: (u16, u16),
}

impl Timeline {
    /// Standing at the start of the song, 4/4.
    pub fn standing(tempo: f64) -> Self {
        Self { playing: false, tempo, tempo_ramp: 0.0, beats: 0.0, seconds: 0.0, loop_range: None, signature: (4, 4) }
    }

    /// Rolling from the start of the song, 4/4.
    pub fn rolling(tempo: f64) -> Self {
        Self { playing: true, ..Self::standing(tempo) }
    }

    /// Moves on by a block. At a loop's end the position wraps around.
    pub fn advance(&mut self, frames: u32, sample_rate: f64) {
        if !self.playing {
            return;
        }
        let seconds = f64::from(frames) / sample_rate;
        let mean_tempo = self.tempo + self.tempo_ramp * seconds / 2.0;
        self.beats += seconds * mean_tempo / 60.0;
        self.seconds += seconds;
        self.tempo += self.tempo_ramp * seconds;
        if let Some((start, end)) = self.loop_range
            && end > start
            && self.beats >= end
        {
            let over = (self.beats - end) % (end - start);
            self.seconds += (start + over - self.beats) * 60.0 / self.tempo;
            self.beats = start + over;
        }
    }

    /// What the plugin gets to see for the next block.
    pub(crate) fn event(&self, sample_rate: f64) -> TransportEvent {
        let mut flags = TransportFlags::HAS_TEMPO
            | TransportFlags::HAS_BEATS_TIMELINE
            | TransportFlags::HAS_SECONDS_TIMELINE
            | TransportFlags::HAS_TIME_SIGNATURE;
        flags.set(TransportFlags::IS_PLAYING, self.playing);
        flags.set(TransportFlags::IS_LOOP_ACTIVE, self.loop_range.is_some());
        let (loop_start, loop_end) = self.loop_range.unwrap_or_default();
        let bar_beats = f64::from(self.signature.0) * 4.0 / f64::from(self.signature.1);
        let bar = (self.beats / bar_beats).floor();
        TransportEvent {
            header: EventHeader::new_core(0, EventFlags::empty()),
            flags,
            song_pos_beats: BeatTime::from_float(self.beats),
            song_pos_seconds: SecondsTime::from_float(self.seconds),
            tempo: self.tempo,
            tempo_inc: self.tempo_ramp / sample_rate,
            loop_start_beats: BeatTime::from_float(loop_start),
            loop_end_beats: BeatTime::from_float(loop_end),
            loop_start_seconds: SecondsTime::from_float(loop_start * 60.0 / self.tempo),
            loop_end_seconds: SecondsTime::from_float(loop_end * 60.0 / self.tempo),
            bar_start: BeatTime::from_float(bar * bar_beats),
            bar_number: bar as i32,
            time_signature_numerator: self.signature.0,
            time_signature_denominator: self.signature.1,
        }
    }
}
