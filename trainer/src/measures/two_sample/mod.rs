//! The judge: can a classifier tell a network's continuations from the true ones?
//!
//! Classifier two-sample tests (Lopez-Paz and Oquab, 2017). Judge A sees about ninety features of a continuation and of
//! its relation to the prompt ([`features`]), with boosted trees and with logistic regression; judge B sees only
//! n-grams ([`grams`]); the strict judge is judge A with additional features of exact timing. The result is the area
//! under the ROC curve on unseen data: 0.5 is chance, 1 is always right. All data of a work is in the same one of five
//! folds, and so are the true and the generated continuation of a prompt.
//!
//! For comparison, there is a floor, truth against other truth, which should be 0.5, and a player that only copies
//! ([`super::copier`]).

pub mod classify;
pub mod features;
pub mod grams;

use crate::measures::copier::Copier;
use crate::measures::excerpts::{self, Excerpt};
use crate::parallel;
use crate::play::Style;
use classify::{Classifier, FOLDS, Row, area_under_curve, boosting, cross_validated, logistic, logistic_on_grams};
use features::COARSE;
use model::{Decoder, Network};
use notes::Note;
use rand::seq::SliceRandom;
use rand_pcg::Pcg32;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Number of random halvings for the floor.
const HALVINGS: u64 = 8;

/// Areas under the ROC curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Areas {
    /// Judge A by gradient-boosted trees.
    pub boosting: f64,
    /// Judge A by logistic regression.
    pub logistic: f64,
    /// Judge B.
    pub grams: f64,
    /// The strict judge, by gradient-boosted trees.
    pub strict: f64,
}

/// Results of several runs, with different takes and folds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Verdict {
    /// Median of each area.
    pub median: Areas,
    /// Minimum of each area.
    pub low: Areas,
    /// Maximum of each area.
    pub high: Areas,
}

impl Verdict {
    fn of(runs: &[Areas]) -> Self {
        let at = |which: fn(&Areas) -> f64, place: fn(&[f64]) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(which).collect();
            values.sort_by(f64::total_cmp);
            place(&values)
        };
        let all = |place: fn(&[f64]) -> f64| Areas {
            boosting: at(|areas| areas.boosting, place),
            logistic: at(|areas| areas.logistic, place),
            grams: at(|areas| areas.grams, place),
            strict: at(|areas| areas.strict, place),
        };
        Self {
            median: all(|sorted| (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0),
            low: all(|sorted| sorted[0]),
            high: all(|sorted| sorted[sorted.len() - 1]),
        }
    }
}

/// How telling a single feature is.
#[derive(Clone, Debug, Serialize)]
pub struct FeatureReport {
    /// Name, as in [`features::names`].
    pub feature: String,
    /// Area under the ROC curve with this feature alone, for the network's continuations against the true ones; 0.5 to
    /// 1.
    pub alone: f64,
    /// Mean over the true continuations.
    pub real: f64,
    /// Mean over the network's continuations.
    pub network: f64,
    /// Mean over the copier's continuations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copier: Option<f64>,
}

/// Results of the judges on the prompts of one set.
#[derive(Clone, Debug, Serialize)]
pub struct JudgeResult {
    /// Number of prompts.
    pub prompts: usize,
    /// Number of works that they are from.
    pub works: usize,
    /// Number of takes of each prompt, with consecutive seeds.
    pub runs: usize,
    /// One half of the true continuations against the other.
    pub floor: Verdict,
    /// The network's continuations against the true ones.
    pub network: Verdict,
    /// The copier's continuations against the true ones; absent without training pieces to copy from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copier: Option<Verdict>,
    /// All features, most telling first.
    pub telltales: Vec<FeatureReport>,
}

/// Options for judging a network.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Sampling and search settings.
    pub style: &'a Style,
    /// Seed of the first run; the others use the seeds that follow.
    pub seed: u64,
    /// Number of takes of each prompt; at least 1.
    pub runs: usize,
}

/// The judges' inputs for one continuation.
#[derive(Clone)]
struct JudgeInput {
    features: Vec<f64>,
    grams: Vec<f64>,
}

impl JudgeInput {
    fn new(prompt: &[Note], next: &[Note]) -> Self {
        Self { features: features::features(prompt, next), grams: grams::grams(next) }
    }
}

/// Whether the excerpts are from enough works for cross-validation.
pub fn enough(excerpts: &[Excerpt]) -> bool {
    groups(excerpts).1 >= FOLDS
}

