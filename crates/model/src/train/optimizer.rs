//! AdamW (Loshchilov & Hutter 2019) with accessible moments, so that a checkpoint can hold everything, and gradient
//! clipping by global norm.

use std::{collections::BTreeMap, sync::Mutex};

use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Result, Storage, Tensor, Var, bail};
use rayon::prelude::*;

use super::matmul::contiguous;
use crate::simd::widest;

/// The optimizer and its state.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Decay of the mean of gradients (first moment).
    pub beta1: f64,
    /// Decay of the mean of squared gradients (second moment).
    pub beta2: f64,
    /// Weight decay, on matrices only.
    pub weight_decay: f64,
    /// Number of steps taken.
    pub steps: u64,
    /// First and second moment of each tensor's gradient, by name.
    pub moments: BTreeMap<String, [Vec<f32>; 2]>,
}

impl AdamW {
    /// An optimizer without state, with beta1 = 0.9 and beta2 = 0.99.
    pub fn new(weight_decay: f64) -> Self {
        Self { beta1: 0.9, beta2: 0.99, weight_decay, steps: 0, moments: BTreeMap::new() }
    }

    /// One step of every variable that has a gradient; gradients are multiplied by `scale`, and `rate` is the learning
    /// rate.
    pub fn step(
        &mut self,
        vars: &BTreeMap<String, Var>,
        grads: &BTreeMap<String, Tensor>,
        scale: f64,
        rate: f64,
    ) -> Result<()> {
        self.steps += 1;
        let correction = |beta: f64| 1.0 - beta.powi(self.steps as i32);
        for (name, var) in vars {
            let Some(grad) = grads.get(name) else { continue };
            let factors = Factors {
                scale: scale as f32,
                beta1: self.beta1 as f32,
                beta2: self.beta2 as f32,
                step: (rate / correction(self.beta1)) as f32,
                square: 1.0 / correction(self.beta2) as f32,
                decay: if var.rank() > 1 { 1.0 - (rate * self.weight_decay) as f32 } else { 1.0 },
            };
            let zeros = || [vec![0.0; grad.elem_count()], vec![0.0; grad.elem_count()]];
            let moments = self.moments.entry(name.clone()).or_insert_with(zeros);
            let grad = grad.contiguous()?;
            match var.device() {
                Device::Cpu => var.inplace_op2(&grad, &Update { factors, moments: Mutex::new(moments) })?,
                device => {
                    let mut values = var.flatten_all()?.to_vec1()?;
                    factors.update_all(&mut values, &grad.flatten_all()?.to_vec1()?, moments);
                    var.set(&Tensor::from_vec(values, var.shape(), device)?)?;
                }
            }
        }
        Ok(())
    }
}

/// Constants of a step, the same for all values of a tensor.
#[derive(Clone, Copy)]
struct Factors {
    scale: f32,
    beta1: f32,
    beta2: f32,
    step: f32,
    square: f32,
    decay: f32,
}

/// Values per chunk of parallel work.
const SHARE: usize = 1 << 14;

impl Factors {
    fn update_all(self, values: &mut [f32], grads: &[f32], [means, squares]: &mut [Vec<f32>; 2]) {
        let moments = means.par_chunks_mut(SHARE).zip(squares.par_chunks_mut(SHARE));
        let work = values.par_chunks_mut(SHARE).zip(grads.par_chunks(SHARE)).zip(moments);
        work.for_each(|((values, grads), (means, squares))| update(values, grads, means, squares, self));
    }
}

widest! {
    fn update(values: &mut [f32], grads: &[f32], means: &mut [f32], squares: &mut [f32], factors: Factors) {
        let Factors { scale, beta1, beta2, step, square, decay } = factors;
        let len = values.len();
        let (grads, means, squares) = (&grads[..len], &mut means[..len], &mut squares[..len]);
        for i in 0..len {
            let grad = scale * grads[i];
            means[i] = beta1 * means[i] + (1.0 - beta1) * grad;
            squares[i] = beta2 * squares[i] + (1.0 - beta2) * grad * grad;
            values[i] = values[i] * decay - step * means[i] / ((squares[i] * square).sqrt() + 1e-8);
        }
    }
}

