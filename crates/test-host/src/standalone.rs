//! `host standalone`: plays to the standalone app over JACK as a keyboard would, and checks the MIDI that it sends and
//! the sound of its piano. Needs a running JACK server; `cargo xtask standalone` starts one without a sound card.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use jack::{AudioIn, Client, ClientOptions, Control, Frames, MidiIn, MidiOut, Port, ProcessHandler, ProcessScope};
use test_host::{Event, Output, SortedOutput, Timed};

use crate::phrase::Phrase;
use crate::stage;

/// The name of this client, and the names of its ports.
const NAME: &str = "keyboard";
const KEYS: &str = "keyboard:keys";
const EARS: &str = "keyboard:ears";
/// JACK's name for the type of audio ports.
const AUDIO: &str = "32 bit float mono audio";
/// The app's default silence before it plays, in seconds.
const SILENCE_S: f64 = 0.8;
/// Time limit for the continuation to begin after the silence, in seconds; the model's first note may itself come after
/// a rest.
const TIMEOUT_S: f64 = 3.0;
/// Time for which the continuation plays before the player enters again, in seconds.
const LISTEN_S: f64 = 8.0;
/// Length of the player's last note, and the time after it in which everything must end, in seconds; shorter than the
/// silence.
const LAST_S: f64 = 0.4;
const REST_S: f64 = 0.6;
/// Length of a window in which loudness is measured, in samples.
const WINDOW: u64 = 4_800;
/// Minimum level of an audible sound; full scale is 1.
const HEARD: f32 = 0.01;
/// Time limit for the server or the app to start, and for the app to end.
const WAIT: Duration = Duration::from_secs(20);

/// Play to the standalone app over JACK and end it while it plays; fail if notes are lost or hang, the continuation is
/// too early or missing, or the piano is silent. Then test situations in live use: unplugging, block sizes, echoes,
/// MIDI clock.
#[derive(Args)]
pub struct Options {
    /// Path of the standalone app.
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
}

