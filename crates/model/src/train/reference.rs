//! The layer of `lstm.rs` in candle's own ops, for devices without the fused op. The algorithm is the same: forward
//! outside the graph, backward by hand, one graph node for both. So there is no graph of hundreds of steps, and the
//! backward pass takes one product and a few element-wise ops per step.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use candle_nn::ops::sigmoid;

use super::lstm::{Carry, Dims};

/// What one step stores for the backward pass; all `[lanes, hidden]` unless noted.
#[derive(Debug)]
struct Step {
    /// Activated gates: i, f, g, o.
    gates: [Tensor; 4],
    h_before: Tensor,
    c_before: Tensor,
    /// tanh of the new cell state.
    squashed: Tensor,
    /// `[lanes, 1]`: 0 where the lane begins a piece at this step, else 1; `None`: no lane does.
    keep: Option<Tensor>,
}

#[derive(Debug)]
struct Op {
    steps: Vec<Step>,
    out: Tensor,
}

/// Like [`super::lstm::Lstm::sequence`], on any device.
pub(super) fn sequence(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    carry: &mut Carry,
    fresh: &[bool],
) -> Result<Tensor> {
    let Dims { time, lanes, input, hidden } = Dims::of(x, weight, bias, carry, fresh)?;
    let device = x.device();
    let values = weight.detach();
    let w_ih = values.narrow(1, 0, input)?.t()?.contiguous()?;
    let w_hh = values.narrow(1, input, hidden)?.t()?.contiguous()?;
    let projected = x.detach().reshape((time * lanes, input))?.matmul(&w_ih)?.broadcast_add(&bias.detach())?;
    let projected = projected.reshape((time, lanes, 4 * hidden))?;
    let mut h = Tensor::from_slice(&carry.h, (lanes, hidden), device)?;
    let mut c = Tensor::from_slice(&carry.c, (lanes, hidden), device)?;
    let (mut steps, mut out) = (Vec::with_capacity(time), Vec::with_capacity(time));
    for (t, fresh) in fresh.chunks_exact(lanes).enumerate() {
        let keep = fresh.contains(&true).then(|| {
            let keep: Vec<f32> = fresh.iter().map(|&fresh| f32::from(u8::from(!fresh))).collect();
            Tensor::from_vec(keep, (lanes, 1), device)
        });
        let keep = keep.transpose()?;
        if let Some(keep) = &keep {
            (h, c) = (h.broadcast_mul(keep)?, c.broadcast_mul(keep)?);
        }
        let gates = (projected.get(t)? + h.matmul(&w_hh)?)?;
        let gate = |n: usize| gates.narrow(1, n * hidden, hidden);
        let gates = [sigmoid(&gate(0)?)?, sigmoid(&gate(1)?)?, gate(2)?.tanh()?, sigmoid(&gate(3)?)?];
        let [i, f, g, o] = &gates;
        let next = ((f * &c)? + (i * g)?)?;
        let squashed = next.tanh()?;
        let heard = (o * &squashed)?;
        out.push(heard.clone());
        steps.push(Step {
            h_before: std::mem::replace(&mut h, heard),
            c_before: std::mem::replace(&mut c, next),
            gates,
            squashed,
            keep,
        });
    }
    *carry = Carry { h: h.flatten_all()?.to_vec1()?, c: c.flatten_all()?.to_vec1()? };
    let op = Op { steps, out: Tensor::stack(&out, 0)? };
    x.apply_op3(weight, bias, op)
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "lstm-unfused"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        match &*self.out.storage_and_layout().0 {
            Storage::Cpu(storage) => Ok((storage.clone(), self.out.shape().clone())),
            _ => bail!("the LSTM's input and output are on different devices"),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        _: &candle_core::CudaStorage,
        _: &Layout,
        _: &candle_core::CudaStorage,
        _: &Layout,
        _: &candle_core::CudaStorage,
        _: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        let (storage, layout) = self.out.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, self.out.shape().clone())),
            _ => bail!("the LSTM's input and output are on different devices"),
        }
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (time, lanes, input) = x.dims3()?;
        let hidden = bias.dim(0)? / 4;
        let (x, weight) = (x.detach(), weight.detach());
        let w_ih = weight.narrow(1, 0, input)?.contiguous()?;
        let w_hh = weight.narrow(1, input, hidden)?.contiguous()?;
        let mut dh = grad.get(0)?.zeros_like()?;
        let mut dc = dh.clone();
        let mut d_gates = Vec::with_capacity(time);
        for (t, Step { gates: [i, f, g, o], c_before, squashed, keep, .. }) in self.steps.iter().enumerate().rev() {
            let d_out = (grad.get(t)? + dh)?;
            let d = (dc + (&d_out * slope(o, squashed)?)?)?;
            let d_i = ((&d * g)? * logistic_slope(i)?)?;
            let d_f = ((&d * c_before)? * logistic_slope(f)?)?;
            let d_g = (&d * slope(i, g)?)?;
            let d_o = ((d_out * squashed)? * logistic_slope(o)?)?;
            let d_gate = Tensor::cat(&[d_i, d_f, d_g, d_o], 1)?;
            dh = d_gate.matmul(&w_hh)?;
            dc = (d * f)?;
            if let Some(keep) = keep {
                (dh, dc) = (dh.broadcast_mul(keep)?, dc.broadcast_mul(keep)?);
            }
            d_gates.push(d_gate);
        }
        d_gates.reverse();
        let d_gates = Tensor::cat(&d_gates, 0)?;
        let h_before = Tensor::cat(&self.steps.iter().map(|step| &step.h_before).collect::<Vec<_>>(), 0)?;
        let turned = d_gates.t()?;
        let heard = Tensor::cat(&[x.reshape((time * lanes, input))?, h_before], 1)?;
        Ok((Some(d_gates.matmul(&w_ih)?.reshape(x.shape())?), Some(turned.matmul(&heard)?), Some(d_gates.sum(0)?)))
    }
}

