//! The host's transport: the musical time that a DAW reports to its plugins, block by block.

use clack_host::events::event_types::{TransportEvent, TransportFlags};
use clack_host::events::{EventFlags, EventHeader};
use clack_host::utils::{BeatTime, SecondsTime};

use crate::event::{Event, TransportUpdate};

/// A song position that advances with the blocks. All fields may be changed between blocks, as a user would: start,
/// stop, jump, loop, tempo.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// Whether the transport is rolling.
    pub playing: bool,
    /// Tempo at the start of the next block, in quarter notes per minute.
    pub tempo: f64,
    /// Change of tempo, in quarter notes per minute per second; 0 outside ramps.
    pub tempo_ramp: f64,
    /// Song position at the start of the next block, in quarter notes.
    pub beats: f64,
    /// Song position at the start of the next block, in seconds.
    pub seconds: f64,
    /// Loop start and end in quarter notes, while the loop is on.
    pub loop_range: Option<(f64, f64)>,
    /// Numerator and denominator of the time signature; bars are counted from beat 0.
    pub signature: (u16, u16),
    /// Changes of the time signature: (position in quarter notes, signature from there on), ascending; each position is
    /// a bar line.
    pub signature_changes: Vec<(f64, (u16, u16))>,
    /// Whether the host is recording.
    pub recording: bool,
    /// Whether the transport is in a pre-roll, before recording begins.
    pub pre_roll: bool,
    /// What this host leaves out of its transport.
    pub omitted: OmittedFields,
}

/// A change to the transport.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// Starts rolling from the current position.
    Start,
    /// Stops.
    Stop,
    /// Jumps to this position, in quarter notes.
    Jump(f64),
    /// Sets the loop range, in quarter notes, or turns the loop off.
    Loop(Option<(f64, f64)>),
    /// Sets the tempo, in quarter notes per minute. Ends a ramp.
    Tempo(f64),
    /// Sets the tempo ramp, in quarter notes per minute per second.
    Ramp(f64),
    /// Starts or stops recording.
    Record(bool),
    /// Starts or ends a pre-roll.
    PreRoll(bool),
}

impl Change {
    /// Whether the change comes from the song's tempo map rather than from the user.
    pub fn is_of_tempo(&self) -> bool {
        matches!(self, Self::Tempo(_) | Self::Ramp(_))
    }
}

/// Information that a host may leave out of its transport; by default it reports everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OmittedFields {
    /// The tempo.
    pub tempo: bool,
    /// The position in quarter notes, and with it the loop.
    pub beats: bool,
    /// The position in seconds.
    pub seconds: bool,
    /// The time signature.
    pub signature: bool,
}

impl Timeline {
    /// Stopped at the start of the song, in 4/4.
    pub fn standing(tempo: f64) -> Self {
        Self {
            playing: false,
            tempo,
            tempo_ramp: 0.0,
            beats: 0.0,
            seconds: 0.0,
            loop_range: None,
            signature: (4, 4),
            signature_changes: Vec::new(),
            recording: false,
            pre_roll: false,
            omitted: OmittedFields::default(),
        }
    }

    /// Rolling from the start of the song, in 4/4.
    pub fn rolling(tempo: f64) -> Self {
        Self { playing: true, ..Self::standing(tempo) }
    }

    /// Applies a change.
    pub fn change(&mut self, change: Change) {
        match change {
            Change::Start => self.playing = true,
            Change::Stop => self.playing = false,
            Change::Jump(beats) => {
                self.seconds += (beats - self.beats) * 60.0 / self.tempo;
                self.beats = beats;
            }
            Change::Loop(range) => self.loop_range = range,
            Change::Tempo(tempo) => (self.tempo, self.tempo_ramp) = (tempo, 0.0),
            Change::Ramp(ramp) => self.tempo_ramp = ramp,
            Change::Record(recording) => self.recording = recording,
            Change::PreRoll(pre_roll) => self.pre_roll = pre_roll,
        }
    }

    /// The bar line at or before the current position, in quarter notes, and the time signature there.
    pub fn bar(&self) -> (f64, (u16, u16)) {
        // The position is subject to rounding, which depends on how it was reached.
        let beats = self.beats + 1e-6;
        let latest = self.signature_changes.iter().rev().find(|change| change.0 <= beats);
        let (origin, signature) = latest.map_or((0.0, self.signature), |&(origin, signature)| (origin, signature));
        let length = f64::from(signature.0) * 4.0 / f64::from(signature.1);
        (origin + ((beats - origin) / length).floor() * length, signature)
    }

    /// Number of samples to the loop's end, if the transport loops and its tempo stays constant.
    pub(crate) fn samples_to_loop_end(&self, sample_rate: f64) -> Option<u64> {
        let end = self.loop_range?.1;
        let samples = (end - self.beats) * 60.0 / self.tempo * sample_rate;
        (self.playing && samples > 0.0).then_some(samples.ceil() as u64)
    }

    /// Advances by `frames` samples. At a loop's end the position wraps around; from beyond the loop it continues
    /// straight on.
    pub fn advance(&mut self, frames: u32, sample_rate: f64) {
        if !self.playing {
            return;
        }
        let seconds = f64::from(frames) / sample_rate;
        let before = self.beats;
        let mean_tempo = self.tempo + self.tempo_ramp * seconds / 2.0;
        self.beats += seconds * mean_tempo / 60.0;
        self.seconds += seconds;
        self.tempo += self.tempo_ramp * seconds;
        if let Some((start, end)) = self.loop_range
            && end > start
            && before < end
            && self.beats >= end
        {
            let over = (self.beats - end) % (end - start);
            self.seconds += (start + over - self.beats) * 60.0 / self.tempo;
            self.beats = start + over;
        }
    }

    /// The transport event that a host may send in the middle of a block.
    pub fn transport_event(&self, sample_rate: f64) -> Event {
        Event::Transport(TransportUpdate(self.event(sample_rate)))
    }

    /// The transport that the plugin sees for the next block.
    pub(crate) fn event(&self, sample_rate: f64) -> TransportEvent {
        let mut flags = TransportFlags::empty();
        flags.set(TransportFlags::HAS_TEMPO, !self.omitted.tempo);
        flags.set(TransportFlags::HAS_BEATS_TIMELINE, !self.omitted.beats);
        flags.set(TransportFlags::HAS_SECONDS_TIMELINE, !self.omitted.seconds);
        flags.set(TransportFlags::HAS_TIME_SIGNATURE, !self.omitted.signature);
        flags.set(TransportFlags::IS_PLAYING, self.playing);
        flags.set(TransportFlags::IS_RECORDING, self.recording);
        flags.set(TransportFlags::IS_WITHIN_PRE_ROLL, self.pre_roll);
        flags.set(TransportFlags::IS_LOOP_ACTIVE, self.loop_range.is_some());
        let (loop_start, loop_end) = self.loop_range.unwrap_or_default();
        let (bar_start, signature) = self.bar();
        let bar_beats = f64::from(signature.0) * 4.0 / f64::from(signature.1);
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
            bar_start: BeatTime::from_float(bar_start),
            bar_number: (bar_start / bar_beats) as i32,
            time_signature_numerator: signature.0,
            time_signature_denominator: signature.1,
        }
    }
}
