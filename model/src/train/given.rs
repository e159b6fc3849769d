//! A linear layer whose input is given, not learnt: candle's own product would also compute the
//! gradient of the input, which nobody needs and which costs as much as the rest.

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};

use super::matmul::{MatmulPrecision, Matrix, contiguous, product};

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
        product(MatmulPrecision::F32, [self.rows, self.features, outputs], x, w, &mut out, outputs, false);
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
        product(MatmulPrecision::F32, [outputs, self.rows, self.features], dy, x, &mut out, self.features, false);
        Ok(Some(Tensor::from_vec(out, (outputs, self.features), weight.device())?))
    }
}
