//! The version for WebAssembly SIMD (128-bit vectors): byte weights are widened for 16-bit multiply-adds.

use std::arch::wasm32::*;

use super::form::{Line, QUAD, Sums};
use crate::{panels::ROWS, quantize::CHUNK};

/// Vectors of weights per line: four rows of four columns each.
const VECTORS: usize = 4;
/// Lines per chunk: two halves of the panel's rows for each of two quads of columns.
const LINES: usize = 4;

/// Product of one panel with one vector, like `super::plain`.
///
/// # Panics
/// If the numbers of chunks in the panel and the vector differ.
pub fn dot(panel: &[Line], words: &[i16]) -> Sums {
    let (chunks, words) = (panel.as_chunks::<LINES>().0, words.as_chunks::<CHUNK>().0);
    assert_eq!(chunks.len(), words.len(), "the matrix has a different width");
    let mut sums = [0; ROWS];
    for (half, sums) in sums.as_chunks_mut::<{ ROWS / 2 }>().0.iter_mut().enumerate() {
        // For every two rows, the sums of even and of odd pairs of columns: eight vectors, which stay in registers.
        let mut acc = [[i32x4_splat(0); 2]; VECTORS];
        for (lines, x) in chunks.iter().zip(words) {
            for quad in 0..CHUNK / QUAD {
                // SAFETY: a chunk of the vector holds two quads of eight bytes; the load needs no alignment.
                let x = unsafe { v128_load64_splat(x.as_ptr().add(quad * QUAD).cast()) };
                let weights = lines[2 * quad + half].0.as_ptr().cast::<v128>();
                for (vector, acc) in acc.iter_mut().enumerate() {
                    // SAFETY: a line is four vectors long.
                    let w = unsafe { v128_load(weights.add(vector)) };
                    acc[0] = i32x4_add(acc[0], i32x4_dot_i16x8(i16x8_extend_low_i8x16(w), x));
                    acc[1] = i32x4_add(acc[1], i32x4_dot_i16x8(i16x8_extend_high_i8x16(w), x));
                }
            }
        }
        for (sums, [low, high]) in sums.as_chunks_mut::<4>().0.iter_mut().zip(acc) {
            let even = i32x4_shuffle::<0, 2, 4, 6>(low, high);
            let odd = i32x4_shuffle::<1, 3, 5, 7>(low, high);
            let rows = i32x4_add(even, odd);
            *sums = [
                i32x4_extract_lane::<0>(rows),
                i32x4_extract_lane::<1>(rows),
                i32x4_extract_lane::<2>(rows),
                i32x4_extract_lane::<3>(rows),
            ];
        }
    }
    sums
}