/// The derivative of `factor * tanh(v)` with respect to `v`, given tanh(v): factor (1 - tanh²).
fn slope(factor: &Tensor, squashed: &Tensor) -> Result<Tensor> {
    factor * squashed.sqr()?.affine(-1.0, 1.0)?
}

/// The derivative of the logistic function, given its value.
fn logistic_slope(value: &Tensor) -> Result<Tensor> {
    value * value.affine(-1.0, 1.0)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{MatmulPrecision, lstm::Lstm};
    use candle_core::{Device, Var};
    use rand::{Rng, SeedableRng};

    #[test]
    fn agrees_with_the_fused_op() {
        let (time, lanes, input, hidden) = (12, 5, 7, 6);
        let mut rng = rand_pcg::Pcg32::seed_from_u64(3);
        let mut random = |shape: &[usize]| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-0.8..0.8)).collect();
            Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
        };
        let x = Var::from_tensor(&random(&[time, lanes, input])).unwrap();
        let weight = Var::from_tensor(&random(&[4 * hidden, input + hidden])).unwrap();
        let bias = Var::from_tensor(&random(&[4 * hidden])).unwrap();
        let towards = random(&[time, lanes, hidden]);
        let state = random(&[2, lanes * hidden]).to_vec2().unwrap();
        let fresh: Vec<bool> = (0..time * lanes).map(|n| n % 17 == 3).collect();

        let run = |fused: Option<MatmulPrecision>| {
            let mut carry = Carry { h: state[0].clone(), c: state[1].clone() };
            let out = match fused {
                Some(precision) => Lstm::new(precision).sequence(&x, &weight, &bias, &mut carry, &fresh).unwrap(),
                None => sequence(&x, &weight, &bias, &mut carry, &fresh).unwrap(),
            };
            let loss = (&out * &towards).unwrap().sum_all().unwrap();
            let gradients = loss.backward().unwrap();
            let mut all: Vec<Vec<f32>> = vec![out.flatten_all().unwrap().to_vec1().unwrap(), carry.h, carry.c];
            for var in [&x, &weight, &bias] {
                all.push(gradients.get(var).unwrap().flatten_all().unwrap().to_vec1().unwrap());
            }
            all
        };
        let reference = run(None);
        for (precision, tolerance) in [(MatmulPrecision::F32, 1e-5), (MatmulPrecision::Bf16, 1e-2)] {
            for (n, (fused, reference)) in run(Some(precision)).iter().zip(&reference).enumerate() {
                let largest = fused.iter().fold(0.0f32, |largest, v| largest.max(v.abs()));
                assert!(fused.len() == reference.len() && largest > 0.0);
                for (a, b) in fused.iter().zip(reference) {
                    assert!((a - b).abs() < tolerance * largest, "{precision}, part {n}: {a} and {b}");
                }
            }
        }
    }
}
