//! Matrix products for training on the CPU, in f32 or with factors rounded to bf16.

use std::{fmt, str::FromStr};

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, bail};
use gemm::Parallelism;
use serde::{Deserialize, Serialize};

use super::bf16;
use crate::simd::widest;

/// Precision of the factors of large matrix products; sums, weights, gradients and everything else stay f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatmulPrecision {
    /// f32.
    #[default]
    F32,
    /// bf16: twice as fast on CPUs with bf16 multiply-adds (AVX512_BF16), six times with AMX, slow elsewhere.
    Bf16,
}

impl MatmulPrecision {
    /// The fastest precision on this CPU.
    pub fn fastest() -> Self {
        if bf16::is_fast() { Self::Bf16 } else { Self::F32 }
    }
}

impl FromStr for MatmulPrecision {
    type Err = &'static str;

    fn from_str(name: &str) -> std::result::Result<Self, Self::Err> {
        [Self::F32, Self::Bf16].into_iter().find(|it| it.to_string() == name).ok_or("expected f32 or bf16")
    }
}

impl fmt::Display for MatmulPrecision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

/// A view of a matrix in a slice, with strides.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub data: &'a [f32],
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, with rows `stride` values apart.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, row_stride: stride, column_stride: 1 }
    }

    pub fn transposed(self) -> Self {
        Self { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    pub fn get(&self, row: usize, column: usize) -> f32 {
        self.data[row * self.row_stride + column * self.column_stride]
    }

    /// Whether a matrix of this size lies inside the slice.
    pub fn holds(&self, rows: usize, columns: usize) -> bool {
        rows * columns == 0 || (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// `out (+)= a b` with a: `[m, k]`, b: `[k, n]`, out: `m` rows of `n` values, `stride` apart. Uses all of rayon's
/// threads.
pub(super) fn product(
    precision: MatmulPrecision,
    [m, k, n]: [usize; 3],
    a: Matrix,
    b: Matrix,
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    assert!(a.holds(m, k) && b.holds(k, n) && (m - 1) * stride + n <= out.len());
    if precision == MatmulPrecision::Bf16 {
        let mut packed = bf16::Panels::default();
        packed.pack([k, n], b);
        return packed.multiply(m, a, out, stride, accumulate);
    }
    // As many threads as rayon has: the caller chooses them by the size of its pool.
    let threads = match rayon::current_num_threads() {
        1 => Parallelism::None,
        many => Parallelism::Rayon(many),
    };
    // SAFETY: the assertion keeps every index that the strides reach inside the three slices; `out` is borrowed
    // mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            accumulate,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

/// The values of a contiguous tensor on the CPU.
pub(super) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((begin, end)) => Ok(&storage.as_slice::<f32>()?[begin..end]),
        None => bail!("the tensor must be contiguous"),
    }
}

/// `x W^T + b`, with `x`: `[rows, inputs]`, `weight`: `[outputs, inputs]`, `bias`: `[outputs]`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, precision: MatmulPrecision) -> Result<Tensor> {
    match x.device() {
        Device::Cpu => x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear(precision)),
        _ => x.matmul(&weight.t()?)?.broadcast_add(bias),
    }
}

struct Linear(MatmulPrecision);

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((rows, inputs), (outputs, depth)) = (xl.shape().dims2()?, wl.shape().dims2()?);
        let bias = contiguous(b, bl)?;
        if inputs != depth || outputs != bias.len() {
            bail!("weight {:?} and bias {:?} do not fit {inputs} inputs", wl.shape(), bl.shape());
        }
        let mut out = bias.repeat(rows);
        let (x, w) = (Matrix::rows(contiguous(x, xl)?, inputs), Matrix::rows(contiguous(w, wl)?, inputs));
        product(self.0, [rows, inputs, outputs], x, w.transposed(), &mut out, outputs, true);
        Ok((CpuStorage::F32(out), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((rows, inputs), outputs) = (x.dims2()?, w.dim(0)?);
        let grad = grad.contiguous()?;
        let ((xs, xl), (ws, wl), (gs, gl)) =
            (x.storage_and_layout(), w.storage_and_layout(), grad.storage_and_layout());
        let (Storage::Cpu(xs), Storage::Cpu(ws), Storage::Cpu(gs)) = (&*xs, &*ws, &*gs) else {
            bail!("`linear` runs on the CPU")
        };
        let (values, weight) = (Matrix::rows(contiguous(xs, xl)?, inputs), Matrix::rows(contiguous(ws, wl)?, inputs));
        let mut db = vec![0.0; outputs];
        add_rows(contiguous(gs, gl)?, &mut db);
        let grad = Matrix::rows(contiguous(gs, gl)?, outputs);
        let mut dx = vec![0.0; rows * inputs];
        product(self.0, [rows, outputs, inputs], grad, weight, &mut dx, inputs, false);
        let mut dw = vec![0.0; outputs * inputs];
        product(self.0, [outputs, rows, inputs], grad.transposed(), values, &mut dw, inputs, false);
        let tensor = |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), x.device());
        Ok((Some(tensor(dx, x)?), Some(tensor(dw, w)?), Some(tensor(db, b)?)))
    }
}

widest! {
    /// Adds the sum of the rows of a matrix to `sums`.
    pub(super) fn add_rows(rows: &[f32], sums: &mut [f32]) {
        for row in rows.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg32;

    /// The results and gradients of a linear layer equal candle's, up to the rounding of the factors.
    #[test]
    fn linear_agrees_with_matmul() {
        let mut rng = Pcg32::seed_from_u64(2);
        let mut random = |shape: &[usize]| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
            Var::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let (x, w, b, towards) = (random(&[37, 45]), random(&[70, 45]), random(&[70]), random(&[37, 70]));
        let run = |product: &dyn Fn() -> Tensor| {
            let out = product();
            let gradients = (&out * towards.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            [&out, gradients.get(&x).unwrap(), gradients.get(&w).unwrap(), gradients.get(&b).unwrap()]
                .map(|tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap())
        };
        let expected = run(&|| x.matmul(&w.t().unwrap()).unwrap().broadcast_add(&b).unwrap());
        for (precision, tolerance) in [(MatmulPrecision::F32, 1e-5), (MatmulPrecision::Bf16, 1e-2)] {
            let results = run(&|| linear(&x, &w, &b, precision).unwrap());
            for (result, expected) in results.iter().zip(&expected) {
                let largest = expected.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
                let off = result.iter().zip(expected).fold(0.0f32, |off, (a, b)| off.max((a - b).abs()));
                assert!(result.len() == expected.len() && off < tolerance * largest, "{precision:?}: {off}, {largest}");
            }
        }
    }
}
