//! Matrices of weights as the live path uses them: packed once, multiplied with one vector at a time.

use crate::{
    dot,
    features::Features,
    simd::widest,
    weights::{Kind, Tensor},
};

/// How weights are held while they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats: the reference.
    F32,
    /// Weights in 8 bits with a scale per row, activations in 15 bits with a scale per vector, sums
    /// exact in 32 bits. A quarter of the memory to read, which is what a step costs; and sums of
    /// integers come out the same on every processor.
    Int8,
}

impl Precision {
    /// What a network is played in: the seed is there to be what it was, exactly; the other to be fast.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Seed => Self::F32,
            Kind::Antiphon => Self::Int8,
        }
    }
}

/// Columns are padded to this many, so that no loop has a tail.
const LANES: usize = 64;
/// Largest activation as an integer: 1,024 products with weights of 127 stay below 2^31.
const LARGEST: f32 = 16_000.0;
/// Most columns a quantised matrix may have, for the same reason.
const MOST_COLUMNS: usize = 1024;

/// A row-major matrix `[rows, columns]` and a bias `[rows]`, for products with dense vectors.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    columns: usize,
    /// Columns with padding.
    stride: usize,
    weights: Packed,
    bias: Vec<f32>,
}

#[derive(Clone, Debug)]
enum Packed {
    F32(Vec<f32>),
    Int8 { weights: Vec<i8>, scales: Vec<f32> },
}

/// Activations as integers, kept between calls so that a product allocates nothing.
#[derive(Clone, Debug)]
pub(crate) struct Quantised(Vec<i16>);

impl Quantised {
    pub fn new() -> Self {
        Self(vec![0; MOST_COLUMNS + LANES])
    }
}

impl Dense {
    pub fn new(weight: &Tensor, bias: Vec<f32>, precision: Precision) -> Self {
        Self::beside(&[weight], bias, precision)
    }

    /// `[a | b | …]`: one matrix for the product with vectors that stand one behind the other.
    pub fn beside(parts: &[&Tensor], bias: Vec<f32>, precision: Precision) -> Self {
        let rows = bias.len();
        let columns = parts.iter().map(|part| part.shape[1]).sum::<usize>();
        let stride = columns.next_multiple_of(LANES);
        let mut weights = vec![0.0; rows * stride];
        for (row, out) in weights.chunks_exact_mut(stride).enumerate() {
            let mut at = 0;
            for part in parts {
                let width = part.shape[1];
                out[at..at + width].copy_from_slice(&part.data[row * width..][..width]);
                at += width;
            }
        }
        let weights = match precision {
            Precision::F32 => Packed::F32(weights),
            Precision::Int8 => quantise(&weights, stride),
        };
        Self { columns, stride, weights, bias }
    }

    /// `out = W x + bias`; x: `[columns]`, out: `[rows]`.
    pub fn apply(&self, x: &[f32], scratch: &mut Quantised, out: &mut [f32]) {
        debug_assert_eq!((x.len(), out.len()), (self.columns, self.bias.len()));
        match &self.weights {
            Packed::F32(weights) => product_f32(weights, self.stride, x, &self.bias, out),
            Packed::Int8 { weights, scales } => {
                let quantised = &mut scratch.0[..self.stride];
                let mut step = [0.0];
                quantise_activations(x, quantised, &mut step);
                product_int8(weights, quantised, scales, &self.bias, step[0], out);
            }
        }
    }
}

