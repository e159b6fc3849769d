//! Fits the critic's perceptron to examples: logistic loss, AdamW, on candle.

use super::examples::Example;
use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use model::critic::{STATISTICS, shapes, standardize};
use model::weights::Tensor as Plain;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg32;
use std::collections::BTreeMap;

/// Settings for fitting.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// Passes over the examples.
    pub epochs: usize,
    /// Batch size, in examples.
    pub batch: usize,
    /// Initial learning rate; decays to 0 in a half cosine.
    pub rate: f64,
    /// AdamW's weight decay.
    pub weight_decay: f64,
    /// Dropout probability for the statistics and the hidden units.
    pub dropout: f32,
    /// Seed for the initial weights, the order of the examples and dropout.
    pub seed: u64,
}

/// The mean, and the reciprocal of the standard deviation, of each statistic.
fn scales(examples: &[Example]) -> (Vec<f32>, Vec<f32>) {
    let count = examples.len().max(1) as f64;
    (0..STATISTICS)
        .map(|index| {
            let value = |example: &Example| f64::from(example.statistics[index]);
            let mean = examples.iter().map(value).sum::<f64>() / count;
            let variance = examples.iter().map(|example| (value(example) - mean).powi(2)).sum::<f64>() / count;
            (mean as f32, (1.0 / variance.sqrt().max(0.02)) as f32)
        })
        .unzip()
}

/// Trains a critic and returns its tensors. Calls `log` with each epoch and its mean loss, in nats.
pub fn fit(
    examples: &[Example],
    fit: &Fit,
    mut log: impl FnMut(usize, f64),
) -> anyhow::Result<BTreeMap<String, Plain>> {
    let (mean, scale) = scales(examples);
    let inputs: Vec<f32> = examples
        .iter()
        .flat_map(|example| {
            let mut input = example.statistics;
            standardize(&mut input, &mean, &scale);
            input
        })
        .collect();
    let rng = &mut Pcg32::new(fit.seed, 0x0066_6974);
    let vars = variables(rng)?;
    let steps = (examples.len().div_ceil(fit.batch) * fit.epochs) as f64;
    let params = ParamsAdamW { lr: fit.rate, weight_decay: fit.weight_decay, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vars.values().cloned().collect(), params)?;
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut step = 0.0;
    for epoch in 0..fit.epochs {
        order.shuffle(rng);
        let mut sum = 0.0;
        for batch in order.chunks(fit.batch) {
            let rows: Vec<f32> =
                batch.iter().flat_map(|&row| inputs[row * STATISTICS..][..STATISTICS].iter().copied()).collect();
            let labels: Vec<f32> = batch.iter().map(|&row| if examples[row].real { 1.0 } else { -1.0 }).collect();
            let rows = Tensor::from_vec(rows, (batch.len(), STATISTICS), &Device::Cpu)?;
            let labels = Tensor::from_vec(labels, batch.len(), &Device::Cpu)?;
            let mut keep = |shape: (usize, usize)| -> Result<Tensor> {
                let kept = (0..shape.0 * shape.1)
                    .map(|_| if rng.random::<f32>() < fit.dropout { 0.0 } else { 1.0 / (1.0 - fit.dropout) });
                Tensor::from_iter(kept, &Device::Cpu)?.reshape(shape)
            };
            let [first, second] = model::critic::HIDDEN;
            let odds = layer(&vars, 0, &(rows * keep((batch.len(), STATISTICS))?)?)?.relu()?;
            let odds = layer(&vars, 1, &(odds * keep((batch.len(), first))?)?)?.relu()?;
            let odds = layer(&vars, 2, &(odds * keep((batch.len(), second))?)?)?.squeeze(1)?;
            // log(1 + exp(-label odds)), without overflow.
            let margin = (odds * labels)?.neg()?;
            let loss = (margin.relu()? + (margin.abs()?.neg()?.exp()? + 1.0)?.log()?)?.mean_all()?;
            optimizer.set_learning_rate(fit.rate * 0.5 * (1.0 + (std::f64::consts::PI * step / steps).cos()));
            optimizer.backward_step(&loss)?;
            sum += f64::from(loss.to_scalar::<f32>()?) * batch.len() as f64;
            step += 1.0;
        }
        log(epoch, sum / examples.len() as f64);
    }
    let mut tensors = BTreeMap::new();
    for (name, shape) in shapes() {
        let data = match (name.as_str(), vars.get(&name)) {
            ("critic.mean", _) => mean.clone(),
            ("critic.scale", _) => scale.clone(),
            (_, Some(var)) => var.flatten_all()?.to_vec1()?,
            (_, None) => anyhow::bail!("the critic has no {name}"),
        };
        tensors.insert(name, Plain::new(shape, data));
    }
    Ok(tensors)
}

/// The trainable tensors, initialized uniformly in ±1/sqrt(fan-in), as in PyTorch.
fn variables(rng: &mut Pcg32) -> anyhow::Result<BTreeMap<String, Var>> {
    let mut vars = BTreeMap::new();
    let mut fan_in = STATISTICS;
    for (name, shape) in shapes().into_iter().skip(2) {
        if let [_, inputs] = shape[..] {
            fan_in = inputs;
        }
        let bound = 1.0 / (fan_in as f32).sqrt();
        let data: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-bound..bound)).collect();
        vars.insert(name, Var::from_tensor(&Tensor::from_vec(data, shape, &Device::Cpu)?.to_dtype(DType::F32)?)?);
    }
    Ok(vars)
}

fn layer(vars: &BTreeMap<String, Var>, number: usize, input: &Tensor) -> Result<Tensor> {
    let [weight, bias] = ["weight", "bias"].map(|part| &vars[&format!("critic.{number}.{part}")]);
    input.matmul(&weight.t()?)?.broadcast_add(bias)
}
