//! The configuration of a training run, as TOML.

use crate::error::bad_input;
use model::{Kind, train::MatmulPrecision};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Maximum size of a configuration file, in bytes; parsing takes many times as much memory.
const LARGEST: usize = 64 << 10;
/// Maximum length of the parser's message, in characters; it may quote the whole file.
const LONGEST_MESSAGE: usize = 400;

/// All settings of a run. Stored in its checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folders of MIDI files (with a `manifest.csv`, or a user's own music) or data set files. Relative paths start at
    /// the folder of the TOML file.
    pub data: Vec<PathBuf>,
    /// Weights of sets, by the names of their folders; 1 if not given. A set's share of the training notes is
    /// proportional to its number of notes times its weight; 0 excludes it.
    pub mixture: BTreeMap<String, f64>,
    /// Kind of network: `antiphon` or `seed`.
    pub network: Kind,
    /// Name of the weights, for the model card.
    pub name: String,
    /// License of the weights, for the model card.
    #[serde(alias = "licence")]
    pub license: String,
    /// Training data and its attribution, for the model card.
    pub attribution: String,
    /// Seed of all random choices.
    pub seed: u64,
    /// Number of pieces processed in parallel (the batch size).
    pub lanes: usize,
    /// Notes of each piece per step; the recurrent state is carried over to the next chunk.
    pub chunk: usize,
    /// Length of the run in passes over the training split, counted as its number of notes regardless of the mixture.
    /// Of `epochs`, `notes` and `minutes`, the limit reached first ends the run; the learning rate schedule follows it.
    pub epochs: Option<f64>,
    /// Length of the run in notes, over all sessions.
    pub notes: Option<u64>,
    /// Length of the run in minutes, over all sessions. Such a run is not reproducible bit for bit.
    pub minutes: Option<f64>,
    /// Maximum learning rate: reached by a linear warm-up over `warmup` steps, held, then reduced to a hundredth in a
    /// half cosine.
    pub rate: f64,
    /// Fraction of the run, at its end, in which the rate decays; 1 for all of it. Before the decay starts, a run can
    /// be extended with --notes or --epochs as if it had been planned so.
    pub fall: f64,
    /// Decay per step of the exponential moving average of the weights, which is what is validated and saved; 0 for the
    /// weights themselves.
    pub average: f64,
    /// Number of steps over which the learning rate warms up.
    pub warmup: u64,
    /// AdamW's weight decay, applied to matrices only.
    pub weight_decay: f64,
    /// Dropout probability for activations between layers.
    pub dropout: f32,
    /// Dropout probability for recurrent weights.
    pub weight_dropout: f32,
    /// Maximum norm of the gradient; larger ones are clipped.
    pub clip: f64,
    /// Steps between validations. Each saves the weights as the last ones, and as the best ones if they are.
    pub validate_every: u64,
    /// Maximum number of notes per validation.
    pub validate_notes: usize,
    /// Number of prompts from each set of the validation split that the network continues at every validation, to
    /// monitor free running in addition to the losses; 0 for none.
    pub free_prompts: usize,
    /// Precision of matrix products on the CPU: factors are rounded to `bf16`, or not (`f32`). If not given, the
    /// fastest on this CPU when the run starts, which is then stored in its checkpoints.
    pub precision: Option<MatmulPrecision>,
    /// Minutes between checkpoints.
    pub checkpoint_minutes: f64,
    /// Data augmentation.
    pub augment: Augment,
    /// Conditioning inputs besides the notes; none without this section.
    #[serde(rename = "told", skip_serializing_if = "Option::is_none")]
    pub conditioning: Option<ConditioningRates>,
}

/// Data augmentation, drawn for each pass over a piece. Ranges are symmetric around no change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Maximum transposition up or down, in semitones.
    pub transpose: u8,
    /// Maximum factor on time, such as 1.25 for a range from 1/1.25 to 1.25, uniform in the logarithm.
    pub tempo: f64,
    /// Maximum offset of MIDI velocities up or down, the same for the whole piece.
    pub velocity: u8,
    /// Maximum factor on durations in addition to that of `tempo`, with the same kind of range.
    pub length: f64,
    /// Probability that a pass starts somewhere in the middle of the piece.
    pub cut: f64,
    /// Probability of input-noise augmentation: the inputs are a performance whose loudness and tempo wander, while the
    /// targets remain correct. A network that continues from its own notes receives its own small errors as input; with
    /// this augmentation it learns to return to the level of the whole piece instead of drifting away.
    #[serde(rename = "stray")]
    pub input_noise: f64,
    /// Probability that a pass over a score (a piece whose source is `score`) is rendered like a human performance,
    /// with tempo, timing, dynamics and articulation of a performer drawn each time.
    pub humanize: f64,
    /// Probability that notes are shortened as if the pedal were down; not for sequenced pieces.
    #[serde(rename = "touch")]
    pub articulation: f64,
    /// Maximum factor on a score's time when it is rendered as a performance, in addition to `tempo` and with the same
    /// kind of range: the tempo of a score is often a guess.
    pub score_tempo: f64,
}

