//! The version for WebAssembly with vectors of 128 bits: 16-bit multiply-adds of weights that are bytes.

use std::arch::wasm32::*;

use super::form::{Line, QUAD, Sums};
use crate::{panels::ROWS, quantise::CHUNK};

/// Vectors of weights in a line: four rows, four columns of each.
const VECTORS: usize = 4;
/// Lines of a chunk: two halves of the panel's rows, two quads of columns.
const LINES: usize = 4;

/// One panel with one vector, as `super::plain`.
///
/// # Panics
/// If the panel has not as many chunks as the vector.
pub fn dot(panel: &[Line], words: &[i16]) -> Sums {
    let (chunks, words) = (panel.as_chunks::<LINES>().0, words.as_chunks::<CHUNK>().0);
    assert_eq!(chunks.len(), words.len(), "a matrix of other width");
    let mut sums = [0; ROWS];
    for (half, sums) in sums.as_chunks_mut::<{ ROWS / 2 }>().0.iter_mut().enumerate() {
        // Of each two rows the sums of even and odd pairs of columns: eight vectors stay in registers.
        let mut acc = [[i32x4_splat(0); 2]; VECTORS];
        for (lines, x) in chunks.iter().zip(words) {
            for quad in 0..CHUNK / QUAD {
                // SAFETY: a chunk of the vector is two quads of eight bytes; such a load has no alignment to keep.
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
