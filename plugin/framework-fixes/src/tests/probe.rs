//! The test plugin. It records its calls per thread: see [`seen`].

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;

use framework_fixes::vst3::frames;
use framework_fixes::window::Guarded;
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::NativeSize;
use nice_plug::editor::{DummyEditorError, EditorHandle, HostMethods, SpawnedEditor};
use nice_plug::prelude::*;
use nice_plug::util::permit_alloc;

/// Values of the parameter `STEREO` for the two formats: CLAP has no audio ports, VST3 is stereo.
pub const CLAP: bool = false;
pub const VST3: bool = true;

/// A block, as the plugin received it.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    pub frames: u32,
    /// Samples according to the buffer itself.
    pub samples: usize,
    pub beats: Option<f64>,
    pub bar: Option<f64>,
    pub playing: bool,
    pub knob: i32,
    /// Time and key of each note-on.
    pub notes: Vec<(u32, u8)>,
}

/// What this thread's plugins were called with.
#[derive(Debug, Default)]
pub struct Seen {
    pub activations: Vec<ProcessMode>,
    pub resets: usize,
    pub blocks: Vec<Block>,
    /// Scales that a window was opened with, or set to.
    pub scales: Vec<f64>,
    pub windows: usize,
    /// Whether dropping a window panics, as baseview's do when their thread has panicked.
    pub panics: bool,
}

thread_local! {
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// Reads or changes the record of this thread's plugins.
pub fn seen<R>(look: impl FnOnce(&mut Seen) -> R) -> R {
    permit_alloc(|| SEEN.with_borrow_mut(look))
}

/// The choices of the parameter `color`.
#[derive(Clone, Copy, Debug, Enum, PartialEq)]
enum Color {
    #[name = "Deep Red"]
    DeepRed,
    Green,
    #[name = "Größer Blau"]
    Blue,
}

/// Texts, and the step of `color` that each of them means.
pub const TEXTS: [(&str, Option<u32>); 9] = [
    ("Deep Red", Some(0)),
    ("deep red", Some(0)),
    ("  DEEP RED ", Some(0)),
    ("gReEn", Some(1)),
    ("größer blau", Some(2)),
    ("GRÖSSER BLAU", None),
    ("deepred", None),
    ("", None),
    ("1", None),
];

#[derive(Params)]
struct Knobs {
    #[id = "knob"]
    knob: IntParam,
    #[id = "color"]
    color: EnumParam<Color>,
}

/// A plugin that records its calls in [`seen`].
pub struct Probe<const STEREO: bool> {
    knobs: Arc<Knobs>,
}

impl<const STEREO: bool> Default for Probe<STEREO> {
    fn default() -> Self {
        let knob = IntParam::new("Knob", 0, IntRange::Linear { min: 0, max: 10 });
        Self { knobs: Arc::new(Knobs { knob, color: EnumParam::new("Color", Color::DeepRed) }) }
    }
}

impl<const STEREO: bool> Plugin for Probe<STEREO> {
    const NAME: &'static str = "Probe";
    const VENDOR: &'static str = "Probe";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = "1";
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = if STEREO {
        &[AudioIOLayout {
            main_input_channels: NonZeroU32::new(2),
            main_output_channels: NonZeroU32::new(2),
            ..AudioIOLayout::const_default()
        }]
    } else {
        &[]
    };
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;

    type Editor = Guarded<Window>;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        self.knobs.clone()
    }

    fn task_executor(&mut self) -> TaskExecutor<Self> {
        Box::new(|()| {
            #[cfg(target_os = "linux")]
            framework_fixes::worker::end_task();
        })
    }

    fn editor(&mut self, worker: AsyncExecutor<Self>) -> Option<Self::Editor> {
        #[cfg(not(target_os = "linux"))]
        let _ = worker;
        #[cfg(target_os = "linux")]
        if STEREO {
            framework_fixes::worker::end_worker::<Probe<VST3>>(|| worker.execute_background(()));
        }
        Some(Guarded(Window))
    }

    fn activate(&mut self, _: &AudioIOLayout, config: &BufferConfig, _: &mut impl ActivateContext<Self>) -> bool {
        seen(|seen| seen.activations.push(config.process_mode));
        true
    }

    fn reset(&mut self) {
        seen(|seen| seen.resets += 1);
    }

    /// Sends note-ons on.
    fn process(
        &mut self,
        audio: &mut Buffer,
        _: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let transport = context.transport();
        let mut block = Block {
            frames: frames(audio),
            samples: audio.samples(),
            beats: transport.pos_beats(),
            bar: transport.bar_start_pos_beats(),
            playing: transport.playing,
            knob: self.knobs.knob.value(),
            notes: Vec::new(),
        };
        while let Some(event) = context.next_event() {
            if let NoteEvent::NoteOn { timing, key, .. } = event {
                permit_alloc(|| block.notes.push((timing, key.number().unwrap())));
                let _ = context.try_send_event(event);
            }
        }
        seen(|seen| seen.blocks.push(block));
        ProcessStatus::KeepAlive
    }
}

impl ClapPlugin for Probe<CLAP> {
    const CLAP_ID: &'static str = "probe";
    const CLAP_DESCRIPTION: Option<&'static str> = None;
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[ClapFeature::NoteEffect];
}

impl Vst3Plugin for Probe<VST3> {
    const VST3_CLASS_ID: [u8; 16] = *b"FrameworkProbe.1";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Tools];
}

/// A window that is not shown anywhere.
pub struct Window;

pub struct Opened;

impl Drop for Opened {
    fn drop(&mut self) {
        if seen(|seen| {
            seen.windows -= 1;
            seen.panics
        }) {
            panic!("the window's thread has panicked");
        }
    }
}

impl Editor for Window {
    type Handle = Handle;

    fn spawn(
        &self,
        _: Option<ParentWindowHandle>,
        _: bool,
        scale: Option<f64>,
        _: GuiContext,
        _: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Handle>, Box<dyn Error>> {
        seen(|seen| {
            seen.scales.extend(scale);
            seen.windows += 1;
        });
        Ok(SpawnedEditor { handle: Handle, window: Opened })
    }

    fn size(&self) -> NativeSize<u32> {
        NativeSize { width: 100, height: 100 }
    }
}

pub struct Handle;

impl EditorHandle for Handle {
    type Window = Opened;
    type Error = DummyEditorError;

    fn run_until_closed(_: Opened) -> Result<(), DummyEditorError> {
        Ok(())
    }

    fn set_parent(&self, _: ParentWindowHandle, _: &Opened) -> Result<(), DummyEditorError> {
        Ok(())
    }

    fn show(&self, _: &Opened) -> Result<(), DummyEditorError> {
        Ok(())
    }

    fn hide(&self, _: &Opened) -> Result<(), DummyEditorError> {
        Ok(())
    }

    fn set_size(&self, _: NativeSize<u32>, _: &Opened) -> Result<(), DummyEditorError> {
        Ok(())
    }

    fn host_main_thread_callback(&self, _: &Opened) {}

    fn set_fallback_scale_factor(&self, scale: f64, _: &Opened) -> Result<(), DummyEditorError> {
        seen(|seen| seen.scales.push(scale));
        Ok(())
    }

    fn param_value_changed(&self, _: &str, _: f32) {}

    fn param_modulation_changed(&self, _: &str, _: f32) {}
}
