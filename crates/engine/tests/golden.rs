//! The golden takes: what the shipped weights play after a phrase, in several modes and with several seeds, bit by bit.
//! Every system must reproduce them; `crates/test-host/tests/golden.rs` checks the same with the built plugin.
//!
//! `cargo xtask golden` rewrites them, after new weights or an intended change in what is played.

// Tests may use what the audio side must not.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::path::Path;
use std::sync::Arc;

use engine::audio::{Out, PlayerEvent};
use engine::generator::networks::FixedNetwork;
use engine::generator::thread::GeneratorThread;
use engine::link::takes::TakeRecord;
use engine::settings::{BeatSource, DeviceChoice, Key, Mode, Settings, Silence};
use engine::{AudioSide, Config, UiSide};
use model::Network;
use model::fnv::{BASIS, fnv1a};
use notes::{Note, Transport};
use serde_json::{Value, json};

static WEIGHTS: &[u8] = include_bytes!("../../../weights/antiphon.safetensors");
/// If this environment variable is set, the takes are written instead of compared.
const WRITE: &str = "ANTIPHON_WRITE_GOLDEN";
const RATE: f64 = 48_000.0;
const BLOCK: u32 = 512;
/// Tempo of the transport, in beats per minute.
const TEMPO: f64 = 120.0;

/// One test case. Parameters have the plugin's ids, so that the plugin can be tested with the same ones.
struct Scene {
    name: &'static str,
    parameters: &'static [(&'static str, &'static str)],
    /// Whether the host's transport runs.
    rolls: bool,
    /// When `go` is pressed, in samples, at a block's start.
    pressed: Option<u64>,
    /// When the phrase is played, in seconds; once for each entry.
    phrases: &'static [f64],
    seconds: f64,
}

const SCENES: [Scene; 6] = [
    Scene { name: "auto", parameters: &[("seed", "1")], rolls: false, pressed: None, phrases: &[0.1], seconds: 12.0 },
    Scene {
        name: "auto, hotter, after an interruption",
        parameters: &[("seed", "2"), ("temp", "1.3")],
        rolls: true,
        pressed: None,
        phrases: &[0.1, 6.0],
        seconds: 14.0,
    },
    Scene {
        name: "trade",
        parameters: &[("mode", "trade"), ("seed", "3"), ("yours", "1"), ("mine", "2")],
        rolls: true,
        pressed: None,
        phrases: &[0.1],
        seconds: 14.0,
    },
    Scene {
        name: "duet",
        parameters: &[("mode", "duet"), ("seed", "4")],
        rolls: true,
        pressed: None,
        phrases: &[0.1, 5.0],
        seconds: 12.0,
    },
    Scene {
        name: "alone",
        parameters: &[("mode", "alone"), ("seed", "5"), ("search", "off")],
        rolls: false,
        pressed: Some(47 * BLOCK as u64),
        phrases: &[],
        seconds: 12.0,
    },
    Scene {
        name: "in the phrase's key and beat, denser",
        parameters: &[
            ("seed", "6"),
            ("strength", "100"),
            ("pulse", "phrase"),
            ("key", "as the phrase"),
            ("density", "1.5"),
        ],
        rolls: false,
        pressed: None,
        phrases: &[0.1],
        seconds: 12.0,
    },
];

impl Scene {
    fn settings(&self) -> Settings {
        let mut settings = Settings::INITIAL;
        settings.turn.silence = Silence::Seconds(0.3);
        let generation = &mut settings.generation;
        for &(id, text) in self.parameters {
            let number = || text.parse::<f32>().unwrap();
            match (id, text) {
                ("mode", "trade") => settings.turn.mode = Mode::Trade,
                ("mode", "duet") => settings.turn.mode = Mode::Duet,
                ("mode", "alone") => settings.turn.mode = Mode::Alone,
                ("search", "off") => generation.search = 1,
                ("seed", _) => generation.seed = number() as u64,
                ("temp", _) => {
                    let scales = &mut generation.temperature;
                    for scale in [&mut scales.pitch, &mut scales.rhythm, &mut scales.length, &mut scales.dynamics] {
                        *scale = number();
                    }
                }
                ("yours", _) => settings.turn.your_bars = number() as u32,
                ("mine", _) => settings.turn.antiphon_bars = number() as u32,
                ("strength", _) => generation.rhythm.strength = number() / 100.0,
                ("density", _) => generation.rhythm.density = number(),
                ("pulse", "phrase") => generation.rhythm.beat_source = BeatSource::Phrase,
                ("key", "as the phrase") => generation.limits.key = Key::Phrase,
                _ => panic!("no parameter {id} = {text} here"),
            }
        }
        settings
    }

