//! `trainer humanize`: scores as training hears them, to listen to and to look at.

use crate::dataset::Piece;
use crate::error::BadInput;
use crate::files::{say, write_whole};
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

/// Play scores as training hears them: MIDI files and pictures to judge by.
///
/// Draws pieces whose source is a score, lets a performer play each, and writes for each of them what the score
/// says (1-score.mid), what is played (1.mid), and both as a piano roll (1.png).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer humanize --data DATA/polish --count 10 --out humanized")]
pub struct Args {
    /// Folders of MIDI files or data set files.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// How many.
    #[arg(long, default_value_t = 10)]
    count: usize,
    /// Folder to write to.
    #[arg(long, default_value = "humanized")]
    out: PathBuf,
    /// Draws pieces and performers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Factor on the score's time: at most that, and at least one over it.
    #[arg(long, default_value_t = 1.4)]
    tempo: f64,
}

/// Draws, plays, writes, says what.
pub fn run(args: Args) -> anyhow::Result<()> {
    if !(args.tempo >= 1.0 && args.tempo.is_finite()) {
        return Err(BadInput("--tempo is a factor of at least 1".into()).into());
    }
    let data = prepare::open_all(&args.data)?;
    let scores: Vec<&Piece> = data.pieces.iter().filter(|piece| piece.source == Some(Source::Score)).collect();
    if scores.is_empty() {
        return Err(BadInput("the data has no scores: their manifests say `kind` = score".into()).into());
    }
    std::fs::create_dir_all(&args.out).with_context(|| format!("{}: cannot be made", args.out.display()))?;
    let rng = &mut Pcg32::new(args.seed, 0);
    let mut said = String::new();
    let drawn: Vec<&&Piece> = scores.choose_multiple(rng, args.count).collect();
    for (index, piece) in drawn.into_iter().enumerate() {
        let number = index + 1;
        let rng = &mut Pcg32::new(args.seed, number as u64);
        let played = humanize(piece, args.tempo, rng).notes;
        let at = |name: String| args.out.join(name);
        write_whole(&at(format!("{number}-score.mid")), &file(&piece.notes))?;
        write_whole(&at(format!("{number}.mid")), &file(&played))?;
        pictures::compare(&at(format!("{number}.png")), [("score", &piece.notes), ("played", &played)])?;
        said += &format!("{number}: {}/{}\n", piece.set, piece.name);
    }
    say(&said)
}

fn file(notes: &[Note]) -> Vec<u8> {
    midi::write(&[Track { name: "piano", channel: 0, notes }], Tempo::default())
}
