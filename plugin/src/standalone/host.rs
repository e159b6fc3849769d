//! The standalone app as the plugin's host: owns the one instance, and provides its input and output for each block.
//! Whatever drives the blocks (JACK, an audio device, a timer) supplies the MIDI input and takes the MIDI output.
//!
//! Blocks are cut into pieces of at most [`PIECE`] samples, so that nothing depends on the system's block size, which
//! may change at any time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use framework_fixes::window::Guarded;
use nice_plug::context::PluginApi;
use nice_plug::context::gui::{AsyncExecutor, GuiContext, GuiContextInner};
use nice_plug::context::process::SendEventError;
use nice_plug::midi::MidiResult;
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::*;

use super::echo::{EchoFilter, WITHIN_S};
use super::keys::KeyTracker;
use super::message::{CONTROLLER, Message};
use super::midi_clock::MidiClock;
use super::shutdown;
use crate::editor::AntiphonEditor;
use crate::{Antiphon, Format, Standalone};

/// The most samples that the plugin gets at a time.
pub const PIECE: usize = 256;
/// The most events in a piece, in and out.
const EVENTS: usize = 2_048;
/// The piano's audio channels.
pub const CHANNELS: usize = 2;
/// The MIDI controller that ends all notes of a channel.
const ALL_NOTES_OFF: u8 = 123;
const SUSTAIN: u8 = 64;

/// Requests from other threads to the audio thread.
#[derive(Debug, Default)]
pub struct Requests {
    /// Release all keys of the input: its port has gone.
    pub release_keys: AtomicBool,
    /// End everything that sounds at the output: it has missed some messages.
    pub silence_output: AtomicBool,
}

/// The song position as reported by the system, if it reports one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Song {
    /// Whether the transport is running.
    pub playing: bool,
    /// While running, it takes precedence over MIDI clock.
    pub leads: bool,
    /// In beats (quarter notes), at the block's first sample.
    pub position: Option<f64>,
    /// The same in seconds, if the system does not count beats.
    pub seconds: Option<f64>,
    /// Beats per minute.
    pub tempo: Option<f64>,
    /// Time signature, such as (6, 8).
    pub signature: Option<(i32, i32)>,
    /// Start of the current bar, in beats.
    pub bar: Option<f64>,
}

/// The plugin's host: one instance, with its MIDI.
pub struct Host {
    plugin: Antiphon<Standalone>,
    requests: Arc<Requests>,
    buffer: Buffer<'static>,
    /// The plugin's events in a piece, in and out.
    input: Vec<NoteEvent<()>>,
    output: Vec<NoteEvent<()>>,
    keys: KeyTracker,
    echo: EchoFilter,
    clock: MidiClock,
    rate: f64,
    /// Samples played so far.
    now: u64,
    /// Beats per minute, unless the system or MIDI clock sets a tempo.
    tempo: f64,
}

/// A MIDI message that comes in with a block, and its sample in the block.
pub type Incoming = (u32, Message);

impl Host {
    /// A host with a new instance, at this tempo (beats per minute) unless something else sets one.
    pub fn new(tempo: f64) -> Self {
        let mut buffer = Buffer::default();
        // SAFETY: the slices are empty.
        unsafe { buffer.set_slices(0, |slices| slices.resize_with(CHANNELS, || &mut [])) };
        Self {
            plugin: Antiphon::default(),
            requests: Arc::default(),
            buffer,
            input: Vec::with_capacity(EVENTS),
            output: Vec::with_capacity(EVENTS),
            keys: KeyTracker::default(),
            echo: EchoFilter::default(),
            clock: MidiClock::new(48_000.0),
            rate: 48_000.0,
            now: 0,
            tempo,
        }
    }

    /// Requests from other threads.
    pub fn requests(&self) -> Arc<Requests> {
        self.requests.clone()
    }

    /// The editor, on the first call.
    pub fn editor(&mut self) -> Option<AntiphonEditor> {
        let nothing = || Arc::new(|()| ());
        // Without a host, the window needs no guard.
        self.plugin.editor(AsyncExecutor::new(nothing(), nothing())).map(|Guarded(editor)| editor)
    }