    /// The player's notes: on and off (samples), key, velocity.
    fn played(&self) -> Vec<(u64, u64, u8, u8)> {
        let keys = [60, 64, 67, 72, 67, 64, 62, 65].into_iter().enumerate();
        let sample = |seconds: f64| (seconds * RATE).round() as u64;
        let note = |from: f64, index: usize, key: u8| {
            let on = from + 0.21 * index as f64 + 0.004 * f64::from(key % 3);
            (sample(on), sample(on + 0.2), key, 60 + key % 20)
        };
        self.phrases.iter().flat_map(|from| keys.clone().map(|(index, key)| note(*from, index, key))).collect()
    }

    /// Plays the scene as an offline render does; returns the generated notes and the takes.
    fn play(&self) -> (Vec<[u64; 4]>, Vec<Arc<TakeRecord>>) {
        let (mut audio, generator, ui) = engine::new(Config {
            status: Arc::default(),
            networks: Arc::new(FixedNetwork(network())),
            device: Box::new(|| DeviceChoice::Cpu),
            viewer: Default::default(),
        });
        let _thread = GeneratorThread::start(generator).unwrap();
        audio.activate(RATE, true);
        let sounded = self.run(&mut audio);
        (sounded, takes(&ui))
    }

    fn run(&self, audio: &mut AudioSide<()>) -> Vec<[u64; 4]> {
        let mut settings = self.settings();
        let mut events = Vec::new();
        for (on, off, key, velocity) in self.played() {
            events.push((on, PlayerEvent::On { channel: 0, key, velocity }));
            events.push((off, PlayerEvent::Off { channel: Some(0), key: Some(key) }));
        }
        events.sort_by_key(|event| event.0);
        let mut events = events.into_iter().peekable();
        let mut host = Host::default();
        let end = (self.seconds * RATE) as u64;
        while host.base < end {
            let transport = Transport {
                playing: self.rolls,
                tempo: Some(TEMPO),
                pos_beats: self.rolls.then(|| host.base as f64 / RATE * TEMPO / 60.0),
                loop_beats: None,
                time_signature: Some((4, 4)),
                bar_start_beats: self.rolls.then(|| (host.base as f64 / RATE * TEMPO / 240.0).floor() * 4.0),
            };
            settings.buttons.go |= self.pressed.is_some_and(|at| at <= host.base);
            let frames = BLOCK.min((end - host.base) as u32);
            audio.open(&transport, frames, settings, &mut host);
            while let Some((at, heard)) = events.next_if(|event| event.0 < host.base + u64::from(frames)) {
                let offset = (at - host.base) as u32;
                audio.play_until(offset, &mut host);
                audio.receive_event(offset, (), Some(heard), &mut host);
            }
            audio.play_until(frames, &mut host);
            audio.close();
            host.base += u64::from(frames);
        }
        // Bypass ends the turn, so that the current take enters the log.
        audio.open(&Transport::default(), BLOCK, Settings { bypass: true, ..settings }, &mut host);
        audio.play_until(BLOCK, &mut host);
        audio.close();
        host.sounded.retain(|note| note[1] < end);
        // Notes at the same sample in ascending order, as the test host lists them.
        host.sounded.sort_by_key(|note| (note[0], note[2]));
        host.sounded
    }
}

/// A host that takes everything.
#[derive(Default)]
struct Host {
    /// Samples before the block.
    base: u64,
    /// Generated notes: on, off (samples), key, velocity.
    sounded: Vec<[u64; 4]>,
}

impl Out for Host {
    fn on(&mut self, offset: u32, _: u8, key: u8, velocity: u8) -> bool {
        self.sounded.push([self.base + u64::from(offset), u64::MAX, key.into(), velocity.into()]);
        true
    }

