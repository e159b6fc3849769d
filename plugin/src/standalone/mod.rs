//! Antiphon as a program of its own: the same plugin, with the system's MIDI ports instead of a host's
//! tracks, and a piano to hear it with.
//!
//! The framework opens the ports; this chooses which, remembers the choice and how
//! things stood at the end, and says what is missing.

mod choice;
pub mod farewell;
mod ports;
mod state;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use clap::{Parser, ValueEnum};
use nice_plug::prelude::nice_export_standalone_with_args;

use crate::params::AntiphonParams;
use crate::voice::Voice;
use crate::{Antiphon, Program};
use choice::{Choice, System};
use ports::Ports;
use state::State;

/// Set before the plugin is made; the framework makes it and takes no arguments.
static PIANO: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static STATE: OnceLock<State> = OnceLock::new();
static WINDOW: AtomicBool = AtomicBool::new(true);
static MISSING: OnceLock<Vec<String>> = OnceLock::new();
/// The plugin's, from when it is made.
static PARAMS: OnceLock<Arc<AntiphonParams>> = OnceLock::new();

/// Play a phrase; when you stop, it goes on. With the system's own MIDI and audio, without a DAW.
#[derive(Parser)]
#[command(name = "antiphon", version)]
struct Options {
    /// List the ports and devices that there are, and what is chosen; then end.
    #[arg(long)]
    ports: bool,
    /// The MIDI port to hear: its number in the list, or a part of its name; `none` for none.
    #[arg(long, value_name = "PORT")]
    midi_in: Option<String>,
    /// The MIDI port to play to, likewise.
    #[arg(long, value_name = "PORT")]
    midi_out: Option<String>,
    /// The audio device for the piano: its number or a part of its name. For silence: --piano off.
    #[arg(long, value_name = "DEVICE")]
    audio_out: Option<String>,
    /// Which of the system's ways to use, this time: JACK where it runs, else the system's own.
    #[arg(long, value_enum, default_value_t)]
    system: System,
    /// The built-in piano.
    #[arg(long, value_enum)]
    piano: Option<Piano>,
    /// Beats per minute.
    #[arg(long, value_name = "BPM", default_value_t = 120.0)]
    tempo: f64,
    /// Samples per block, where the system does not say.
    #[arg(long, value_name = "SAMPLES", default_value_t = 256)]
    period: u32,
    /// Without a window; Ctrl-C ends it.
    #[arg(long)]
    no_window: bool,
    /// Forget the ports that were chosen before, and how everything was set.
    #[arg(long)]
    forget: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Piano {
    On,
    Off,
}

/// The piano that the program of its own has.
pub fn voice() -> Voice {
    Voice::new(piano().clone())
}

/// Whether it is heard. On, unless something else is said before anybody asks.
fn piano() -> &'static Arc<AtomicBool> {
    PIANO.get_or_init(|| Arc::new(AtomicBool::new(true)))
}

/// Sets the plugin's parameters as they were when the program ended, and looks at them when it ends.
pub fn recall(params: &Arc<AntiphonParams>) {
    if let Some(state) = STATE.get() {
        state.put(params);
    }
    PARAMS.get_or_init(|| params.clone());
}

/// Whether there is to be a window.
pub fn has_window() -> bool {
    WINDOW.load(Ordering::Relaxed)
}

/// What is missing: whoever has started the program with the mouse sees it in the window only.
pub fn missing() -> Vec<String> {
    MISSING.get().cloned().unwrap_or_default()
}

/// The program from beginning to end.
pub fn run() -> ExitCode {
    let options = Options::parse();
    let mut choice = if options.forget { Choice::default() } else { Choice::load() };
    let ports = Ports::find(options.system);
    if options.audio_out.as_deref().is_some_and(ports::is_none) {
        eprintln!("error: audio output: without a device there is no clock, and nothing plays; use --piano off.");
        return ExitCode::from(2);
    }
    let asked = [
        (&mut choice.midi_in, &options.midi_in, &ports.midi_in, "MIDI input"),
        (&mut choice.midi_out, &options.midi_out, &ports.midi_out, "MIDI output"),
        (&mut choice.audio_out, &options.audio_out, &ports.audio_out, "audio output"),
    ];
    for (chosen, asked, there, what) in asked {
        if let Some(asked) = asked {
            match ports::pick(asked, there) {
                Ok(name) => *chosen = name,
                Err(trouble) => {
                    eprintln!("error: {what}: {trouble}");
                    return ExitCode::from(2);
                }
            }
        }
    }
    if let Some(piano) = options.piano {
        choice.piano = piano == Piano::On;
    }
    if let Err(trouble) = choice.save() {
        eprintln!("{trouble}");
    }
    if options.ports {
        print!("{}", ports.list(&choice));
        return ExitCode::SUCCESS;
    }
    for missing in MISSING.get_or_init(|| ports.missing(&choice)) {
        eprintln!("{missing}");
    }
    piano().store(choice.piano, Ordering::Relaxed);
    STATE.get_or_init(|| if options.forget { State::default() } else { State::load() });
    WINDOW.store(!options.no_window, Ordering::Relaxed);
    farewell::upon_signals(!options.no_window);
    let args = ports.arguments(&choice, options.tempo, options.period);
    let played = nice_export_standalone_with_args::<Antiphon<Program>, _>(args);
    remember(choice);
    if played {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "The audio device or a MIDI port could not be opened: another program may have it. --ports lists what there is."
    );
    ExitCode::FAILURE
}

/// How things stand at the end, for the next time.
fn remember(choice: Choice) {
    let choice = Choice { piano: piano().load(Ordering::Relaxed), ..choice };
    let state = PARAMS.get().map_or(Ok(()), |params| State::of(params).save());
    for trouble in [choice.save(), state].into_iter().filter_map(Result::err) {
        eprintln!("{trouble}");
    }
}
