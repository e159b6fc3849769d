//! How a network behaves when it continues from its own notes: some features of its 20 s continuations, next to those
//! of the true ones. Likelihood does not show this, because it is measured after notes that people played.

use crate::dataset::Piece;
use crate::measures::excerpts::{self, Excerpt, excerpts_by_work};
use crate::measures::two_sample::features;
use crate::parallel;
use crate::play::Style;
use model::{Controls, Decoder, Kind, Network, Search};
use notes::Note;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The watched features, by their names in [`features::names`].
pub const WATCHED: [&str; 9] = [
    "single onsets",
    "chord span",
    "equal intervals",
    "intervals under 60 ms",
    "spread of durations (log)",
    "notes per second",
    "velocity",
    "repeated 3-grams",
    "quoted 4-grams",
];

/// Maximum number of prompts from one work.
const MAX_OF_A_WORK: usize = 4;

/// Means over the prompts of one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreeRunningStats {
    /// Name of the set.
    pub set: String,
    /// Number of prompts.
    pub prompts: usize,
    /// Means over the true continuations, in the order of [`WATCHED`].
    pub truth: Vec<f64>,
    /// Means over the network's continuations, in the same order.
    pub network: Vec<f64>,
}

/// The prompts of each set.
pub struct Prompts<'a>(Vec<(&'a str, Vec<Excerpt<'a>>)>);

impl<'a> Prompts<'a> {
    /// Cuts at most `most` prompts from the pieces of each set.
    pub fn new(pieces: impl Iterator<Item = &'a Piece>, most: usize) -> Self {
        let mut sets: BTreeMap<&str, Vec<&Piece>> = BTreeMap::new();
        pieces.for_each(|piece| sets.entry(&piece.set).or_default().push(piece));
        let prompts = sets.into_iter().map(|(set, pieces)| (set, excerpts_by_work(&pieces, MAX_OF_A_WORK, most)));
        Self(prompts.filter(|(_, excerpts)| !excerpts.is_empty()).collect())
    }

    /// Whether there are no prompts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets the network continue all prompts. With the same seed, each prompt gets the same random stream for every
    /// network.
    pub fn measure(&self, network: &Arc<Network>, controls: &Controls, seed: u64) -> Vec<FreeRunningStats> {
        let begins = network.kind() == Kind::Seed;
        let style = Style { controls: *controls, search: Search::OFF, transport: None };
        let all: Vec<(u64, &Excerpt)> = (seed..).zip(self.0.iter().flat_map(|(_, excerpts)| excerpts)).collect();
        let compared = parallel::map(
            &all,
            || Decoder::new(network.clone()),
            |decoder, (seed, Excerpt { prompt, truth, .. })| {
                let played = excerpts::continuation(decoder, &style, prompt, *seed, begins);
                [truth, &played].map(|next| watched(prompt, next))
            },
            || (),
        );
        let mut compared = compared.as_slice();
        let stats = |(set, excerpts): &(&str, Vec<Excerpt>)| {
            let (own, rest) = compared.split_at(excerpts.len());
            compared = rest;
            let means = |which: usize| -> Vec<f64> {
                let mean = |index: usize| own.iter().map(|pair| pair[which][index]).sum::<f64>() / own.len() as f64;
                (0..WATCHED.len()).map(mean).collect()
            };
            FreeRunningStats { set: (*set).to_owned(), prompts: own.len(), truth: means(0), network: means(1) }
        };
        self.0.iter().map(stats).collect()
    }
}

fn watched(prompt: &[Note], next: &[Note]) -> [f64; WATCHED.len()] {
    let all = features::names().into_iter().zip(features::features(prompt, next)).collect::<BTreeMap<_, _>>();
    WATCHED.map(|name| all[name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_measured() {
        let notes = |begin: f64| -> Vec<Note> {
            let note =
                |index| Note { onset: begin + f64::from(index), spread: 0.0, duration: 0.5, pitch: 60, velocity: 70 };
            (0..20).map(note).collect()
        };
        let [single, span, equal, _, _, density, velocity, ..] = watched(&notes(0.0), &notes(20.0));
        assert_eq!([single, span, equal, density, velocity], [1.0, 0.0, 1.0, 1.0, 70.0]);
    }
}
