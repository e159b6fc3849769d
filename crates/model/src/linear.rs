//! Linear layers for inference: matrices packed once, multiplied with one vector at a time or with several that share
//! one pass over the weights.

use half::f16;

use crate::{
    dot::{self, Version},
    fixed, floats,
    quantize::{Quantized, Rounded, eight_bits, four_bits},
    shapes::Kind,
    simd::widest,
    trunk::Outputs,
    weights::{Tensor, Weights},
};

/// How weights are stored for inference. Reading them is what a step costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats: the reference.
    F32,
    /// 16-bit floats, widened as they are read: the same results as [`Precision::F32`] for weights that come from a
    /// file of 16-bit floats.
    F16,
    /// 8-bit weights with a scale per row, 15-bit activations, exact 32-bit sums, and an LSTM step in integer
    /// arithmetic throughout, so that the result is the same on every CPU.
    Int8,
    /// Like [`Precision::Int8`], but with 4-bit LSTM weights: indices into a codebook of sixteen values per matrix.
    Int4,
}

impl Precision {
    /// All precisions, from the finest to the coarsest.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Int8, Self::Int4];

    /// The name used in commands and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Int4 => "int4",
        }
    }

    /// The default precision for these weights: exact for the seed, which is a reference; fast for `antiphon`.
    pub fn of(weights: &Weights) -> Self {
        match weights.card.kind {
            Kind::Seed if weights.fit_16_bits() => Self::F16,
            Kind::Seed => Self::F32,
            Kind::Antiphon if fixed::fits(weights) => Self::Int4,
            Kind::Antiphon => Self::F32,
        }
    }

    /// The precision of the heads: the layers just before sampling are the most sensitive.
    pub(crate) fn heads(self) -> Self {
        if self == Self::Int4 { Self::Int8 } else { self }
    }
}

/// A linear layer: a matrix `[rows, columns]` and a bias `[rows]`.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    columns: usize,
    weights: Packed,
    bias: Vec<f32>,
}

#[derive(Clone, Debug)]
enum Packed {
    F32(floats::Matrix<f32>),
    F16(floats::Matrix<f16>),
    Integers { matrix: dot::Matrix, scales: Vec<f32> },
}

/// Buffers for quantized activations, kept between calls so that a product allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct Scratch(Vec<Quantized>);

impl Scratch {
    /// Buffers for products with up to `vectors` vectors at once.
    pub fn new(vectors: usize) -> Self {
        Self((0..vectors).map(|_| Quantized::new()).collect())
    }
}

impl Dense {
    /// Packs a matrix.
    pub fn new(weight: &Tensor, bias: Vec<f32>, precision: Precision) -> Self {
        let columns = weight.shape[1];
        let integers = |Rounded { values, scales }, codebook| {
            let version = Version::available().next().unwrap_or(Version::Plain);
            Packed::Integers { matrix: dot::Matrix::new(&values, columns, codebook, version), scales }
        };
        let weights = match precision {
            Precision::F32 => Packed::F32(floats::Matrix::new(&weight.data, columns)),
            Precision::F16 => Packed::F16(floats::Matrix::new(&weight.data, columns)),
            Precision::Int8 => integers(eight_bits(&weight.data, columns), None),
            Precision::Int4 => {
                let (rounded, codebook) = four_bits(weight);
                integers(rounded, Some(&codebook))
            }
        };
        Self { columns, weights, bias }
    }

    /// `out = W x + bias` for each vector; x: `[vectors, columns]`, out: `[vectors, rows]`.
    pub fn apply(&self, x: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
        for out in out.chunks_exact_mut(self.bias.len()) {
            out.copy_from_slice(&self.bias);
        }
        self.add(x, scratch, out);
    }

    /// `out += W x` for each vector; x: `[vectors, columns]`, out: `[vectors, rows]`.
    pub fn add(&self, x: &[f32], scratch: &mut Scratch, out: &mut [f32]) {
        let vectors = x.len() / self.columns;
        let rows = out.len() / vectors;
        debug_assert_eq!((x.len(), out.len()), (vectors * self.columns, vectors * rows));
        let mut add = |vector: usize, first: usize, sums: &[f32]| {
            for (out, sum) in out[vector * rows..][..rows][first..].iter_mut().zip(sums) {
                *out += sum;
            }
        };
        match &self.weights {
            Packed::F32(weights) => weights.times(x, self.columns, &mut add),
            Packed::F16(weights) => weights.times(x, self.columns, &mut add),
            Packed::Integers { .. } => {
                let quantized = &mut scratch.0[..vectors];
                for (quantized, x) in quantized.iter_mut().zip(x.chunks_exact(self.columns)) {
                    quantized.set(x);
                }
                self.add_integers(quantized, out);
            }
        }
    }

