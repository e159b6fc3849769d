//! Matrices of weights as the live path uses them: packed once, multiplied with one vector at a time.

use crate::{features::Features, weights::Tensor};

/// A row-major matrix `[rows, columns]` and a bias `[rows]`, for products with dense vectors.
#[derive(Clone, Debug)]
pub(crate) struct Dense {
    rows: usize,
    columns: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Dense {
    pub fn new(weight: &Tensor, bias: Vec<f32>) -> Self {
        let [rows, columns] = weight.shape[..] else { unreachable!("checked on loading") };
        Self { rows, columns, weights: weight.data.clone(), bias }
    }

    /// `[a | b]`: one matrix for the product with two vectors that stand one behind the other.
    pub fn beside(a: &Tensor, b: &Tensor, bias: Vec<f32>) -> Self {
        let (rows, left, right) = (a.shape[0], a.shape[1], b.shape[1]);
        let mut weights = Vec::with_capacity(rows * (left + right));
        for row in 0..rows {
            weights.extend_from_slice(&a.data[row * left..(row + 1) * left]);
            weights.extend_from_slice(&b.data[row * right..(row + 1) * right]);
        }
        Self { rows, columns: left + right, weights, bias }
    }

    /// `out = W x + bias`; x: `[columns]`, out: `[rows]`.
    pub fn apply(&self, x: &[f32], out: &mut [f32]) {
        debug_assert_eq!((x.len(), out.len()), (self.columns, self.rows));
        for ((out, row), bias) in out.iter_mut().zip(self.weights.chunks_exact(self.columns)).zip(&self.bias) {
            *out = dot(row, x) + bias;
        }
    }

    /// `out += W x`, without the bias.
    pub fn add(&self, x: &[f32], out: &mut [f32]) {
        for (out, row) in out.iter_mut().zip(self.weights.chunks_exact(self.columns)) {
            *out += dot(row, x);
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
        for &(feature, value) in features.pairs() {
            for (out, weight) in out.iter_mut().zip(self.column(feature as usize)) {
                *out += weight * value;
            }
        }
    }
}

/// The inner product, summed in sixteen lanes.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    let mut lanes = [0.0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            lanes[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}
