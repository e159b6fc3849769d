//! Matrix-vector products in 32-bit floats, with weights of 32 or 16 bits.
//!
//! Each row is summed column by column in one lane, without fused multiply-adds: the result has the same bits on every
//! CPU, with one vector or many. This costs nothing, because weights are read more slowly than they can be multiplied.

use half::f16;

use crate::panels::{Line, Panels, ROWS};

/// Sums of a panel's rows.
type Sums = [f32; ROWS];

/// A type that weights can be stored in.
pub(crate) trait Float: Copy + Default {
    /// Converts from 32 bits.
    fn from_f32(value: f32) -> Self;
    /// `sums[v] += W x[v]` for one panel. Each vector in `xs` is as long as the panel has columns.
    fn product<const V: usize>(panel: &[Line<Self, ROWS>], xs: [&[f32]; V], sums: &mut [Sums; V]);
    /// `sums += value * column` for each (column, value), over `N` lines of the column from line `first` on. `stride`:
    /// lines per column.
    fn gather<const N: usize>(
        lines: &[Line<Self, ROWS>],
        stride: usize,
        first: usize,
        features: &[(u32, f32)],
        sums: &mut [Sums; N],
    );
}

/// A matrix of floats in panels; a line holds one column of a panel.
#[derive(Clone, Debug)]
pub(crate) struct Matrix<T>(Panels<T, ROWS>);

impl<T: Float> Matrix<T> {
    /// Packs row-major weights `[rows, columns]`.
    pub fn new(weights: &[f32], columns: usize) -> Self {
        let mut panels = Panels::new(weights.len() / columns, columns);
        for (row, weights) in weights.chunks_exact(columns).enumerate() {
            for (line, &w) in panels.panel_mut(row / ROWS).iter_mut().zip(weights) {
                line.0[row % ROWS] = T::from_f32(w);
            }
        }
        Self(panels)
    }

