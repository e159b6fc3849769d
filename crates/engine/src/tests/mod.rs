//! The live path without a host: the engine with random player events, settings, transports and block sizes.

mod breaking;
mod calls;
mod generation_params;
mod modes;
mod note_off_invariants;
mod overflow;
mod session;
mod turns;

use std::sync::{Arc, OnceLock};

use model::{Kind, Network, Weights, critic};
use notes::Transport;
use proptest::prelude::*;

use crate::audio::{AudioSide, Out, PlayerEvent};
use crate::generator::driven::Driven;
use crate::generator::networks::{FixedNetwork, LoadedNetwork, NetworkSource};
use crate::generator::thread::GeneratorThread;
use crate::link::status::Status;
use crate::settings::{
    BeatSource, Buttons, DeviceChoice, Dynamics, GenerationParams, Grid, Key, Length, Limits, MidiSettings, Mode,
    Rhythm, Scale, Settings, Silence, Speed, TemperatureScales, Trigger, TriggerBy, TurnSettings,
};
use crate::{Config, GeneratorSide, UiSide};

/// Samples per second in the tests: low, so that seconds of music are few samples.
const RATE: f64 = 8_000.0;

/// Untrained weights that play lively music: many chords, steps below 0.5 s, durations below 2 s. The tests must
/// not depend on what the built-in weights have learned.
pub fn network() -> Arc<Network> {
    static NETWORK: OnceLock<Arc<Network>> = OnceLock::new();
    let made = NETWORK.get_or_init(|| {
        let random = Weights::random(Kind::Antiphon, 3);
        let mut tensors = random.tensors().clone();
        for (attribute, longest) in [("step", 0.5), ("duration", 2.0)] {
            let bias = &mut tensors.get_mut(&format!("{attribute}.out.bias")).unwrap().data;
            // After the bins' biases come those for values relative to earlier notes; the bins' own are enough here.
            for (bin, bias) in bias.iter_mut().enumerate().take(model::encoding::TIMES) {
                let wanted = model::encoding::time_range(bin).1 < longest;
                *bias = if wanted { *bias } else { -30.0 };
            }
            bias[0] += 3.0;
        }
        let weights = Weights::new(random.card, tensors).unwrap().with_critic(critic::random(3)).unwrap();
        let bytes = weights.to_bytes();
        Arc::new(Network::from_bytes_cancelable(&bytes, || true).unwrap())
    });
    made.clone()
}

/// An engine with the tests' network, on the CPU.
fn engine() -> (AudioSide<()>, GeneratorSide, UiSide) {
    network();
    engine_with(Arc::new(FixedNetwork(network())), || DeviceChoice::Cpu)
}

fn engine_with(
    networks: Arc<dyn NetworkSource>,
    device: impl Fn() -> DeviceChoice + Send + 'static,
) -> (AudioSide<()>, GeneratorSide, UiSide) {
    crate::new(Config { status: Arc::default(), networks, device: Box::new(device), viewer: Default::default() })
}

/// Settings with a short silence and an open turn length.
pub const SETTINGS: Settings = Settings {
    turn: TurnSettings { silence: Silence::Seconds(0.2), ..Settings::INITIAL.turn },
    generation: GENERATION,
    ..Settings::INITIAL
};

/// [`SETTINGS`] with changes.
pub fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = SETTINGS;
    change(&mut settings);
    settings
}

/// Generation parameters that leave the network's output as it is.
pub const GENERATION: GenerationParams = GenerationParams { seed: 7, search: 4, ..GenerationParams::INITIAL };

/// [`GENERATION`] with another temperature and seed.
fn generation(temperature: f32, seed: u64) -> GenerationParams {
    let temperature =
        TemperatureScales { pitch: temperature, rhythm: temperature, length: temperature, dynamics: temperature };
    GenerationParams { temperature, seed, ..GENERATION }
}

/// Any turn and MIDI settings; silences in seconds come from the given strategy.
pub fn turns(silence: impl Strategy<Value = f64>) -> impl Strategy<Value = Settings> {
    let modes = prop_oneof![
        4 => Just(Mode::Auto),
        1 => Just(Mode::Trigger),
        2 => Just(Mode::Trade),
        3 => Just(Mode::Duet),
        1 => Just(Mode::Alone),
    ];
    let length = prop_oneof![
        3 => Just(Length::Open),
        1 => (0.0..4.0f64).prop_map(Length::Seconds),
        1 => (0..12u32).prop_map(Length::Notes),
        1 => (0..3u32).prop_map(Length::Bars),
    ];
    let by = prop_oneof![
        Just(TriggerBy::Button),
        Just(TriggerBy::Key),
        Just(TriggerBy::Controller),
        Just(TriggerBy::Sustain),
        Just(TriggerBy::Soft),
    ];
    let trigger = (by, any::<bool>()).prop_map(|(by, toggles)| Trigger { by, key: 60, controller: 67, toggles });
    let silence = prop_oneof![
        3 => silence.prop_map(Silence::Seconds),
        1 => (0.25..1.0f64).prop_map(Silence::Beats),
    ];
    let rare = |chance| prop::bool::weighted(chance);
    let buttons = (rare(0.5), rare(0.2), rare(0.2), rare(0.1), rare(0.1), rare(0.1), rare(0.1));
    let buttons = buttons.prop_map(|(go, replay, new_take, undo, forget_phrase, forget, panic)| Buttons {
        go,
        replay,
        new_take,
        undo,
        forget_phrase,
        forget,
        panic,
    });
    let switches = (any::<bool>(), any::<bool>(), rare(0.2), any::<bool>(), any::<bool>(), any::<bool>());
    let notes = (prop::option::weighted(0.2, 0..16u8), rare(0.8), rare(0.3), 1..3u32, 1..3u32);
    ((modes, length, trigger, silence), (buttons, switches, notes), (0.3..1.5f32, 0..4u64)).prop_map(
        |((mode, length, trigger, silence), (buttons, switches, notes), (temperature, seed))| Settings {
            turn: TurnSettings {
                mode,
                silence,
                trigger,
                length,
                rings_out: switches.0,
                remembers_own: switches.1,
                sustain_holds: switches.3,
                your_bars: notes.3,
                antiphon_bars: notes.4,
            },
            freeze: switches.2,
            buttons,
            follows_chord: notes.2,
            midi: MidiSettings {
                thru: notes.1,
                channel: notes.0,
                sustain_in: switches.4,
                sustain_out: switches.5,
                ..SETTINGS.midi
            },
            generation: generation(temperature, seed),
            ..SETTINGS
        },
    )
}