    fn off(&mut self, offset: u32, _: u8, key: u8) -> bool {
        let open = |note: &&mut [u64; 4]| note[1] == u64::MAX && note[2] == u64::from(key);
        self.sounded.iter_mut().find(open).expect("it sounds")[1] = self.base + u64::from(offset);
        true
    }

    fn controller(&mut self, _: u32, _: u8, _: u8, _: u8) -> bool {
        true
    }
}

fn network() -> Arc<Network> {
    static NETWORK: std::sync::OnceLock<Arc<Network>> = std::sync::OnceLock::new();
    NETWORK.get_or_init(|| Arc::new(Network::from_bytes(WEIGHTS).unwrap())).clone()
}

/// The takes so far. Waits for the last one, which another thread adds.
fn takes(ui: &UiSide) -> Vec<Arc<TakeRecord>> {
    let began = std::time::Instant::now();
    let mut version = None;
    loop {
        let now = ui.takes.version();
        if version.replace(now) == Some(now) && now > 0 {
            return ui.takes.list();
        }
        assert!(began.elapsed().as_secs() < 60, "no take was told");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

/// A note with the exact bits of its times.
fn exactly(note: &Note) -> Value {
    let bits = |value: f64| format!("{:016x}", value.to_bits());
    json!([bits(note.onset), bits(note.spread), bits(note.duration), note.pitch, note.velocity])
}

fn told(scene: &Scene) -> Value {
    let (sounded, takes) = scene.play();
    let takes = takes.iter().map(|take| take.notes.iter().map(exactly).collect::<Vec<_>>());
    json!({
        "name": scene.name,
        "parameters": scene.parameters,
        "rolls": scene.rolls,
        "pressed": scene.pressed,
        "seconds": scene.seconds,
        "played": scene.played(),
        "sounded": sounded,
        "takes": takes.collect::<Vec<_>>(),
    })
}

#[test]
fn golden_takes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/takes.json");
    let weights = format!("{:016x}", fnv1a(BASIS, WEIGHTS.iter().copied()));
    let scenes: Vec<Value> = SCENES.iter().map(told).collect();
    for scene in &scenes {
        assert!(scene["sounded"].as_array().unwrap().len() > 8, "{} is hardly a take", scene["name"]);
    }
    if std::env::var_os(WRITE).is_some() {
        // One line per note.
        let mut text = format!("{{\"weights\": \"{weights}\", \"tempo\": {TEMPO}, \"scenes\": [\n");
        for (index, scene) in scenes.iter().enumerate() {
            let comma = if index == 0 { "" } else { ",\n" };
            text += &format!("{comma}{}", lines(scene));
        }
        std::fs::write(&path, text + "\n]}\n").unwrap();
        return;
    }
    let known: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(known["weights"], json!(weights), "other weights: `cargo xtask golden` writes their takes");
    for (known, scene) in known["scenes"].as_array().unwrap().iter().zip(&scenes) {
        let of = |what: &str| known[what].as_array().unwrap().iter().zip(scene[what].as_array().unwrap());
        let differs = of("takes").enumerate().find(|(_, (known, now))| known != now);
        if let Some((take, (known, now))) = differs {
            let note = known.as_array().unwrap().iter().zip(now.as_array().unwrap()).position(|(k, n)| k != n);
            panic!(
                "{}: take {take} is another from note {note:?} on; if that is meant: cargo xtask golden",
                scene["name"]
            );
        }
        assert_eq!(known, scene, "{}", scene["name"]);
    }
    assert_eq!(known["scenes"].as_array().unwrap().len(), scenes.len());
}

/// A scene as JSON, with one line per note.
fn lines(scene: &Value) -> String {
    let list = |value: &Value| {
        let lines = value.as_array().unwrap().iter().map(Value::to_string);
        format!("[\n{}\n]", lines.collect::<Vec<_>>().join(",\n"))
    };
    let takes: Vec<String> = scene["takes"].as_array().unwrap().iter().map(list).collect();
    format!(
        "{{\"name\": {}, \"parameters\": {}, \"rolls\": {}, \"pressed\": {}, \"seconds\": {},\n\"played\": {},\n\"sounded\": {},\n\"takes\": [{}]}}",
        scene["name"],
        scene["parameters"],
        scene["rolls"],
        scene["pressed"],
        scene["seconds"],
        scene["played"],
        list(&scene["sounded"]),
        takes.join(", ")
    )
}