    /// Products with vectors stored back to back. `emit` receives the index of the vector, the first row, and the sums
    /// from that row on; sums of padding rows are 0.
    pub fn times(&self, xs: &[f32], columns: usize, mut emit: impl FnMut(usize, usize, &[f32])) {
        for (n, panel) in self.0.iter().enumerate() {
            let fours = xs.chunks_exact(4 * columns);
            let (count, rest) = (4 * fours.len(), fours.remainder());
            for (i, xs) in fours.enumerate() {
                let x = |v: usize| &xs[v * columns..][..columns];
                let mut sums = [[0.0; ROWS]; 4];
                T::product(panel, [x(0), x(1), x(2), x(3)], &mut sums);
                for (v, sums) in sums.iter().enumerate() {
                    emit(4 * i + v, n * ROWS, sums);
                }
            }
            for (i, x) in rest.chunks_exact(columns).enumerate() {
                let mut sums = [[0.0; ROWS]];
                T::product(panel, [x], &mut sums);
                emit(count + i, n * ROWS, &sums[0]);
            }
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// A matrix of floats stored by columns, each padded to whole lines.
#[derive(Clone, Debug)]
pub(crate) struct Columns<T> {
    lines: Vec<Line<T, ROWS>>,
    /// Lines per column.
    stride: usize,
}

impl<T: Float> Columns<T> {
    /// Packs row-major weights `[rows, columns]`.
    pub fn new(weights: &[f32], columns: usize) -> Self {
        let stride = (weights.len() / columns).div_ceil(ROWS);
        let mut lines = vec![Line([T::default(); ROWS]); stride * columns];
        for (row, weights) in weights.chunks_exact(columns).enumerate() {
            for (column, &w) in weights.iter().enumerate() {
                lines[column * stride + row / ROWS].0[row % ROWS] = T::from_f32(w);
            }
        }
        Self { lines, stride }
    }

    /// `out += value * column` for each (column, value); out: `[rows]`.
    pub fn add(&self, features: &[(u32, f32)], out: &mut [f32]) {
        // Four lines at once: enough independent sums to hide the latency of additions.
        let (fours, rest) = out.as_chunks_mut::<{ 4 * ROWS }>();
        let whole = 4 * fours.len();
        for (n, out) in fours.iter_mut().enumerate() {
            let sums: &mut [Sums; 4] = out.as_chunks_mut().0.first_chunk_mut().expect("four lines");
            T::gather(&self.lines, self.stride, 4 * n, features, sums);
        }
        for (n, out) in rest.chunks_mut(ROWS).enumerate() {
            let mut sums = [[0.0; ROWS]];
            sums[0][..out.len()].copy_from_slice(out);
            T::gather(&self.lines, self.stride, whole + n, features, &mut sums);
            out.copy_from_slice(&sums[0][..out.len()]);
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(&self.lines[..])
    }
}

/// The portable version.
mod plain {
    use super::{Line, ROWS, Sums};

    fn add<T: Copy + Into<f32>>(w: &Line<T, ROWS>, x: f32, sums: &mut Sums) {
        for (sum, &w) in sums.iter_mut().zip(&w.0) {
            *sum += w.into() * x;
        }
    }

    pub fn product<T: Copy + Into<f32>, const V: usize>(
        panel: &[Line<T, ROWS>],
        xs: [&[f32]; V],
        sums: &mut [Sums; V],
    ) {
        for (x, sums) in xs.iter().zip(sums) {
            for (w, &x) in panel.iter().zip(*x) {
                add(w, x, sums);
            }
        }
    }

    pub fn gather<T: Copy + Into<f32>, const N: usize>(
        lines: &[Line<T, ROWS>],
        stride: usize,
        first: usize,
        features: &[(u32, f32)],
        sums: &mut [Sums; N],
    ) {
        for &(column, x) in features {
            for (w, sums) in lines[column as usize * stride + first..].iter().zip(&mut *sums) {
                add(w, x, sums);
            }
        }
    }
}

/// Compiles both products for one vector width. Plain loops, because closures and helpers of the standard library would
/// not be compiled with the target features.
macro_rules! width {
    ($name:ident, $features:literal, $lanes:literal, $zero:ident, $set:ident, $load:ident, $store:ident,
     $add:ident, $multiply:ident, $widen:ident, $narrow:ident) => {
        #[cfg(target_arch = "x86_64")]
        mod $name {
            use std::arch::x86_64::*;

            use super::{Line, ROWS, Sums, f16};

            /// How far ahead columns are prefetched.
            const AHEAD: usize = 12;
            /// Vectors per line.
            const PARTS: usize = ROWS / $lanes;

            pub trait Widen: Copy {
                /// Vector `part` of a line, widened to 32-bit floats.
                ///
                /// # Safety
                /// The CPU must support the target features.
                unsafe fn part(line: &Line<Self, ROWS>, part: usize) -> Vector;
            }

            type Vector = super::vectors::$name;

            impl Widen for f32 {
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn part(line: &Line<Self, ROWS>, part: usize) -> Vector {
                    // SAFETY: the line is long enough.
                    unsafe { $load(line.0.as_ptr().add(part * $lanes)) }
                }
            }

            impl Widen for f16 {
                #[inline]
                #[target_feature(enable = $features)]
                unsafe fn part(line: &Line<Self, ROWS>, part: usize) -> Vector {
                    // SAFETY: the line is long enough.
                    unsafe { $widen($narrow(line.0.as_ptr().add(part * $lanes).cast())) }
                }
            }

            #[target_feature(enable = $features)]
            pub fn product<T: Widen, const V: usize>(panel: &[Line<T, ROWS>], xs: [&[f32]; V], sums: &mut [Sums; V]) {
                let mut acc = [[$zero(); PARTS]; V];
                for v in 0..V {
                    assert_eq!(xs[v].len(), panel.len(), "the matrix has a different width");
                    for part in 0..PARTS {
                        // SAFETY: a panel's sums are as long as a line.
                        acc[v][part] = unsafe { $load(sums[v].as_ptr().add(part * $lanes)) };
                    }
                }
                for (column, line) in panel.iter().enumerate() {
                    for part in 0..PARTS {
                        // SAFETY: this function has the target features.
                        let w = unsafe { T::part(line, part) };
                        for v in 0..V {
                            // SAFETY: each vector is as long as the panel has columns.
                            let x = $set(unsafe { *xs[v].get_unchecked(column) });
                            acc[v][part] = $add(acc[v][part], $multiply(w, x));
                        }
                    }
                }
                for v in 0..V {
                    for part in 0..PARTS {
                        // SAFETY: as above.
                        unsafe { $store(sums[v].as_mut_ptr().add(part * $lanes), acc[v][part]) };
                    }
                }
            }

            #[target_feature(enable = $features)]
            pub fn gather<T: Widen, const N: usize>(
                lines: &[Line<T, ROWS>],
                stride: usize,
                first: usize,
                features: &[(u32, f32)],
                sums: &mut [Sums; N],
            ) {
                let mut acc = [[$zero(); PARTS]; N];
                for n in 0..N {
                    for part in 0..PARTS {
                        // SAFETY: a panel's sums are as long as a line.
                        acc[n][part] = unsafe { $load(sums[n].as_ptr().add(part * $lanes)) };
                    }
                }
                for (i, &(column, x)) in features.iter().enumerate() {
                    // The columns are scattered, so the hardware prefetcher cannot guess the next one.
                    if let Some(&(next, _)) = features.get(i + AHEAD) {
                        for line in lines[next as usize * stride + first..].iter().take(N) {
                            let line = std::ptr::from_ref(line).cast::<i8>();
                            for start in (0..size_of::<Line<T, ROWS>>()).step_by(64) {
                                // SAFETY: a prefetch hint for an address inside the line.
                                unsafe { _mm_prefetch::<_MM_HINT_T0>(line.add(start)) };
                            }
                        }
                    }
                    let column = &lines[column as usize * stride + first..][..N];
                    let x = $set(x);
                    for n in 0..N {
                        for part in 0..PARTS {
                            // SAFETY: this function has the target features.
                            let w = unsafe { T::part(&column[n], part) };
                            acc[n][part] = $add(acc[n][part], $multiply(w, x));
                        }
                    }
                }
                for n in 0..N {
                    for part in 0..PARTS {
                        // SAFETY: as above.
                        unsafe { $store(sums[n].as_mut_ptr().add(part * $lanes), acc[n][part]) };
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    #![allow(non_camel_case_types)]
    pub type avx512 = std::arch::x86_64::__m512;
    pub type avx2 = std::arch::x86_64::__m256;
}

width!(
    avx512,
    "avx512f",
    16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_mul_ps,
    _mm512_cvtph_ps,
    _mm256_loadu_si256
);
width!(
    avx2,
    "avx2,f16c",
    8,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_mul_ps,
    _mm256_cvtph_ps,
    _mm_loadu_si128
);

macro_rules! float {
    ($type:ty, $from:expr) => {
        impl Float for $type {
            fn from_f32(value: f32) -> Self {
                $from(value)
            }

            fn product<const V: usize>(panel: &[Line<Self, ROWS>], xs: [&[f32]; V], sums: &mut [Sums; V]) {
                #[cfg(target_arch = "x86_64")]
                {
                    if is_x86_feature_detected!("avx512f") {
                        // SAFETY: the CPU has the features the function was compiled for.
                        return unsafe { avx512::product(panel, xs, sums) };
                    }
                    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
                        // SAFETY: as above.
                        return unsafe { avx2::product(panel, xs, sums) };
                    }
                }
                plain::product(panel, xs, sums);
            }

            fn gather<const N: usize>(
                lines: &[Line<Self, ROWS>],
                stride: usize,
                first: usize,
                features: &[(u32, f32)],
                sums: &mut [Sums; N],
            ) {
                #[cfg(target_arch = "x86_64")]
                {
                    if is_x86_feature_detected!("avx512f") {
                        // SAFETY: the CPU has the features the function was compiled for.
                        return unsafe { avx512::gather(lines, stride, first, features, sums) };
                    }
                    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
                        // SAFETY: as above.
                        return unsafe { avx2::gather(lines, stride, first, features, sums) };
                    }
                }
                plain::gather(lines, stride, first, features, sums);
            }
        }
    };
}

float!(f32, |value| value);
float!(f16, f16::from_f32);

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares the CPU's conversion with the library's for every finite 16-bit float.
    #[test]
    fn sixteen_bits_are_widened_exactly() {
        let all: Vec<f16> = (0..=u16::MAX).map(f16::from_bits).filter(|v| v.is_finite()).collect();
        let weights: Vec<f32> = all.iter().map(|v| v.to_f32()).collect();
        let mut seen = 0;
        Matrix::<f16>::new(&weights, 1).times(&[1.0], 1, |_, first, sums| {
            for (found, expected) in sums.iter().zip(&weights[first..]) {
                assert_eq!(found, expected);
                seen += 1;
            }
        });
        assert_eq!(seen, weights.len());
    }

    #[test]
    fn every_width_gives_the_same_bits() {
        let panel: Vec<Line<f16, ROWS>> =
            (0..300).map(|c| Line(std::array::from_fn(|r| f16::from_f32(((c * 31 + r * 7) as f32).sin())))).collect();
        let x: Vec<f32> = (0..300).map(|i| (i as f32 * 0.7).cos()).collect();
        let features: Vec<(u32, f32)> = x.iter().take(150).enumerate().map(|(i, &v)| (i as u32, v)).collect();
        let (mut expected, mut found) = ([[0.5; ROWS]; 2], [[0.5; ROWS]; 2]);
        plain::product(&panel, [&x, &x], &mut expected);
        plain::gather(&panel, 2, 0, &features, &mut expected);
        f16::product(&panel, [&x, &x], &mut found);
        f16::gather(&panel, 2, 0, &features, &mut found);
        assert_eq!(found, expected);
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") {
            found = [[0.5; ROWS]; 2];
            // SAFETY: the CPU has the features the functions were compiled for.
            unsafe {
                avx2::product(&panel, [&x, &x], &mut found);
                avx2::gather(&panel, 2, 0, &features, &mut found);
            }
            assert_eq!(found, expected);
        }
    }
}
