//! Products of one large matrix with many small ones: the recurrence multiplies the same weights with a few lanes, step
//! after step. A general matrix product would repack them each time, which takes as long as the product itself.
//!
//! The kernel computes up to six rows by two vectors, so that twelve sums are in flight: enough to hide the latency of
//! two fused multiply-adds per cycle (Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication").

use super::{
    bf16,
    matmul::{MatmulPrecision, Matrix},
};

/// Maximum rows of a kernel.
const ROWS: usize = 6;
/// Lines of a panel that are used for all rows before moving on to the next: 32 or 64 KiB, which stay in the cache.
const DEPTH: usize = 512;

/// A matrix `[depth, columns]`, packed in panels of `N` columns; the last panel is padded with zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Panels<const N: usize> {
    lines: Vec<[f32; N]>,
    depth: usize,
    columns: usize,
}

/// A packed matrix, in panels as wide as two of the CPU's vectors.
#[derive(Clone, Debug)]
pub(super) enum Packed {
    /// For vectors of eight, or for whatever the compiler makes of sixteen columns.
    Narrow(Panels<16>),
    /// For AVX-512. Elsewhere only tests construct it.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    Wide(Panels<32>),
    /// Rounded to bf16.
    Bf16(bf16::Panels),
}

/// Buffers of [`Packed::multiply`], kept between calls.
#[derive(Debug, Default)]
pub(super) struct Room {
    f32: Vec<f32>,
    bf16: Vec<u32>,
}

impl Packed {
    /// An empty matrix of this precision.
    pub fn new(precision: MatmulPrecision) -> Self {
        if precision == MatmulPrecision::Bf16 {
            return Self::Bf16(bf16::Panels::default());
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            return Self::Wide(Panels::default());
        }
        Self::Narrow(Panels::default())
    }

    /// Packs a matrix `[depth, columns]`, reusing the memory of the last one.
    pub fn pack(&mut self, sizes: [usize; 2], matrix: Matrix) {
        match self {
            Self::Narrow(panels) => panels.pack(sizes, matrix),
            Self::Wide(panels) => panels.pack(sizes, matrix),
            Self::Bf16(panels) => panels.pack(sizes, matrix),
        }
    }

    /// `out += a * self`, with `a`: `[rows, depth]`, `out`: `[rows, columns]`. `room`: kept by the caller between
    /// calls.
    pub fn multiply(&self, a: &[f32], out: &mut [f32], room: &mut Room) {
        match self {
            Self::Narrow(panels) => panels.multiply(a, out, &mut room.f32),
            Self::Wide(panels) => panels.multiply(a, out, &mut room.f32),
            Self::Bf16(panels) => panels.multiply_few(a, out, &mut room.bf16),
        }
    }
}

impl<const N: usize> Panels<N> {
    fn pack(&mut self, [depth, columns]: [usize; 2], matrix: Matrix) {
        (self.depth, self.columns) = (depth, columns);
        self.lines.resize(columns.div_ceil(N) * depth, [0.0; N]);
        for (n, panel) in self.lines.chunks_exact_mut(depth).enumerate() {
            for (k, line) in panel.iter_mut().enumerate() {
                *line = std::array::from_fn(|i| if n * N + i < columns { matrix.get(k, n * N + i) } else { 0.0 });
            }
        }
    }

    fn multiply(&self, a: &[f32], out: &mut [f32], room: &mut Vec<f32>) {
        let Self { depth, columns, .. } = *self;
        let rows = a.len() / depth;
        assert!(a.len() == rows * depth && out.len() == rows * columns, "a product's sizes fit");
        // Kernels of nearly equal height: a low one would leave multipliers idle.
        let tiles = rows.div_ceil(ROWS);
        let tile = |n: usize| n * rows / tiles..(n + 1) * rows / tiles;
        room.resize(a.len(), 0.0);
        for n in 0..tiles {
            let (rows, len) = (tile(n), tile(n).len());
            let part = &mut room[rows.start * depth..rows.end * depth];
            for (row, values) in a[rows.start * depth..rows.end * depth].chunks_exact(depth).enumerate() {
                for (to, value) in part[row..].iter_mut().step_by(len).zip(values) {
                    *to = *value;
                }
            }
        }
        for (panel, lines) in self.lines.chunks_exact(depth).enumerate() {
            let first = panel * N;
            for (part, lines) in lines.chunks(DEPTH).enumerate() {
                for n in 0..tiles {
                    let (rows, len) = (tile(n), tile(n).len());
                    let a = &room[rows.start * depth + part * DEPTH * len..rows.end * depth];
                    let out = &mut out[rows.start * columns + first..rows.end * columns];
                    match len {
                        1 => add::<1, N>(a, lines, out, columns, first),
                        2 => add::<2, N>(a, lines, out, columns, first),
                        3 => add::<3, N>(a, lines, out, columns, first),
                        4 => add::<4, N>(a, lines, out, columns, first),
                        5 => add::<5, N>(a, lines, out, columns, first),
                        _ => add::<ROWS, N>(a, lines, out, columns, first),
                    }
                }
            }
        }
    }
}

