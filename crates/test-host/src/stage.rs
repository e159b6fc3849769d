//! `host standalone`, second part: situations in live use. A keyboard is unplugged with a key down and plugged in
//! again, the server changes its block size, a synthesizer echoes what it is sent, and a drum machine sends MIDI clock.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jack::{
    AsyncClient, Client, ClientOptions, Control, Frames, MidiIn, MidiOut, Port, ProcessHandler, ProcessScope, RawMidi,
};

use crate::standalone::{Program, Xruns, wait};

/// JACK client names of the keyboard, which can be unplugged, and of the synthesizer.
const KEYBOARD: &str = "stage-keyboard";
const SYNTH: &str = "stage-synth";
/// The app's ports.
const IN: &str = "antiphon:midi_input";
const OUT: &str = "antiphon:midi_output";
/// Time limit for a message to get from the keyboard to the synthesizer, in addition to two blocks.
const PASSES: Duration = Duration::from_secs(2);
/// Time limit for a few seconds of the server's time to pass.
const SLOWEST: Duration = Duration::from_secs(120);
/// Block sizes that the server changes to in turn.
const BLOCKS: [Frames; 4] = [8_192, 64, 4_096, 256];
/// The drum machine's tempo, in quarter notes per minute, and the length of a 4/4 bar, in seconds.
const TEMPO: f64 = 120.0;
const BAR_S: f64 = 2.0;

/// A MIDI message, and the time at which it is to be sent or was received, in JACK's frames.
type Timed = (Frames, Vec<u8>);
type Shared<T> = Arc<Mutex<T>>;

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connected keyboard; dropping it unplugs it.
struct Keyboard {
    client: AsyncClient<Xruns, KeyboardOutput>,
    queue: Shared<VecDeque<Timed>>,
}

struct KeyboardOutput(Port<MidiOut>, Shared<VecDeque<Timed>>);

impl ProcessHandler for KeyboardOutput {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let start = scope.last_frame_time();
        let mut out = self.0.writer(scope);
        let mut queue = lock(&self.1);
        while let Some((at, bytes)) = queue.front().filter(|(at, _)| *at < start + scope.n_frames()) {
            let time = at.saturating_sub(start);
            // A message that does not fit is lost, and the checks of the received notes will notice.
            let _ = out.write(&RawMidi { time, bytes });
            queue.pop_front();
        }
        Control::Continue
    }
}

impl Keyboard {
    fn plug() -> Result<Self> {
        let (client, _) = Client::new(KEYBOARD, ClientOptions::NO_START_SERVER | ClientOptions::USE_EXACT_NAME)?;
        let queue = Shared::default();
        let keys = KeyboardOutput(client.register_port("keys", MidiOut::default())?, Arc::clone(&queue));
        Ok(Self { client: client.activate_async(Xruns::default(), keys)?, queue })
    }

    /// The current time, for messages sent now.
    fn now(&self) -> Frames {
        self.client.as_client().frame_time()
    }

    /// Sends a message at the given time; messages must be in order.
    fn send_at(&self, at: Frames, bytes: &[u8]) {
        lock(&self.queue).push_back((at, bytes.to_vec()));
    }

    fn send(&self, bytes: &[u8]) {
        self.send_at(self.now(), bytes);
    }

    fn is_connected(&self) -> bool {
        self.has_connection(&format!("{KEYBOARD}:keys"))
    }

    fn has_connection(&self, port: &str) -> bool {
        let port = self.client.as_client().port_by_name(port);
        port.is_some_and(|port| port.connected_count().is_ok_and(|count| count > 0))
    }

    /// Waits until the path from here to the synthesizer is connected.
    fn wait(&self) -> Result<()> {
        let is_there = || self.is_connected() && self.has_connection(&format!("{SYNTH}:ears"));
        wait("the app does not connect its ports", is_there)
    }
}

/// A synthesizer that records what the app sends.
struct Synth {
    /// Kept alive for as long as the synthesizer exists.
    _client: AsyncClient<Xruns, SynthInput>,
    heard: Shared<Vec<Timed>>,
    now: Arc<AtomicU32>,
}

struct SynthInput(Port<MidiIn>, Shared<Vec<Timed>>, Arc<AtomicU32>);