/// Runs the test and prints the results.
pub fn run(options: &Options) -> Result<()> {
    let client = connect()?;
    let rate = f64::from(client.sample_rate() as u32);
    let samples = |seconds: f64| (seconds * rate).round() as u64;
    let phrase = Phrase::load(None, rate)?;
    let entry = phrase.end + samples(LISTEN_S);
    let mut events = phrase.events.clone();
    events.push(Timed { at: entry, event: Event::note_on(0, 60, 80) });
    events.push(Timed { at: entry + samples(LAST_S), event: Event::note_off(0, 60) });
    let end = entry + samples(LAST_S + REST_S);

    let period = client.buffer_size();
    let begun = Arc::new(AtomicBool::new(false));
    let now = Arc::new(AtomicU64::new(0));
    let sounding = Arc::new(AtomicI64::new(0));
    let player = Player {
        keys: client.register_port("keys", MidiOut::default())?,
        ears: client.register_port("ears", MidiIn::default())?,
        piano: client.register_port("piano", AudioIn::default())?,
        events: events.clone(),
        next: 0,
        heard: Vec::with_capacity(1 << 16),
        loudness: vec![0.0; (end / WINDOW + 2) as usize],
        begun: begun.clone(),
        now: now.clone(),
        sounding: sounding.clone(),
    };
    let client = client.activate_async(Xruns::default(), player)?;

    let home = tempfile::tempdir()?;
    let program = Program::start(&options.program, home.path(), &["--midi-in", KEYS, "--midi-out", EARS])?;
    wait("the app does not connect its ports", || {
        let is_connected = |name| {
            let port = client.as_client().port_by_name(name)?;
            port.connected_count().ok().filter(|count| *count > 0)
        };
        is_connected(KEYS).is_some() && is_connected(EARS).is_some()
    })?;
    let outputs = client.as_client().ports(Some("^antiphon:"), Some(AUDIO), jack::PortFlags::IS_OUTPUT);
    let left = outputs.first().context("the app has no audio output")?;
    client.as_client().connect_ports_by_name(left, &format!("{NAME}:piano"))?;

    begun.store(true, Ordering::Release);
    while now.load(Ordering::Acquire) < end {
        std::thread::sleep(Duration::from_millis(100));
    }
    // The app continues after the player's last note, too. It is ended in the middle of that, and must end its notes,
    // or a connected synthesizer would sound forever.
    wait("the app does not continue a second time", || sounding.load(Ordering::Acquire) > 0)?;
    program.end()?;
    let remembered = list(&options.program, home.path())?;
    let (_, xruns, player) = client.deactivate()?;
    ensure!(!player.heard.is_empty(), "the app sent nothing");

    // The connections form a loop, which JACK breaks by delaying one of them: everything comes back a period later.
    let delay = player.heard[0].at - events[0].at.min(player.heard[0].at);
    ensure!(delay <= 2 * u64::from(period), "the first note comes back after {delay} samples");
    let sent: Vec<Timed> = events.iter().map(|timed| Timed { at: timed.at + delay, ..*timed }).collect();
    let account = SortedOutput::of(&sent, &player.heard);
    let is_pedal = |event: &Event| matches!(event, Event::Midi([0xb0, ..]));
    let pedals = |events: &mut dyn Iterator<Item = Event>| events.filter(|event| is_pedal(event)).count();
    let pedals_in = pedals(&mut sent.iter().map(|timed| timed.event));
    let pedals_out = pedals(&mut player.heard.iter().map(|output| output.event));
    let first = account.notes.first().map_or(u64::MAX, |note| note.on);
    let wait_s = (first as f64 - (phrase.end + delay) as f64) / rate;
    let loudest = |from: u64, to: u64| {
        let windows = (from / WINDOW) as usize..(to / WINDOW) as usize;
        player.loudness[windows].iter().copied().fold(0.0, f32::max)
    };
    let before = loudest(0, events[0].at);
    let (yours, mine) = (loudest(events[0].at, phrase.end), loudest(first.min(end), entry));

    println!("server              {rate} Hz, periods of {period} samples, {} missed", xruns.0);
    println!("passed              {} of {} note events, {delay} samples later", account.passed, sent.len() - pedals_in);
    println!("pedal               {pedals_out} of {pedals_in} moves");
    println!("continuation        {} notes, the first {wait_s:.3} s after the last key", account.notes.len());
    println!("left hanging        {}", account.hanging.len());
    println!("piano, loudest      {before:.4} before, {yours:.3} under the phrase, {mine:.3} in the continuation");

    if let Some(fault) = account.faults().first() {
        bail!("{fault}");
    }
    ensure!(pedals_in == pedals_out, "the pedal does not pass");
    ensure!(account.notes.len() > 10, "the continuation has too few notes");
    let in_time = SILENCE_S - f64::from(period) / rate..SILENCE_S + TIMEOUT_S;
    ensure!(in_time.contains(&wait_s), "the continuation does not begin after the silence");
    ensure!(before == 0.0, "the piano sounds before anything was played");
    ensure!(yours > HEARD && mine > HEARD, "the piano is not heard");
    let chosen = remembered.lines().filter(|line| line.trim_start().starts_with('*')).count();
    let is_chosen = |name: &str| remembered.lines().any(|line| line.starts_with(" * ") && line.ends_with(name));
    ensure!(chosen == 2 && is_chosen(KEYS) && is_chosen(EARS), "the ports are not remembered:\n{remembered}");
    stage::run(&options.program)
}

