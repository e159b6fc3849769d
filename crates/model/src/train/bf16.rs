//! Matrix products with factors rounded to bf16: the upper half of an f32, so its range with 8 bits of precision. Sums
//! are f32.
//!
//! Both factors are packed as the instructions expect them: two values adjacent along the depth (the inner dimension)
//! of the product share 32 bits. The kernel computes a block of 32 rows if the CPU has [tiles](super::amx), or else up
//! to twelve rows by two vectors. A CPU with neither computes the same, up to the rounding of the sums, but slowly.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    amx::{self, Tiles},
    matmul::Matrix,
    packed::prefetch,
};
use crate::simd::widest;

/// Maximum rows of a vector kernel: with two vectors of sums per row, they take all registers but eight.
const ROWS: usize = 12;
/// Columns per panel: two vectors.
pub(super) const COLUMNS: usize = 32;
/// Pairs of a panel that are used for all rows before moving on to the next: 16 KiB, which stay in the cache.
const DEPTH: usize = 128;
/// Rows that are packed together, and the minimum share of a thread.
const BLOCK: usize = 132;
/// The same for AMX tiles.
const TILED_BLOCK: usize = 128;

/// How far ahead values are prefetched.
const AHEAD: usize = 8;

/// Two bf16 values, the first in the lower half.
pub(super) type Pair = u32;
/// One line of a panel: a pair of each column.
pub(super) type Line = [Pair; COLUMNS];

/// A matrix `[depth, columns]`, packed in panels of [`COLUMNS`]. The last panel is padded with zeros, and the depth is
/// padded to whole [tiles](amx::SIDE).
#[derive(Clone, Debug, Default)]
pub(super) struct Panels {
    lines: Vec<Line>,
    depth: usize,
    columns: usize,
}

/// Whether the CPU has bf16 multiply-adds (AVX512_BF16).
pub(super) fn is_fast() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

impl Panels {
    /// Packs a matrix `[depth, columns]`, reusing the memory of the last one.
    pub fn pack(&mut self, [depth, columns]: [usize; 2], matrix: Matrix) {
        assert!(matrix.holds(depth, columns));
        (self.depth, self.columns) = (depth, columns);
        let (pairs, panels) = (pairs_of(depth), columns.div_ceil(COLUMNS));
        self.lines.resize(panels * pairs, [0; COLUMNS]);
        // Parts of the depth are stored one after the other, each with all its panels.
        self.lines.par_chunks_mut(DEPTH * panels).enumerate().for_each(|(n, part)| {
            let depth = n * 2 * DEPTH..depth.min((n + 1) * 2 * DEPTH);
            let strips =
                |n: usize| Strip { first: n * COLUMNS, rows: COLUMNS.min(columns - n * COLUMNS), width: COLUMNS };
            pack(part.as_flattened_mut(), matrix.transposed(), &(0..panels).map(strips).collect::<Vec<_>>(), &depth);
        });
    }

    /// `out (+)= a * self`, with `a`: `[rows, depth]`, and rows of `out` `stride` values apart. The result does not
    /// depend on the number of threads.
    pub fn multiply(&self, rows: usize, a: Matrix, out: &mut [f32], stride: usize, accumulate: bool) {
        assert!(a.holds(rows, self.depth) && (rows - 1) * stride + self.columns <= out.len());
        let block = if amx::has_tiles() { TILED_BLOCK } else { BLOCK };
        let blocks = out[..(rows - 1) * stride + self.columns].par_chunks_mut(block * stride).enumerate();
        blocks.for_each_init(Vec::new, |room, (n, out)| {
            let block = n * block..rows.min((n + 1) * block);
            self.block(block, a, out, stride, accumulate, room);
        });
    }

