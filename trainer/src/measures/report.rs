//! All that `evaluate` measured, as its JSON has it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::NatsPerNote;
use super::degeneration::{Copying, Degeneration};
use super::entry::Entry;
use super::fit::Fit;
use super::histogram::Divergence;
use super::likelihood::Loss;
use super::similarity::Similarity;
use super::two_sample::Judged;
use crate::dataset::Split;

/// Everything that was measured; what was not is left out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name in the card of the weights.
    pub weights: String,
    /// `seed` or `antiphon`.
    pub kind: model::Kind,
    /// How takes and continuations were drawn.
    pub sampling: model::Controls,
    /// Folders the pieces come from.
    pub sets: Vec<String>,
    /// The split measured on.
    pub split: Split,
    /// Pieces measured on, and how many the split has.
    pub pieces: [usize; 2],
    /// Notes scored.
    pub notes: usize,
    /// Nats per note.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nats_per_note: Option<NatsPerNote>,
    /// The seed project's loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Takes against the split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsd: Option<Divergence>,
    /// The same takes against every split of the data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub jsd_per_split: BTreeMap<&'static str, Divergence>,
    /// How the takes were made and counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsd_method: Option<String>,
    /// Yang and Lerch's features of the same takes and of real excerpts.
    #[serde(rename = "likeness", skip_serializing_if = "BTreeMap::is_empty")]
    pub similarity: BTreeMap<&'static str, Similarity>,
    /// What counting alone achieves.
    #[serde(rename = "floors", skip_serializing_if = "Option::is_none")]
    pub baselines: Option<Baselines>,
    /// Continuation fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<Fit>,
    /// Of the seed, when it goes straight on without a begin-of-sequence behind the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit_without_begin: Option<Fit>,
    /// The entry over held notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// Free running.
    #[serde(rename = "health", skip_serializing_if = "Option::is_none")]
    pub degeneration: Option<DegenerationReport>,
    /// The judges, by set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub judge: BTreeMap<String, Judged>,
}

/// See [`super::baselines`]; absent where the data has no train split or too few pieces.
#[derive(Clone, Debug, Serialize)]
pub struct Baselines {
    /// Every attribute by its frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unigram: Option<Baseline>,
    /// By the notes before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markov: Option<Baseline>,
    /// Between halves of the real split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_halves: Option<Halves>,
}

/// A model that only counts.
#[derive(Clone, Debug, Serialize)]
pub struct Baseline {
    /// As above.
    pub nats_per_note: NatsPerNote,
}

/// Two halves of the split.
#[derive(Clone, Debug, Serialize)]
pub struct Halves {
    /// As above.
    pub jsd: Divergence,
}

/// Free runs beside real pieces.
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
    /// What stands in the train split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copying: Option<Copying>,
}
