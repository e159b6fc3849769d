//! Checkpoints: everything that a training run needs to continue bit for bit, in one safetensors file.

use super::{average::Average, config::Config, stream::StreamPosition};
use crate::{
    error::{bad_input, read_input},
    files::write_atomic,
};
use model::{
    Card, Weights,
    train::{AdamW, Carry, Model},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::Path};

/// The state of a training run.
pub struct Checkpoint {
    /// The weights.
    pub weights: Weights,
    /// The optimizer with its moments.
    pub optimizer: AdamW,
    /// The averaged weights.
    pub average: Average,
    /// The recurrent state of every layer and lane.
    pub carry: Vec<Carry>,
    /// Everything else.
    pub progress: Progress,
}

/// The part of a checkpoint that is stored as JSON rather than as tensors.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// The configuration of the run.
    pub config: Config,
    /// Position in the training stream, at the start of its next chunk.
    #[serde(rename = "place")]
    pub position: Option<StreamPosition>,
    /// Seconds of training so far, in all sessions.
    pub seconds: f64,
    /// Number of steps so far.
    pub steps: u64,
    /// Lowest validation loss so far.
    pub best: Option<f64>,
    /// Losses so far.
    pub log: Vec<super::report::Line>,
    /// Results of free running so far.
    #[serde(default, rename = "drift")]
    pub free_running: Vec<super::free_running_log::Line>,
    /// Sums of the training losses since the last validation; divided by `summed`, their means.
    #[serde(default)]
    pub sums: [f64; 5],
    /// Number of steps in `sums`.
    #[serde(default)]
    pub summed: u32,
    /// Fingerprint of the data.
    #[serde(default)]
    pub data: Option<u64>,
}

impl Progress {
    /// The state of a run that has not begun.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            position: None,
            seconds: 0.0,
            steps: 0,
            best: None,
            log: Vec::new(),
            free_running: Vec::new(),
            sums: [0.0; 5],
            summed: 0,
            data: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    card: Card,
    progress: Progress,
    /// Number of updates of the averages.
    #[serde(default)]
    averaged: u64,
}

/// Key of the header in the file's metadata.
const KEY: &str = "antiphon-training";

/// Writes a checkpoint atomically.
pub fn save(
    path: &Path,
    model: &Model,
    optimizer: &AdamW,
    average: &Average,
    carry: &[Carry],
    card: &Card,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut columns: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    let mut add = |name: String, shape: Vec<usize>, data: &[f32]| {
        columns.push((name, shape, data.iter().flat_map(|v| v.to_le_bytes()).collect()));
    };
    let weights = model.weights(card.clone())??;
    for (name, tensor) in weights.tensors() {
        add(format!("weights/{name}"), tensor.shape.clone(), &tensor.data);
    }
    for (name, [mean, square]) in &optimizer.moments {
        add(format!("mean/{name}"), vec![mean.len()], mean);
        add(format!("square/{name}"), vec![square.len()], square);
    }
    for (name, values) in &average.tensors {
        add(format!("average/{name}"), vec![values.len()], values);
    }
    for (layer, state) in carry.iter().enumerate() {
        add(format!("carry/{layer}/h"), vec![state.h.len()], &state.h);
        add(format!("carry/{layer}/c"), vec![state.c.len()], &state.c);
    }
    let views = columns
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    let header =
        serde_json::to_string(&Header { card: card.clone(), progress: progress.clone(), averaged: average.steps })?;
    write_atomic(path, &safetensors::serialize(views, Some([(KEY.to_owned(), header)].into()))?)
}

/// Whether these bytes are a checkpoint.
pub fn is_checkpoint(bytes: &[u8]) -> bool {
    SafeTensors::read_metadata(bytes)
        .is_ok_and(|(_, header)| header.metadata().as_ref().is_some_and(|metadata| metadata.contains_key(KEY)))
}

/// Reads a checkpoint written by [`save`].
pub fn load(path: &Path) -> anyhow::Result<Checkpoint> {
    let bytes = read_input(path)?;
    parse(&bytes).map_err(|what| bad_input(path, format!("{what}; start over without --resume")))
}

fn parse(bytes: &[u8]) -> Result<Checkpoint, String> {
    let broken = |_| "not a complete checkpoint".to_owned();
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let header = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or("not a checkpoint of this program")?;
    let Header { card, progress, averaged } =
        serde_json::from_str(header).map_err(|e| format!("its header cannot be read: {e}"))?;
    let numbers = |name: &str| -> Result<Vec<f32>, String> {
        let view = file.tensor(name).map_err(|_| format!("`{name}` is missing"))?;
        Ok(view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
    };
    let (mut tensors, mut moments) = (BTreeMap::new(), BTreeMap::new());
    let mut average = Average { tensors: BTreeMap::new(), steps: averaged };
    for name in file.names() {
        if let Some(short) = name.strip_prefix("weights/") {
            let shape = file.tensor(name).map_err(broken)?.shape().to_vec();
            tensors.insert(short.to_owned(), model::weights::Tensor::new(shape, numbers(name)?));
        } else if let Some(short) = name.strip_prefix("average/") {
            average.tensors.insert(short.to_owned(), numbers(name)?);
        } else if let Some(short) = name.strip_prefix("mean/") {
            moments.insert(short.to_owned(), [numbers(name)?, numbers(&format!("square/{short}"))?]);
        }
    }
    let carry = (0..model::shapes::LAYERS)
        .map(|layer| Ok(Carry { h: numbers(&format!("carry/{layer}/h"))?, c: numbers(&format!("carry/{layer}/c"))? }))
        .collect::<Result<_, String>>()?;
    let weights = Weights::new(card, tensors).map_err(|e| e.to_string())?;
    let mut optimizer = AdamW::new(progress.config.weight_decay);
    optimizer.steps = progress.steps;
    optimizer.moments = moments;
    Ok(Checkpoint { weights, optimizer, average, carry, progress })
}
