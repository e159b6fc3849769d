//! Products of matrices rounded to bf16: the upper half of an f32, so its range with 8 bits of precision. Sums are f32.
//!
//! Both factors are packed as the instruction wants them: two values that are next to each other in the depth of the
//! product side by side in 32 bits. The kernel is a tile of up to twelve rows by two vectors. A processor without the
//! instruction computes the same up to the rounding of the sums, slowly.

use rayon::prelude::*;

use super::{matmul::Matrix, packed::prefetch};
use crate::simd::widest;

/// Rows of a tile, at most: with two vectors of sums for each, all registers but eight.
const ROWS: usize = 12;
/// Columns of a panel: two vectors.
const COLUMNS: usize = 32;
/// Pairs of a panel that are used up for all rows before the next ones are: 16 KiB, which stay near.
const DEPTH: usize = 128;
/// Rows whose factors are packed together, and a thread's share at least.
const BLOCK: usize = 11 * ROWS;

/// Two values, the first in the lower half.
type Pair = u32;
/// A line of a panel.
type Line = [Pair; COLUMNS];

/// `[depth, columns]`, packed in panels of some columns each; the last one is filled up with zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Panels {
    lines: Vec<Line>,
    depth: usize,
    columns: usize,
}

/// Whether the processor multiplies bf16 itself.
pub(super) fn is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

impl Panels {
    /// Packs `[depth, columns]`, in the room that the last matrix had.
    pub fn pack(&mut self, [depth, columns]: [usize; 2], matrix: Matrix) {
        assert!(matrix.holds(depth, columns));
        (self.depth, self.columns) = (depth, columns);
        let pairs = depth.div_ceil(2);
        self.lines.resize(columns.div_ceil(COLUMNS) * pairs, [0; COLUMNS]);
        self.lines.par_chunks_exact_mut(pairs).enumerate().for_each(|(n, panel)| {
            let first = n * COLUMNS;
            pack(panel.as_flattened_mut(), COLUMNS, matrix.transposed(), first, COLUMNS.min(columns - first), depth);
        });
    }

    /// `out (+)= a * self`, with `a`: `[rows, depth]`, `out`: rows of `stride` values. The result does not depend on
    /// the number of threads.
    pub fn multiply(&self, rows: usize, a: Matrix, out: &mut [f32], stride: usize, accumulate: bool) {
        assert!(a.holds(rows, self.depth) && (rows - 1) * stride + self.columns <= out.len());
        let blocks = out[..(rows - 1) * stride + self.columns].par_chunks_mut(BLOCK * stride).enumerate();
        blocks.for_each_init(Vec::new, |room, (n, out)| {
            let first = n * BLOCK;
            self.block(first, BLOCK.min(rows - first), a, out, stride, accumulate, room);
        });
    }

    /// As [`Self::multiply`], for a few rows, on this thread. `room`: kept by the caller from step to step.
    pub fn multiply_few(&self, a: &[f32], out: &mut [f32], room: &mut Vec<Pair>) {
        let rows = a.len() / self.depth;
        assert!(a.len() == rows * self.depth && out.len() == rows * self.columns, "a product's sizes fit");
        self.block(0, rows, Matrix::rows(a, self.depth), out, self.columns, true, room);
    }

