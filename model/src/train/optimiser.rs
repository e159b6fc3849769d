//! AdamW (Loshchilov & Hutter 2019) with its moments in reach, so that a checkpoint holds everything,
//! and clipping by the global norm.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};

/// The optimiser and its memory.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Weight decay, on matrices only.
    pub weight_decay: f64,
    /// Number of steps taken.
    pub steps: u64,
    /// Mean and mean square of each tensor's gradient.
    pub moments: BTreeMap<String, [Vec<f32>; 2]>,
}

impl AdamW {
    /// A fresh optimiser.
    pub fn new(weight_decay: f64) -> Self {
        Self { beta1: 0.9, beta2: 0.99, weight_decay, steps: 0, moments: BTreeMap::new() }
    }

    /// Moves every variable one step against its gradient.
    pub fn step(&mut self, vars: &BTreeMap<String, Var>, grads: &BTreeMap<String, Tensor>, rate: f64) -> Result<()> {
        self.steps += 1;
        let correction1 = 1.0 - self.beta1.powi(self.steps as i32);
        let correction2 = 1.0 - self.beta2.powi(self.steps as i32);
        let (b1, b2) = (self.beta1 as f32, self.beta2 as f32);
        for (name, var) in vars {
            let Some(grad) = grads.get(name) else { continue };
            let grad = grad.flatten_all()?.to_vec1::<f32>()?;
            let mut value = var.flatten_all()?.to_vec1::<f32>()?;
            let [m, v] =
                self.moments.entry(name.clone()).or_insert_with(|| [vec![0.0; grad.len()], vec![0.0; grad.len()]]);
            let decay = if var.rank() > 1 { 1.0 - (rate * self.weight_decay) as f32 } else { 1.0 };
            let (step, scale) = ((rate / correction1) as f32, 1.0 / correction2 as f32);
            for (((value, g), m), v) in value.iter_mut().zip(&grad).zip(m).zip(v) {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *value = *value * decay - step * *m / ((*v * scale).sqrt() + 1e-8);
            }
            var.set(&Tensor::from_vec(value, var.shape(), var.device())?)?;
        }
        Ok(())
    }
}

/// Scales all gradients down so that their common norm is at most `most`; returns the norm they had.
pub fn clip(grads: &mut BTreeMap<String, Tensor>, most: f64) -> Result<f64> {
    let mut sum = 0.0;
    for grad in grads.values() {
        sum += f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let norm = sum.sqrt();
    if norm > most {
        for grad in grads.values_mut() {
            *grad = (&*grad * (most / norm))?;
        }
    }
    Ok(norm)
}
