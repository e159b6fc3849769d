//! Antiphon as a standalone app: the same plugin, with the system's MIDI ports instead of a host's tracks, and a piano
//! as its sound.
//!
//! * `host` owns the plugin and runs its blocks; `jack` and `native` (with `sound`) drive it and provide MIDI and audio;
//! * `keeper` keeps the MIDI ports connected while they come and go; `ports` decides which ones, and reports what is
//!   missing;
//! * `message`, `keys`, `echo` and `midi_clock` process the incoming MIDI;
//! * `choice` and `state` are what is remembered between sessions; `shutdown` ends the app.
//!
//! nice-plug (0.4.2) has a standalone of its own, meant for quick tests (`wrapper/standalone.rs`): it never looks for
//! new ports, exits when JACK's blocks grow beyond 2,048 samples, ignores MIDI clock, and sends three-byte program
//! changes.

mod choice;
mod echo;
mod host;
mod jack;
mod keeper;
mod keys;
mod message;
mod midi_clock;
mod native;
mod ports;
pub mod shutdown;
mod sound;
mod state;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use engine::link::viewer::Viewer;
use nice_plug::editor::{Editor, EditorHandle, SpawnedEditor};

use crate::editor::{AntiphonEditor, OpenEditor};
use crate::params::AntiphonParams;
use crate::ports::{Direction, MidiPorts};
use crate::voice::Voice;
use choice::{Choice, SystemChoice};
use host::Host;
use keeper::Keeper;
use ports::Ports;
use state::State;

/// Set before the plugin is created, since its constructor takes no arguments.
static PIANO: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static STATE: OnceLock<State> = OnceLock::new();
static PORTS: OnceLock<MidiPorts> = OnceLock::new();
/// The plugin's parameters, once it has been created.
static PARAMS: OnceLock<Arc<AntiphonParams>> = OnceLock::new();
/// Without a window: how often to check whether the app should exit.
const LOOK: Duration = Duration::from_millis(10);

/// Play a phrase; when you stop, it goes on. No DAW needed.
#[derive(Parser)]
#[command(name = "antiphon", version)]
struct Options {
    /// List ports and devices, mark the chosen ones, and exit.
    #[arg(long)]
    ports: bool,
    /// MIDI input: its number in the list, or part of its name; `none` for none.
    #[arg(long, value_name = "PORT")]
    midi_in: Option<String>,
    /// MIDI output: its number in the list, or part of its name; `none` for none.
    #[arg(long, value_name = "PORT")]
    midi_out: Option<String>,
    /// Audio device for the piano: its number or part of its name. For silence: --piano off.
    #[arg(long, value_name = "DEVICE")]
    audio_out: Option<String>,
    /// Audio and MIDI system to use this time.
    #[arg(long, value_enum, default_value_t)]
    system: SystemChoice,
    /// Turn the built-in piano on or off.
    #[arg(long, value_enum)]
    piano: Option<Piano>,
    /// Beats per minute, unless JACK or MIDI clock sets a tempo.
    #[arg(long, value_name = "BPM", default_value_t = 120.0)]
    tempo: f64,
    /// Buffer size of the audio device in samples, if supported; JACK uses its own.
    #[arg(long, value_name = "SAMPLES", default_value_t = 256)]
    period: u32,
    /// Run without a window; Ctrl-C exits.
    #[arg(long)]
    no_window: bool,
    /// Start fresh: forget the chosen ports and all settings.
    #[arg(long)]
    forget: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Piano {
    On,
    Off,
}

/// The standalone app's piano.
pub fn voice() -> Voice {
    Voice::new(piano().clone())
}

/// Whether the piano is on: the default, unless it has been set before.
fn piano() -> &'static Arc<AtomicBool> {
    PIANO.get_or_init(|| Arc::new(AtomicBool::new(true)))
}

/// Restores the parameters of the last session, and keeps a reference to save them at exit.
pub fn recall(params: &Arc<AntiphonParams>) {
    if let Some(state) = STATE.get() {
        for unread in state.apply(params) {
            eprintln!("Ignored in the saved settings: {unread}.");
        }
    }
    PARAMS.get_or_init(|| params.clone());
}

