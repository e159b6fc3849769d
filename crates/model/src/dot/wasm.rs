//! The version for WebAssembly with vectors of 128 bits: 16-bit multiply-adds of weights that are bytes.

use std::arch::wasm32::*;

use super::form::{LINE_ROWS, Line, QUAD, Sums};
use crate::quantise::CHUNK;

/// Rows of a vector of sums.
const LANES: usize = 4;

/// One panel with one vector, as `super::plain`.
pub fn dot(panel: &[Line], words: &[i16]) -> Sums {
    let mut acc = [i32x4_splat(0); 8];
    for (lines, x) in panel.as_chunks::<4>().0.iter().zip(words.as_chunks::<CHUNK>().0) {
        for (n, line) in lines.iter().enumerate() {
            let x = &x[n / 2 * QUAD..][..QUAD];
            // The quad twice: a product takes two rows of four columns.
            let x = i16x8(x[0], x[1], x[2], x[3], x[0], x[1], x[2], x[3]);
            let acc = &mut acc[n % 2 * LINE_ROWS / LANES..][..LINE_ROWS / LANES];
            for (acc, w) in acc.iter_mut().zip(line.0.as_chunks::<16>().0) {
                let w = load(w);
                // Sums of two columns each: rows 0 0 1 1, rows 2 2 3 3.
                let low = i32x4_dot_i16x8(i16x8_extend_low_i8x16(w), x);
                let high = i32x4_dot_i16x8(i16x8_extend_high_i8x16(w), x);
                let even = i32x4_shuffle::<0, 2, 4, 6>(low, high);
                let odd = i32x4_shuffle::<1, 3, 5, 7>(low, high);
                *acc = i32x4_add(*acc, i32x4_add(even, odd));
            }
        }
    }
    let mut sums = [0; 32];
    for (sums, acc) in sums.as_chunks_mut::<LANES>().0.iter_mut().zip(acc) {
        *sums = [
            i32x4_extract_lane::<0>(acc),
            i32x4_extract_lane::<1>(acc),
            i32x4_extract_lane::<2>(acc),
            i32x4_extract_lane::<3>(acc),
        ];
    }
    sums
}

/// Sixteen bytes as one vector, which the compiler makes one load of.
fn load(bytes: &[i8; 16]) -> v128 {
    let [a, b] = [0, 8].map(|at| i64::from_le_bytes(std::array::from_fn(|i| bytes[at + i] as u8)));
    i64x2(a, b)
}
