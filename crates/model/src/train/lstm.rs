//! One LSTM layer over whole sequences, with a hand-written backward pass, as one candle op.
//!
//! The input projection of all time steps is one matrix product; the recurrence is one product per step for all lanes;
//! the backward pass collects the gate gradients of all steps and turns them into weight gradients with one product
//! each. Gradients do not flow into the carried state: this is truncated backpropagation through time, over one chunk.
//!
//! Lanes are independent of one another, so threads split them up and synchronize only before and after the recurrence.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::{
    matmul::{MatmulPrecision, Matrix, add_rows, contiguous, product},
    packed::{Packed, Room},
};
use crate::{activation::tanh, lstm::cell, simd::widest};

/// Hidden and cell state of every lane between two chunks: `[lanes, hidden]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Carry {
    /// Hidden state.
    pub h: Vec<f32>,
    /// Cell state.
    pub c: Vec<f32>,
}

impl Carry {
    /// The initial state: zeros.
    pub fn zero(lanes: usize, hidden: usize) -> Self {
        Self { h: vec![0.0; lanes * hidden], c: vec![0.0; lanes * hidden] }
    }
}

/// The layer's buffers, kept from chunk to chunk: newly mapped pages would cost a quarter of the time.
#[derive(Debug)]
struct Workspace {
    precision: MatmulPrecision,
    /// Activated gates i, f, g, o, `[time, lanes, 4 hidden]`; after the backward pass, the gradients of their
    /// pre-activations.
    gates: Vec<f32>,
    /// States before each step, `[time, lanes, hidden]`.
    h_before: Vec<f32>,
    c_before: Vec<f32>,
    /// Recurrent weights for the forward pass, `[hidden, 4 hidden]`, and for the backward pass, `[4 hidden, hidden]`.
    recurrent: Packed,
    recurrent_back: Packed,
    /// State after the last step, until it is taken.
    end: Option<Carry>,
}

/// One layer: its buffers and settings.
#[derive(Debug)]
pub struct Lstm {
    workspace: Arc<Mutex<Workspace>>,
}

impl Lstm {
    /// A layer with this precision of matrix products.
    pub fn new(precision: MatmulPrecision) -> Self {
        let workspace = Workspace {
            precision,
            gates: Vec::new(),
            h_before: Vec::new(),
            c_before: Vec::new(),
            recurrent: Packed::new(precision),
            recurrent_back: Packed::new(precision),
            end: None,
        };
        Self { workspace: Arc::new(Mutex::new(workspace)) }
    }

    /// Runs the layer over a chunk, on the CPU.
    ///
    /// * `x`: `[time, lanes, input]`; `weight`: `[4 hidden, input + hidden]`; `bias`: `[4 hidden]`
    /// * `carry`: the state before the chunk, replaced by the state after it
    /// * `fresh`: `[time, lanes]` flags; where true, the lane's state is reset to zero before that step
    ///
    /// Returns the hidden states `[time, lanes, hidden]`.
    pub fn sequence(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        carry: &mut Carry,
        fresh: &[bool],
    ) -> Result<Tensor> {
        let op = Op {
            dims: Dims::of(x, weight, bias, carry, fresh)?,
            start: carry.clone(),
            fresh: fresh.to_vec(),
            workspace: self.workspace.clone(),
        };
        let out = x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)?;
        if let Some(end) = self.workspace.lock().expect("no panic while held").end.take() {
            *carry = end;
        }
        Ok(out)
    }
}

/// Sizes of a layer and a chunk.
#[derive(Clone, Copy)]
pub(super) struct Dims {
    pub time: usize,
    pub lanes: usize,
    pub input: usize,
    pub hidden: usize,
}

impl Dims {
    /// The sizes of [`Lstm::sequence`]'s arguments; an error if they do not match.
    pub fn of(x: &Tensor, weight: &Tensor, bias: &Tensor, carry: &Carry, fresh: &[bool]) -> Result<Self> {
        let (time, lanes, input) = x.dims3()?;
        let hidden = bias.dim(0)? / 4;
        if weight.dims() != [4 * hidden, input + hidden]
            || fresh.len() != time * lanes
            || carry.h.len() != lanes * hidden
        {
            bail!("LSTM: input {:?}, weight {:?}, bias {:?} do not fit", x.shape(), weight.shape(), bias.shape());
        }
        Ok(Self { time, lanes, input, hidden })
    }
}

