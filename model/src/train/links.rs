//! Outputs of a head that are added to classes, other ones in each row: see `Features::links`.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::{matmul::contiguous, ragged::Ragged};

/// The links of each row, as (class, output).
pub(super) type Links = Ragged<(u32, u32)>;

impl Links {
    /// Scores of the classes: `[rows, outputs]` -> `[rows, classes]`. The first outputs are the classes' own.
    pub fn apply(self, outputs: &Tensor, classes: usize) -> Result<Tensor> {
        let (rows, all) = outputs.dims2()?;
        if all == classes {
            return Ok(outputs.clone());
        }
        if self.rows() != rows {
            bail!("links of {} rows for {rows}", self.rows());
        }
        match outputs.device() {
            Device::Cpu => outputs.contiguous()?.apply_op1(Linked { links: self, classes }),
            device => {
                let flat = |width: usize, of: fn(&(u32, u32)) -> u32| {
                    let places =
                        (0..rows).flat_map(|row| self[row].iter().map(move |pair| (row * width) as u32 + of(pair)));
                    Tensor::from_iter(places, device)
                };
                let scores = outputs.narrow(1, 0, classes)?.contiguous()?;
                let linked = outputs.flatten_all()?.index_select(&flat(all, |pair| pair.1)?, 0)?;
                scores.flatten_all()?.index_add(&flat(classes, |pair| pair.0)?, &linked, 0)?.reshape((rows, classes))
            }
        }
    }
}

struct Linked {
    links: Links,
    classes: usize,
}

impl CustomOp1 for Linked {
    fn name(&self) -> &'static str {
        "links"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let outputs = contiguous(storage, layout)?;
        let (rows, all) = layout.shape().dims2()?;
        let mut scores = vec![0.0; rows * self.classes];
        let each = scores.par_chunks_exact_mut(self.classes).zip(outputs.par_chunks_exact(all)).enumerate();
        each.for_each(|(row, (scores, outputs))| {
            scores.copy_from_slice(&outputs[..self.classes]);
            for &(class, output) in &self.links[row] {
                scores[class as usize] += outputs[output as usize];
            }
        });
        Ok((CpuStorage::F32(scores), (rows, self.classes).into()))
    }

    fn bwd(&self, outputs: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (rows, all) = outputs.dims2()?;
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        let candle_core::Storage::Cpu(storage) = &*storage else { bail!("`links` runs on the CPU") };
        let grad = contiguous(storage, layout)?;
        let mut out = vec![0.0; rows * all];
        let each = out.par_chunks_exact_mut(all).zip(grad.par_chunks_exact(self.classes)).enumerate();
        each.for_each(|(row, (out, grad))| {
            out[..self.classes].copy_from_slice(grad);
            for &(class, output) in &self.links[row] {
                out[output as usize] += grad[class as usize];
            }
        });
        Ok(Some(Tensor::from_vec(out, (rows, all), outputs.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    #[test]
    fn scores_and_gradients_are_those_of_plain_operations() {
        let mut links = Links::empty(3);
        links.set(2, &[(2, 3), (2, 4)]);
        links.set(0, &[(0, 3), (1, 3), (2, 4)]);
        let values: Vec<f32> = (0..15).map(|i| (i * i % 7) as f32).collect();
        let outputs = Var::from_vec(values.clone(), (3, 5), &Device::Cpu).unwrap();
        let scores = links.apply(&outputs, 3).unwrap();
        let (mut expected, at) = (vec![0.0; 9], |row: usize, output: usize| values[row * 5 + output]);
        for row in 0..3 {
            (0..3).for_each(|class| expected[row * 3 + class] = at(row, class));
        }
        for (row, class, output) in [(0, 0, 3), (0, 1, 3), (0, 2, 4), (2, 2, 3), (2, 2, 4)] {
            expected[row * 3 + class] += at(row, output);
        }
        assert_eq!(scores.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected);
        let weights = Tensor::from_vec((1..10).map(|i| i as f32).collect::<Vec<_>>(), (3, 3), &Device::Cpu).unwrap();
        let gradients = (scores * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&outputs).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(gradient, [[1., 2., 3., 3., 3.], [4., 5., 6., 0., 0.], [7., 8., 9., 9., 9.]]);
    }
}
