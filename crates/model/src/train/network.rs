//! Both networks over whole chunks, with their losses. Names, shapes and features are those of the inference code in
//! `network`; a test checks that the two agree.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var};
use rand::{Rng, RngCore};

use super::{
    batch::{Batch, Body, Head},
    loss::Targets,
    lstm::{Carry, Lstm},
    matmul::{MatmulPrecision, linear},
    reference,
    sparse::Sparse,
};
use crate::{
    shapes::{Attribute, EMBEDDING, HIDDEN, Kind, LAYERS},
    weights::{self, Card, Weights, WeightsError},
};

/// A trainable network.
#[derive(Debug)]
pub struct Model {
    kind: Kind,
    device: Device,
    vars: BTreeMap<String, Var>,
    layers: Vec<Lstm>,
    precision: MatmulPrecision,
}

/// Regularization of one training step, with masks from a seeded generator.
pub struct Noise<'a> {
    /// Dropout rate of the trunk's activations, with one mask for the whole chunk (Gal & Ghahramani 2016).
    pub dropout: f32,
    /// Dropout rate of the recurrent weights (Merity et al. 2018).
    pub weight_dropout: f32,
    /// Generator of the masks.
    pub rng: &'a mut dyn RngCore,
}

/// Losses of one chunk, averaged over its notes.
pub struct Losses {
    /// The loss to minimize: the sum of the parts.
    pub total: Tensor,
    /// Per attribute: nats for classes, or mean squared error in seconds squared for the seed's timing. The seed's
    /// velocity and spread are 0.
    pub parts: [f64; 5],
}

impl Model {
    /// Creates variables from weights on this device, on which everything then runs. The precision applies to matrix
    /// products on the CPU.
    pub fn new(weights: &Weights, device: &Device, precision: MatmulPrecision) -> Result<Self> {
        let vars = weights
            .tensors()
            .iter()
            .map(|(name, t)| Ok((name.clone(), Var::from_slice(&t.data, &t.shape[..], device)?)))
            .collect::<Result<_>>()?;
        let layers = (0..LAYERS).map(|_| Lstm::new(precision)).collect();
        Ok(Self { kind: weights.card.kind, device: device.clone(), vars, layers, precision })
    }

    /// The kind of network.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The precision of factors in matrix products on the CPU.
    pub fn precision(&self) -> MatmulPrecision {
        self.precision
    }

    /// The variables by name.
    pub fn vars(&self) -> &BTreeMap<String, Var> {
        &self.vars
    }

    /// Copies the weights and attaches a card.
    pub fn weights(&self, card: Card) -> Result<std::result::Result<Weights, WeightsError>> {
        let tensors = self
            .vars
            .iter()
            .map(|(name, var)| {
                let data = var.flatten_all()?.to_vec1::<f32>()?;
                Ok((name.clone(), weights::Tensor::new(var.dims().to_vec(), data)))
            })
            .collect::<Result<_>>()?;
        Ok(Weights::new(card, tensors))
    }

    /// The initial state of every layer: zeros.
    pub fn zero_carry(&self, lanes: usize) -> Vec<Carry> {
        vec![Carry::zero(lanes, HIDDEN); LAYERS]
    }

    /// Runs a chunk and computes its losses. Consumes the batch: its features move into the graph. `carry` is updated.
    pub fn losses(&self, batch: Batch, carry: &mut [Carry], mut noise: Option<Noise>) -> Result<Losses> {
        let Batch { time, lanes, fresh, counts, body } = batch;
        let device = &self.device;
        let (rows, notes) = (time * lanes, counts.iter().sum::<f32>().max(1.0));
        let mean = |losses: &Tensor, counts: Vec<f32>| -> Result<Tensor> {
            (losses * Tensor::from_vec(counts, rows, device)?)?.sum_all()? / f64::from(notes)
        };
        match body {
            Body::Seed { pitch, timing, next_pitch, next_timing } => {
                let timing = Tensor::from_vec(timing, (rows, 2), device)?;
                let pitch = Tensor::from_vec(pitch, rows, device)?;
                let embedded = self.vars["embedding.weight"].t()?.contiguous()?.index_select(&pitch, 0)?;
                let x = Tensor::cat(&[embedded, timing], 1)?;
                let h = self.trunk(x.reshape((time, lanes, ()))?, carry, &fresh, &mut noise)?;
                let logits = self.linear(&self.linear(&h, "pitch.0")?.relu()?, "pitch.2")?;
                let next = Tensor::from_vec(next_timing, (rows, 2), device)?;
                let error = |name: &str, column: usize| -> Result<Tensor> {
                    let out = self.linear(&h, name)?.squeeze(1)?;
                    mean(&(out - next.narrow(1, column, 1)?.squeeze(1)?)?.sqr()?, counts.clone())
                };
                let step = error("step", 0)?;
                let classes = logits.dim(1)?;
                let targets = Targets { class: next_pitch, weights: counts.clone(), ..Targets::none(rows, classes) };
                let pitch = (targets.nats(&logits)? / f64::from(notes))?;
                let duration = error("duration", 1)?;
                Losses::add([Some(step), Some(pitch), Some(duration), None, None], device)
            }
            Body::Antiphon { inputs, heads } => {
                let input = &self.vars["input.weight"];
                let x = inputs.linear(input)?;
                let x = x.reshape((time, lanes, EMBEDDING))?;
                let h = self.trunk(x, carry, &fresh, &mut noise)?;
                let mut parts = [const { None }; 5];
                for ((attribute, Head { features, targets }), part) in
                    Attribute::ALL.into_iter().zip(heads).zip(&mut parts)
                {
                    *part = Some((targets.nats(&self.head(attribute, &h, features)?)? / f64::from(notes))?);
                }
                Losses::add(parts, device)
            }
        }
    }