impl ProcessHandler for SynthInput {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let mut heard = lock(&self.1);
        heard.extend(self.0.iter(scope).map(|m| (scope.last_frame_time() + m.time, m.bytes.to_vec())));
        self.2.store(scope.last_frame_time(), Ordering::Relaxed);
        Control::Continue
    }
}

impl Synth {
    fn plug() -> Result<Self> {
        let (client, _) = Client::new(SYNTH, ClientOptions::NO_START_SERVER | ClientOptions::USE_EXACT_NAME)?;
        let (heard, now) = (Shared::default(), Arc::default());
        let ears = SynthInput(client.register_port("ears", MidiIn::default())?, Arc::clone(&heard), Arc::clone(&now));
        Ok(Self { _client: client.activate_async(Xruns::default(), ears)?, heard, now })
    }

    /// Waits until the server's time reaches `end`. On a busy machine, it can pass more slowly than real time.
    fn until(&self, end: Frames) -> Result<()> {
        let began = Instant::now();
        while self.now.load(Ordering::Relaxed) < end {
            ensure!(began.elapsed() < SLOWEST, "the JACK server has stopped");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn forget(&self) {
        lock(&self.heard).clear();
    }

    /// Number of received messages that begin with these bytes.
    fn count(&self, bytes: &[u8]) -> usize {
        lock(&self.heard).iter().filter(|(_, heard)| heard.starts_with(bytes)).count()
    }

    /// Times of all received note-ons.
    fn onsets(&self) -> Vec<Frames> {
        let heard = lock(&self.heard);
        heard.iter().filter(|(_, bytes)| bytes[0] & 0xf0 == 0x90 && bytes[2] > 0).map(|(at, _)| *at).collect()
    }

    /// Waits until a message that begins with these bytes is received; returns the time that this took.
    fn wait_for(&self, what: &str, bytes: &[u8]) -> Result<Duration> {
        let began = Instant::now();
        wait(what, || self.count(bytes) > 0)?;
        Ok(began.elapsed())
    }
}

/// Runs all situations and prints the results.
pub fn run(program: &Path) -> Result<()> {
    let synth = Synth::plug()?;
    let keyboard = Keyboard::plug()?;
    let ports = ["--midi-in", "stage-keyboard:keys", "--midi-out", "stage-synth:ears", "--piano", "off"];
    let home = tempfile::tempdir()?;
    let running = Program::start(program, home.path(), &ports)?;
    keyboard.wait()?;

    let keyboard = unplug(&synth, keyboard)?;
    resize(&synth, &keyboard)?;
    echo(&synth, &keyboard)?;
    running.end()?;

    let folder = home.path().join("antiphon");
    std::fs::write(folder.join("state.json"), r#"{"set":{"mode":"trade","yours":"1","mine":"1"}}"#)?;
    let running = Program::start(program, home.path(), &ports)?;
    keyboard.wait()?;
    follow(&synth, &keyboard)?;
    running.end()
}

/// Unplugs the keyboard with a key and the pedal down, and plugs it in again.
fn unplug(synth: &Synth, keyboard: Keyboard) -> Result<Keyboard> {
    keyboard.send(&[0x90, 60, 80]);
    keyboard.send(&[0xb0, 64, 127]);
    synth.wait_for("a key does not pass", &[0x90, 60])?;
    synth.wait_for("the pedal does not pass", &[0xb0, 64, 127])?;
    let began = Instant::now();
    drop(keyboard);
    synth.wait_for("a key stays down when its cable is pulled", &[0x80, 60])?;
    let released = began.elapsed();
    synth.wait_for("the pedal stays down when its cable is pulled", &[0xb0, 64, 0])?;
    let keyboard = Keyboard::plug()?;
    let began = Instant::now();
    wait("the keyboard is not connected again", || keyboard.is_connected())?;
    let connected = began.elapsed();
    keyboard.send(&[0x90, 62, 80]);
    keyboard.send(&[0x80, 62, 0]);
    synth.wait_for("a key does not pass after the cable is back", &[0x80, 62])?;
    println!("unplugged           keys let go after {released:.0?}, connected again after {connected:.0?}");
    Ok(keyboard)
}

/// Changes the server's block size.
fn resize(synth: &Synth, keyboard: &Keyboard) -> Result<()> {
    let mut worst = Duration::ZERO;
    let rate = f64::from(keyboard.client.as_client().sample_rate());
    for (key, frames) in (70..).zip(BLOCKS) {
        keyboard.client.as_client().set_buffer_size(frames).context("the server's block size cannot be changed")?;
        keyboard.send(&[0x90, key, 80]);
        keyboard.send(&[0x80, key, 0]);
        let passed = synth.wait_for("a key does not pass after a change of block size", &[0x80, key])?;
        let block = Duration::from_secs_f64(f64::from(frames) / rate);
        worst = worst.max(passed.saturating_sub(2 * block));
    }
    println!("blocks of {BLOCKS:?}: keys pass within two blocks and {worst:.0?}");
    ensure!(worst < PASSES, "a key passes late after a change of block size");
    Ok(())
}

/// Sends everything that the app plays back to it.
fn echo(synth: &Synth, keyboard: &Keyboard) -> Result<()> {
    let client = keyboard.client.as_client();
    client.connect_ports_by_name(OUT, IN).context("the app cannot be connected to itself")?;
    synth.forget();
    let rate = client.sample_rate();
    let start = keyboard.now() + rate / 4;
    for (n, key) in (0..).zip([60, 64, 67, 72, 71, 67, 64, 62]) {
        let at = start + n * rate / 4;
        keyboard.send_at(at, &[0x90, key, 90]);
        keyboard.send_at(at + rate / 5, &[0x80, key, 0]);
    }
    // The phrase, the silence, and a few seconds of the answer.
    synth.until(start + 8 * rate)?;
    let phrase_end = start + 2 * rate;
    let onsets = synth.onsets();
    let passed = onsets.iter().filter(|at| **at < phrase_end).count();
    let answer: Vec<Frames> = onsets.into_iter().filter(|at| *at >= phrase_end).collect();
    client.disconnect_ports_by_name(OUT, IN).context("the app cannot be disconnected from itself")?;
    // If the app took its own notes for the player's, it would stop, and then wait for the silence again.
    let rests = answer.windows(2).map(|pair| f64::from(pair[1] - pair[0]) / f64::from(rate));
    let longest_s = rests.fold(0.0, f64::max);
    println!(
        "echoed to itself    8 notes pass {passed} times, {} follow, the longest rest {longest_s:.2} s",
        answer.len()
    );
    ensure!(passed == 8, "echoed notes are passed on again");
    ensure!(answer.len() > 10, "the app is stopped by its own notes");
    Ok(())
}

/// Checks that a drum machine's MIDI clock sets the song's time: in *Trade* mode, the app plays in the second bar and
/// not in the third.
fn follow(synth: &Synth, keyboard: &Keyboard) -> Result<()> {
    let rate = f64::from(keyboard.client.as_client().sample_rate());
    let frames = |seconds: f64| (seconds * rate).round() as Frames;
    let start = keyboard.now() + frames(0.5);
    let tick_s = 60.0 / TEMPO / 24.0;
    let mut events: Vec<Timed> = vec![(start - 1, vec![0xfa])];
    let beats = 3 * 4 + 2;
    events.extend((0..beats * 24).map(|tick| (start + frames(f64::from(tick) * tick_s), vec![0xf8])));
    for (n, key) in (0..).zip([60, 64, 67, 72, 67, 64, 60]) {
        let at = start + frames(f64::from(n) * 0.25 + 0.05);
        events.push((at, vec![0x90, key, 90]));
        events.push((at + frames(0.2), vec![0x80, key, 0]));
    }
    events.sort_by_key(|(at, _)| *at);
    synth.forget();
    events.iter().for_each(|(at, bytes)| keyboard.send_at(*at, bytes));
    let end = events.last().context("there are events")?.0;
    synth.until(end + frames(0.2))?;
    let bar_of = |at: Frames| ((f64::from(at) - f64::from(start)) / rate / BAR_S).floor() as i32 + 1;
    let mut bars = [0; 5];
    for bar in synth.onsets().into_iter().map(bar_of) {
        bars[bar.clamp(0, 4) as usize] += 1;
    }
    println!("MIDI clock          notes by bar: {:?}; the second is the app's", &bars[1..]);
    ensure!(bars[1] == 7, "the player's notes do not pass, or the app plays in the player's bar");
    ensure!(bars[2] > 1 && bars[3] == 0, "the app does not keep to its bar");
    Ok(())
}
