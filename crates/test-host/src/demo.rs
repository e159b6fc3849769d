//! `test-host demo`: plays a phrase to the plugin as a DAW would and saves the answer as MIDI, sound and picture.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use midi::{Tempo, Track};
use notes::Note;
use test_host::{Blocks, Output, Pace, Performer, PlayedNote, Plugin, SortedOutput, Status, Timeline};

use crate::phrase::Phrase;
use crate::roll::Roll;
use crate::{BadInput, sound};

/// Samples per second.
const RATE: f64 = 48_000.0;
/// Samples per block, a common setting of audio interfaces.
const BLOCK: u32 = 256;
/// The transport's tempo, in quarter notes per minute.
const TEMPO: f64 = 120.0;
/// Time for the plugin to end its notes after the transport stops, in blocks.
const BLOCKS_TO_END: u64 = 8;
/// In real time, the time for the network to load before anything is played, in seconds.
const SETTLE_S: f64 = 1.0;

/// Play a phrase to the built plugin and save its answer as played.mid, played.wav and played.png.
#[derive(Args)]
pub struct Options {
    /// Phrase to play, a MIDI file [default: a phrase that comes with the project].
    #[arg(value_name = "PHRASE.mid")]
    phrase: Option<PathBuf>,
    /// Directory for the results.
    #[arg(long, value_name = "DIR", env = "ANTIPHON_DEMO_DIR", default_value = "target/demo")]
    out: PathBuf,
    /// Time for which the plugin plays on after the phrase, in seconds.
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    seconds: f64,
    /// Seed of the continuation, 0-9999: the same seed gives the same notes.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u32,
    /// Weights file to play with [default: the built-in weights].
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Play offline, as fast as possible, instead of in real time.
    #[arg(long)]
    offline: bool,
    /// Soundfont (.sf2) for played.wav [default: one found on this system, or else a built-in voice].
    #[arg(long, value_name = "FILE.sf2")]
    soundfont: Option<PathBuf>,
}

/// The result of the demo.
struct Take {
    account: SortedOutput,
    /// Events sent out of order or outside their blocks.
    violations: Vec<String>,
    status: Status,
    /// Time in samples at which the transport stopped.
    length: u64,
    seconds_spent: f64,
}

/// Runs the demo and prints its table.
pub fn run(options: &Options) -> Result<()> {
    check(options)?;
    let phrase = Phrase::load(options.phrase.as_deref(), RATE)?;
    std::fs::create_dir_all(&options.out)
        .map_err(|e| BadInput(format!("cannot write into {}: {e}", options.out.display())))?;

    let take = play(options, &phrase)?;
    let hand_over = take.status.hand_over_s;
    let heard = notes(&SortedOutput::of(&[], &as_outputs(&phrase)).notes);
    let played = notes(&take.account.notes);

    let file = |name: &str| options.out.join(name);
    let tracks = [
        Track { name: "phrase", channel: 0, notes: &heard },
        Track { name: "continuation", channel: 1, notes: &played },
    ];
    let bytes = midi::write(&tracks, Tempo::bpm(TEMPO));
    std::fs::write(file("played.mid"), bytes).context("cannot write played.mid")?;
    let voice = sound::save(&[&heard, &played], options.soundfont.as_deref(), &file("played.wav"))?;
    let title = format!("{}, and what Antiphon made of it (seed {})", phrase.name, options.seed);
    Roll { title: &title, phrase: &heard, continuation: &played, hand_over, length: take.length as f64 / RATE }
        .save(&file("played.png"))?;

    print!("{}", table(options, &phrase, &take, &voice));
    println!("written to {}: played.mid, played.wav, played.png", options.out.display());
    judge(&take)
}

/// Checks the options before anything is played.
fn check(options: &Options) -> Result<()> {
    if !(options.seconds.is_finite() && options.seconds > 0.0) {
        bail!(BadInput("--seconds must be above 0".to_owned()));
    }
    if options.seed > 9999 {
        bail!(BadInput("--seed must be from 0 to 9999".to_owned()));
    }
    if let Some(path) = &options.weights {
        let name = path.display();
        let bytes = std::fs::read(path).map_err(|e| BadInput(format!("cannot read {name}: {e}")))?;
        model::Network::from_bytes(&bytes).map_err(|e| BadInput(format!("{name}: {e}")))?;
    }
    Ok(())
}