    /// The LSTM layers: `[time, lanes, input]` -> `[time * lanes, HIDDEN]`.
    fn trunk(&self, mut x: Tensor, carry: &mut [Carry], fresh: &[bool], noise: &mut Option<Noise>) -> Result<Tensor> {
        let lanes = x.dim(1)?;
        for (n, (layer, carry)) in self.layers.iter().zip(carry).enumerate() {
            let get = |name: &str| &self.vars[&format!("lstm.{name}_l{n}")];
            let mut recurrent = get("weight_hh").as_tensor().clone();
            if let Some(noise) = noise.as_mut().filter(|noise| noise.weight_dropout > 0.0) {
                let mask = keep(noise.weight_dropout, 4 * HIDDEN * HIDDEN, noise.rng);
                recurrent = (recurrent * Tensor::from_vec(mask, (4 * HIDDEN, HIDDEN), &self.device)?)?;
            }
            let weight = Tensor::cat(&[get("weight_ih").as_tensor(), &recurrent], 1)?;
            let bias = (get("bias_ih").as_tensor() + get("bias_hh").as_tensor())?;
            x = match self.device {
                Device::Cpu => layer.sequence(&x, &weight, &bias, carry, fresh)?,
                _ => reference::sequence(&x, &weight, &bias, carry, fresh)?,
            };
            if let Some(noise) = noise.as_mut().filter(|noise| noise.dropout > 0.0) {
                let mask = keep(noise.dropout, lanes * HIDDEN, noise.rng);
                x = x.broadcast_mul(&Tensor::from_vec(mask, (1, lanes, HIDDEN), &self.device)?)?;
            }
        }
        x.reshape(((), HIDDEN))
    }

    /// Logits of one of `antiphon`'s heads: `[rows, outputs]`.
    fn head(&self, attribute: Attribute, h: &Tensor, features: Sparse) -> Result<Tensor> {
        let get = |part: &str| &self.vars[&format!("{}.{part}", attribute.name())];
        let contribution = features.linear(get("features.weight"))?;
        let hidden = (linear(h, get("state.weight"), get("hidden.bias"), self.precision)? + contribution)?.relu()?;
        linear(&hidden, get("out.weight"), get("out.bias"), self.precision)
    }

    /// `x W^T + b`
    fn linear(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let get = |part: &str| &self.vars[&format!("{name}.{part}")];
        linear(x, get("weight"), get("bias"), self.precision)
    }
}

impl Losses {
    fn add(parts: [Option<Tensor>; 5], device: &Device) -> Result<Self> {
        let mut total = Tensor::zeros((), candle_core::DType::F32, device)?;
        let mut values = [0.0; 5];
        for (part, value) in parts.iter().zip(&mut values) {
            if let Some(part) = part {
                total = (total + part)?;
                *value = f64::from(part.to_scalar::<f32>()?);
            }
        }
        Ok(Self { total, parts: values })
    }
}

/// Inverted dropout mask: 0 with probability `dropped`, else scaled up to keep the mean.
fn keep(dropped: f32, len: usize, rng: &mut dyn RngCore) -> Vec<f32> {
    let scale = 1.0 / (1.0 - dropped);
    (0..len).map(|_| if rng.random::<f32>() < dropped { 0.0 } else { scale }).collect()
}
