//! What a training run is told, as TOML.

use crate::error::bad_input;
use model::{Kind, train::MatmulPrecision};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// No configuration is larger, in bytes: what is made of a text is many times as large.
const LARGEST: usize = 64 << 10;
/// Characters of the parser's own message; it may quote the whole text.
const LONGEST_MESSAGE: usize = 400;

/// Everything that a run depends on beside the data. Written into its checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folders of MIDI files (with `manifest.csv`, or a user's own) or data set files. Relative
    /// paths start at the folder of the TOML file.
    pub data: Vec<PathBuf>,
    /// Weights of sets, by the names of their folders; 1 where none is given. Of what is heard, a set's share in notes
    /// is proportional to its notes times its weight; 0 leaves it out.
    pub mixture: BTreeMap<String, f64>,
    /// `antiphon` or `seed`.
    pub network: Kind,
    /// Name of the weights, for their card.
    pub name: String,
    /// Licence of the weights, for their card.
    pub licence: String,
    /// The data and whom to attribute it to, for their card.
    pub attribution: String,
    /// Every random choice comes from it.
    pub seed: u64,
    /// Pieces that stream side by side.
    pub lanes: usize,
    /// Notes of each piece per step; the state is carried to the next chunk.
    pub chunk: usize,
    /// Passes over the training split: as many notes as it has, whatever the mixture. Of this, `notes` and `minutes` the
    /// one that is reached first ends the run; the learning rate follows it.
    pub epochs: Option<f64>,
    /// Notes to train for, all sessions together.
    pub notes: Option<u64>,
    /// Minutes of training, all sessions together. Such a run cannot be repeated bit for bit.
    pub minutes: Option<f64>,
    /// Highest learning rate; it rises over `warmup` steps, stays, and falls in a half cosine to a hundredth.
    pub rate: f64,
    /// Part of the run, at its end, in which the rate falls; 1: all of it. Before that a run may be made longer
    /// with --notes or --epochs as if it had been meant so.
    pub fall: f64,
    /// Weights that are validated and kept are averages over the steps, in which each counts this much less than the
    /// next; 0: the weights as they are.
    pub average: f64,
    /// Steps.
    pub warmup: u64,
    /// AdamW's, on matrices.
    pub weight_decay: f64,
    /// Part of the activations between layers that is dropped.
    pub dropout: f32,
    /// Part of the recurrent weights that is dropped.
    pub weight_dropout: f32,
    /// Largest norm of the gradient.
    pub clip: f64,
    /// Steps between validations, each of which keeps the weights if they are the best so far.
    pub validate_every: u64,
    /// Validation notes per pass; all if there are fewer.
    pub validate_notes: usize,
    /// Prompts of each set of the validation split that the network continues freely at every validation, to be
    /// watched beside the losses; 0: none.
    pub free_prompts: usize,
    /// What the factors of products on the CPU are rounded to: `f32` (not at all) or `bf16`. If not given, the fastest
    /// on this processor when the run starts; its checkpoints keep it.
    pub precision: Option<MatmulPrecision>,
    /// Minutes between checkpoints.
    pub checkpoint_minutes: f64,
    /// How pieces are varied.
    pub augment: Augment,
    /// What the network is told beside the notes; without this section, nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<Tell>,
}

/// How pieces are varied each time they are heard; ranges are even around no change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Semitones down and up.
    pub transpose: u8,
    /// Factor on time, e.g. 1.25: from 1/1.25 to 1.25, evenly in its logarithm.
    pub tempo: f64,
    /// MIDI velocity steps down and up, for the whole piece.
    pub velocity: u8,
    /// Factor on durations beyond that of tempo, likewise.
    pub length: f64,
    /// Part of the pieces that begin somewhere in their middle.
    pub cut: f64,
    /// Part of the pieces that are heard in a performance that strays, now louder, now softer, faster, slower,
    /// while what comes next is asked for as it should be. A network that plays on from its own notes hears
    /// its own small errors; so it learns to go back to the level of the whole instead of on from them.
    pub stray: f64,
    /// Part of the hearings of a score (sets whose source is `score`) that are played as people play: tempo, timing,
    /// dynamics and articulation of a performer drawn each time.
    pub humanize: f64,
    /// Part of the hearings, but of sequenced pieces, in which keys come up as with the pedal down.
    pub touch: f64,
    /// Factor on a score's time when it is played so, beyond `tempo` and likewise: its tempo is often a guess.
    pub score_tempo: f64,
}