    /// `out += a * self` for a few rows, on this thread. `room`: a buffer that the caller keeps between calls.
    pub fn multiply_few(&self, a: &[f32], out: &mut [f32], room: &mut Vec<Pair>) {
        let rows = a.len() / self.depth;
        assert!(a.len() == rows * self.depth && out.len() == rows * self.columns, "a product's sizes fit");
        self.block(0..rows, Matrix::rows(a, self.depth), out, self.columns, true, room);
    }

    fn block(
        &self,
        block: Range<usize>,
        a: Matrix,
        out: &mut [f32],
        stride: usize,
        accumulate: bool,
        room: &mut Vec<Pair>,
    ) {
        match Tiles::new() {
            Some(tiles) => self.tiled_block(&tiles, block, a, out, stride, accumulate, room),
            None => self.vector_block(block, a, out, stride, accumulate, room),
        }
    }

    /// The ranges of depth that are processed one after the other, each with its lines, panel by panel.
    fn parts(&self) -> impl Iterator<Item = (Range<usize>, &[Line])> {
        let panels = self.columns.div_ceil(COLUMNS);
        let depth = |part: usize| part * 2 * DEPTH..self.depth.min((part + 1) * 2 * DEPTH);
        self.lines.chunks(DEPTH * panels).enumerate().map(move |(part, lines)| (depth(part), lines))
    }

    #[allow(clippy::too_many_arguments)]
    fn tiled_block(
        &self,
        tiles: &Tiles,
        block: Range<usize>,
        a: Matrix,
        out: &mut [f32],
        stride: usize,
        accumulate: bool,
        room: &mut Vec<Pair>,
    ) {
        let rows = block.len();
        for (depth, lines) in self.parts() {
            let (pairs, add) = (pairs_of(depth.len()), accumulate || depth.start > 0);
            room.resize(rows.next_multiple_of(amx::SIDE) * pairs, 0);
            pack_rows(room, a, &block, &depth);
            for (n, panel) in lines.chunks_exact(pairs).enumerate() {
                let (column, width) = (n * COLUMNS, COLUMNS.min(self.columns - n * COLUMNS));
                let out = &mut out[column..(rows - 1) * stride + column + width];
                tiles.multiply(room, panel, out, rows, stride, add);
            }
        }
    }

    fn vector_block(
        &self,
        block: Range<usize>,
        a: Matrix,
        out: &mut [f32],
        stride: usize,
        accumulate: bool,
        room: &mut Vec<Pair>,
    ) {
        let rows = block.len();
        // Kernels of nearly equal height: a low one would leave multipliers idle.
        let tiles = rows.div_ceil(ROWS);
        let tile = |n: usize| n * rows / tiles..(n + 1) * rows / tiles;
        let strip = |n: usize| Strip { first: block.start + tile(n).start, rows: tile(n).len(), width: tile(n).len() };
        let strips: Vec<Strip> = (0..tiles).map(strip).collect();
        for (depth, lines) in self.parts() {
            let (pairs, add) = (pairs_of(depth.len()), accumulate || depth.start > 0);
            room.resize(rows * pairs, 0);
            pack(room, a, &strips, &depth);
            for (n, panel) in lines.chunks_exact(pairs).enumerate() {
                let (column, width) = (n * COLUMNS, COLUMNS.min(self.columns - n * COLUMNS));
                for rows in (0..tiles).map(tile) {
                    let a = &room[rows.start * pairs..rows.end * pairs];
                    let out = &mut out[rows.start * stride + column..(rows.end - 1) * stride + column + width];
                    match rows.len() {
                        1 => multiply::<1>(a, panel, out, stride, add),
                        2 => multiply::<2>(a, panel, out, stride, add),
                        3 => multiply::<3>(a, panel, out, stride, add),
                        4 => multiply::<4>(a, panel, out, stride, add),
                        5 => multiply::<5>(a, panel, out, stride, add),
                        6 => multiply::<6>(a, panel, out, stride, add),
                        7 => multiply::<7>(a, panel, out, stride, add),
                        8 => multiply::<8>(a, panel, out, stride, add),
                        9 => multiply::<9>(a, panel, out, stride, add),
                        10 => multiply::<10>(a, panel, out, stride, add),
                        11 => multiply::<11>(a, panel, out, stride, add),
                        _ => multiply::<ROWS>(a, panel, out, stride, add),
                    }
                }
            }
        }
    }
}