fn play(options: &Options, phrase: &Phrase) -> Result<Take> {
    Status::request();
    // SAFETY: the plugin is not loaded yet and this program has started no thread.
    unsafe {
        match &options.weights {
            Some(path) => std::env::set_var("ANTIPHON_WEIGHTS", path),
            None => std::env::remove_var("ANTIPHON_WEIGHTS"),
        }
    }
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    plugin.set("seed", &options.seed.to_string())?;
    plugin.set("turn", "until you play")?;
    plugin.set_offline(options.offline)?;
    let silence_s = plugin.number("silence")? / 1000.0;
    plugin.activate(RATE, BLOCK)?;

    let pace = if options.offline { Pace::Offline } else { Pace::RealTime };
    if !options.offline {
        // As in a DAW, where nobody starts playing the moment the plugin is opened.
        let mut idle = Performer::new(&[], Blocks::Of(BLOCK), pace, Some(Timeline::standing(TEMPO)));
        plugin.run(|audio| idle.play_until(audio, (SETTLE_S * RATE) as u64, |_| ()))?;
        plugin.deactivate();
        plugin.activate(RATE, BLOCK)?;
    }

    let turn = phrase.end + (silence_s * RATE) as u64;
    let stop = turn + (options.seconds * RATE) as u64;
    let mut progress = Progress::new(phrase.end, stop);
    let mut performer = Performer::new(&phrase.events, Blocks::Of(BLOCK), pace, Some(Timeline::rolling(TEMPO)));
    let began = Instant::now();
    let (outputs, violations) = plugin.run(|audio| {
        performer.play_until(audio, stop, |now| progress.show(now))?;
        if let Some(timeline) = &mut performer.timeline {
            timeline.playing = false;
        }
        performer.play_until(audio, stop + BLOCKS_TO_END * u64::from(BLOCK), |_| ())?;
        Ok((audio.take_outputs(), audio.violations().to_vec()))
    })?;
    progress.end();
    let seconds_spent = began.elapsed().as_secs_f64();
    let status = plugin.status()?;
    let account = SortedOutput::of(&phrase.events, &outputs);
    Ok(Take { account, violations, status, length: stop, seconds_spent })
}

/// The phrase's events as if the plugin had sent them, so that they can be paired in the same way.
fn as_outputs(phrase: &Phrase) -> Vec<Output> {
    phrase.events.iter().map(|timed| Output { at: timed.at, block: 0, event: timed.event }).collect()
}

fn notes(played: &[PlayedNote]) -> Vec<Note> {
    let seconds = |samples: u64| samples as f64 / RATE;
    played
        .iter()
        .map(|note| Note {
            onset: seconds(note.on),
            spread: 0.0,
            duration: seconds(note.off - note.on),
            pitch: note.key,
            velocity: note.velocity,
        })
        .collect()
}

fn table(options: &Options, phrase: &Phrase, take: &Take, voice: &str) -> String {
    let Take { account, status, .. } = take;
    let hand_over = status.hand_over_s;
    let first = hand_over.and_then(|turn| {
        let after = account.notes.iter().map(|note| note.on as f64 / RATE).filter(|on| *on >= turn);
        after.min_by(f64::total_cmp).map(|on| on - turn)
    });
    let time = |s: Option<f64>| s.map_or("none".to_owned(), |s| format!("{s:.3} s"));
    let micros = |us: Option<f64>| us.map_or("unknown".to_owned(), |us| format!("{:.3} ms", us / 1000.0));
    let weights = options.weights.as_ref().map_or("built in".to_owned(), |path| path.display().to_string());
    let pace = if options.offline { "offline" } else { "in real time" };
    let rows = [
        ("phrase", phrase.name.clone()),
        ("warnings", if phrase.warnings.is_empty() { "none".to_owned() } else { phrase.warnings.clone() }),
        ("weights, seed", format!("{weights}, {}", options.seed)),
        ("played", format!("{:.1} s {pace}, in {:.1} s", take.length as f64 / RATE, take.seconds_spent)),
        ("notes heard", format!("{} of {}", status.heard, phrase.notes)),
        ("notes played", account.notes.len().to_string()),
        ("hand-over", time(hand_over)),
        ("first note after", time(first)),
        ("late notes", format!("{} shifted, {} dropped", status.late, status.dropped)),
        ("model time per note", format!("{}, at most {}", micros(status.note_us), micros(status.longest_note_us))),
        ("sound", voice.to_owned()),
    ];
    rows.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:20} {value}");
        text
    })
}

/// Fails (exit code 1) if the plugin did anything wrong.
fn judge(take: &Take) -> Result<()> {
    let mut faults = take.violations.clone();
    faults.extend(take.account.faults());
    if let Some(first) = faults.first() {
        bail!("the plugin broke the rules {} times, first: {first}", faults.len());
    }
    ensure!(take.status.health == "ready", "the plugin did not become ready: {}", take.status.health);
    ensure!(!take.account.notes.is_empty(), "the plugin played nothing");
    Ok(())
}

/// A progress line, shown if stderr is a terminal.
struct Progress {
    phrase_end: u64,
    stop: u64,
    shown: Option<u64>,
}

impl Progress {
    fn new(phrase_end: u64, stop: u64) -> Self {
        let shown = if std::io::stderr().is_terminal() { Some(u64::MAX) } else { None };
        Self { phrase_end, stop, shown }
    }

    fn show(&mut self, now: u64) {
        // Updated every tenth of a second.
        let step = now / (RATE as u64 / 10);
        if self.shown.is_some_and(|shown| shown != step) {
            self.shown = Some(step);
            let who = if now < self.phrase_end { "the phrase" } else { "Antiphon " };
            eprint!("\r{who} plays: {:5.1} of {:.1} s ", now as f64 / RATE, self.stop as f64 / RATE);
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&self) {
        if self.shown.is_some() {
            eprint!("\r{:40}\r", "");
        }
    }
}
