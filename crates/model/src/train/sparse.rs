//! A linear layer with sparse input: of some thousand features, a hundred or two are nonzero. Features are computed,
//! not learned, so they need no gradient.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::{matmul::contiguous, ragged::Ragged};
use crate::simd::widest;

/// Outputs that are summed together: 8 vectors of AVX-512, or 16 of AVX2.
const WIDTH: usize = 128;

/// A sparse matrix `[rows, width]`: each row holds (column, value) pairs.
#[derive(Clone, Debug)]
pub(super) struct Sparse {
    pub rows: Ragged<(u32, f32)>,
    pub width: usize,
}

impl Sparse {
    /// All zeros.
    pub fn zeros(rows: usize, width: usize) -> Self {
        Self { rows: Ragged::empty(rows), width }
    }

    /// `self W^T`, with `weight`: `[outputs, width]` -> `[rows, outputs]`.
    pub fn linear(self, weight: &Tensor) -> Result<Tensor> {
        if weight.dim(1)? != self.width {
            bail!("weight {:?} does not fit {} features", weight.shape(), self.width);
        }
        match weight.device() {
            Device::Cpu => weight.contiguous()?.apply_op1(self),
            device => {
                let mut dense = vec![0.0; self.rows.rows() * self.width];
                for (row, values) in dense.chunks_exact_mut(self.width).enumerate() {
                    self.rows[row].iter().for_each(|&(column, value)| values[column as usize] = value);
                }
                Tensor::from_vec(dense, (self.rows.rows(), self.width), device)?.matmul(&weight.t()?)
            }
        }
    }

    /// The transpose: for each column, (row, value) pairs in row order.
    fn transposed(&self) -> Ragged<(u32, f32)> {
        let rows = || (0..self.rows.rows()).flat_map(|row| self.rows[row].iter().map(move |&pair| (row, pair)));
        let mut counts = vec![0; self.width];
        rows().for_each(|(_, (column, _))| counts[column as usize] += 1);
        let mut columns = Ragged::of_lengths(&counts, (0, 0.0));
        counts.fill(0);
        for (row, (column, value)) in rows() {
            let column = column as usize;
            columns[column][counts[column]] = (row as u32, value);
            counts[column] += 1;
        }
        columns
    }
}

impl CustomOp1 for Sparse {
    fn name(&self) -> &'static str {
        "sparse"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (outputs, width) = layout.shape().dims2()?;
        // Transposed, so that each feature's weights are contiguous.
        let mut weight = vec![0.0; outputs * width];
        transpose(contiguous(storage, layout)?, &mut weight, [outputs, width]);
        let mut out = vec![0.0; self.rows.rows() * outputs];
        out.par_chunks_exact_mut(outputs).enumerate().for_each(|(row, out)| gather(&weight, &self.rows[row], out));
        Ok((CpuStorage::F32(out), (self.rows.rows(), outputs).into()))
    }

    fn bwd(&self, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (outputs, width) = weight.dims2()?;
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { bail!("`sparse` runs on the CPU") };
        let grad = contiguous(storage, layout)?;
        // The gradient of a feature's weights is the product of its column with the gradient of the outputs.
        let columns = self.transposed();
        let mut turned = vec![0.0; width * outputs];
        turned.par_chunks_exact_mut(outputs).enumerate().for_each(|(n, sums)| gather(grad, &columns[n], sums));
        let mut out = vec![0.0; outputs * width];
        transpose(&turned, &mut out, [width, outputs]);
        Ok(Some(Tensor::from_vec(out, (outputs, width), weight.device())?))
    }
}

widest! {
    /// `out += row * matrix`, where the rows of `matrix` are as wide as `out`.
    fn gather(matrix: &[f32], row: &[(u32, f32)], out: &mut [f32]) {
        let outputs = out.len();
        for (part, out) in out.chunks_mut(WIDTH).enumerate() {
            match <&mut [f32; WIDTH]>::try_from(&mut *out) {
                Ok(out) => {
                    let mut sums = *out;
                    for &(column, value) in row {
                        let (values, _) = matrix[column as usize * outputs + part * WIDTH..].as_chunks::<WIDTH>();
                        let values = &values[0];
                        for i in 0..WIDTH {
                            sums[i] += value * values[i];
                        }
                    }
                    *out = sums;
                }
                Err(_) => {
                    for &(column, value) in row {
                        let values = &matrix[column as usize * outputs + part * WIDTH..];
                        out.iter_mut().zip(values).for_each(|(out, other)| *out += value * other);
                    }
                }
            }
        }
    }
}

/// `[rows, columns]` -> `[columns, rows]`
fn transpose(from: &[f32], to: &mut [f32], [rows, columns]: [usize; 2]) {
    const BLOCK: usize = 16;
    assert!(from.len() == rows * columns && to.len() == rows * columns);
    for row in (0..rows).step_by(BLOCK) {
        for column in (0..columns).step_by(BLOCK) {
            for row in row..rows.min(row + BLOCK) {
                for column in column..columns.min(column + BLOCK) {
                    to[column * rows + row] = from[row * columns + column];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg32;

    /// The product and its gradient equal those of the dense matrix, for widths that fill the blocks and widths that do
    /// not, and with an empty row.
    #[test]
    fn the_product_is_that_of_the_dense_matrix() {
        let mut rng = Pcg32::seed_from_u64(4);
        for [rows, width, outputs] in [[5, 300, 256], [3, 17, 70]] {
            let mut sparse = Sparse::zeros(rows, width);
            let mut dense = vec![0.0; rows * width];
            for row in 1..rows {
                let pairs: Vec<(u32, f32)> =
                    (row..width).step_by(3).map(|column| (column as u32, rng.random_range(-1.0..1.0))).collect();
                pairs.iter().for_each(|&(column, value)| dense[row * width + column as usize] = value);
                sparse.rows.set(row, &pairs);
            }
            let mut random = |len: usize| (0..len).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
            let weight = Var::from_vec(random(outputs * width), (outputs, width), &Device::Cpu).unwrap();
            let towards = Tensor::from_vec(random(rows * outputs), (rows, outputs), &Device::Cpu).unwrap();
            let dense = Tensor::from_vec(dense, (rows, width), &Device::Cpu).unwrap();
            let [result, expected] = [sparse.linear(&weight).unwrap(), dense.matmul(&weight.t().unwrap()).unwrap()]
                .map(|out| {
                    let gradients = (&out * &towards).unwrap().sum_all().unwrap().backward().unwrap();
                    [&out, gradients.get(&weight).unwrap()]
                        .map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap())
                });
            for (result, expected) in result.iter().zip(&expected) {
                assert_eq!(result.len(), expected.len());
                assert!(result.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4));
            }
        }
    }
}