/// Number of pairs that `depth` values take, padded to whole tiles.
fn pairs_of(depth: usize) -> usize {
    depth.div_ceil(2).next_multiple_of(amx::SIDE)
}

/// Rows of a matrix that are packed side by side, `[pairs, width]`; columns beyond `rows` are zero.
struct Strip {
    first: usize,
    rows: usize,
    width: usize,
}

/// Packs strips one after the other, over a range of the depth.
fn pack(out: &mut [Pair], matrix: Matrix, strips: &[Strip], depth: &Range<usize>) {
    if matrix.row_stride == 1 {
        pack_across(out, matrix.data, matrix.column_stride, strips, depth);
    } else {
        assert!(matrix.column_stride == 1, "values lie next to each other in rows or in columns");
        pack_along(out, matrix.data, matrix.row_stride, strips, depth);
    }
}

widest! {
    /// Packs values that are contiguous along the depth. Rows begin `stride` apart.
    fn pack_along(out: &mut [Pair], data: &[f32], stride: usize, strips: &[Strip], depth: &Range<usize>) {
        let (mut rest, mut pairs) = (out, [0; DEPTH]);
        for strip in strips {
            let out = rest.split_off_mut(..pairs_of(depth.len()) * strip.width).expect("there is room for all strips");
            if strip.rows < strip.width {
                out.fill(0);
            } else {
                out[depth.len() / 2 * strip.width..].fill(0);
            }
            for row in 0..strip.rows {
                let (values, last) = data[(strip.first + row) * stride..][depth.clone()].as_chunks::<2>();
                if let Some(next) = data.get((strip.first + row + 1) * stride + depth.start..) {
                    next.chunks(16).take(8).for_each(prefetch);
                }
                let pairs = &mut pairs[..values.len()];
                for i in 0..pairs.len() {
                    pairs[i] = round(values[i][0], values[i][1]);
                }
                for i in 0..pairs.len() {
                    out[i * strip.width + row] = pairs[i];
                }
                if let &[last] = last {
                    out[values.len() * strip.width + row] = round(last, 0.0);
                }
            }
        }
    }
}

widest! {
    /// Packs values that are contiguous across rows. Depths begin `stride` apart and are read in order for all strips.
    fn pack_across(out: &mut [Pair], data: &[f32], stride: usize, strips: &[Strip], depth: &Range<usize>) {
        let (count, room) = (depth.len().div_ceil(2), pairs_of(depth.len()));
        // Padding for an odd depth.
        let end = strips.iter().map(|strip| strip.first + strip.rows).max().unwrap_or(0);
        let zeros = if depth.len() % 2 == 1 { vec![0.0; end] } else { Vec::new() };
        for n in 0..count {
            let low = &data[(depth.start + 2 * n) * stride..];
            let high = if 2 * n + 1 < depth.len() { &data[(depth.start + 2 * n + 1) * stride..] } else { &zeros };
            let mut begin = 0;
            for &Strip { first, rows, width } in strips {
                let out = &mut out[begin + n * width..][..width];
                begin += room * width;
                // Depths lie too far apart for the hardware prefetcher.
                if 2 * n + AHEAD + 1 < depth.len() {
                    prefetch(&data[(depth.start + 2 * n + AHEAD) * stride + first..]);
                    prefetch(&data[(depth.start + 2 * n + AHEAD + 1) * stride + first..]);
                }
                let (low, high) = (&low[first..][..rows], &high[first..][..rows]);
                let vectors = rows / 4;
                for i in 0..vectors {
                    for i in 4 * i..4 * i + 4 {
                        out[i] = round(low[i], high[i]);
                    }
                }
                for i in 4 * vectors..rows {
                    out[i] = round(low[i], high[i]);
                }
                out[rows..].fill(0);
            }
        }
        let mut rest = out;
        for strip in strips {
            let out = rest.split_off_mut(..room * strip.width).expect("there is room for all strips");
            out[count * strip.width..].fill(0);
        }
    }
}