/// Connects to the server, waiting for it to start.
fn connect() -> Result<Client> {
    let began = Instant::now();
    loop {
        match Client::new(NAME, ClientOptions::NO_START_SERVER | ClientOptions::USE_EXACT_NAME) {
            Ok((client, _)) => return Ok(client),
            Err(error) if began.elapsed() > WAIT => return Err(error).context("no JACK server is running"),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Waits until `done` returns `true`; an error with the text `what` if that takes longer than [`WAIT`].
pub fn wait(what: &str, mut done: impl FnMut() -> bool) -> Result<()> {
    let began = Instant::now();
    while !done() {
        ensure!(began.elapsed() < WAIT, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The app, running without a window; killed when dropped.
pub struct Program(Child);

impl Program {
    /// Starts the app; its settings are stored below `home`.
    pub fn start(program: &Path, home: &Path, args: &[&str]) -> Result<Self> {
        let child = command(program, home).arg("--no-window").args(args).spawn();
        Ok(Self(child.with_context(|| format!("cannot start {}", program.display()))?))
    }

    /// Ends the app with SIGINT, as Ctrl-C does, and waits for it.
    pub fn end(mut self) -> Result<()> {
        // SAFETY: it is our child process and has not been waited for yet.
        unsafe { libc::kill(self.0.id() as libc::pid_t, libc::SIGINT) };
        let mut status = None;
        wait("the app does not exit", || {
            status = self.0.try_wait().ok().flatten();
            status.is_some()
        })?;
        ensure!(status.is_some_and(|status| status.success()), "the app exited with {status:?}");
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The app's list of ports, with the chosen ones marked.
fn list(program: &Path, home: &Path) -> Result<String> {
    let output = command(program, home).arg("--ports").stdout(Stdio::piped()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command for the app that stores its settings in `home` instead of in the user's folder.
fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("XDG_CONFIG_HOME", home).args(["--system", "jack"]);
    command
}

/// JACK's process callback: sends the events at their samples and records what comes back.
struct Player {
    keys: Port<MidiOut>,
    ears: Port<MidiIn>,
    piano: Port<AudioIn>,
    events: Vec<Timed>,
    next: usize,
    heard: Vec<Output>,
    /// The level of the loudest sample of each window.
    loudness: Vec<f32>,
    begun: Arc<AtomicBool>,
    /// Samples since `begun` was set.
    now: Arc<AtomicU64>,
    /// Number of note-ons minus number of note-offs received.
    sounding: Arc<AtomicI64>,
}

impl ProcessHandler for Player {
    fn process(&mut self, _: &Client, scope: &ProcessScope) -> Control {
        let mut keys = self.keys.writer(scope);
        if !self.begun.load(Ordering::Acquire) {
            return Control::Continue;
        }
        let start = self.now.load(Ordering::Relaxed);
        let end = start + u64::from(scope.n_frames());
        while let Some(timed) = self.events.get(self.next).filter(|timed| timed.at < end) {
            let message = jack::RawMidi { time: (timed.at - start) as Frames, bytes: &bytes(&timed.event) };
            // An event that does not fit is lost, and the checks of the output will notice.
            let _ = keys.write(&message);
            self.next += 1;
        }
        for message in self.ears.iter(scope) {
            if let &[status, first, second] = message.bytes {
                let change = match (status & 0xf0, second) {
                    (0x90, 1..) => 1,
                    (0x80 | 0x90, _) => -1,
                    _ => 0,
                };
                self.sounding.fetch_add(change, Ordering::Release);
                let event = Event::Midi([status, first, second]);
                self.heard.push(Output { at: start + u64::from(message.time), block: 0, event });
            }
        }
        for (sample, at) in self.piano.as_slice(scope).iter().zip(start..) {
            if let Some(loudest) = self.loudness.get_mut((at / WINDOW) as usize) {
                *loudest = loudest.max(sample.abs());
            }
        }
        self.now.store(end, Ordering::Release);
        Control::Continue
    }
}

/// Number of missed periods (xruns).
#[derive(Default)]
pub struct Xruns(usize);

impl jack::NotificationHandler for Xruns {
    fn xrun(&mut self, _: &Client) -> Control {
        self.0 += 1;
        Control::Continue
    }
}

fn bytes(event: &Event) -> [u8; 3] {
    match *event {
        Event::NoteOn { channel, key, velocity } => [0x90 | channel as u8, key as u8, (velocity * 127.0).round() as u8],
        Event::NoteOff { channel, key, .. } => [0x80 | channel as u8, key as u8, 0],
        Event::Midi(bytes) => bytes,
        _ => unreachable!("a phrase has notes and pedals"),
    }
}