struct Op {
    dims: Dims,
    start: Carry,
    fresh: Vec<bool>,
    workspace: Arc<Mutex<Workspace>>,
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(x, x_layout)?;
        let weight = contiguous(weight, weight_layout)?;
        let bias = contiguous(bias, bias_layout)?;
        let mut workspace = self.workspace.lock().expect("no panic while held");
        let out = self.forward(x, weight, bias, &mut workspace);
        let Dims { time, lanes, hidden, .. } = self.dims;
        Ok((CpuStorage::F32(out), (time, lanes, hidden).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let (gs, gl) = grad.storage_and_layout();
        let (xs, xl) = x.storage_and_layout();
        let (ws, wl) = weight.storage_and_layout();
        let (Storage::Cpu(gs), Storage::Cpu(xs), Storage::Cpu(ws)) = (&*gs, &*xs, &*ws) else {
            bail!("this LSTM op runs on the CPU")
        };
        let mut workspace = self.workspace.lock().expect("no panic while held");
        let [dx, dw, db] = self.backward(contiguous(xs, xl)?, contiguous(ws, wl)?, contiguous(gs, gl)?, &mut workspace);
        let device = x.device();
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), device)?),
            Some(Tensor::from_vec(dw, weight.shape(), device)?),
            Some(Tensor::from_vec(db, bias.shape(), device)?),
        ))
    }
}

impl Op {
    fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], workspace: &mut Workspace) -> Vec<f32> {
        let Dims { time, lanes, input, hidden } = self.dims;
        let (rows, gates, stride) = (time * lanes, 4 * hidden, input + hidden);
        let precision = workspace.precision;
        workspace.gates.resize(rows * gates, 0.0);
        workspace.h_before.resize(rows * hidden, 0.0);
        workspace.c_before.resize(rows * hidden, 0.0);
        workspace.recurrent.pack([hidden, gates], Matrix::rows(&weight[input..], stride).transposed());
        for row in workspace.gates.chunks_exact_mut(gates) {
            row.copy_from_slice(bias);
        }
        let w_ih = Matrix::rows(weight, stride).transposed();
        product(precision, [rows, input, gates], Matrix::rows(x, input), w_ih, &mut workspace.gates, gates, true);

        let mut out = vec![0.0; rows * hidden];
        let mut end = self.start.clone();
        let groups = self.groups();
        let work = groups
            .iter()
            .zip(by_group(&mut workspace.gates, &groups, lanes * gates, gates))
            .zip(by_group(&mut workspace.h_before, &groups, lanes * hidden, hidden))
            .zip(by_group(&mut workspace.c_before, &groups, lanes * hidden, hidden))
            .zip(by_group(&mut out, &groups, lanes * hidden, hidden))
            .zip(by_group(&mut end.h, &groups, lanes * hidden, hidden))
            .zip(by_group(&mut end.c, &groups, lanes * hidden, hidden))
            .collect::<Vec<_>>();
        let recurrent = &workspace.recurrent;
        work.into_par_iter().for_each(|((((((group, gate), h_before), c_before), out), mut h), mut c)| {
            let (h, c, mut room) = (&mut *h[0], &mut *c[0], Room::default());
            let steps = gate.into_iter().zip(h_before).zip(c_before).zip(out);
            for (t, (((gate, h_before), c_before), out)) in steps.enumerate() {
                for (lane, n) in group.clone().enumerate() {
                    if self.fresh[t * lanes + n] {
                        h[lane * hidden..][..hidden].fill(0.0);
                        c[lane * hidden..][..hidden].fill(0.0);
                    }
                }
                h_before.copy_from_slice(h);
                c_before.copy_from_slice(c);
                recurrent.multiply(h, gate, &mut room);
                for lane in 0..group.len() {
                    let row = lane * hidden..(lane + 1) * hidden;
                    cell(&mut gate[lane * gates..][..gates], &mut c[row.clone()], &mut h[row]);
                }
                out.copy_from_slice(h);
            }
        });
        workspace.end = Some(end);
        out
    }

    fn backward(&self, x: &[f32], weight: &[f32], grad: &[f32], workspace: &mut Workspace) -> [Vec<f32>; 3] {
        let Dims { time, lanes, input, hidden } = self.dims;
        let (rows, gates, stride) = (time * lanes, 4 * hidden, input + hidden);
        let precision = workspace.precision;
        workspace.recurrent_back.pack([gates, hidden], Matrix::rows(&weight[input..], stride));
        let groups = self.groups();
        let work: Vec<_> = groups.iter().zip(by_group(&mut workspace.gates, &groups, lanes * gates, gates)).collect();
        let (c_before, recurrent) = (&workspace.c_before[..], &workspace.recurrent_back);
        work.into_par_iter().for_each(|(group, gate)| {
            let mut dh = vec![0.0; group.len() * hidden];
            let mut dc = vec![0.0; group.len() * hidden];
            let mut room = Room::default();
            for (t, gate) in gate.into_iter().enumerate().rev() {
                for (lane, n) in group.clone().enumerate() {
                    let at = (t * lanes + n) * hidden;
                    let row = lane * hidden..(lane + 1) * hidden;
                    cell_backward(
                        &mut gate[lane * gates..][..gates],
                        &c_before[at..at + hidden],
                        &grad[at..at + hidden],
                        &dh[row.clone()],
                        &mut dc[row],
                    );
                }
                dh.fill(0.0);
                recurrent.multiply(gate, &mut dh, &mut room);
                for (lane, n) in group.clone().enumerate() {
                    if self.fresh[t * lanes + n] {
                        dh[lane * hidden..][..hidden].fill(0.0);
                        dc[lane * hidden..][..hidden].fill(0.0);
                    }
                }
            }
        });
        let d_gates = Matrix::rows(&workspace.gates, gates);
        let mut dx = vec![0.0; rows * input];
        product(precision, [rows, gates, input], d_gates, Matrix::rows(weight, stride), &mut dx, input, false);
        let mut dw = vec![0.0; gates * stride];
        let d_gates = d_gates.transposed();
        product(precision, [gates, rows, input], d_gates, Matrix::rows(x, input), &mut dw, stride, false);
        let h_before = Matrix::rows(&workspace.h_before, hidden);
        product(precision, [gates, rows, hidden], d_gates, h_before, &mut dw[input..], stride, false);
        let mut db = vec![0.0; gates];
        add_rows(&workspace.gates, &mut db);
        [dx, dw, db]
    }

    /// The range of lanes of each thread.
    fn groups(&self) -> Vec<Range<usize>> {
        let lanes = self.dims.lanes;
        let threads = rayon::current_num_threads().clamp(1, lanes);
        (0..threads).map(|i| i * lanes / threads..(i + 1) * lanes / threads).collect()
    }
}

