//! The system's native audio and MIDI: ALSA, CoreMIDI or WinMM, and an audio device that drives the blocks. Without a
//! device a timer does, so that MIDI keeps working; a device that has gone is reopened when it is back.
//!
//! These MIDI interfaces have timestamps in system time, not samples. What comes in during one block is played in the
//! next one with the same spacing, so its rhythm is preserved; what goes out is sent at the right time by a separate
//! thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use midir::{Ignore, MidiIO, MidiInput, MidiInputConnection, MidiOutput, MidiOutputConnection};
use rtrb::{Consumer, Producer, RingBuffer};

use super::host::{CHANNELS, Host, Incoming, PIECE, Requests, Song};
use super::keeper::MidiSystem;
use super::message::Message;
use super::ports::Ports;
use super::sound::{self, Sound};
use crate::ports::Direction;

/// The app's name as a MIDI client.
const NAME: &str = "Antiphon";
/// Capacity of the queues of messages, in and out.
const MESSAGES: usize = 4_096;
/// How often the sending thread checks for messages.
const TICK: Duration = Duration::from_millis(1);
/// The interval between attempts to open an audio device.
const AGAIN: Duration = Duration::from_secs(3);
/// Sample rate of the timer.
pub const RATE: u32 = 48_000;

/// A message, and when it arrived or is to be sent.
type Timed = (Instant, Message);

/// The host and its MIDI queues, for whatever drives the blocks.
pub struct BlockRunner {
    host: Arc<Mutex<Host>>,
    requests: Arc<Requests>,
    incoming: Consumer<Timed>,
    outgoing: Producer<Timed>,
    /// Messages that come in with the current block.
    block: VecDeque<Incoming>,
    /// When the previous block began.
    before: Instant,
    rate: f64,
    /// Samples since this driver started.
    played: u64,
}

impl BlockRunner {
    /// Restarts for a new driver with this sample rate. Not on the audio thread.
    pub fn start(&mut self, rate: f64) {
        (self.rate, self.played, self.before) = (rate, 0, Instant::now());
        self.host.lock().unwrap_or_else(PoisonError::into_inner).start(rate);
    }

    /// Plays a block that begins now.
    #[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
    #[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
    pub fn block(&mut self, now: Instant, audio: [&mut [f32]; CHANNELS]) {
        let frames = audio.iter().map(|channel| channel.len()).min().unwrap_or_default();
        self.block.clear();
        let mut latest = 0;
        while self.block.len() < self.block.capacity()
            && let Ok((came, message)) = self.incoming.pop()
        {
            let after = came.saturating_duration_since(self.before).as_secs_f64() * self.rate;
            latest = (after as u32).min((frames as u32).saturating_sub(1)).max(latest);
            self.block.push_back((latest, message));
        }
        let (rate, requests, outgoing) = (self.rate, &self.requests, &mut self.outgoing);
        // There is no transport: the song runs from the start.
        let song = Song { playing: true, seconds: Some(self.played as f64 / rate), ..Song::default() };
        // The lock is only taken while the driver changes: this one is about to end.
        if let Ok(mut host) = self.host.try_lock() {
            host.block(audio, song, self.block.make_contiguous(), |at, message| {
                let due = now + Duration::from_secs_f64(f64::from(at) / rate);
                if outgoing.push((due, *message)).is_err() {
                    // No room: end the affected notes in the next block.
                    requests.silence_output.store(true, Ordering::Relaxed);
                }
            });
        }
        (self.before, self.played) = (now, self.played + frames as u64);
    }
}

/// Shared by the drivers; one uses it at a time.
pub type SharedBlockRunner = Arc<Mutex<BlockRunner>>;

/// The native MIDI and audio.
pub struct Native {
    midi: Option<Midi>,
    clock: Clock,
    runner: SharedBlockRunner,
    /// The wanted audio device (`None`: the system's default) and its block size in samples.
    device: Option<String>,
    period: u32,
    /// When opening the device was last attempted, and what went wrong.
    tried: Instant,
    trouble: Option<String>,
}

/// What drives the blocks.
enum Clock {
    None,
    Sound(Sound),
    Timer(#[allow(dead_code, reason = "dropping it ends it")] Timer),
}

impl Native {
    /// Opens MIDI and audio. `silent`: neither.
    pub fn new(host: Arc<Mutex<Host>>, device: Option<String>, period: u32, silent: bool) -> Self {
        let (arrives, incoming) = RingBuffer::new(MESSAGES);
        let (outgoing, leaves) = RingBuffer::new(MESSAGES);
        let requests = host.lock().unwrap_or_else(PoisonError::into_inner).requests();
        let block = VecDeque::with_capacity(MESSAGES);
        let before = Instant::now();
        let runner = BlockRunner { host, requests, incoming, outgoing, block, before, rate: RATE.into(), played: 0 };
        let runner = Arc::new(Mutex::new(runner));
        let midi = (!silent).then(|| Midi::open(arrives, leaves));
        let mut native = Self { midi, clock: Clock::None, runner, device, period, tried: before, trouble: None };
        native.drive();
        native
    }