/// Packs rows one after the other, over a range of the depth: `[rows, pairs]`, padded with zeros to whole tiles.
fn pack_rows(out: &mut [Pair], matrix: Matrix, rows: &Range<usize>, depth: &Range<usize>) {
    if matrix.row_stride == 1 {
        pack_rows_across(out, matrix.data, matrix.column_stride, rows, depth);
    } else {
        assert!(matrix.column_stride == 1, "values lie next to each other in rows or in columns");
        pack_rows_along(out, matrix.data, matrix.row_stride, rows, depth);
    }
}

widest! {
    /// Packs values that are contiguous along the depth. Rows begin `stride` apart.
    fn pack_rows_along(out: &mut [Pair], data: &[f32], stride: usize, rows: &Range<usize>, depth: &Range<usize>) {
        let pairs = pairs_of(depth.len());
        for (row, out) in out.chunks_exact_mut(pairs).enumerate() {
            if row >= rows.len() {
                out.fill(0);
                continue;
            }
            let (values, last) = data[(rows.start + row) * stride..][depth.clone()].as_chunks::<2>();
            for i in 0..values.len() {
                out[i] = round(values[i][0], values[i][1]);
            }
            out[values.len()..].fill(0);
            if let &[last] = last {
                out[values.len()] = round(last, 0.0);
            }
        }
    }
}

widest! {
    /// Packs values that are contiguous across rows. Depths begin `stride` apart.
    fn pack_rows_across(out: &mut [Pair], data: &[f32], stride: usize, rows: &Range<usize>, depth: &Range<usize>) {
        const SIDE: usize = amx::SIDE;
        let pairs = pairs_of(depth.len());
        for first_pair in (0..pairs).step_by(SIDE) {
            for first_row in (0..rows.len()).step_by(SIDE) {
                let height = SIDE.min(rows.len() - first_row);
                // Transposed in a local tile, since its columns lie far apart in `out`.
                let mut tile = [[0; SIDE]; SIDE];
                for (pair, tile) in tile.iter_mut().enumerate() {
                    let values = |depth: usize| &data[depth * stride + rows.start + first_row..][..height];
                    let at = depth.start + 2 * (first_pair + pair);
                    if at + 1 < depth.end {
                        let (low, high) = (values(at), values(at + 1));
                        for row in 0..height {
                            tile[row] = round(low[row], high[row]);
                        }
                    } else if at < depth.end {
                        let low = values(at);
                        for row in 0..height {
                            tile[row] = round(low[row], 0.0);
                        }
                    }
                }
                for row in 0..SIDE {
                    let out = &mut out[(first_row + row) * pairs + first_pair..][..SIDE];
                    for pair in 0..SIDE {
                        out[pair] = tile[pair][row];
                    }
                }
            }
        }
    }
}

/// Rounds to nearest, ties to even. NaNs stay NaN: those that CPUs produce have zeros where the carry goes.
#[inline(always)]
fn round(low: f32, high: f32) -> Pair {
    let rounded = |value: f32| {
        let bits = value.to_bits();
        bits.wrapping_add(0x7fff + (bits >> 16 & 1))
    };
    rounded(low) >> 16 | rounded(high) & 0xffff_0000
}

