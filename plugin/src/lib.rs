//! Antiphon: play a phrase; when you stop, it goes on.
//!
//! A note effect for CLAP and VST3 hosts, and a standalone app. The crate `engine` does the playing; this crate is its
//! interface to the host and the user:
//!
//! * `params`, `presets`, `state`: what can be set and is stored;
//! * `host`: the host's events, in and out; [`Antiphon::process`] drives the engine's audio side with them;
//! * `weights`: the files that networks are loaded from;
//! * `editor`: the window, which sees parameters and the engine's UI side;
//! * `learn`: MIDI learn;
//! * `standalone`, `voice`, `ports`: the standalone app.
//!
//! # For test hosts
//!
//! * CLAP id `dev.antiphon.antiphon`. One note port in and one out, no audio ports.
//! * Parameters: see `src/params`; ids are permanent. `Continue / Stop`, `Replay`, `New take`, `Undo take`,
//!   `Forget last phrase`, `Forget` and `Panic` act on every change.
//! * `ANTIPHON_WEIGHTS=FILE` overrides the weights; `seed` stands for the built-in seed network. Read whenever weights
//!   are loaded, first when the generator thread starts, on the first activation.
//! * `ANTIPHON_STATUS=1`: the saved state, which is JSON, also has `fields.status`, a string of JSON with `health`
//!   (`starting`, `ready`, `no weights`, `broken`), `restarts`, `heard`, `played`, `turns`, `late` (shifted), `dropped`
//!   (too late), `given_up`, `overflows`, `invalid`, `timeouts`, `hand_over_s` (time of the latest hand-over, in
//!   seconds since the last reset, transport start or forget), `note_us` and `longest_note_us` (the model's time per
//!   note), `rollback_us` and `rollback_median_us` (the longest and the median time for the generator to go back to an
//!   earlier note), `stand_in` (the chosen weights cannot be loaded, and the built-in ones play), `silence_s` (how long
//!   the generator thread has not given a sign of life), `newer_state` (the state loaded last is from a later release),
//!   `on_gpu` (whether the model runs on a GPU), `gpu_failures` (how often a GPU failed and the CPU took over),
//!   `look_ahead_s` (how far ahead the model has generated). The state may be saved at any time.
//! * `ANTIPHON_FAULT=WHAT@N`: a fault in the generator thread after N generated notes, see `engine`'s
//!   `generator::fault`; only with the feature `fault-injection`.
//! * Offline (CLAP's render extension), `process` waits for the model; in real time it never does.
//! * The phrase is forgotten on activation, on CLAP's `reset`, when the transport starts, and on `Forget`. A pause of
//!   processing (CLAP's `stop_processing` and `start_processing`, VST3's `setProcessing`) changes nothing.

#![warn(missing_docs)]
// The real-time sanitizer, on a nightly compiler: see docs/checks.md.
#![cfg_attr(rtsan, feature(sanitize))]
// `clippy.toml` lists what blocks, allocates or wakes other threads; the audio modules deny it.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::marker::PhantomData;
use std::sync::Arc;

use engine::generator::thread::GeneratorThread;
use engine::link::status::{Health, Status};
use engine::link::viewer::Viewer;
use engine::{AudioSide, GeneratorSide};
use framework_fixes::restart::Restart;
use framework_fixes::vst3::frames;
use framework_fixes::window::Guarded;
use nice_plug::prelude::*;
use nice_plug_egui::RepaintNotifier;

#[cfg(test)]
mod book;
mod editor;
// For the editor.
mod export;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host;
mod learn;
mod params;
mod ports;
mod presets;
mod remote;
#[cfg(feature = "standalone")]
pub mod standalone;
mod state;
mod stored;
mod ui_state;
// Only the standalone app makes sound itself.
#[cfg_attr(not(feature = "standalone"), allow(dead_code))]
mod voice;
mod weights;

use editor::{AntiphonEditor, EditorInputs};
use host::io::{self, HostEvent, HostIo, Incoming};
use learn::ControllerInput;
use params::AntiphonParams;
use ports::MidiPorts;
use voice::Voice;