/// Splits a buffer into what each group of lanes owns at each step. `step`: values per step; `lane`: values per lane.
fn by_group<'a>(buffer: &'a mut [f32], groups: &[Range<usize>], step: usize, lane: usize) -> Vec<Vec<&'a mut [f32]>> {
    let mut parts: Vec<Vec<&mut [f32]>> = groups.iter().map(|_| Vec::new()).collect();
    for mut rest in buffer.chunks_exact_mut(step) {
        for (part, group) in parts.iter_mut().zip(groups) {
            let (mine, others) = rest.split_at_mut(group.len() * lane);
            part.push(mine);
            rest = others;
        }
    }
    parts
}

widest! {
    /// Backward pass of one cell: one lane, one step. `gates`: activations, replaced by the gradients of the
    /// pre-activations; `dc`: gradient of the new cell state, replaced by that of the old one.
    fn cell_backward(gates: &mut [f32], c_before: &[f32], d_out: &[f32], d_next: &[f32], dc: &mut [f32]) {
        let hidden = dc.len();
        let (i, rest) = gates.split_at_mut(hidden);
        let (f, rest) = rest.split_at_mut(hidden);
        let (g, o) = rest.split_at_mut(hidden);
        let states = c_before.iter().zip(d_out).zip(d_next).zip(dc.iter_mut());
        for ((((i, f), g), o), (((c, d_out), d_next), dc)) in i.iter_mut().zip(f).zip(g).zip(o).zip(states) {
            let t = tanh(*f * c + *i * *g);
            let dh = d_out + d_next;
            let d = *dc + dh * *o * (1.0 - t * t);
            *o = dh * t * *o * (1.0 - *o);
            *dc = d * *f;
            *f = d * c * *f * (1.0 - *f);
            let d_i = d * *g * *i * (1.0 - *i);
            *g = d * *i * (1.0 - *g * *g);
            *i = d_i;
        }
    }
}
