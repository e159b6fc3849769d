//! `trainer humanize`: renders scores as in training, to listen to and to look at.

use crate::dataset::Piece;
use crate::error::BadInput;
use crate::files::{say, write_atomic};
use crate::pictures;
use crate::prepare;
use crate::train::humanize::humanize;
use anyhow::Context;
use midi::{Tempo, Track};
use model::Source;
use notes::Note;
use rand::seq::IndexedRandom;
use rand_pcg::Pcg32;
use std::path::PathBuf;

/// Render scores with the timing and dynamics used in training, as MIDI files and pictures.
///
/// Draws pieces whose source is a score, renders each with a random performer, and writes for each the score
/// (1-score.mid), the rendering (1.mid), and a piano roll of both (1.png).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer humanize --data DATA/polish --count 10 --out humanized")]
pub struct Args {
    /// Data set files from `prepare`, or folders of MIDI files.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Number of pieces.
    #[arg(long, default_value_t = 10)]
    count: usize,
    /// Directory to write to.
    #[arg(long, default_value = "humanized")]
    out: PathBuf,
    /// Seed for choosing pieces and performers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Maximum factor on the score's time, at least 1; factors are drawn between 1/TEMPO and TEMPO.
    #[arg(long, default_value_t = 1.4)]
    tempo: f64,
}

/// Draws pieces, renders and writes them, and prints their names.
pub fn run(args: Args) -> anyhow::Result<()> {
    if !(args.tempo >= 1.0 && args.tempo.is_finite()) {
        return Err(BadInput("--tempo must be at least 1".into()).into());
    }
    let data = prepare::open_all(&args.data)?;
    let scores: Vec<&Piece> = data.pieces.iter().filter(|piece| piece.source == Some(Source::Score)).collect();
    if scores.is_empty() {
        return Err(BadInput(
            "the data has no scores; a score is a piece whose `kind` in the manifest is `score`".into(),
        )
        .into());
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be created", args.out.display()))?;
    let rng = &mut Pcg32::new(args.seed, 0);
    let mut said = String::new();
    let drawn: Vec<&&Piece> = scores.choose_multiple(rng, args.count).collect();
    for (index, piece) in drawn.into_iter().enumerate() {
        let number = index + 1;
        let rng = &mut Pcg32::new(args.seed, number as u64);
        let played = humanize(piece, args.tempo, rng).notes;
        let at = |name: String| args.out.join(name);
        write_atomic(&at(format!("{number}-score.mid")), &file(&piece.notes))?;
        write_atomic(&at(format!("{number}.mid")), &file(&played))?;
        pictures::compare(&at(format!("{number}.png")), [("score", &piece.notes), ("played", &played)])?;
        said += &format!("{number}: {}/{}\n", piece.set, piece.name);
    }
    say(&said)
}

fn file(notes: &[Note]) -> Vec<u8> {
    midi::write(&[Track { name: "piano", channel: 0, notes }], Tempo::default())
}
