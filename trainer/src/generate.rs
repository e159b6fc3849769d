//! `trainer generate` and `trainer continue`: a network plays into a MIDI file.

use crate::error::{bad_input, read_input};
use crate::files::write_atomic;
use crate::play::{self, Length, Sampling, Searching, not_negative};
use crate::search;
use midi::{Tempo, Track};
use model::search::Search;
use model::{Decoder, Kind};
use notes::{Note, chords};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Generate music with a network, from nothing.
///
/// The same weights, seed and settings give the same notes on machines of the same kind.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer generate --weights weights/antiphon.safetensors --seed 7 --out take.mid")]
pub struct GenerateArgs {
    #[command(flatten)]
    playing: Playing,
    /// Stop after this many notes [default: no limit].
    #[arg(long, value_name = "N")]
    notes: Option<usize>,
}

/// Continue the music in a MIDI file with a network.
///
/// The network receives the whole file as its prompt and continues from the last note. The result has two tracks: the
/// phrase on channel 1 and the continuation on channel 2.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: trainer continue phrase.mid --weights weights/antiphon.safetensors --out both.mid --seconds 30"
)]
pub struct ContinueArgs {
    /// Phrase to continue, a MIDI file.
    #[arg(value_name = "IN.mid")]
    phrase: PathBuf,
    #[command(flatten)]
    playing: Playing,
    /// Silence that has passed since the phrase's last onset, in seconds; no note of the continuation comes earlier.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS", value_parser = not_negative)]
    silence: f64,
    /// For networks of kind seed only: do not feed a begin-of-sequence after the phrase.
    #[arg(long)]
    no_begin_of_sequence: bool,
    #[command(flatten)]
    searching: Searching,
}

/// Options that both commands have in common.
#[derive(Debug, clap::Args)]
struct Playing {
    /// Weights file of the network.
    #[arg(long, short, value_name = "FILE")]
    weights: PathBuf,
    /// MIDI file to write.
    #[arg(long, short, value_name = "OUT.mid")]
    out: PathBuf,
    /// Seed of the take.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Maximum length of the take, in seconds.
    #[arg(long, default_value_t = 60.0, value_name = "SECONDS", value_parser = not_negative)]
    seconds: f64,
    #[command(flatten)]
    sampling: Sampling,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Playing {
    fn report(&self, phrase: &[Note], take: &[Note], started: Instant) {
        let from = phrase.last().map_or(0.0, |note| note.onset);
        let seconds = take.last().map_or(0.0, |note| note.onset - from);
        let model_ms = started.elapsed().as_secs_f64() * 1e3 / (phrase.len() + take.len()).max(1) as f64;
        if self.json {
            println!(
                "{}",
                json!({
                    "notes_heard": phrase.len(), "notes_played": take.len(), "seconds_played": seconds,
                    "seed": self.seed, "model_ms_per_note": model_ms, "out": self.out.display().to_string(),
                })
            );
        } else {
            let heard = if phrase.is_empty() { String::new() } else { format!("{} notes heard, ", phrase.len()) };
            println!(
                "{heard}{} notes played in {seconds:.1} s (seed {}, {model_ms:.2} ms a note) -> {}",
                take.len(),
                self.seed,
                self.out.display()
            );
        }
    }
}

/// Runs `trainer generate`.
pub fn generate(args: GenerateArgs) -> anyhow::Result<()> {
    let playing = &args.playing;
    let network = play::load_network(&playing.weights)?;
    let controls = playing.sampling.controls(&network);
    let started = Instant::now();
    let mut decoder = Decoder::new(network);
    let length = Length { seconds: playing.seconds, notes: args.notes.unwrap_or(usize::MAX) };
    let take = play::from_scratch(&mut decoder, &controls, playing.seed, length);
    let tracks = [Track { name: "Antiphon", channel: 0, notes: &take }];
    write_atomic(&playing.out, &midi::write(&tracks, Tempo::default()))?;
    playing.report(&[], &take, started);
    Ok(())
}

/// Runs `trainer continue`.
pub fn continue_phrase(args: ContinueArgs) -> anyhow::Result<()> {
    let playing = &args.playing;
    let phrase = read_phrase(&args.phrase)?;
    let network = play::load_network(&playing.weights)?;
    if args.no_begin_of_sequence && network.kind() != Kind::Seed {
        return Err(bad_input(&playing.weights, "--no-begin-of-sequence works only with seed networks; leave it out"));
    }
    let controls = playing.sampling.controls(&network);
    let started = Instant::now();
    let mut decoder = Decoder::new(network);
    play::feed_phrase(&mut decoder, &phrase);
    if !args.no_begin_of_sequence {
        decoder.hand_over();
    }
    let length = Length { seconds: playing.seconds, notes: usize::MAX };
    let style = args.searching.style(controls, Search::DEFAULT_TAKES);
    let take = search::take(&mut decoder, &style, &phrase, playing.seed, args.silence, length);
    let tracks =
        [Track { name: "Phrase", channel: 0, notes: &phrase }, Track { name: "Antiphon", channel: 1, notes: &take }];
    write_atomic(&playing.out, &midi::write(&tracks, Tempo::default()))?;
    playing.report(&phrase, &take, started);
    Ok(())
}

/// Reads a MIDI file and makes its notes canonical; onsets are not shifted.
fn read_phrase(path: &Path) -> anyhow::Result<Vec<Note>> {
    let mut notes = midi::read(&read_input(path)?).map_err(|error| bad_input(path, error))?.notes;
    chords::canonicalize(&mut notes);
    Ok(notes)
}