    #[allow(clippy::too_many_arguments)]
    fn block(
        &self,
        first: usize,
        rows: usize,
        a: Matrix,
        out: &mut [f32],
        stride: usize,
        accumulate: bool,
        room: &mut Vec<Pair>,
    ) {
        let pairs = self.depth.div_ceil(2);
        // Tiles of as equal heights as can be: a low one would keep the multipliers waiting.
        let tiles = rows.div_ceil(ROWS);
        let tile = |n: usize| n * rows / tiles..(n + 1) * rows / tiles;
        room.resize(rows * pairs, 0);
        for n in 0..tiles {
            let (rows, len) = (tile(n), tile(n).len());
            pack(&mut room[rows.start * pairs..rows.end * pairs], len, a, first + rows.start, len, self.depth);
        }
        for begin in (0..pairs).step_by(DEPTH) {
            let (end, add) = (pairs.min(begin + DEPTH), accumulate || begin > 0);
            for (n, panel) in self.lines.chunks_exact(pairs).enumerate() {
                let (column, width) = (n * COLUMNS, COLUMNS.min(self.columns - n * COLUMNS));
                for n in 0..tiles {
                    let (rows, len) = (tile(n), tile(n).len());
                    let a = &room[rows.start * pairs..][begin * len..end * len];
                    let end_of_rows = (rows.end - 1) * stride + column + width;
                    let out = Out { values: &mut out[rows.start * stride + column..end_of_rows], stride, width, add };
                    match len {
                        1 => out.take::<1>(a, &panel[begin..end]),
                        2 => out.take::<2>(a, &panel[begin..end]),
                        3 => out.take::<3>(a, &panel[begin..end]),
                        4 => out.take::<4>(a, &panel[begin..end]),
                        5 => out.take::<5>(a, &panel[begin..end]),
                        6 => out.take::<6>(a, &panel[begin..end]),
                        7 => out.take::<7>(a, &panel[begin..end]),
                        8 => out.take::<8>(a, &panel[begin..end]),
                        9 => out.take::<9>(a, &panel[begin..end]),
                        10 => out.take::<10>(a, &panel[begin..end]),
                        11 => out.take::<11>(a, &panel[begin..end]),
                        _ => out.take::<ROWS>(a, &panel[begin..end]),
                    }
                }
            }
        }
    }
}

/// Where a tile's sums go.
struct Out<'a> {
    values: &'a mut [f32],
    stride: usize,
    width: usize,
    /// To what is there, instead of in its place.
    add: bool,
}

impl Out<'_> {
    fn take<const M: usize>(self, a: &[Pair], lines: &[Line]) {
        self.values.chunks(self.stride).for_each(prefetch);
        let sums = sums::<M>(a.as_chunks().0, lines);
        for (out, sums) in self.values.chunks_mut(self.stride).zip(&sums) {
            let (out, sums) = (&mut out[..self.width], &sums[..self.width]);
            match self.add {
                true => out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum),
                false => out.copy_from_slice(sums),
            }
        }
    }
}

/// Packs some rows of a matrix side by side: `[pairs, width]`.
fn pack(out: &mut [Pair], width: usize, matrix: Matrix, first: usize, rows: usize, depth: usize) {
    let Matrix { data, row_stride, column_stride } = matrix;
    if rows < width {
        out.fill(0);
    }
    if row_stride == 1 {
        pack_across(out, &data[first..], &[width, rows, depth, column_stride]);
    } else {
        assert!(column_stride == 1, "values lie next to each other in rows or in columns");
        pack_along(out, &data[first * row_stride..], &[width, rows, depth, row_stride]);
    }
}

widest! {
    /// Values of a row lie next to each other.
    fn pack_along(out: &mut [Pair], data: &[f32], sizes: &[usize; 4]) {
        let &[width, rows, depth, stride] = sizes;
        for (part, out) in out.chunks_mut(DEPTH * width).enumerate() {
            let begin = part * 2 * DEPTH;
            let end = depth.min(begin + 2 * DEPTH);
            for row in 0..rows {
                let (pairs, rest) = data[row * stride..][begin..end].as_chunks::<2>();
                let mut out = out[row..].iter_mut().step_by(width);
                for (pair, out) in pairs.iter().zip(&mut out) {
                    *out = round(pair[0], pair[1]);
                }
                if let (&[last], Some(out)) = (rest, out.next()) {
                    *out = round(last, 0.0);
                }
            }
        }
    }
}

widest! {
    /// Values of a column lie next to each other.
    fn pack_across(out: &mut [Pair], data: &[f32], sizes: &[usize; 4]) {
        let &[width, rows, depth, stride] = sizes;
        for (n, out) in out.chunks_exact_mut(width).enumerate() {
            let low = &data[2 * n * stride..][..rows];
            match 2 * n + 1 < depth {
                true => {
                    let high = &data[(2 * n + 1) * stride..][..rows];
                    for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
                        *out = round(*low, *high);
                    }
                }
                false => out.iter_mut().zip(low).for_each(|(out, low)| *out = round(*low, 0.0)),
            }
        }
    }
}

/// To the nearest, of two that are as near to the even one. What is no number stays none: those that processors make
/// have zeros where the carry goes.
#[inline(always)]
fn round(low: f32, high: f32) -> Pair {
    let rounded = |value: f32| {
        let bits = value.to_bits();
        bits.wrapping_add(0x7fff + (bits >> 16 & 1))
    };
    rounded(low) >> 16 | rounded(high) & 0xffff_0000
}