/// The MIDI ports, shared by the window and the keeper.
pub fn midi_ports(viewer: &Viewer) -> MidiPorts {
    let ports = PORTS.get_or_init(MidiPorts::default);
    ports.set_viewer(viewer.clone());
    ports.clone()
}

/// Runs the app.
pub fn run() -> ExitCode {
    let options = Options::parse();
    // Whether JACK is running is all that matters; libjack's own messages would only clutter the terminal.
    ::jack::set_logger(::jack::LoggerType::None);
    let mut choice = if options.forget { Choice::default() } else { Choice::load() };
    let ports = Ports::find(options.system);
    if options.audio_out.as_deref().is_some_and(ports::is_none) {
        eprintln!("error: audio output: cannot be none; to turn the piano off, use --piano off");
        return ExitCode::from(2);
    }
    let asked = [
        (&mut choice.midi_in, &options.midi_in, &ports.midi_in, "MIDI input"),
        (&mut choice.midi_out, &options.midi_out, &ports.midi_out, "MIDI output"),
        (&mut choice.audio_out, &options.audio_out, &ports.audio_out, "audio output"),
    ];
    for (chosen, asked, available, what) in asked {
        if let Some(asked) = asked {
            match ports::pick(asked, available) {
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
    piano().store(choice.piano, Ordering::Relaxed);
    STATE.get_or_init(|| if options.forget { State::default() } else { State::load() });
    let midi = PORTS.get_or_init(MidiPorts::default);
    midi.choose(Direction::In, choice.midi_in.clone());
    midi.choose(Direction::Out, choice.midi_out.clone());
    shutdown::on_signals();
    let mut host = Host::new(options.tempo.clamp(1.0, 10_000.0));
    let (requests, editor) = (host.requests(), host.editor().filter(|_| !options.no_window));
    let host = Arc::new(Mutex::new(host));
    let shared = host.clone();
    let (is_jack, is_none) = (ports.jack, options.system == SystemChoice::None);
    let device = Ports::chosen(choice.audio_out.as_deref().or(Some("")), &ports.audio_out).map(str::to_owned);
    let device = device.or(choice.audio_out.clone());
    let open = move || -> Box<dyn keeper::MidiSystem> {
        if is_jack {
            return Box::new(jack::Jack::new(shared));
        }
        Box::new(native::Native::new(shared, device, options.period.max(1), is_none))
    };
    let keeper = match Keeper::start(open, midi.clone(), requests) {
        Ok(keeper) => keeper,
        Err(error) => {
            eprintln!("error: could not start a thread: {error}.");
            return ExitCode::FAILURE;
        }
    };
    let shown = match editor {
        Some(editor) => show(&editor),
        None => {
            while !shutdown::is_requested() {
                thread::sleep(LOOK);
            }
            shutdown::end_notes();
            Ok(())
        }
    };
    // The keeper stops the blocks first; then the plugin and the generator thread can go.
    drop(keeper);
    drop(host);
    let [midi_in, midi_out] = [Direction::In, Direction::Out].map(|direction| midi.side(direction).chosen);
    remember(Choice { midi_in, midi_out, ..choice });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("error: {trouble}; to run without a window, use --no-window");
            ExitCode::FAILURE
        }
    }
}

/// Opens the window and returns after it has closed.
fn show(editor: &AntiphonEditor) -> Result<(), String> {
    let opened = editor.spawn(None, false, None, host::window_context(), None);
    let SpawnedEditor { handle, window } = opened.map_err(|error| format!("cannot open the window: {error}"))?;
    let closed = OpenEditor::run_until_closed(window);
    drop(handle);
    closed.map_err(|error| format!("the window failed: {error}"))
}

/// Saves ports and settings for the next session.
fn remember(choice: Choice) {
    let choice = Choice { piano: piano().load(Ordering::Relaxed), ..choice };
    let state = PARAMS.get().map_or(Ok(()), |params| State::of(params).save());
    for trouble in [choice.save(), state].into_iter().filter_map(Result::err) {
        eprintln!("{trouble}");
    }
}