    /// Restarts the plugin for a new driver with this sample rate. Not on the audio thread.
    pub fn start(&mut self, rate: f64) {
        let layout = Standalone::AUDIO.first().copied().unwrap_or_default();
        let config = BufferConfig {
            sample_rate: rate as f32,
            min_buffer_size: None,
            max_buffer_size: PIECE as u32,
            process_mode: ProcessMode::Realtime,
        };
        self.rate = rate;
        self.clock = MidiClock::new(rate);
        self.plugin.activate(&layout, &config, &mut Activation);
        self.plugin.reset();
        self.requests.release_keys.store(true, Ordering::Relaxed);
    }

    /// Plays a block. `incoming` must be in order. The piano is written to `audio`, whose channels are equally long;
    /// `out` is called with each outgoing message and its sample, in order.
    #[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
    #[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
    pub fn block(
        &mut self,
        mut audio: [&mut [f32]; CHANNELS],
        song: Song,
        incoming: &[Incoming],
        mut out: impl FnMut(u32, &Message),
    ) {
        let frames = audio.iter().map(|channel| channel.len()).min().unwrap_or_default();
        // A message sent in one block comes back in the next one at the earliest, and is only processed at that block's
        // end.
        let within = (WITHIN_S * self.rate) as u64 + 2 * frames as u64;
        let mut incoming = incoming.iter().peekable();
        let mut from = 0;
        while from < frames {
            let mut to = (from + PIECE).min(frames);
            // A tick may start the song: then a new piece begins at the tick, and the song with it.
            let is_tick =
                |(at, message): &&Incoming| (from + 1..to).contains(&(*at as usize)) && message.status() == 0xf8;
            if !self.clock.is_running()
                && let Some((at, _)) = incoming.clone().find(is_tick)
            {
                to = *at as usize;
            }
            self.input.clear();
            if self.requests.release_keys.swap(false, Ordering::Relaxed) {
                while let Some(message) = self.keys.release_next() {
                    push(&mut self.input, 0, &message);
                }
            }
            while let Some((at, message)) = incoming.next_if(|(at, _)| (*at as usize) < to || to == frames) {
                let offset = (*at as usize).saturating_sub(from).min(to - from - 1) as u32;
                let now = self.now + u64::from(offset);
                if self.clock.handle(now as f64, message) || self.echo.is_echo(now, message, within, &self.keys) {
                    continue;
                }
                self.keys.track(message);
                push(&mut self.input, offset, message);
            }
            let transport = self.transport(song, from as f64 / self.rate);
            self.output.clear();
            if self.requests.silence_output.swap(false, Ordering::Relaxed) {
                self.silence_output();
            }
            let [left, right] = &mut audio;
            if let (Some(left), Some(right)) = (left.get_mut(from..to), right.get_mut(from..to)) {
                self.piece([left, right], transport);
            }
            for event in self.output.drain(..) {
                if let Some(MidiResult::Basic(bytes)) = event.as_midi()
                    && let Some(message) = Message::read(&bytes)
                {
                    self.echo.record(self.now + u64::from(event.timing()), message);
                    out(event.timing() + from as u32, &message);
                }
            }
            self.now += (to - from) as u64;
            from = to;
        }
        shutdown::count_block();
    }

    /// Ends everything that sounds at the output.
    fn silence_output(&mut self) {
        for channel in 0..16 {
            for controller in [ALL_NOTES_OFF, SUSTAIN] {
                push(&mut self.output, 0, &Message::new(CONTROLLER, channel, controller, 0));
            }
        }
    }

    /// Lets the plugin play a piece.
    fn piece(&mut self, audio: [&mut [f32]; CHANNELS], transport: Transport) {
        let frames = audio.iter().map(|channel| channel.len()).min().unwrap_or_default();
        audio.iter().for_each(|channel| debug_assert_eq!(channel.len(), frames));
        let slices = audio.map(|channel| {
            channel.fill(0.0);
            // SAFETY: the buffer is only read in this function, which the slices outlive; at its end it gets empty
            // slices.
            unsafe { std::slice::from_raw_parts_mut(channel.as_mut_ptr(), frames) }
        });
        // SAFETY: as above; all slices have the same length.
        unsafe {
            self.buffer.set_slices(frames, |buffer| {
                for (place, slice) in buffer.iter_mut().zip(slices) {
                    *place = slice;
                }
            });
        }
        let mut context = Context { transport, input: self.input.iter(), output: &mut self.output };
        let mut none = AuxiliaryBuffers { inputs: &mut [], outputs: &mut [] };
        self.plugin.process(&mut self.buffer, &mut none, &mut context);
        // SAFETY: the slices are empty.
        unsafe { self.buffer.set_slices(0, |buffer| buffer.iter_mut().for_each(|slice| *slice = &mut [])) };
    }