    /// [`Dense::apply`] to the trunk's output.
    ///
    /// # Panics
    /// If the trunk is in integers and these weights are not.
    pub fn apply_to(&self, outputs: Outputs, scratch: &mut Scratch, out: &mut [f32]) {
        match outputs {
            Outputs::Floats(xs) => self.apply(xs, scratch, out),
            Outputs::Integers(xs) => {
                for out in out.chunks_exact_mut(self.bias.len()) {
                    out.copy_from_slice(&self.bias);
                }
                self.add_integers(xs, out);
            }
        }
    }

    fn add_integers(&self, xs: &[Quantized], out: &mut [f32]) {
        let Packed::Integers { matrix, scales } = &self.weights else { unreachable!("these weights are floats") };
        let rows = scales.len();
        matrix.times(xs, |vector, first, sums| {
            let out = &mut out[vector * rows..][..rows];
            scale(sums, &scales[first..], xs[vector].step(), &mut out[first..]);
        });
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        let bias = std::mem::size_of_val(&self.bias[..]);
        bias + match &self.weights {
            Packed::F32(matrix) => matrix.bytes(),
            Packed::F16(matrix) => matrix.bytes(),
            Packed::Integers { matrix, scales } => matrix.bytes() + std::mem::size_of_val(&scales[..]),
        }
    }
}

widest! {
    /// `out += step * scale * sum` for every row of `out`.
    fn scale(sums: &[i32], scales: &[f32], step: f32, out: &mut [f32]) {
        for ((out, &sum), scale) in out.iter_mut().zip(sums).zip(scales) {
            *out += sum as f32 * (scale * step);
        }
    }
}

/// A matrix stored by columns, for products with sparse vectors: `out += W f`.
#[derive(Clone, Debug)]
pub(crate) enum Sparse {
    F32(floats::Columns<f32>),
    F16(floats::Columns<f16>),
}

impl Sparse {
    /// 16-bit floats, unless the precision is [`Precision::F32`].
    pub fn new(weight: &Tensor, precision: Precision) -> Self {
        let columns = weight.shape[1];
        match precision {
            Precision::F32 => Self::F32(floats::Columns::new(&weight.data, columns)),
            _ => Self::F16(floats::Columns::new(&weight.data, columns)),
        }
    }

    /// `out += W f`; out: `[rows]`.
    pub fn add(&self, features: &[(u32, f32)], out: &mut [f32]) {
        match self {
            Self::F32(columns) => columns.add(features, out),
            Self::F16(columns) => columns.add(features, out),
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(columns) => columns.bytes(),
            Self::F16(columns) => columns.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::Rng;

    fn tensor(rows: usize, columns: usize, seed: u64) -> Tensor {
        let mut rng = rand_pcg::Pcg32::new(seed, 0);
        Tensor::new(vec![rows, columns], (0..rows * columns).map(|_| rng.random_range(-0.1..0.1)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn products_agree_with_the_plain_sum(
            rows in 1usize..300, columns in 1usize..600, vectors in 1usize..7, seed: u64,
        ) {
            let weight = tensor(rows, columns, seed);
            let x = tensor(vectors, columns, seed ^ 1).data;
            let bias = tensor(1, rows, seed ^ 2).data;
            for (precision, tolerance) in
                [(Precision::F32, 1e-5), (Precision::F16, 1e-3), (Precision::Int8, 6e-3), (Precision::Int4, 0.12)]
            {
                let matrix = Dense::new(&weight, bias.clone(), precision);
                let mut out = vec![0.0; vectors * rows];
                matrix.apply(&x, &mut Scratch::new(vectors), &mut out);
                for (out, x) in out.chunks_exact(rows).zip(x.chunks_exact(columns)) {
                    for (row, &found) in out.iter().enumerate() {
                        let weights = &weight.data[row * columns..][..columns];
                        let sum: f64 = weights.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                        let expected = sum + f64::from(bias[row]);
                        prop_assert!((f64::from(found) - expected).abs() < tolerance, "{precision:?} row {row}");
                    }
                    // Alone, a vector gives the same bits as in a batch.
                    let mut alone = vec![0.0; rows];
                    matrix.apply(x, &mut Scratch::new(1), &mut alone);
                    prop_assert_eq!(&alone[..], out);
                }
            }
        }

        #[test]
        fn sparse_products_are_sums_of_columns(rows in 1usize..300, seed: u64) {
            let weight = tensor(rows, 40, seed);
            let features: Vec<(u32, f32)> = (0..40).step_by(3).map(|i| (i as u32, 0.5 + i as f32)).collect();
            for (precision, tolerance) in [(Precision::F32, 1e-4), (Precision::Int8, 2e-2)] {
                let mut out = vec![1.0; rows];
                Sparse::new(&weight, precision).add(&features, &mut out);
                for (row, &found) in out.iter().enumerate() {
                    let expected = features.iter().fold(1.0, |sum, &(i, v)| sum + weight.data[row * 40 + i as usize] * v);
                    prop_assert!((found - expected).abs() < tolerance, "{precision:?} row {row}");
                }
            }
        }
    }
}