/// Lets the network continue the prompts and judges the continuations. Calls `done` after each continuation.
///
/// # Panics
/// If there are not [`enough`] works.
pub fn judge(
    network: &Arc<Network>,
    copier: Option<&Copier>,
    excerpts: &[Excerpt],
    options: &Options,
    done: impl Fn() + Sync,
) -> JudgeResult {
    let seeds: Vec<u64> = (0..options.runs as u64).map(|run| options.seed.wrapping_add(run)).collect();
    let takes: Vec<(u64, usize)> =
        seeds.iter().flat_map(|&seed| (0..excerpts.len()).map(move |index| (seed, index))).collect();
    let begins = network.kind() == model::Kind::Seed;
    let made = parallel::map(
        &takes,
        || Decoder::new(network.clone()),
        |decoder, &(seed, index)| {
            let prompt = &excerpts[index].prompt;
            // Neighboring seeds must not share takes.
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(index as u64);
            let own = excerpts::continuation(decoder, options.style, prompt, seed, begins);
            let copied = copier.map(|copier| JudgeInput::new(prompt, &copier.continuation(prompt, seed)));
            (JudgeInput::new(prompt, &own), copied)
        },
        done,
    );
    let (network, copied): (Vec<JudgeInput>, Vec<Option<JudgeInput>>) = made.into_iter().unzip();
    let copied: Option<Vec<JudgeInput>> = copied.into_iter().collect();
    compare(excerpts, &network, copied.as_deref(), &seeds)
}

/// Judges continuations, which are ordered by seed and then like the excerpts.
fn compare(excerpts: &[Excerpt], network: &[JudgeInput], copier: Option<&[JudgeInput]>, seeds: &[u64]) -> JudgeResult {
    let (group_of, works) = groups(excerpts);
    let real: Vec<JudgeInput> =
        excerpts.iter().map(|excerpt| JudgeInput::new(&excerpt.prompt, &excerpt.truth)).collect();
    let against = |made: &[JudgeInput]| -> Verdict {
        let runs: Vec<(u64, &[JudgeInput])> = seeds.iter().copied().zip(made.chunks_exact(real.len())).collect();
        Verdict::of(&parallel::map(
            &runs,
            || (),
            |(), (seed, made)| {
                let truth = real.iter().zip(&group_of).map(|(input, &group)| (input, group, true));
                let made = made.iter().zip(&group_of).map(|(input, &group)| (input, group, false));
                areas(truth.chain(made), *seed)
            },
            || (),
        ))
    };
    let halvings: Vec<u64> = (0..HALVINGS).map(|index| seeds[0].wrapping_add(index)).collect();
    let floor = parallel::map(
        &halvings,
        || (),
        |(), &seed| {
            let labels = halves(excerpts, seed);
            let rows = real.iter().zip(&group_of).zip(labels).map(|((input, &group), label)| (input, group, label));
            areas(rows, seed)
        },
        || (),
    );
    JudgeResult {
        prompts: excerpts.len(),
        works,
        runs: seeds.len(),
        floor: Verdict::of(&floor),
        network: against(network),
        copier: copier.map(against),
        telltales: telltales(&real, network, copier),
    }
}

/// The index of each excerpt's work, and the number of works.
fn groups(excerpts: &[Excerpt]) -> (Vec<usize>, usize) {
    let mut numbers = BTreeMap::new();
    let groups = excerpts
        .iter()
        .map(|excerpt| {
            let next = numbers.len();
            *numbers.entry(excerpt.work).or_insert(next)
        })
        .collect();
    (groups, numbers.len())
}

/// Assigns a random half of each piece's excerpts to one sample, so that both samples contain the same music.
fn halves(excerpts: &[Excerpt], seed: u64) -> Vec<bool> {
    let mut rng = Pcg32::new(seed, 0x6861_6c76_6573);
    let mut order: Vec<usize> = (0..excerpts.len()).collect();
    order.shuffle(&mut rng);
    order.sort_by_key(|&index| excerpts[index].piece);
    let mut labels = vec![false; excerpts.len()];
    order.iter().step_by(2).for_each(|&index| labels[index] = true);
    labels
}

/// Results of all judges on (continuation, group, sample).
fn areas<'a>(input: impl Iterator<Item = (&'a JudgeInput, usize, bool)> + Clone, seed: u64) -> Areas {
    let by = |values: fn(&JudgeInput) -> &[f64], classifier: Classifier| {
        let row = |(input, group, label)| Row { group, values: values(input).to_vec(), label };
        let rows: Vec<Row> = input.clone().map(row).collect();
        cross_validated(&rows, classifier, seed)
    };
    Areas {
        boosting: by(|input| &input.features[..COARSE], boosting),
        logistic: by(|input| &input.features[..COARSE], logistic),
        grams: by(|input| &input.grams, logistic_on_grams),
        strict: by(|input| &input.features, boosting),
    }
}

