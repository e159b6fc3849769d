//! `trainer evaluate`: measures weights on music that they were not trained on.

use crate::dataset::{Dataset, Piece, Split};
use crate::error::bad_input;
use crate::measures::baselines::{Markov, Unigram};
use crate::measures::copier::Copier;
use crate::measures::degeneration;
use crate::measures::diversity;
use crate::measures::entry;
use crate::measures::excerpts::{Excerpt, excerpts_by_work, thinned};
use crate::measures::fit;
use crate::measures::histogram::{self, Histograms};
use crate::measures::likelihood;
use crate::measures::report::{Baseline, Baselines, DegenerationReport, Halves, Report};
use crate::measures::similarity;
use crate::measures::two_sample::{self, Options};
use crate::play::{Length, Sampling, Searching};
use crate::{card, files, pictures, prepare, progress};
use model::{Network, Precision, Weights};
use notes::Note;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Number of random halvings for the `split_halves` baseline.
const HALVINGS: u64 = 10;
/// Lengths of the free runs, in seconds.
const SHORT_RUN_S: f64 = 60.0;
const LONG_RUN_S: f64 = 600.0;
/// Maximum number of prompts from one work for the judge.
const MAX_OF_A_WORK: usize = 16;

/// Measure weights on music that they were not trained on.
///
/// nats: nats per note on a 10 ms grid, comparable across networks, and the seed project's loss (cross-entropy + MSE +
/// MSE).
///
/// jsd: Jensen-Shannon divergence of pitch, step and duration between takes generated from nothing and the real pieces,
/// and similarity of their features (Yang and Lerch).
///
/// baselines: nats of models that only count (unigram, Markov up to order 5; trained on the train split of the same
/// data), and the divergence between halves of the split.
///
/// fit: similarity of 20 s continuations to their 20 s prompts, between that of other pieces and that of the true
/// continuation.
///
/// entry: likelihood and texture after hand-overs at which notes are still held, with three ways to set the durations
/// of these notes.
///
/// diversity: how much takes of one prompt with different seeds have in common, and how much true continuations from
/// one piece do.
///
/// degeneration: health of free runs of 60 s and of 10 minutes, and how much they copy from the train split.
///
/// judge: how well classifiers tell 20 s continuations of 20 s prompts from the true ones (area under the curve; 0.5:
/// chance, 1: always), for each set of the data. For comparison: truth against truth, which should be 0.5, and a player
/// that copies the train split. Also lists the most telling features. Judge A sees rhythm, texture, durations, density,
/// repetition, key, register and velocity; judge B only n-grams of intervals, rhythms and chords; the strict judge also
/// sees exact timing.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: trainer evaluate --weights weights/antiphon.safetensors --data music.dataset \
                        --split test --json --out report/\n\
                        A quick look: add --measures nats --max-pieces 8\n\
                        Does a lower temperature help? Add --measures judge --temperature 0.9")]
pub struct Args {
    /// Weights file to measure.
    #[arg(long, short, value_name = "FILE")]
    weights: PathBuf,
    /// Data set file from `prepare`, or a folder of MIDI files.
    #[arg(long, short, value_name = "FILE|FOLDER")]
    data: PathBuf,
    /// Split to measure on.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// Measures to compute, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Measure::ALL)]
    measures: Vec<Measure>,
    /// Run the network in this precision instead of its own: f32, f16, int8 or int4.
    #[arg(long, value_parser = precision)]
    precision: Option<Precision>,
    /// Maximum number of pieces, evenly spread over the split.
    #[arg(long, value_name = "N")]
    max_pieces: Option<usize>,
    /// Number of takes generated from nothing, for jsd.
    #[arg(long, default_value_t = 50, value_name = "N")]
    samples: usize,
    /// Number of notes in each of these takes, for jsd.
    #[arg(long, default_value_t = 256, value_name = "N")]
    sample_notes: usize,
    /// Number of free runs of each length (60 s and 10 minutes), for degeneration.
    #[arg(long, default_value_t = 4, value_name = "N")]
    runs: usize,
    /// Maximum number of prompts from each set for judge, and of all prompts for diversity.
    #[arg(long, default_value_t = 200, value_name = "N")]
    prompts: usize,
    /// Number of takes of each prompt, for judge; each run is judged separately and the medians are reported.
    #[arg(long, default_value_t = 3, value_name = "N")]
    judge_runs: usize,
    #[command(flatten)]
    sampling: Sampling,
    #[command(flatten)]
    searching: Searching,
    /// Seed of the first take; further takes use the seeds that follow.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Also write report.json, a model card and pictures to this directory.
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Parses the name of a precision.
fn precision(name: &str) -> Result<Precision, String> {
    let known = Precision::ALL.into_iter().find(|precision| precision.name() == name);
    known.ok_or_else(|| format!("expected one of {}", Precision::ALL.map(Precision::name).join(", ")))
}

/// A group of measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Measure {
    /// Nats per note, and loss.
    Nats,
    /// Divergence of takes generated from nothing.
    Jsd,
    /// What models that only count achieve.
    #[value(alias = "floors")]
    Baselines,
    /// Similarity of continuations to their prompts.
    Fit,
    /// Hand-overs at which notes are held.
    Entry,
    /// Difference between takes with different seeds.
    Diversity,
    /// Degeneration and copying in free runs.
    #[value(alias = "health")]
    Degeneration,
    /// How well classifiers tell continuations from the truth.
    Judge,
}