/// Rounds each row to 8 bits with a scale of its own.
fn quantise(rows: &[f32], stride: usize) -> Packed {
    assert!(stride <= MOST_COLUMNS, "sums could overflow");
    let (mut weights, mut scales) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows.chunks_exact(stride) {
        let largest = row.iter().fold(0.0f32, |largest, w| largest.max(w.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        weights.extend(row.iter().map(|w| (w / scale).round() as i8));
        scales.push(scale);
    }
    Packed::Int8 { weights, scales }
}

widest! {
    /// `x` -> integers and the value of one (`step`). The rest of `out` becomes 0.
    fn quantise_activations(x: &[f32], out: &mut [i16], step: &mut [f32; 1]) {
        let mut lanes = [0.0f32; 16];
        let (chunks, rest) = x.as_chunks::<16>();
        for chunk in chunks {
            for (largest, x) in lanes.iter_mut().zip(chunk) {
                *largest = largest.max(x.abs());
            }
        }
        let largest = lanes.iter().chain(rest).fold(1e-9f32, |largest, x| largest.max(x.abs()));
        let scale = LARGEST / largest;
        step[0] = largest / LARGEST;
        let (used, padding) = out.split_at_mut(x.len());
        for (out, x) in used.iter_mut().zip(x) {
            // Adding and taking away 1.5 * 2^23 rounds to the nearest whole number.
            *out = (x * scale + 12_582_912.0 - 12_582_912.0) as i32 as i16;
        }
        padding.fill(0);
    }
}

/// `out = step * scale * (W x) + bias`, row by row. W: rows of `x.len()` values.
fn product_int8(weights: &[i8], x: &[i16], scales: &[f32], bias: &[f32], step: f32, out: &mut [f32]) {
    let stride = x.len();
    let dots = dot::widest();
    for (n, out) in out.chunks_mut(dot::ROWS).enumerate() {
        let first = n * dot::ROWS;
        let mut sums = [0; dot::ROWS];
        dots(&weights[first * stride..][..out.len() * stride], x, &mut sums[..out.len()]);
        for (i, out) in out.iter_mut().enumerate() {
            *out = sums[i] as f32 * (scales[first + i] * step) + bias[first + i];
        }
    }
}

widest! {
    /// `out = W x + bias`, each row summed in sixteen lanes.
    fn product_f32(weights: &[f32], stride: usize, x: &[f32], bias: &[f32], out: &mut [f32]) {
        let (x, rest) = x.as_chunks::<16>();
        for ((row, bias), out) in weights.chunks_exact(stride).zip(bias).zip(out) {
            let mut lanes = [0.0f32; 16];
            let (row, tail) = row.as_chunks::<16>();
            for (row, x) in row.iter().zip(x) {
                for lane in 0..16 {
                    lanes[lane] += row[lane] * x[lane];
                }
            }
            let tail = row.get(x.len()).map_or(tail, |row| &row[..]);
            let tail: f32 = tail.iter().zip(rest).map(|(w, x)| w * x).sum();
            *out = lanes.iter().sum::<f32>() + tail + bias;
        }
    }
}

/// A matrix stored by columns, for products with sparse features: `out += W f`.
#[derive(Clone, Debug)]
pub(crate) struct Sparse {
    rows: usize,
    columns: Vec<f32>,
}

impl Sparse {
    pub fn new(weight: &Tensor) -> Self {
        let [rows, width] = weight.shape[..] else { unreachable!("checked on loading") };
        let mut columns = vec![0.0; rows * width];
        for row in 0..rows {
            for column in 0..width {
                columns[column * rows + row] = weight.data[row * width + column];
            }
        }
        Self { rows, columns }
    }

    /// The column of one feature: `[rows]`.
    pub fn column(&self, feature: usize) -> &[f32] {
        &self.columns[feature * self.rows..][..self.rows]
    }

    /// `out += W f`; out: `[rows]`.
    pub fn add(&self, features: &Features, out: &mut [f32]) {
        add_columns(&self.columns, features.pairs(), out);
    }
}

widest! {
    /// `out += value * column` for each feature.
    fn add_columns(columns: &[f32], features: &[(u32, f32)], out: &mut [f32]) {
        let rows = out.len();
        for &(feature, value) in features {
            for (out, weight) in out.iter_mut().zip(&columns[feature as usize * rows..][..rows]) {
                *out += weight * value;
            }
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
        Tensor { shape: vec![rows, columns], data: (0..rows * columns).map(|_| rng.random_range(-0.1..0.1)).collect() }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn products_agree_with_the_plain_sum(rows in 1usize..40, left in 1usize..300, right in 1usize..300, seed: u64) {
            let (a, b) = (tensor(rows, left, seed), tensor(rows, right, !seed));
            let x = tensor(1, left + right, seed ^ 1).data;
            let bias = tensor(1, rows, seed ^ 2).data;
            let mut out = vec![0.0; rows];
            for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::Int8, 6e-3)] {
                let matrix = Dense::beside(&[&a, &b], bias.clone(), precision);
                matrix.apply(&x, &mut Quantised::new(), &mut out);
                for row in 0..rows {
                    let sum = |m: &Tensor, x: &[f32]| -> f64 {
                        let width = m.shape[1];
                        m.data[row * width..][..width].iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum()
                    };
                    let expected = sum(&a, &x[..left]) + sum(&b, &x[left..]) + f64::from(bias[row]);
                    prop_assert!((f64::from(out[row]) - expected).abs() < tolerance, "{precision:?} row {row}");
                }
            }
        }
    }
}