/// How often the network is told what; parts of the hearings of pieces in which it is known at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tell {
    /// The piece's source.
    pub source: f64,
    /// Of the hearings in which that is told: only from somewhere in the piece on, as when it is found out.
    pub late_source: f64,
    /// Tempo and place in beat and bar at every note.
    pub meter: f64,
    /// Of the hearings in which the meter is told: wrong, by phase, half or twice the tempo, so that it is not
    /// believed blindly.
    pub wrong_meter: f64,
    /// Of the same: without bars.
    pub no_bar: f64,
    /// Of the same: only from somewhere in the piece on, as when a pulse is found while someone plays.
    pub late_meter: f64,
    /// What is left until the end of the piece or of a section, in seconds or in notes, from some moment on.
    pub left: f64,
    /// Of the hearings in which that is told: begins in the last third of the piece.
    pub ending: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            network: Kind::Antiphon,
            name: "my music".into(),
            licence: String::new(),
            attribution: String::new(),
            mixture: BTreeMap::new(),
            seed: 1,
            lanes: 32,
            chunk: 128,
            epochs: None,
            notes: None,
            minutes: None,
            rate: 2e-3,
            fall: 1.0,
            average: 0.0,
            warmup: 200,
            weight_decay: 0.02,
            dropout: 0.2,
            weight_dropout: 0.0,
            clip: 1.0,
            validate_every: 200,
            validate_notes: 100_000,
            free_prompts: 12,
            precision: None,
            checkpoint_minutes: 5.0,
            augment: Augment::default(),
            told: None,
        }
    }
}

impl Default for Augment {
    fn default() -> Self {
        Self {
            transpose: 6,
            tempo: 1.2,
            velocity: 10,
            length: 1.1,
            cut: 0.3,
            stray: 0.2,
            humanize: 0.0,
            touch: 0.0,
            score_tempo: 1.4,
        }
    }
}

impl Default for Tell {
    fn default() -> Self {
        Self {
            source: 0.7,
            late_source: 0.3,
            meter: 0.5,
            wrong_meter: 0.05,
            no_bar: 0.25,
            late_meter: 0.3,
            left: 0.25,
            ending: 0.5,
        }
    }
}

impl Config {
    /// For weights that know music already and a folder that is small: gentle steps, and many of them, so
    /// that minutes are enough and what is known is not washed out.
    pub fn fine_tuning() -> Self {
        Self {
            lanes: 16,
            rate: 2e-4,
            warmup: 30,
            validate_every: 50,
            validate_notes: 20_000,
            minutes: Some(15.0),
            ..Self::default()
        }
    }

    /// Reads a TOML file.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let mut config = Self::parse(&crate::error::read_input(path)?).map_err(|why| bad_input(path, why))?;
        for data in &mut config.data {
            *data = path.parent().unwrap_or(Path::new("")).join(&*data);
        }
        Ok(config)
    }

    /// Reads what a TOML file holds; its paths are as they stand there. Or says in one line what is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            return Err("is too large; a TOML file of some lines is expected".to_owned());
        }
        let text = str::from_utf8(bytes).map_err(|_| "is no text; a TOML file is expected".to_owned())?;
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| bytes.get(..span.start)).unwrap_or_default();
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            let message: String = error.message().replace('\n', ", ").chars().take(LONGEST_MESSAGE).collect();
            format!("line {line}: {message}")
        })
    }

    /// A set's weight in the mixture.
    pub fn weight(&self, set: &str) -> f64 {
        self.mixture.get(set).copied().unwrap_or(1.0)
    }

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<String> {
        let Augment { tempo, length, cut, stray, humanize, touch, score_tempo, .. } = self.augment;
        let Tell { source, late_source, meter, wrong_meter, no_bar, late_meter, left, ending } =
            self.told.clone().unwrap_or_default();
        let wrong = [
            (self.data.is_empty(), "no data: name folders in `data` or with --data"),
            (self.lanes == 0 || self.chunk == 0, "`lanes` and `chunk` must be at least 1"),
            (
                self.epochs.is_none() && self.notes.is_none() && self.minutes.is_none(),
                "say how long: `epochs`, `notes` or `minutes`, in the configuration or as --epochs, --notes or --minutes",
            ),
            (!(self.rate > 0.0 && self.clip > 0.0), "`rate` and `clip` must be above 0"),
            (!(0.0..0.95).contains(&self.dropout), "`dropout` must be from 0 to 0.95"),
            (!(0.0..0.95).contains(&self.weight_dropout), "`weight_dropout` must be from 0 to 0.95"),
            (!(self.fall > 0.0 && self.fall <= 1.0), "`fall` must be above 0, and at most 1"),
            (!(0.0..1.0).contains(&self.average), "`average` must be at least 0, and below 1"),
            (self.validate_every == 0, "`validate_every` must be at least 1"),
            (!(tempo >= 1.0 && length >= 1.0), "`augment.tempo` and `augment.length` are factors of at least 1"),
            (!(0.0..=1.0).contains(&cut), "`augment.cut` must be from 0 to 1"),
            (!(0.0..=1.0).contains(&stray), "`augment.stray` must be from 0 to 1"),
            (!(0.0..=1.0).contains(&humanize), "`augment.humanize` must be from 0 to 1"),
            (!(0.0..=1.0).contains(&touch), "`augment.touch` must be from 0 to 1"),
            (!(score_tempo >= 1.0 && score_tempo.is_finite()), "`augment.score_tempo` is a factor of at least 1"),
            (
                ![source, late_source, meter, wrong_meter, no_bar, late_meter, left, ending]
                    .iter()
                    .all(|share| (0.0..=1.0).contains(share)),
                "everything in `told` must be from 0 to 1",
            ),
            (
                !self.mixture.values().all(|weight| (0.0..=1000.0).contains(weight)),
                "weights in `mixture` must be from 0 to 1000",
            ),
        ];
        wrong.iter().find(|(wrong, _)| *wrong).map(|(_, what)| (*what).to_owned())
    }
}