/// One kernel over some lines of a panel. `a`: `[lines, M]`; `out`: starts at the kernel's first value; rows are
/// `columns` apart.
fn add<const M: usize, const N: usize>(a: &[f32], lines: &[[f32; N]], out: &mut [f32], columns: usize, first: usize) {
    let (a, width) = (a.as_chunks::<M>().0, N.min(columns - first));
    out.chunks(columns).for_each(prefetch);
    let sums = sums(a, lines);
    for (out, sums) in out.chunks_mut(columns).zip(&sums) {
        for (out, sum) in out[..width].iter_mut().zip(sums) {
            *out += sum;
        }
    }
}

/// Prefetches the destination of a row of sums before they are computed: rows lie too far apart for the hardware
/// prefetcher, and waiting for memory afterwards takes a fifth of the time.
#[inline(always)]
pub(super) fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 CPU has the instruction, and it reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

fn sums<const M: usize, const N: usize>(a: &[[f32; M]], lines: &[[f32; N]]) -> [[f32; N]; M] {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,fma")]
        fn avx512<const M: usize, const N: usize>(a: &[[f32; M]], lines: &[[f32; N]]) -> [[f32; N]; M] {
            kernel(a, lines, f32::mul_add)
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<const M: usize, const N: usize>(a: &[[f32; M]], lines: &[[f32; N]]) -> [[f32; N]; M] {
            kernel(a, lines, f32::mul_add)
        }
        if N == 32 && is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the features the function was compiled for.
            return unsafe { avx512(a, lines) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has the features the function was compiled for.
            return unsafe { avx2(a, lines) };
        }
        kernel(a, lines, |a, b, sum| a * b + sum)
    }
    #[cfg(not(target_arch = "x86_64"))]
    kernel(a, lines, f32::mul_add)
}

#[inline(always)]
fn kernel<const M: usize, const N: usize>(
    a: &[[f32; M]],
    lines: &[[f32; N]],
    fused: impl Fn(f32, f32, f32) -> f32,
) -> [[f32; N]; M] {
    let mut sums = [[0.0; N]; M];
    for (a, line) in a.iter().zip(lines) {
        for m in 0..M {
            for n in 0..N {
                sums[m][n] = fused(a[m], line[n], sums[m][n]);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg32;

    /// Sizes that fill panels, kernels and parts, and sizes that do not, in both widths.
    #[test]
    fn a_packed_product_is_the_product() {
        let mut rng = Pcg32::seed_from_u64(1);
        for [rows, depth, columns] in [[1, 1, 1], [32, 512, 64], [16, 300, 40], [13, 257, 33], [6, 5, 100]] {
            let mut random = |len: usize| (0..len).map(|_| rng.random_range(-1.0..1.0)).collect::<Vec<f32>>();
            let (a, b, start) = (random(rows * depth), random(depth * columns), random(rows * columns));
            for mut packed in [Packed::Narrow(Panels::default()), Packed::Wide(Panels::default())] {
                let mut out = start.clone();
                packed.pack([depth, columns], Matrix::rows(&b, columns));
                packed.multiply(&a, &mut out, &mut Room::default());
                for (at, &out) in out.iter().enumerate() {
                    let (row, column) = (at / columns, at % columns);
                    let exact = (0..depth)
                        .map(|k| f64::from(a[row * depth + k]) * f64::from(b[k * columns + column]))
                        .sum::<f64>()
                        + f64::from(start[at]);
                    assert!(
                        (f64::from(out) - exact).abs() < 1e-4,
                        "{rows} x {depth} x {columns} at {at}: {out}, {exact}"
                    );
                }
            }
        }
    }
}