    /// Makes the audio device drive the blocks, or a timer if it cannot be opened.
    fn drive(&mut self) {
        self.tried = Instant::now();
        let opened = match self.midi {
            Some(_) => Sound::open(&self.runner, self.device.as_deref(), self.period),
            None => Err(String::new()),
        };
        match opened {
            Ok(sound) => {
                self.trouble = None;
                self.clock = Clock::Sound(sound);
            }
            Err(trouble) => {
                self.trouble = Some(trouble).filter(|trouble| !trouble.is_empty());
                if !matches!(self.clock, Clock::Timer(_)) {
                    self.clock = Clock::Timer(Timer::start(self.runner.clone()));
                }
            }
        }
    }
}

impl MidiSystem for Native {
    fn poll(&mut self) -> Ports {
        let is_lost = matches!(&self.clock, Clock::Sound(sound) if sound.is_lost());
        if is_lost {
            self.clock = Clock::None;
        }
        // Listing devices takes time, and some systems open each one: never while one is playing.
        let waits = matches!(&self.clock, Clock::Timer(_)) && self.midi.is_some() && self.tried.elapsed() > AGAIN;
        if is_lost || waits && sound::is_there(self.device.as_deref()) {
            self.clock = Clock::None;
            self.drive();
        }
        match &self.midi {
            Some(midi) => Ports { midi_in: names(&midi.inputs), midi_out: names(&midi.outputs), ..Ports::default() },
            None => Ports { none: true, ..Ports::default() },
        }
    }

    fn connect(&mut self, direction: Direction, port: Option<&str>) -> Result<(), String> {
        let Some(midi) = &mut self.midi else {
            return Ok(());
        };
        match direction {
            Direction::In => midi.connect_input(port),
            Direction::Out => midi.connect_output(port),
        }
    }

    // Never: a device that is plugged in again takes longer than a poll to appear, and then has another number.
    fn was_replugged(&self, _: Direction, _: &str) -> bool {
        false
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }
}

/// The names of the MIDI ports, except the app's own.
pub fn names<M: MidiIO>(midi: &Option<M>) -> Vec<String> {
    let Some(midi) = midi else {
        return Vec::new();
    };
    let mut names: Vec<String> = midi.ports().iter().filter_map(|port| midi.port_name(port).ok()).collect();
    names.retain(|name| !name.starts_with(&format!("{NAME}:")));
    names
}

/// The available MIDI inputs and outputs.
pub fn find() -> [Vec<String>; 2] {
    [names(&MidiInput::new(NAME).ok()), names(&MidiOutput::new(NAME).ok())]
}

/// The system's MIDI, and the thread that sends.
struct Midi {
    /// These list the ports.
    inputs: Option<MidiInput>,
    outputs: Option<MidiOutput>,
    input: Option<MidiInputConnection<()>>,
    output: SharedOutput,
    arrives: Arc<Mutex<Producer<Timed>>>,
    stop: Arc<AtomicBool>,
    sender: Option<thread::JoinHandle<()>>,
}

type SharedOutput = Arc<Mutex<Option<MidiOutputConnection>>>;

impl Midi {
    fn open(arrives: Producer<Timed>, leaves: Consumer<Timed>) -> Self {
        let output = SharedOutput::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (output.clone(), stop.clone());
        let sender = thread::Builder::new().name("antiphon MIDI out".to_owned());
        // If the thread cannot be started, nothing is sent, but everything else works.
        let sender = sender.spawn(move || send(leaves, &shared, &stopped)).ok();
        Self {
            inputs: MidiInput::new(NAME).ok(),
            outputs: MidiOutput::new(NAME).ok(),
            input: None,
            output,
            arrives: Arc::new(Mutex::new(arrives)),
            stop,
            sender,
        }
    }