fn sums<const M: usize>(a: &[[Pair; M]], lines: &[Line]) -> [[f32; COLUMNS]; M] {
    #[cfg(target_arch = "x86_64")]
    if is_fast() {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { avx512(a, lines) };
    }
    let mut sums = [[0.0; COLUMNS]; M];
    let [low, high] = [|pair: Pair| f32::from_bits(pair << 16), |pair: Pair| f32::from_bits(pair & 0xffff_0000)];
    for (a, line) in a.iter().zip(lines) {
        for (sums, &a) in sums.iter_mut().zip(a) {
            for (sum, &b) in sums.iter_mut().zip(line) {
                *sum += low(a) * low(b) + high(a) * high(b);
            }
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn avx512<const M: usize>(a: &[[Pair; M]], lines: &[Line]) -> [[f32; COLUMNS]; M] {
    use std::{arch::x86_64::*, mem::transmute};
    let mut sums = [[_mm512_setzero_ps(); 2]; M];
    for (a, line) in a.iter().zip(lines) {
        // SAFETY: a line is two vectors of sixteen pairs, and any bits are values of both types.
        let line = unsafe { transmute::<Line, [__m512bh; 2]>(*line) };
        for m in 0..M {
            // SAFETY: both are 64 bytes of which any bits are values.
            let a = unsafe { transmute::<__m512i, __m512bh>(_mm512_set1_epi32(a[m].cast_signed())) };
            sums[m] = [_mm512_dpbf16_ps(sums[m][0], line[0], a), _mm512_dpbf16_ps(sums[m][1], line[1], a)];
        }
    }
    let mut out = [[0.0; COLUMNS]; M];
    for m in 0..M {
        // SAFETY: two vectors are as many values as a row of the tile.
        out[m] = unsafe { transmute::<[__m512; 2], [f32; COLUMNS]>(sums[m]) };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg32;

    /// Sizes that fill panels, tiles, parts and blocks, and sizes that do not; both ways to lie in memory, and rows of
    /// the result that are parts of longer ones. Against the exact product of the rounded factors.
    #[test]
    fn a_product_is_that_of_the_rounded_factors() {
        let mut rng = Pcg32::seed_from_u64(1);
        let value = |v: f32| f64::from(half::bf16::from_f32(v).to_f32());
        for [rows, depth, columns] in
            [[1, 1, 1], [32, 512, 64], [16, 301, 40], [13, 257, 33], [6, 5, 100], [300, 64, 32]]
        {
            let mut random = |len: usize| (0..len).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
            let stride = columns + 3;
            let (a, b, start) = (random(rows * depth), random(depth * columns), random(rows * stride));
            for (turned_a, turned_b, accumulate) in [(false, false, true), (true, true, true), (false, true, false)] {
                let a = if turned_a { Matrix::rows(&a, rows).transposed() } else { Matrix::rows(&a, depth) };
                let b = if turned_b { Matrix::rows(&b, depth).transposed() } else { Matrix::rows(&b, columns) };
                let (mut panels, mut out) = (Panels::default(), start.clone());
                panels.pack([depth, columns], b);
                panels.multiply(rows, a, &mut out, stride, accumulate);
                for (at, (&out, &start)) in out.iter().zip(&start).enumerate() {
                    let (row, column) = (at / stride, at % stride);
                    if column >= columns {
                        assert_eq!(out, start, "what lies beside the result stays");
                        continue;
                    }
                    let exact = (0..depth).map(|k| value(a.get(row, k)) * value(b.get(k, column))).sum::<f64>()
                        + f64::from(if accumulate { start } else { 0.0 });
                    assert!(
                        (f64::from(out) - exact).abs() < 1e-4,
                        "{rows} x {depth} x {columns} at {at}: {out}, {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn values_are_rounded_to_the_nearest_and_what_is_no_number_stays_none() {
        for value in
            [0.0, -0.0, 1.0, -1.0, 1.003_906_3, 1.011_718_8, 3.4e38, f32::MAX, f32::INFINITY, f32::NAN, -f32::NAN]
        {
            let expected = half::bf16::from_f32(value);
            for half in [round(value, 0.0) as u16, (round(0.0, value) >> 16) as u16].map(half::bf16::from_bits) {
                assert!(half == expected || half.is_nan() && expected.is_nan(), "{value}: {half}, {expected}");
            }
        }
    }
}