fn telltales(real: &[JudgeInput], network: &[JudgeInput], copier: Option<&[JudgeInput]>) -> Vec<FeatureReport> {
    let mean = |all: &[JudgeInput], index: usize| {
        all.iter().map(|input| input.features[index]).sum::<f64>() / all.len().max(1) as f64
    };
    let tell = |(index, feature): (usize, String)| {
        let scored = |all: &[JudgeInput], label| all.iter().map(|h| (h.features[index], label)).collect::<Vec<_>>();
        let area = area_under_curve([scored(real, true), scored(network, false)].concat());
        FeatureReport {
            feature,
            alone: area.max(1.0 - area),
            real: mean(real, index),
            network: mean(network, index),
            copier: copier.map(|copier| mean(copier, index)),
        }
    };
    let mut all: Vec<FeatureReport> = features::names().into_iter().enumerate().map(tell).collect();
    all.sort_by(|a, b| b.alone.total_cmp(&a.alone));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Piece, Split};
    use crate::measures::excerpts::{PART_S, excerpts, within};
    use rand::Rng;

    /// Random melodies, each with a different tempo and register.
    fn pieces() -> Vec<Piece> {
        let mut rng = Pcg32::new(3, 3);
        (0..12)
            .map(|number| {
                let beat = rng.random_range(0.15..0.4);
                let (mut onset, mut pitch) = (0.0, rng.random_range(50..70));
                let mut notes = Vec::new();
                while onset < 340.0 {
                    for below in 0..rng.random_range(1..3u8) {
                        let note = Note {
                            onset,
                            spread: 0.0,
                            duration: beat * rng.random_range(0.7..1.3),
                            pitch: pitch - 7 * below,
                            velocity: rng.random_range(50..80),
                        };
                        notes.push(note);
                    }
                    pitch = (i32::from(pitch) + rng.random_range(-3..=3)).clamp(40, 90) as u8;
                    onset += beat * f64::from(rng.random_range(1..3u8));
                }
                notes::chords::canonicalize(&mut notes);
                let name = number.to_string();
                Piece { work: name.clone(), name, set: "set".into(), split: Split::Test, notes, ..Piece::default() }
            })
            .collect()
    }

    #[test]
    fn the_truth_passes_and_what_is_changed_is_found() {
        let pieces = pieces();
        let excerpts = excerpts(&pieces.iter().collect::<Vec<_>>(), 8, 2.0 * PART_S);
        assert!(enough(&excerpts) && excerpts.len() == 96);
        let judged = |change: &dyn Fn(&mut Pcg32, Note) -> Note| {
            let rng = &mut Pcg32::new(1, 1);
            let made: Vec<JudgeInput> = excerpts
                .iter()
                .map(|excerpt| {
                    let notes = excerpt.truth.iter().map(|note| change(rng, *note)).collect();
                    JudgeInput::new(&excerpt.prompt, &within(notes))
                })
                .collect();
            compare(&excerpts, &made, None, &[1])
        };
        let same = judged(&|_, note| note);
        let areas = |verdict: &Verdict| {
            let Areas { boosting, logistic, grams, strict } = verdict.median;
            [boosting, logistic, grams, strict]
        };
        assert!(areas(&same.network).iter().all(|area| (area - 0.5).abs() < 1e-9), "{:?}", same.network);
        assert!(areas(&same.floor).iter().all(|area| (area - 0.5).abs() < 0.1), "{:?}", same.floor);

        let softer = judged(&|_, note| Note { velocity: note.velocity - 25, ..note });
        assert!(softer.network.median.boosting > 0.95 && softer.network.median.logistic > 0.95);
        assert!((softer.network.median.grams - 0.5).abs() < 1e-9, "judge B hears no velocity");
        let most = &softer.telltales[0];
        assert!(most.feature.starts_with("velocity") && (most.real - most.network - 25.0).abs() < 1e-9, "{most:?}");

        let leaps = judged(&|rng, note| Note { pitch: note.pitch + 12 * rng.random_range(0..2u8), ..note });
        assert!(leaps.network.median.grams > 0.9, "{:?}", leaps.network);
    }

    #[test]
    fn halves_are_of_the_same_pieces() {
        let pieces = pieces();
        let excerpts = excerpts(&pieces.iter().collect::<Vec<_>>(), 8, 2.0 * PART_S);
        let labels = halves(&excerpts, 1);
        for piece in 0..pieces.len() {
            let of = |label| excerpts.iter().zip(&labels).filter(|(e, l)| e.piece == piece && **l == label).count();
            assert_eq!(of(true), of(false));
        }
        assert_ne!(labels, halves(&excerpts, 2));
    }
}