    fn connect_input(&mut self, port: Option<&str>) -> Result<(), String> {
        // Close the old connection first: it uses the queue.
        self.input = None;
        let Some(name) = port else {
            return Ok(());
        };
        let failed =
            |why: String| format!("The MIDI input `{name}` cannot be opened ({why}). Another program may be using it.");
        let mut midi = MidiInput::new(NAME).map_err(|error| failed(error.to_string()))?;
        midi.ignore(Ignore::SysexAndActiveSense);
        let port = find_port(&midi, name).ok_or_else(|| failed("it is no longer connected".to_owned()))?;
        let arrives = self.arrives.clone();
        let receive = move |_, bytes: &[u8], (): &mut ()| {
            if let Some(message) = Message::read(bytes) {
                // Full only while no blocks are played: then nothing would play it anyway.
                let _ = lock(&arrives).push((Instant::now(), message));
            }
        };
        let connected = midi.connect(&port, "MIDI input", receive, ());
        self.input = Some(connected.map_err(|error| failed(error.to_string()))?);
        Ok(())
    }

    fn connect_output(&mut self, port: Option<&str>) -> Result<(), String> {
        *lock(&self.output) = None;
        let Some(name) = port else {
            return Ok(());
        };
        let failed = |why: String| {
            format!("The MIDI output `{name}` cannot be opened ({why}). Another program may be using it.")
        };
        let midi = MidiOutput::new(NAME).map_err(|error| failed(error.to_string()))?;
        let port = find_port(&midi, name).ok_or_else(|| failed("it is no longer connected".to_owned()))?;
        let connected = midi.connect(&port, "MIDI output").map_err(|error| failed(error.to_string()))?;
        *lock(&self.output) = Some(connected);
        Ok(())
    }
}

impl Drop for Midi {
    fn drop(&mut self) {
        self.input = None;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take() {
            // It is too late to report a panic of the thread.
            let _ = sender.join();
        }
    }
}

fn find_port<M: MidiIO>(midi: &M, name: &str) -> Option<M::Port> {
    midi.ports().into_iter().find(|port| midi.port_name(port).as_deref() == Ok(name))
}

/// Runs on the sending thread: sends each message when it is due; at the end, everything that is left.
fn send(mut leaves: Consumer<Timed>, output: &SharedOutput, stop: &AtomicBool) {
    loop {
        let stopped = stop.load(Ordering::Relaxed);
        while let Ok((due, message)) = leaves.pop() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if let Some(output) = &mut *lock(output) {
                // If the port has gone, the message is lost; the keeper notices that.
                let _ = output.send(message.bytes());
            }
        }
        if stopped {
            return;
        }
        thread::sleep(TICK);
    }
}

/// Drives the blocks by the system clock, without an audio device.
struct Timer {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Timer {
    fn start(runner: SharedBlockRunner) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let work = move || {
            lock(&runner).start(RATE.into());
            let mut audio = [(); CHANNELS].map(|()| vec![0.0; PIECE]);
            let (began, mut blocks) = (Instant::now(), 0_u32);
            while !stopped.load(Ordering::Relaxed) {
                let [left, right] = &mut audio;
                lock(&runner).block(Instant::now(), [left, right]);
                blocks += 1;
                let due = began + Duration::from_secs_f64(f64::from(blocks) * PIECE as f64 / f64::from(RATE));
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        };
        Self { stop, thread: thread::Builder::new().name("antiphon timer".to_owned()).spawn(work).ok() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It is too late to report a panic of the thread.
            let _ = thread.join();
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without an audio device, blocks run in real time, and MIDI passes through one block later.
    #[test]
    fn midi_goes_on_without_an_audio_device() {
        let (mut arrives, incoming) = RingBuffer::new(16);
        let (outgoing, mut leaves) = RingBuffer::new(256);
        let host = Arc::new(Mutex::new(Host::new(120.0)));
        let requests = lock(&host).requests();
        let before = Instant::now();
        let runner = BlockRunner {
            host,
            requests,
            incoming,
            outgoing,
            block: VecDeque::with_capacity(16),
            before,
            rate: RATE.into(),
            played: 0,
        };
        let timer = Timer::start(Arc::new(Mutex::new(runner)));
        let patience = before + Duration::from_secs(20);
        let mut passed = Vec::new();
        for bytes in [[0x90, 60, 80], [0x80, 60, 0]] {
            let message = Message::read(&bytes).unwrap();
            arrives.push((Instant::now(), message)).unwrap();
            while passed.last().is_none_or(|(_, last)| *last != message) {
                assert!(Instant::now() < patience, "{message:?} does not pass");
                passed.extend(std::iter::from_fn(|| leaves.pop().ok()));
                thread::sleep(TICK);
            }
        }
        assert_eq!(passed.len(), 2);
        drop(timer);
        assert!(leaves.is_abandoned(), "the timer has ended");
    }
}