    /// The transport of a piece that begins `since` seconds into its block: the system's if it leads, else MIDI clock,
    /// else the system's.
    fn transport(&mut self, song: Song, since: f64) -> Transport {
        let mut transport = Transport::new(self.rate as f32);
        let clock = if song.playing && song.leads { None } else { self.clock.at(self.now as f64) };
        if let Some(clock) = clock {
            transport.playing = clock.playing;
            transport.pos_beats = Some(clock.position);
            transport.tempo = clock.tempo.or(Some(self.tempo));
            return transport;
        }
        let tempo = song.tempo.unwrap_or(self.tempo);
        let beats = |seconds: f64| seconds * tempo / 60.0;
        let gone = if song.playing { beats(since) } else { 0.0 };
        transport.playing = song.playing;
        transport.tempo = Some(tempo);
        transport.pos_beats = song.position.or(song.seconds.map(beats)).map(|position| position + gone);
        transport.bar_start_pos_beats = song.bar;
        if let Some((beats, unit)) = song.signature {
            (transport.time_sig_numerator, transport.time_sig_denominator) = (Some(beats), Some(unit));
        }
        transport
    }
}

/// Adds an event to a piece, if there is room.
fn push(events: &mut Vec<NoteEvent<()>>, timing: u32, message: &Message) {
    if message.status() < 0xf0
        && events.len() < events.capacity()
        && let Ok(event) = NoteEvent::from_midi(timing, message.bytes())
    {
        events.push(event);
    }
}

/// The host, as the plugin sees it while it plays a piece.
struct Context<'a> {
    transport: Transport,
    input: std::slice::Iter<'a, NoteEvent<()>>,
    output: &'a mut Vec<NoteEvent<()>>,
}

impl ProcessContext<Antiphon<Standalone>> for Context<'_> {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    fn execute_background(&self, (): ()) {}

    fn execute_gui(&self, (): ()) {}

    fn transport(&self) -> &Transport {
        &self.transport
    }

    fn next_event(&mut self) -> Option<NoteEvent<()>> {
        self.input.next().copied()
    }

    fn try_send_event(&mut self, event: NoteEvent<()>) -> Result<(), (NoteEvent<()>, SendEventError)> {
        // Never exceeds the capacity, so nothing is allocated.
        if self.output.len() == self.output.capacity() {
            return Err((event, SendEventError::HostBufferFull));
        }
        self.output.push(event);
        Ok(())
    }

    fn set_latency_samples(&self, _: u32) {}

    fn request_restart(&self) {}

    fn set_current_voice_capacity(&self, _: u32) {}
}

/// The host, as the plugin sees it during activation.
struct Activation;

impl ActivateContext<Antiphon<Standalone>> for Activation {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    fn execute(&self, (): ()) {}

    fn set_latency_samples(&self, _: u32) {}

    fn set_current_voice_capacity(&self, _: u32) {}
}

/// The host, as the window sees it.
pub fn window_context() -> GuiContext {
    GuiContext::new(Arc::new(Window))
}

struct Window;

impl GuiContextInner for Window {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    // Nothing records automation or supports undo.
    unsafe fn raw_begin_set_parameter(&self, _: ParamPtr) {}

    unsafe fn raw_set_parameter_normalized(&self, parameter: ParamPtr, value: f32) {
        // SAFETY: the window's parameters outlive it; setting one stores to atomics.
        unsafe { parameter._internal_set_normalized_value(value) };
    }

    unsafe fn raw_end_set_parameter(&self, _: ParamPtr) {}

    // Presets set parameters, never the state; the app stores its own state.
    fn get_state(&self) -> PluginState {
        PluginState { version: String::new(), params: BTreeMap::new(), fields: BTreeMap::new() }
    }

    fn set_state(&self, _: PluginState) {}

