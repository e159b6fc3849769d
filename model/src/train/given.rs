//! A linear layer whose input is given, not learnt: candle's own product would also compute the
//! gradient of the input, which nobody needs and which costs as much as the rest.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};
use gemm::Parallelism;

/// `x W^T` for a fixed `x`: `[rows, features]`, with `W`: `[outputs, features]`.
pub(crate) struct Given {
    x: Vec<f32>,
    rows: usize,
    features: usize,
}

impl Given {
    pub fn new(x: Vec<f32>, features: usize) -> Self {
        Self { rows: x.len() / features, x, features }
    }

    /// The product, `[rows, outputs]`.
    pub fn product(self, weight: &Tensor) -> Result<Tensor> {
        if weight.dim(1)? != self.features {
            bail!("weight {:?} does not fit {} features", weight.shape(), self.features);
        }
        match weight.device() {
            Device::Cpu => weight.apply_op1(self),
            device => Tensor::from_vec(self.x, (self.rows, self.features), device)?.matmul(&weight.t()?),
        }
    }
}

impl CustomOp1 for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let weight = contiguous(storage, layout)?;
        let outputs = layout.dims()[0];
        let mut out = vec![0.0; self.rows * outputs];
        let (x, w) = (Matrix::rows(&self.x, self.features), Matrix::rows(weight, self.features).transposed());
        product([self.rows, self.features, outputs], x, w, &mut out, outputs, false, threads());
        Ok((CpuStorage::F32(out), (self.rows, outputs).into()))
    }

    fn bwd(&self, weight: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let outputs = weight.dim(0)?;
        let grad = grad.contiguous()?;
        let (storage, layout) = grad.storage_and_layout();
        let candle_core::Storage::Cpu(storage) = &*storage else { bail!("`given` runs on the CPU") };
        let grad = contiguous(storage, layout)?;
        let mut out = vec![0.0; outputs * self.features];
        let (dy, x) = (Matrix::rows(grad, outputs).transposed(), Matrix::rows(&self.x, self.features));
        product([outputs, self.rows, self.features], dy, x, &mut out, self.features, false, threads());
        Ok(Some(Tensor::from_vec(out, (outputs, self.features), weight.device())?))
    }
}

/// The values of a contiguous tensor on the CPU.
pub(crate) fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((begin, end)) => Ok(&storage.as_slice::<f32>()?[begin..end]),
        None => bail!("the tensor must be contiguous"),
    }
}

/// As many as rayon has: the caller's choice of threads is the pool's size.
pub(crate) fn threads() -> Parallelism {
    match rayon::current_num_threads() {
        1 => Parallelism::None,
        many => Parallelism::Rayon(many),
    }
}

/// A view of a matrix in a slice: where its rows and columns lie.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `stride` values each.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, row_stride: stride, column_stride: 1 }
    }

    pub fn transposed(self) -> Self {
        Self { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row_stride + (columns - 1) * self.column_stride < self.data.len()
    }
}

/// `out (+)= a b` with a: `[m, k]`, b: `[k, n]`, out: `m` rows of `stride` values of which `n` are written.
pub(crate) fn product(
    [m, k, n]: [usize; 3],
    a: Matrix,
    b: Matrix,
    out: &mut [f32],
    stride: usize,
    accumulate: bool,
    threads: Parallelism,
) {
    assert!(a.holds(m, k) && b.holds(k, n) && (m - 1) * stride + n <= out.len());
    // SAFETY: the assertion keeps every index that the strides reach inside the three slices; `out`
    // is borrowed mutably, so it overlaps neither input.
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