/// The differences between the formats. A CLAP note effect needs no audio ports, but Ableton Live refuses a VST3
/// without any, so that one passes stereo through.
pub trait Format: Send + 'static {
    /// Audio inputs and outputs.
    const AUDIO: &'static [AudioIOLayout];

    /// The built-in piano; plugins leave the sound to an instrument.
    fn voice() -> Option<Voice> {
        None
    }

    /// The MIDI ports that the user can choose in the window; a host has its own.
    fn midi_ports(_: &Viewer) -> Option<MidiPorts> {
        None
    }

    /// Restores the parameters of the last session, where no host does.
    fn recall(_: &Arc<AntiphonParams>) {}

    /// Called in every block: whether the standalone app is shutting down.
    fn is_shutting_down() -> bool {
        false
    }

    /// Whether the framework's `reset` can be a request of the host: see [`framework_fixes::restart`].
    const RESETS: bool = true;

    /// Called with access to the framework's worker thread.
    fn with_worker(_: &AsyncExecutor<Antiphon<Self>>)
    where
        Self: Sized,
    {
    }

    /// Runs a task on that thread.
    fn run_task() {}
}

/// The CLAP plugin.
pub struct Clap;

/// The standalone app.
#[cfg(feature = "standalone")]
pub struct Standalone;

#[cfg(feature = "standalone")]
impl Format for Standalone {
    const AUDIO: &'static [AudioIOLayout] =
        &[AudioIOLayout { main_output_channels: NonZeroU32::new(2), ..AudioIOLayout::const_default() }];

    fn voice() -> Option<Voice> {
        Some(standalone::voice())
    }

    fn midi_ports(viewer: &Viewer) -> Option<MidiPorts> {
        Some(standalone::midi_ports(viewer))
    }

    fn recall(params: &Arc<AntiphonParams>) {
        standalone::recall(params);
    }

    fn is_shutting_down() -> bool {
        standalone::shutdown::is_shutting_down()
    }
}

/// The VST3 plugin.
pub struct Vst3;

impl Format for Clap {
    const AUDIO: &'static [AudioIOLayout] = &[];
}

impl Format for Vst3 {
    const AUDIO: &'static [AudioIOLayout] = &[AudioIOLayout {
        main_input_channels: NonZeroU32::new(2),
        main_output_channels: NonZeroU32::new(2),
        ..AudioIOLayout::const_default()
    }];

    const RESETS: bool = false;

    #[cfg(target_os = "linux")]
    fn with_worker(worker: &AsyncExecutor<Antiphon<Self>>) {
        framework_fixes::worker::end_worker::<Antiphon<Self>>(|| worker.execute_background(()));
    }

    #[cfg(target_os = "linux")]
    fn run_task() {
        framework_fixes::worker::end_task();
    }
}

/// The plugin, in one of its formats.
pub struct Antiphon<F> {
    params: Arc<AntiphonParams>,
    status: Arc<Status>,
    restart: Restart,
    /// The engine's audio side.
    audio: AudioSide<HostEvent>,
    incoming: Incoming,
    /// Controllers that move parameters.
    controller_input: ControllerInput,
    /// Only in the standalone app.
    voice: Option<Voice>,
    /// The engine's generator side, until the first activation: scanning a plugin must not load weights.
    generator: Option<GeneratorSide>,
    /// The generator's thread, from then on.
    thread: Option<GeneratorThread>,
    /// What the editor needs, until it is created.
    editor_inputs: Option<EditorInputs>,
    format: PhantomData<F>,
}

impl<F: Format> Default for Antiphon<F> {
    fn default() -> Self {
        let status = Arc::new(Status::default());
        let params = Arc::new(AntiphonParams::new(status.clone()));
        F::recall(&params);
        let notifier = RepaintNotifier::default();
        let repaint = notifier.clone();
        let viewer = Viewer::new(move || repaint.request_repaint());
        let generation = params.clone();
        let (audio, generator, ui) = engine::new(engine::Config {
            status: status.clone(),
            networks: Arc::new(params.weights.clone()),
            device: Box::new(move || generation.model.device.value().into()),
            viewer: viewer.clone(),
        });
        let controller_input = ControllerInput::new(params.learned.clone(), params.clone(), viewer.clone());
        let voice = F::voice();
        Self {
            editor_inputs: Some(EditorInputs {
                status: status.clone(),
                params: params.clone(),
                engine: ui,
                piano: voice.as_ref().map(Voice::switch),
                ports: F::midi_ports(&viewer),
                viewer,
                notifier,
            }),
            voice,
            params,
            controller_input,
            restart: Restart::default(),
            audio,
            status,
            incoming: Incoming::default(),
            generator: Some(generator),
            thread: None,
            format: PhantomData,
        }
    }
}