    fn request_restart(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays one block of this size with this input and returns the output.
    fn run(host: &mut Host, frames: usize, song: Song, incoming: &[(u32, &[u8])]) -> Vec<(u32, Vec<u8>)> {
        let mut channels = [(); CHANNELS].map(|()| vec![1.0; frames]);
        let [left, right] = &mut channels;
        let incoming: Vec<Incoming> = incoming.iter().map(|(at, bytes)| (*at, Message::read(bytes).unwrap())).collect();
        let mut out = Vec::new();
        host.block([left, right], song, &incoming, |at, message| out.push((at, message.bytes().to_vec())));
        out
    }

    #[test]
    fn blocks_of_any_size_pass_what_comes_in_at_its_sample() {
        let mut host = Host::new(120.0);
        host.start(48_000.0);
        for frames in [1, 64, 300, 8_192, 16, 4_097] {
            let last = frames as u32 - 1;
            let input: [(u32, &[u8]); 3] =
                [(last / 2, &[0x90, 60, 80]), (last, &[0x80, 60, 64]), (last + 9_000, &[0xc0, 5])];
            let passed = run(&mut host, frames, Song::default(), &input);
            let expected = input.map(|(at, bytes)| (at.min(last), bytes.to_vec()));
            assert_eq!(passed, expected, "{frames}");
            // So that the next round's messages are not taken for echoes.
            run(&mut host, 24_000, Song::default(), &[]);
        }
        assert_eq!(run(&mut host, 0, Song::default(), &[]), []);
    }

    #[test]
    fn a_pulled_cable_lets_go_of_its_keys_and_what_was_missed_is_calmed() {
        let mut host = Host::new(120.0);
        host.start(48_000.0);
        run(&mut host, 512, Song::default(), &[(0, &[0x92, 60, 80]), (9, &[0xb2, 64, 127])]);
        host.requests().release_keys.store(true, Ordering::Relaxed);
        assert_eq!(run(&mut host, 512, Song::default(), &[]), [(0, vec![0x82, 60, 0]), (0, vec![0xb2, 64, 0])]);
        host.requests().release_keys.store(true, Ordering::Relaxed);
        assert_eq!(run(&mut host, 512, Song::default(), &[]), []);
        host.requests().silence_output.store(true, Ordering::Relaxed);
        assert_eq!(run(&mut host, 512, Song::default(), &[]).len(), 32);
    }

    #[test]
    fn what_a_synthesizer_sends_back_goes_round_no_further() {
        let mut host = Host::new(120.0);
        host.start(48_000.0);
        let out = run(&mut host, 64, Song::default(), &[(0, &[0x90, 60, 80])]);
        assert_eq!(out.len(), 1);
        assert_eq!(run(&mut host, 64, Song::default(), &[(0, &[0x90, 60, 80])]), [], "it was not struck again");
        let off: (u32, &[u8]) = (0, &[0x80, 60, 0]);
        assert_eq!(run(&mut host, 64, Song::default(), &[off]).len(), 1);
        assert_eq!(run(&mut host, 64, Song::default(), &[off]), []);
    }

    #[test]
    fn song_time_is_the_systems_then_that_of_midi_clock() {
        let mut host = Host::new(96.0);
        host.start(48_000.0);
        let bar = Song { playing: true, leads: true, position: Some(8.0), tempo: Some(90.0), ..Song::default() };
        let transport = host.transport(bar, 1.0);
        assert_eq!((transport.playing, transport.pos_beats, transport.tempo), (true, Some(9.5), Some(90.0)));
        assert_eq!(host.transport(Song::default(), 0.0).tempo, Some(96.0), "as the app was started");
        // Start, then 24 ticks at 125 BPM.
        run(&mut host, 100, Song::default(), &[(7, &[0xfa]), (50, &[0xf8])]);
        let began = host.transport(Song::default(), 0.0);
        assert!(began.playing && began.pos_beats.unwrap() < 0.003, "{began:?}");
        run(&mut host, 910, Song::default(), &[]);
        for _ in 0..23 {
            run(&mut host, 960, Song::default(), &[(0, &[0xf8])]);
        }
        let transport = host.transport(Song::default(), 0.0);
        assert_eq!((transport.playing, transport.tempo), (true, Some(125.0)));
        assert!((transport.pos_beats.unwrap() - 1.0).abs() < 1e-6, "{transport:?}");
        assert_eq!(host.transport(bar, 0.0).pos_beats, Some(8.0));
        let standing = Song { playing: false, ..bar };
        assert!(host.transport(standing, 0.0).playing, "a transport that stands leaves it to the clock");
        let free = Song { playing: true, seconds: Some(2.0), ..Song::default() };
        assert_eq!(host.transport(free, 0.0).tempo, Some(125.0), "and so does one that only counts");
        run(&mut host, 48_000, Song::default(), &[]);
        assert_eq!(host.transport(free, 0.0).pos_beats, Some(3.2), "without ticks it goes on alone");
    }
}