/// A step of one tensor, in place.
struct Update<'a> {
    factors: Factors,
    moments: Mutex<&'a mut [Vec<f32>; 2]>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, values: &mut CpuStorage, vl: &Layout, grads: &CpuStorage, gl: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((begin, end))) = (values, vl.contiguous_offsets()) else {
            bail!("a variable must be contiguous and f32")
        };
        let mut moments = self.moments.lock().expect("no panic while held");
        self.factors.update_all(&mut values[begin..end], contiguous(grads, gl)?, &mut moments);
        Ok(())
    }
}

/// The global norm of all gradients, and the factor that scales it to at most `most`.
pub fn clip(grads: &BTreeMap<String, Tensor>, most: f64) -> Result<(f64, f64)> {
    let mut sum = 0.0;
    for grad in grads.values() {
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        sum += match &*storage {
            // Partial sums are added in order, however many threads there are.
            Storage::Cpu(storage) => {
                let shares: Vec<f64> = contiguous(storage, layout)?.par_chunks(SHARE).map(sum_of_squares).collect();
                shares.into_iter().sum()
            }
            _ => f64::from(grad.sqr()?.sum_all()?.to_scalar::<f32>()?),
        };
    }
    let norm = sum.sqrt();
    Ok((norm, if norm > most { most / norm } else { 1.0 }))
}

fn sum_of_squares(values: &[f32]) -> f64 {
    let (vectors, rest) = values.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for vector in vectors {
        for i in 0..16 {
            sums[i] += vector[i] * vector[i];
        }
    }
    let all = sums.iter().copied().chain(rest.iter().map(|value| value * value));
    all.map(f64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks two steps against the formulas, for a matrix (with weight decay) and a vector (without); clipping halves
    /// the gradient.
    #[test]
    fn steps_are_those_of_the_paper() {
        let var = |values: &[f32], shape: &[usize]| Var::from_slice(values, shape, &Device::Cpu).unwrap();
        let vars: BTreeMap<_, _> =
            [("m".to_owned(), var(&[1.0, -2.0], &[1, 2])), ("v".to_owned(), var(&[0.5], &[1]))].into();
        let mut adam = AdamW::new(0.1);
        let mut expected = [1.0, -2.0, 0.5f64];
        let (mut mean, mut square) = ([0.0; 3], [0.0; 3]);
        for (n, gradient) in [[2.0, -1.0, 2.0f64], [4.0, 0.0, -3.0]].iter().enumerate() {
            let grads: BTreeMap<_, _> = [("m", &gradient[..2]), ("v", &gradient[2..])]
                .map(|(name, values)| {
                    let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
                    (name.to_owned(), Tensor::from_vec(values, vars[name].shape(), &Device::Cpu).unwrap())
                })
                .into();
            let norm = gradient.iter().map(|v| v * v).sum::<f64>().sqrt();
            let (measured, scale) = clip(&grads, norm / 2.0).unwrap();
            assert!((measured - norm).abs() < 1e-6 && (scale - 0.5).abs() < 1e-6);
            adam.step(&vars, &grads, scale, 0.01).unwrap();
            let steps = n as i32 + 1;
            for i in 0..3 {
                let g = 0.5 * gradient[i];
                mean[i] = 0.9 * mean[i] + 0.1 * g;
                square[i] = 0.99 * square[i] + 0.01 * g * g;
                let towards =
                    mean[i] / (1.0 - 0.9f64.powi(steps)) / ((square[i] / (1.0 - 0.99f64.powi(steps))).sqrt() + 1e-8);
                expected[i] = expected[i] * (if i < 2 { 1.0 - 0.01 * 0.1 } else { 1.0 }) - 0.01 * towards;
            }
            let values: Vec<f32> =
                ["m", "v"].iter().flat_map(|&n| vars[n].flatten_all().unwrap().to_vec1().unwrap()).collect();
            for (value, expected) in values.iter().zip(expected) {
                assert!((f64::from(*value) - expected).abs() < 1e-6, "{value}, {expected}");
            }
        }
    }
}