impl<F: Format> Plugin for Antiphon<F> {
    const NAME: &'static str = "Antiphon";
    const VENDOR: &'static str = "Antiphon";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = F::AUDIO;
    // Controllers must pass through, and the sustain pedal is used.
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    // More than hosts send in a block: beyond it, the framework's queue grows, and thus allocates.
    const INPUT_EVENT_CAPACITY: usize = 8_192;
    // Automation acts at its own sample, whatever the block size: an export equals the live take.
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = Guarded<AntiphonEditor>;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.params.clone()
    }

    fn filter_state(state: &mut PluginState) {
        state::begin_loading();
        state::migrate(state);
        state::check(state);
    }

    fn task_executor(&mut self) -> TaskExecutor<Self> {
        Box::new(|()| F::run_task())
    }

    fn editor(&mut self, worker: AsyncExecutor<Self>) -> Option<Self::Editor> {
        F::with_worker(&worker);
        Some(Guarded(editor::create(self.editor_inputs.take()?)))
    }

    fn activate(&mut self, _: &AudioIOLayout, config: &BufferConfig, _: &mut impl ActivateContext<Self>) -> bool {
        if let Some(generator) = self.generator.take() {
            match GeneratorThread::start(generator) {
                Ok(thread) => self.thread = Some(thread),
                // Notes still pass through.
                Err(_) => self.status.set_health(Health::Broken),
            }
        }
        if let Some(voice) = &mut self.voice {
            voice.set_rate(config.sample_rate);
        }
        self.incoming.activate();
        self.audio.activate(config.sample_rate.into(), config.process_mode == ProcessMode::Offline);
        true
    }

    #[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
    #[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
    fn reset(&mut self) {
        if F::RESETS && self.restart.is_reset() {
            self.audio.reset();
        }
    }

    #[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
    #[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
    fn stop_processing(&mut self) {
        self.restart.pause();
    }

    #[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
    #[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
    #[cfg_attr(rtsan, sanitize(realtime = "nonblocking"))]
    fn process(
        &mut self,
        audio: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let frames = frames(audio);
        let transport = io::transport(context.transport());
        let mut host_io =
            HostIo::<Self, _>::open(context, frames, &mut self.incoming, &self.status, self.voice.as_mut());

        let mut settings = self.params.settings();
        if F::is_shutting_down() {
            settings.buttons.panic ^= true;
            settings.bypass = true;
        }
        self.audio.open(&transport, frames, settings, &mut host_io);
        while let Some(key) = self.audio.next_keyboard_event() {
            let event = io::keyboard_event(key);
            self.audio.receive_event(0, event, io::player_event(&event), &mut host_io);
        }
        while let Some((event, input)) = host_io.next_event() {
            self.audio.play_until(event.timing(), &mut host_io);
            if let NoteEvent::MidiCC { timing, cc, value, .. } = event
                && self.controller_input.handle(cc, (value * 127.0).round() as u8)
            {
                self.audio.set(timing, self.params.settings(), &mut host_io);
                // A pedal that was down before it was learned comes up for everybody.
                if input.is_none_or(|input| !self.audio.must_receive(&input)) {
                    continue;
                }
            }
            self.audio.receive_event(event.timing(), event, input, &mut host_io);
        }
        self.audio.play_until(frames, &mut host_io);
        self.audio.close();
        if let Some(voice) = &mut self.voice {
            voice.play(audio);
        }

        // Never let the host put it to sleep: it may start to play by itself, and a host that wakes it up resets it.
        ProcessStatus::KeepAlive
    }
}

impl ClapPlugin for Antiphon<Clap> {
    const CLAP_ID: &'static str = "dev.antiphon.antiphon";
    const CLAP_DESCRIPTION: Option<&'static str> = Some("Play a phrase; when you stop, it goes on");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[ClapFeature::NoteEffect, ClapFeature::Utility];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        remote::pages(&self.params, context);
    }
}

impl Vst3Plugin for Antiphon<Vst3> {
    const VST3_CLASS_ID: [u8; 16] = *b"AntiphonGoesOn.1";
    // VST3 has no category for note effects. Live and Cubase do not allow an effect on a MIDI track, but they do allow
    // an instrument, whose notes other tracks can receive.
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Instrument, Vst3SubCategory::Tools];
}

framework_fixes::export_clap!(Antiphon<Clap>);
framework_fixes::export_vst3!(Antiphon<Vst3>);