impl Measure {
    const ALL: [Self; 8] = [
        Self::Nats,
        Self::Jsd,
        Self::Baselines,
        Self::Fit,
        Self::Entry,
        Self::Diversity,
        Self::Degeneration,
        Self::Judge,
    ];
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// Measures, prints the report and writes files.
pub fn run(args: Args) -> anyhow::Result<()> {
    let bytes = crate::error::read_input(&args.weights)?;
    let weights = Weights::from_bytes(&bytes).map_err(|error| bad_input(&args.weights, error))?;
    let network = Arc::new(Network::new(&weights, args.precision.unwrap_or_else(|| Precision::of(&weights))));
    let data = prepare::open(&args.data)?;
    let (report, takes) = measure(&args, &network, &data)?;
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(folder) = &args.out {
        files::write_atomic(&folder.join("report.json"), json.as_bytes())?;
        files::write_atomic(&folder.join("card.md"), card::write(&weights, &report).as_bytes())?;
        pictures::write(folder, &data, args.split, &takes)?;
    }
    files::say(&if args.json { json } else { card::tables(&report) })
}

/// Computes the report; also returns the takes generated from nothing.
fn measure(args: &Args, network: &Arc<Network>, data: &Dataset) -> anyhow::Result<(Report, Vec<Vec<Note>>)> {
    let all: Vec<&Piece> = data.split(args.split).collect();
    if all.is_empty() {
        let message = format!("has no {} pieces; choose another --split", args.split.name());
        return Err(bad_input(&args.data, message));
    }
    let pieces = thinned(all.clone(), args.max_pieces.map_or(all.len(), |most| most.max(1)));
    let train: Vec<&Piece> = data.split(Split::Train).collect();
    let asked = |measure: Measure| args.measures.contains(&measure);
    let mut sets: Vec<String> = pieces.iter().map(|piece| piece.set.clone()).collect();
    sets.sort();
    sets.dedup();

    let controls = args.sampling.controls(network);
    let style = args.searching.style(controls, 1);
    let mut report = Report {
        weights: network.card().name.clone(),
        kind: network.kind(),
        sampling: controls,
        sets,
        split: args.split,
        pieces: [pieces.len(), all.len()],
        notes: pieces.iter().map(|piece| piece.notes.len() - 1).sum(),
        nats_per_note: None,
        loss: None,
        jsd: None,
        jsd_per_split: BTreeMap::new(),
        jsd_method: None,
        similarity: BTreeMap::new(),
        baselines: None,
        fit: None,
        fit_without_begin: None,
        entry: None,
        diversity: None,
        degeneration: None,
        judge: BTreeMap::new(),
    };
    if asked(Measure::Nats) {
        let notes: usize = pieces.iter().map(|piece| piece.notes.len()).sum();
        let bar = progress::bar(notes as u64, "nats");
        let scored = likelihood::score(network, &pieces, |notes| bar.inc(notes as u64));
        bar.finish_and_clear();
        report.nats_per_note = Some(scored.nats);
        report.loss = Some(scored.loss);
    }
    let mut takes = Vec::new();
    if asked(Measure::Jsd) {
        let bar = progress::bar(args.samples as u64, "takes");
        let length = Length { seconds: LONG_RUN_S, notes: args.sample_notes };
        takes = degeneration::takes(network, &controls, args.seed, args.samples, length, || bar.inc(1));
        bar.finish_and_clear();
        let made = Histograms::of(takes.iter().map(Vec::as_slice));
        let against = |pieces: &[&Piece]| made.divergence(&Histograms::of(pieces.iter().map(|p| p.notes.as_slice())));
        report.jsd = Some(against(&pieces));
        for split in Split::ALL {
            let real: Vec<&Piece> = data.split(split).collect();
            if !real.is_empty() {
                report.jsd_per_split.insert(split.name(), against(&real));
            }
        }
        let real: Vec<&[Note]> = pieces.iter().map(|piece| piece.notes.as_slice()).collect();
        report.similarity = similarity::compare(&takes, &real).into_iter().flatten().collect();
        report.jsd_method = Some(format!(
            "{} takes of up to {} notes from begin-of-sequence, seeds from {}; {}",
            args.samples,
            args.sample_notes,
            args.seed,
            histogram::BINS
        ));
    }
    if asked(Measure::Baselines) {
        let bar = progress::bar(3, "baselines");
        let notes: Vec<&[Note]> = pieces.iter().map(|piece| piece.notes.as_slice()).collect();
        let halves = histogram::split_halves(&notes, HALVINGS);
        bar.inc(1);
        let mut baselines = Baselines { unigram: None, markov: None, split_halves: halves.map(|jsd| Halves { jsd }) };
        if !train.is_empty() {
            let unigram = Unigram::train(&train);
            baselines.unigram = Some(Baseline { nats_per_note: unigram.score(&pieces) });
            bar.inc(1);
            let validation: Vec<&Piece> = data.split(Split::Validation).collect();
            let markov = Markov::train(&train, &validation, unigram);
            baselines.markov = Some(Baseline { nats_per_note: markov.score(&pieces) });
        }
        bar.finish_and_clear();
        report.baselines = Some(baselines);
    }
    if asked(Measure::Fit) {
        let seed = network.kind() == model::Kind::Seed;
        let excerpts = fit::excerpts(&pieces);
        let bar = progress::bar(excerpts.len() as u64 * (1 + u64::from(seed)), "continuing");
        let fit = |begins| fit::fit(network, &style, &excerpts, args.seed, begins, || bar.inc(1));
        report.fit = fit(true);
        report.fit_without_begin = seed.then(|| fit(false)).flatten();
        bar.finish_and_clear();
    }
    if asked(Measure::Entry) {
        let excerpts = fit::excerpts(&pieces);
        let bar = progress::bar(excerpts.len() as u64, "entering");
        report.entry = entry::entry(network, &excerpts, args.seed, || bar.inc(1));
        bar.finish_and_clear();
    }
    if asked(Measure::Diversity) {
        let excerpts = fit::excerpts(&pieces);
        let prompts = thinned(excerpts.clone(), args.prompts);
        let bar = progress::bar((prompts.len() * diversity::SEEDS) as u64, "comparing");
        report.diversity = diversity::diversity(network, &style, &prompts, &excerpts, args.seed, || bar.inc(1));
        bar.finish_and_clear();
    }
    if asked(Measure::Degeneration) && args.runs > 0 {
        let bar = progress::bar(2 * args.runs as u64, "running");
        let run = |seconds| {
            let length = Length { seconds, notes: usize::MAX };
            degeneration::takes(network, &controls, args.seed, args.runs, length, || bar.inc(1))
        };
        let (short, long) = (run(SHORT_RUN_S), run(LONG_RUN_S));
        bar.finish_and_clear();
        // Compared with itself, the train split would be nothing but copies.
        let foreign = args.split != Split::Train && !train.is_empty();
        report.degeneration = Some(DegenerationReport {
            run_60_s: degeneration::degeneration(&short, Some(SHORT_RUN_S)),
            run_600_s: degeneration::degeneration(&long, Some(LONG_RUN_S)),
            real_60_s: degeneration::degeneration(&degeneration::real(&pieces, SHORT_RUN_S), None),
            real_600_s: degeneration::degeneration(&degeneration::real(&pieces, LONG_RUN_S), None),
            copying: foreign.then(|| degeneration::copying(&long, &pieces, &train)),
        });
        if takes.is_empty() {
            takes = short;
        }
    }
    if asked(Measure::Judge) && args.judge_runs > 0 {
        report.judge = judge(args, network, &pieces, &train);
    }
    Ok((report, takes))
}

/// The judges' results on each set that has prompts from enough works.
fn judge(
    args: &Args,
    network: &Arc<Network>,
    pieces: &[&Piece],
    train: &[&Piece],
) -> BTreeMap<String, two_sample::JudgeResult> {
    let mut sets: BTreeMap<&str, Vec<&Piece>> = BTreeMap::new();
    pieces.iter().for_each(|&piece| sets.entry(&piece.set).or_default().push(piece));
    let excerpts: Vec<(&str, Vec<Excerpt>)> = sets
        .into_iter()
        .map(|(set, pieces)| (set, excerpts_by_work(&pieces, MAX_OF_A_WORK, args.prompts)))
        .filter(|(set, excerpts)| {
            let enough = two_sample::enough(excerpts);
            if !enough {
                eprintln!(
                    "{set}: not judged, because its prompts come from fewer than {} works",
                    two_sample::classify::FOLDS
                );
            }
            enough
        })
        .collect();
    // Compared with itself, the train split would be nothing but copies.
    let copier = if args.split == Split::Train || excerpts.is_empty() { None } else { Copier::train(train) };
    let style = args.searching.style(args.sampling.controls(network), 1);
    let options = Options { style: &style, seed: args.seed, runs: args.judge_runs };
    let takes = excerpts.iter().map(|(_, excerpts)| excerpts.len() * options.runs).sum::<usize>();
    let bar = progress::bar(takes as u64, "judging");
    let judged = excerpts
        .iter()
        .map(|(set, excerpts)| {
            let judged = two_sample::judge(network, copier.as_ref(), excerpts, &options, || bar.inc(1));
            ((*set).to_owned(), judged)
        })
        .collect();
    bar.finish_and_clear();
    judged
}
