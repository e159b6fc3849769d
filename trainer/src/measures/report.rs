//! The report of `evaluate`, in the form of its JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::NatsPerNote;
use super::degeneration::{Copying, Degeneration};
use super::diversity::Diversity;
use super::entry::Entry;
use super::fit::Fit;
use super::histogram::Divergence;
use super::likelihood::Loss;
use super::similarity::Similarity;
use super::two_sample::JudgeResult;
use crate::dataset::Split;

/// All results; measures that were not requested are absent.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name in the model card of the weights.
    pub weights: String,
    /// `seed` or `antiphon`.
    pub kind: model::Kind,
    /// Sampling settings of takes and continuations.
    pub sampling: model::Controls,
    /// Names of the sets that the pieces come from.
    pub sets: Vec<String>,
    /// The split measured on.
    pub split: Split,
    /// Number of pieces measured on, and number of pieces in the split.
    pub pieces: [usize; 2],
    /// Number of notes scored.
    pub notes: usize,
    /// Nats per note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_per_note: Option<NatsPerNote>,
    /// The seed project's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Divergence of takes from the pieces measured on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsd: Option<Divergence>,
    /// Divergence of the same takes from every split of the data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jsd_per_split: BTreeMap<&'static str, Divergence>,
    /// How the takes and histograms were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsd_method: Option<String>,
    /// Yang and Lerch's comparison of features of the same takes and of real excerpts.
    #[serde(rename = "likeness", skip_serializing_if = "BTreeMap::is_empty")]
    pub similarity: BTreeMap<&'static str, Similarity>,
    /// Baselines.
    #[serde(rename = "floors", skip_serializing_if = "Option::is_none")]
    pub baselines: Option<Baselines>,
    /// Continuation fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// For networks of kind seed: the same, without a begin-of-sequence after the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit_without_begin: Option<Fit>,
    /// Entry over held notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// Diversity of takes with different seeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diversity: Option<Diversity>,
    /// Degeneration in free runs.
    #[serde(rename = "health", skip_serializing_if = "Option::is_none")]
    pub degeneration: Option<DegenerationReport>,
    /// Results of the judges, by set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub judge: BTreeMap<String, JudgeResult>,
}

/// See [`super::baselines`]; parts are absent if the data has no train split or too few pieces.
#[derive(Clone, Debug, Serialize)]
pub struct Baselines {
    /// Each attribute by its frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unigram: Option<Baseline>,
    /// Each attribute given the previous notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markov: Option<Baseline>,
    /// Divergence between halves of the real pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_halves: Option<Halves>,
}

/// Results of a model that only counts.
#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    /// Nats per note.
    pub nats_per_note: NatsPerNote,
}

/// Comparison of two halves of the split.
#[derive(Clone, Debug, Serialize)]
pub struct Halves {
    /// Divergence between the halves.
    pub jsd: Divergence,
}

/// Free runs and, for comparison, real pieces.
#[derive(Clone, Debug, Serialize)]
pub struct DegenerationReport {
    /// 60 s from nothing.
    pub run_60_s: Degeneration,
    /// 10 minutes from nothing.
    pub run_600_s: Degeneration,
    /// Real pieces, their first 60 s.
    pub real_60_s: Degeneration,
    /// Real pieces, their first 10 minutes.
    pub real_600_s: Degeneration,
    /// Copies from the train split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copying: Option<Copying>,
}
