//! The loss of a head's outputs: adds links to the classes, masks impossible classes, and sums the cross-entropies of
//! the targets, all in one op.

use candle_core::{CpuStorage, CustomOp1, D, Device, Layout, Result, Shape, Storage, Tensor, bail};
use candle_nn::ops::log_softmax;
use rayon::prelude::*;

use super::{matmul::contiguous, ragged::Ragged};
use crate::{activation::exp, simd::widest};

/// Targets of a head, one per row of its outputs.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    /// Number of classes. They are the first outputs.
    pub classes: usize,
    /// Per row, outputs that are added to classes, as (class, output): see `Features::links`.
    pub links: Ragged<(u32, u32)>,
    /// Per row, the first class that is possible.
    pub lowest: Vec<u32>,
    /// Per row, the target class.
    pub class: Vec<u32>,
    /// Per row, the weight of its loss.
    pub weights: Vec<f32>,
}

impl Targets {
    /// `rows` rows, all with weight 0.
    pub fn none(rows: usize, classes: usize) -> Self {
        let zeros = vec![0; rows];
        Self { classes, links: Ragged::empty(rows), lowest: zeros.clone(), class: zeros, weights: vec![0.0; rows] }
    }

    /// The weighted sum of the rows' cross-entropies, in nats. `outputs`: `[rows, outputs]`.
    pub fn nats(self, outputs: &Tensor) -> Result<Tensor> {
        let (rows, all) = outputs.dims2()?;
        if self.class.len() != rows || all < self.classes {
            bail!("outputs {:?} for {} rows of {} classes", outputs.shape(), self.class.len(), self.classes);
        }
        match outputs.device() {
            Device::Cpu => outputs.contiguous()?.apply_op1(self),
            _ => self.reference(outputs),
        }
    }

    /// [`Targets::nats`] in candle's own ops, for other devices.
    fn reference(&self, outputs: &Tensor) -> Result<Tensor> {
        let ((rows, all), device) = (outputs.dims2()?, outputs.device());
        let flat = |width: usize, of: fn(&(u32, u32)) -> u32| {
            let places =
                (0..rows).flat_map(|row| self.links[row].iter().map(move |pair| (row * width) as u32 + of(pair)));
            Tensor::from_iter(places, device)
        };
        let mut scores = outputs.narrow(1, 0, self.classes)?.contiguous()?;
        if all > self.classes {
            let linked = outputs.flatten_all()?.index_select(&flat(all, |pair| pair.1)?, 0)?;
            let places = flat(self.classes, |pair| pair.0)?;
            scores = scores.flatten_all()?.index_add(&places, &linked, 0)?.reshape((rows, self.classes))?;
        }
        let lowest = self.lowest.iter();
        let ruled_out =
            lowest.flat_map(|&low| (0..self.classes as u32).map(move |n| if n < low { -1e9 } else { 0.0f32 }));
        let ruled_out = Tensor::from_iter(ruled_out, device)?.reshape((rows, self.classes))?;
        let class = Tensor::from_slice(&self.class, (rows, 1), device)?;
        let chances = log_softmax(&(scores + ruled_out)?, D::Minus1)?.gather(&class, 1)?.squeeze(1)?;
        (chances * Tensor::from_slice(&self.weights, rows, device)?)?.sum_all()?.neg()
    }

    /// Writes e^(score - largest) for each class of a row, 0 for masked ones; returns their sum and the largest score.
    fn exponentials(&self, row: usize, outputs: &[f32], scores: &mut [f32]) -> (f32, f32) {
        scores.copy_from_slice(&outputs[..self.classes]);
        for &(class, output) in &self.links[row] {
            scores[class as usize] += outputs[output as usize];
        }
        let (ruled_out, scores) = scores.split_at_mut(self.lowest[row] as usize);
        ruled_out.fill(0.0);
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        exponentials(scores, largest);
        (scores.iter().sum(), largest)
    }
}

impl CustomOp1 for Targets {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let outputs = contiguous(storage, layout)?;
        let (_, all) = layout.shape().dims2()?;
        let rows = outputs.par_chunks_exact(all).enumerate();
        let nats = rows.map_init(
            || vec![0.0; self.classes],
            |scores, (row, outputs)| {
                if self.weights[row] == 0.0 {
                    return 0.0;
                }
                let (sum, largest) = self.exponentials(row, outputs, scores);
                let class = self.class[row];
                let linked = self.links[row].iter().filter(|link| link.0 == class).map(|link| outputs[link.1 as usize]);
                let score = outputs[class as usize] + linked.sum::<f32>();
                f64::from(self.weights[row]) * f64::from(sum.ln() + largest - score)
            },
        );
        // Summed in row order, however many threads there are.
        let nats: Vec<f64> = nats.collect();
        Ok((CpuStorage::F32(vec![nats.iter().sum::<f64>() as f32]), Shape::from(())))
    }

    fn bwd(&self, outputs: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, all) = outputs.dims2()?;
        let grad = grad.to_scalar::<f32>()?;
        let (storage, layout) = outputs.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { bail!("`nats` runs on the CPU") };
        let mut out = vec![0.0; rows * all];
        let each = out.par_chunks_exact_mut(all).zip(contiguous(storage, layout)?.par_chunks_exact(all)).enumerate();
        each.for_each(|(row, (out, outputs))| {
            let weight = grad * self.weights[row];
            if weight == 0.0 {
                return;
            }
            let (sum, _) = self.exponentials(row, outputs, &mut out[..self.classes]);
            out[..self.classes].iter_mut().for_each(|chance| *chance *= weight / sum);
            out[self.class[row] as usize] -= weight;
            for &(class, output) in &self.links[row] {
                out[output as usize] += out[class as usize];
            }
        });
        Ok(Some(Tensor::from_vec(out, (rows, all), outputs.device())?))
    }
}

widest! {
    fn exponentials(scores: &mut [f32], largest: f32) {
        scores.iter_mut().for_each(|score| *score = exp(*score - largest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg32;

    /// With links to the target class and to others, a masked class, and a row of weight 0.
    #[test]
    fn nats_and_gradients_are_those_of_plain_operations() {
        let mut targets = Targets::none(4, 3);
        targets.links.set(2, &[(2, 3), (2, 4)]);
        targets.links.set(0, &[(0, 3), (1, 3), (2, 4)]);
        targets.lowest[1] = 1;
        targets.class = vec![0, 2, 2, 1];
        targets.weights = vec![1.0, 0.5, 0.25, 0.0];
        let mut rng = Pcg32::seed_from_u64(5);
        let values: Vec<f32> = (0..20).map(|_| rng.random_range(-3.0..3.0)).collect();
        let outputs = Var::from_vec(values, (4, 5), &Device::Cpu).unwrap();
        let run = |nats: Tensor| {
            let gradients = (&nats * 3.0).unwrap().backward().unwrap();
            let mut all = gradients.get(&outputs).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            all.push(nats.to_scalar().unwrap());
            all
        };
        let expected = run(targets.reference(&outputs).unwrap());
        let result = run(targets.nats(&outputs).unwrap());
        assert!(expected.iter().any(|value| value.abs() > 0.5));
        assert!(result.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{result:?}, {expected:?}");
    }
}