/// A sent note event: stream sample, whether it is a note-on, channel, key, velocity.
type Sent = (u64, bool, u8, u8, u8);

/// A host that records what it receives.
#[derive(Default)]
struct Host {
    sent: Vec<Sent>,
    /// Sent controllers: stream sample, channel, number, value.
    moved: Vec<(u64, u8, u8, u8)>,
    /// Samples before the block.
    base: u64,
    frames: u32,
    /// The latest offset in the block.
    latest: u32,
    /// Called before every event; returns whether the queue refuses it.
    refuse: Option<Box<dyn FnMut() -> bool>>,
}

impl Host {
    fn open(&mut self, base: u64, frames: u32) {
        (self.base, self.frames, self.latest) = (base, frames, 0);
    }

    fn take(&mut self, offset: u32, on: bool, channel: u8, key: u8, velocity: u8) -> bool {
        assert!(offset < self.frames.max(1), "offset {offset} in a block of {}", self.frames);
        assert!(offset >= self.latest, "offset {offset} after {}", self.latest);
        if self.refuse.as_mut().is_some_and(|refuse| refuse()) {
            return false;
        }
        self.latest = offset;
        self.sent.push((self.base + u64::from(offset), on, channel, key, velocity));
        true
    }

    /// Generated notes that are sounding, by channel and key; a key must not be struck twice, nor end twice.
    fn sounding(&self) -> Vec<(u8, u8)> {
        let mut sounding = Vec::new();
        for &(at, on, channel, key, _) in &self.sent {
            let place = sounding.iter().position(|&sounds| sounds == (channel, key));
            match (on, place) {
                (true, None) => sounding.push((channel, key)),
                (false, Some(place)) => drop(sounding.remove(place)),
                (true, Some(_)) => panic!("{channel}/{key} struck twice, at {at}"),
                (false, None) => panic!("{channel}/{key} ended twice, at {at}"),
            }
        }
        sounding
    }

    fn ons(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| sent.1)
    }
}

impl Out for Host {
    fn on(&mut self, offset: u32, channel: u8, key: u8, velocity: u8) -> bool {
        self.take(offset, true, channel, key, velocity)
    }

    fn off(&mut self, offset: u32, channel: u8, key: u8) -> bool {
        self.take(offset, false, channel, key, 0)
    }

    fn controller(&mut self, offset: u32, channel: u8, controller: u8, value: u8) -> bool {
        assert!(offset >= self.latest && offset < self.frames.max(1));
        if self.refuse.as_mut().is_some_and(|refuse| refuse()) {
            return false;
        }
        self.latest = offset;
        self.moved.push((self.base + u64::from(offset), channel, controller, value));
        true
    }
}

/// An engine whose audio side waits for the generator's thread, as in an offline render.
struct Offline {
    audio: AudioSide<()>,
    status: Arc<Status>,
    _thread: GeneratorThread,
}

impl Offline {
    fn new() -> Self {
        let (mut audio, generator, _) = engine();
        audio.activate(RATE, true);
        let status = generator.status.clone();
        Self { audio, status, _thread: GeneratorThread::start(generator).unwrap() }
    }
}

/// An engine whose generator runs between blocks, at the speed that the test chooses.
struct Paced {
    audio: AudioSide<()>,
    status: Arc<Status>,
    generator: Driven,
}

impl Paced {
    fn new() -> Self {
        let (mut audio, generator, _) = engine();
        audio.activate(RATE, false);
        Self { audio, status: generator.status.clone(), generator: Driven::new(generator) }
    }

    /// Lets it generate at most this many notes.
    fn generate(&mut self, notes: usize) {
        self.generator.run(notes);
    }
}

/// One block with these player events, with offsets in order.
fn block(
    audio: &mut AudioSide<()>,
    transport: &Transport,
    (base, frames): (u64, u32),
    settings: Settings,
    events: &[(u32, PlayerEvent)],
    host: &mut Host,
) {
    host.open(base, frames);
    audio.open(transport, frames, settings, host);
    for &(offset, input) in events {
        audio.play_until(offset, host);
        audio.handle_input(offset, input, host);
        // The player's own event is passed on after what it caused.
        assert!(host.latest <= offset, "an event at {} before the player's at {offset}", host.latest);
        host.latest = offset;
    }
    audio.play_until(frames, host);
    audio.close();
}