/// One kernel: `out (+)= a * lines`, with `a`: `[pairs, M]`, and `M` rows of `out` that begin `stride` apart.
fn multiply<const M: usize>(a: &[Pair], lines: &[Line], out: &mut [f32], stride: usize, add: bool) {
    let (a, _) = a.as_chunks::<M>();
    #[cfg(target_arch = "x86_64")]
    if is_fast() {
        // SAFETY: the CPU has the features the function was compiled for.
        return unsafe { multiply_avx512(a, lines, out, stride, add) };
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
    store(&sums, out, stride, add);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply_avx512<const M: usize>(a: &[[Pair; M]], lines: &[Line], out: &mut [f32], stride: usize, add: bool) {
    use std::{arch::x86_64::*, mem::transmute};
    for m in 0..M {
        prefetch(&out[m * stride..]);
    }
    let mut sums = [[_mm512_setzero_ps(); 2]; M];
    for (a, line) in a.iter().zip(lines) {
        // SAFETY: a line is two vectors of sixteen pairs, and any bits are valid for both types.
        let line = unsafe { transmute::<Line, [__m512bh; 2]>(*line) };
        for m in 0..M {
            // SAFETY: both are 64 bytes, for which any bits are valid.
            let a = unsafe { transmute::<__m512i, __m512bh>(_mm512_set1_epi32(a[m].cast_signed())) };
            sums[m] = [_mm512_dpbf16_ps(sums[m][0], line[0], a), _mm512_dpbf16_ps(sums[m][1], line[1], a)];
        }
    }
    let mut out_of = [[0.0; COLUMNS]; M];
    for m in 0..M {
        // SAFETY: two vectors hold as many values as a row of sums.
        out_of[m] = unsafe { transmute::<[__m512; 2], [f32; COLUMNS]>(sums[m]) };
    }
    store(&out_of, out, stride, add);
}

/// Stores sums in `out`, or adds them. The length of the last row of `out` is the width of all rows.
#[inline(always)]
fn store<const M: usize>(sums: &[[f32; COLUMNS]; M], out: &mut [f32], stride: usize, add: bool) {
    let width = out.len() - (M - 1) * stride;
    for m in 0..M {
        let out = &mut out[m * stride..][..width];
        if let Ok(out) = <&mut [f32; COLUMNS]>::try_from(&mut *out) {
            for i in 0..COLUMNS {
                out[i] = if add { out[i] + sums[m][i] } else { sums[m][i] };
            }
        } else {
            for (out, sum) in out.iter_mut().zip(&sums[m]) {
                *out = if add { *out + sum } else { *sum };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg32;

    /// Sizes that fill panels, kernels, parts and blocks, and sizes that do not; both memory orders; and results that
    /// are parts of wider rows. Compares with the exact product of the rounded factors.
    #[test]
    fn a_product_is_that_of_the_rounded_factors() {
        let mut rng = Pcg32::seed_from_u64(1);
        let value = |v: f32| f64::from(half::bf16::from_f32(v).to_f32());
        for [rows, depth, columns] in
            [[1, 1, 1], [40, 1, 8], [32, 512, 64], [16, 301, 40], [13, 257, 33], [6, 5, 100], [300, 64, 32]]
        {
            let mut random = |len: usize| (0..len).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
            let stride = columns + 3;
            let (a, b, start) = (random(rows * depth), random(depth * columns), random(rows * stride));
            for (turned_a, turned_b, accumulate) in [(false, false, true), (true, true, true), (false, true, false)] {
                let a = if turned_a { Matrix::rows(&a, rows).transposed() } else { Matrix::rows(&a, depth) };
                let b = if turned_b { Matrix::rows(&b, depth).transposed() } else { Matrix::rows(&b, columns) };
                let mut panels = Panels::default();
                panels.pack([depth, columns], b);
                // With tiles where the CPU has them, and always with vectors.
                let [mut tiled, mut by_vectors] = [start.clone(), start.clone()];
                panels.multiply(rows, a, &mut tiled, stride, accumulate);
                panels.vector_block(0..rows, a, &mut by_vectors, stride, accumulate, &mut vec![u32::MAX; 7]);
                for out in [tiled, by_vectors] {
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