/// How often each conditioning input is given: probabilities per pass over a piece for which it is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConditioningRates {
    /// Probability that the piece's source is given.
    pub source: f64,
    /// If the source is given: probability that it is given only from somewhere in the piece on, as when it is detected
    /// live.
    pub late_source: f64,
    /// Probability that tempo and position in beat and bar are given at every note.
    pub meter: f64,
    /// If the meter is given: probability that it is wrong, in phase or by half or double the tempo, so that the
    /// network does not trust it blindly.
    pub wrong_meter: f64,
    /// If the meter is given: probability that it has no bars.
    pub no_bar: f64,
    /// If the meter is given: probability that it is given only from somewhere in the piece on, as when a pulse is
    /// detected while someone plays.
    pub late_meter: f64,
    /// Probability that instead of the meter a steady beat is given to which the piece was not played, from somewhere
    /// in the piece on, as by a host whose transport runs while someone plays freely; also for pieces without beats.
    pub unrelated_transport: f64,
    /// Probability that the time left until the end of the piece or of a section is given, in seconds or in notes, from
    /// some point on.
    pub left: f64,
    /// If the time left is given: probability that this begins in the last third of the piece.
    pub ending: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            network: Kind::Antiphon,
            name: "my music".into(),
            license: String::new(),
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
            conditioning: None,
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
            input_noise: 0.2,
            humanize: 0.0,
            articulation: 0.0,
            score_tempo: 1.4,
        }
    }
}

impl Default for ConditioningRates {
    fn default() -> Self {
        Self {
            source: 0.7,
            late_source: 0.3,
            meter: 0.5,
            wrong_meter: 0.05,
            no_bar: 0.25,
            late_meter: 0.3,
            unrelated_transport: 0.0,
            left: 0.25,
            ending: 0.5,
        }
    }
}

impl Config {
    /// Defaults for fine-tuning trained weights on a small data set: a low learning rate and many steps, so that
    /// minutes are enough and the network does not forget what it has learned.
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

    /// Reads a TOML file; its relative data paths are resolved.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let mut config = Self::parse(&crate::error::read_input(path)?).map_err(|why| bad_input(path, why))?;
        for data in &mut config.data {
            *data = path.parent().unwrap_or(Path::new("")).join(&*data);
        }
        Ok(config)
    }

    /// Parses the contents of a TOML file, leaving its paths as they are. The error is a single line.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            return Err("is too large; expected a short TOML file".to_owned());
        }
        let text = str::from_utf8(bytes).map_err(|_| "is not text; expected a TOML file".to_owned())?;
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| bytes.get(..span.start)).unwrap_or_default();
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            let message: String = error.message().replace('\n', ", ").chars().take(LONGEST_MESSAGE).collect();
            format!("line {line}: {message}")
        })
    }

    /// A set's weight in the mixture; 1 if not given.
    pub fn weight(&self, set: &str) -> f64 {
        self.mixture.get(set).copied().unwrap_or(1.0)
    }

    /// The first problem with the settings, if there is one.
    pub fn problem(&self) -> Option<String> {
        let Augment { tempo, length, cut, input_noise, humanize, articulation, score_tempo, .. } = self.augment;
        let ConditioningRates {
            source,
            late_source,
            meter,
            wrong_meter,
            no_bar,
            late_meter,
            unrelated_transport,
            left,
            ending,
        } = self.conditioning.clone().unwrap_or_default();
        let wrong = [
            (self.data.is_empty(), "no data: name folders in `data` or with --data"),
            (self.lanes == 0 || self.chunk == 0, "`lanes` and `chunk` must be at least 1"),
            (
                self.epochs.is_none() && self.notes.is_none() && self.minutes.is_none(),
                "no training length: set `epochs`, `notes` or `minutes` in the configuration, or --epochs, --notes or --minutes",
            ),
            (!(self.rate > 0.0 && self.clip > 0.0), "`rate` and `clip` must be above 0"),
            (!(0.0..0.95).contains(&self.dropout), "`dropout` must be from 0 to 0.95"),
            (!(0.0..0.95).contains(&self.weight_dropout), "`weight_dropout` must be from 0 to 0.95"),
            (!(self.fall > 0.0 && self.fall <= 1.0), "`fall` must be above 0, and at most 1"),
            (!(0.0..1.0).contains(&self.average), "`average` must be at least 0, and below 1"),
            (self.validate_every == 0, "`validate_every` must be at least 1"),
            (!(tempo >= 1.0 && length >= 1.0), "`augment.tempo` and `augment.length` must be at least 1"),
            (!(0.0..=1.0).contains(&cut), "`augment.cut` must be from 0 to 1"),
            (!(0.0..=1.0).contains(&input_noise), "`augment.stray` must be from 0 to 1"),
            (!(0.0..=1.0).contains(&humanize), "`augment.humanize` must be from 0 to 1"),
            (!(0.0..=1.0).contains(&articulation), "`augment.touch` must be from 0 to 1"),
            (!(score_tempo >= 1.0 && score_tempo.is_finite()), "`augment.score_tempo` must be at least 1"),
            (
                ![source, late_source, meter, wrong_meter, no_bar, late_meter, unrelated_transport, left, ending]
                    .iter()
                    .all(|share| (0.0..=1.0).contains(share)),
                "all values in `told` must be from 0 to 1",
            ),
            (
                !self.mixture.values().all(|weight| (0.0..=1000.0).contains(weight)),
                "weights in `mixture` must be from 0 to 1000",
            ),
        ];
        wrong.iter().find(|(wrong, _)| *wrong).map(|(_, what)| (*what).to_owned())
    }
}
