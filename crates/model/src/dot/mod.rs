//! Products of small-integer matrices with vectors of 16-bit integers: where a step spends its time.
//!
//! A step reads every weight once, so on a large network it is as fast as weights can be read from the cache. There are
//! two formats: [`Form::Bytes`], and [`Form::Nibbles`], indices into a codebook of sixteen values at half the memory
//! traffic. The choice depends on the CPU: without 8-bit multiply-adds, unpacking costs more than it saves, so 4-bit
//! weights are expanded to bytes. Integer sums are exact: every version and both formats give the same result.

mod form;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

use crate::{
    panels::{Panels, ROWS},
    quantize::{CHUNK, Codebook, Quantized},
};
pub(crate) use form::Form;
use form::{LINE_ROWS, Line, QUAD, Sums};

/// Instruction set of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// Portable code.
    Plain,
    /// 16-bit multiply-adds in 256 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 8-bit multiply-adds in 256 bits.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// 8-bit multiply-adds in 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// 8-bit multiply-adds in 512 bits, and lookups in a table of 64 bytes.
    #[cfg(target_arch = "x86_64")]
    Avx512Vbmi,
    /// 8-bit multiply-adds in 128 bits.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

impl Version {
    /// The versions that this CPU supports, fastest first.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni");
        #[cfg(target_arch = "x86_64")]
        let special = [
            (Self::Avx512Vbmi, wide && is_x86_feature_detected!("avx512vbmi")),
            (Self::Avx512Vnni, wide),
            (Self::AvxVnni, is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")),
            (Self::Avx2, is_x86_feature_detected!("avx2")),
        ];
        #[cfg(target_arch = "aarch64")]
        let special = [(Self::NeonDot, std::arch::is_aarch64_feature_detected!("dotprod"))];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let special: [(Self, bool); 0] = [];
        special.into_iter().filter_map(|(version, here)| here.then_some(version)).chain([Self::Plain])
    }

    /// Whether unpacking nibbles is faster than reading bytes.
    fn unpacks(self) -> bool {
        match self {
            Self::Plain => false,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => false,
            #[allow(unreachable_patterns)] // on targets without other versions
            _ => true,
        }
    }
}

/// An integer matrix, packed for one version.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    version: Version,
    form: Form,
    panels: Panels<i8, 64>,
    /// Sum of each row's weights, padded to whole panels: [`crate::quantize::OFFSET`] times this is what the offset
    /// adds to a product.
    sums: Vec<i32>,
}

impl Matrix {
    /// Packs row-major weights `[rows, columns]`; with a codebook, they are indices into it.
    pub fn new(weights: &[i8], columns: usize, codebook: Option<&Codebook>, version: Version) -> Self {
        let rows = weights.len() / columns;
        let form = codebook.filter(|_| version.unpacks()).map_or(Form::Bytes, |codebook| Form::Nibbles(*codebook));
        let value = |w: i8| codebook.map_or(w, |codebook| codebook[w as usize]);
        let mut panels = Panels::new(rows, columns.div_ceil(CHUNK) * form.lines());
        let mut sums = vec![0; rows.next_multiple_of(ROWS)];
        for (row, weights) in weights.chunks_exact(columns).enumerate() {
            sums[row] = weights.iter().map(|&w| i32::from(value(w))).sum();
            let lines: &mut [Line] = panels.panel_mut(row / ROWS);
            let (half, place) = (row % ROWS / LINE_ROWS, row % LINE_ROWS * QUAD);
            for (lines, chunk) in lines.chunks_exact_mut(form.lines()).zip(weights.chunks(CHUNK)) {
                for (column, &w) in chunk.iter().enumerate() {
                    let (quad, place) = (column / QUAD, place + column % QUAD);
                    match form {
                        Form::Bytes => lines[2 * quad + half].0[place] = value(w),
                        Form::Nibbles(_) => lines[half].0[place] |= w << (4 * quad),
                    }
                }
            }
        }
        // Padding columns meet activations of zero, so their weights would not matter; but with `OFFSET` added those
        // are no longer zero, and a nibble of zero is not a weight of zero.
        if let Form::Nibbles(codebook) = form {
            let missing = columns.next_multiple_of(CHUNK) - columns;
            sums.iter_mut().take(rows).for_each(|sum| *sum += missing as i32 * i32::from(codebook[0]));
        }
        Self { version, form, panels, sums }
    }

    /// One weight as it is multiplied: the inverse of the packing in [`Matrix::new`].
    #[cfg(any(test, feature = "gpu"))]
    pub fn value(&self, row: usize, column: usize) -> i8 {
        let lines = &self.panels.panel(row / ROWS)[column / CHUNK * self.form.lines()..];
        let (half, quad) = (row % ROWS / LINE_ROWS, column % CHUNK / QUAD);
        let place = row % LINE_ROWS * QUAD + column % QUAD;
        match &self.form {
            Form::Bytes => lines[2 * quad + half].0[place],
            Form::Nibbles(codebook) => codebook[usize::from(lines[half].0[place] as u8 >> (4 * quad) & 15)],
        }
    }

    /// Products with one vector or several. `emit` receives the index of the vector, the first row, and the sums from
    /// that row on; sums of padding rows are meaningless.
    pub fn times(&self, xs: &[Quantized], mut emit: impl FnMut(usize, usize, &[i32])) {
        let mut panels = self.panels.iter().enumerate();
        if let [x] = xs {
            // Four panels at once keep all multipliers busy.
            while let Some((n, first)) = panels.next() {
                let mut rest = panels.clone();
                if let (Some((_, b)), Some((_, c)), Some((_, d))) = (rest.next(), rest.next(), rest.next()) {
                    panels = rest;
                    emit(0, n * ROWS, self.product(n, [first, b, c, d], [x])[0].as_flattened());
                } else {
                    emit(0, n * ROWS, self.product(n, [first], [x])[0].as_flattened());
                }
            }
            return;
        }
        for (n, panel) in panels {
            // A panel stays in the L1 cache while all vectors pass.
            let (fours, rest) = xs.as_chunks::<4>();
            for (i, [a, b, c, d]) in fours.iter().enumerate() {
                for (j, sums) in self.product(n, [panel], [a, b, c, d]).iter().enumerate() {
                    emit(4 * i + j, n * ROWS, sums.as_flattened());
                }
            }
            for (i, x) in rest.iter().enumerate() {
                emit(4 * fours.len() + i, n * ROWS, self.product(n, [panel], [x])[0].as_flattened());
            }
        }
    }

    /// Products of `P` panels, from number `first` on, with each of the vectors.
    fn product<const P: usize, const V: usize>(
        &self,
        first: usize,
        panels: [&[Line]; P],
        xs: [&Quantized; V],
    ) -> [[Sums; P]; V] {
        let lines = xs[0].words().len() / CHUNK * self.form.lines();
        assert!(panels.iter().all(|panel| panel.len() == lines), "the matrix has a different width");
        assert!(xs.iter().all(|x| x.words().len() == xs[0].words().len()), "vectors of different lengths");
        match self.version {
            // SAFETY: `Version::available` detected the feature; panels and vectors have the same length.
            #[cfg(target_arch = "x86_64")]
            Version::Avx512Vbmi => unsafe { x86::avx512_vbmi(&self.form, panels, xs, self.sums(first)) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Version::Avx512Vnni => unsafe { x86::avx512(&self.form, panels, xs, self.sums(first)) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Version::AvxVnni => self.each(first, panels, xs, |p, x, s| unsafe { x86::avx_vnni(&self.form, p, x, s) }),
            #[cfg(target_arch = "x86_64")]
            Version::Avx2 => {
                // SAFETY: as above.
                let sums = panels.map(|panel| unsafe { x86::avx2(panel, xs) });
                std::array::from_fn(|v| std::array::from_fn(|p| sums[p][v]))
            }
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Version::NeonDot => self.each(first, panels, xs, |p, x, s| unsafe { neon::dot(&self.form, p, x, s) }),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Version::Plain => self.each(first, panels, xs, |p, x, _| wasm::dot(p, x.words())),
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            Version::Plain => self.each(first, panels, xs, |p, x, _| plain(p, x)),
        }
    }

    /// Row sums of `P` panels from number `first` on.
    fn sums<const P: usize>(&self, first: usize) -> &[Sums; P] {
        self.sums.as_chunks::<ROWS>().0[first..].first_chunk().expect("as many as panels")
    }

    /// For versions that work best with one panel and one vector at a time.
    fn each<const P: usize, const V: usize>(
        &self,
        first: usize,
        panels: [&[Line]; P],
        xs: [&Quantized; V],
        product: impl Fn(&[Line], &Quantized, &Sums) -> Sums,
    ) -> [[Sums; P]; V] {
        let sums = self.sums::<P>(first);
        xs.map(|x| std::array::from_fn(|p| product(panels[p], x, &sums[p])))
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.panels.bytes() + std::mem::size_of_val(&self.sums[..])
    }
}

/// The portable version.
#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), expect(dead_code, reason = "vectors do better"))]
fn plain(panel: &[Line], x: &Quantized) -> Sums {
    let mut sums = [0; ROWS];
    for (lines, x) in panel.as_chunks::<4>().0.iter().zip(x.words().as_chunks::<CHUNK>().0) {
        for (n, line) in lines.iter().enumerate() {
            let x = &x[n / 2 * QUAD..][..QUAD];
            for (sum, w) in sums[n % 2 * LINE_ROWS..].iter_mut().zip(line.0.as_chunks::<QUAD>().0) {
                *sum += w.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum::<i32>();
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_version_gives_the_exact_sum() {
        let mut rng = rand_pcg::Pcg32::new(3, 0);
        for (rows, columns) in [(1, 8), (32, 512), (177, 256), (300, 132), (200, 1001), (129, 300)] {
            let codebook: Codebook = std::array::from_fn(|i| [-111, 112, 1, -1, 0][i % 5] + i as i8);
            let mut quantized = [(); 7].map(|()| Quantized::new());
            for x in &mut quantized {
                let values: Vec<f32> = (0..columns).map(|_| rng.random_range(-1.0..1.0f32).powi(3)).collect();
                x.set(&values);
            }
            for codebook in [None, Some(&codebook)] {
                let range = if codebook.is_some() { 0..=15 } else { -127..=127 };
                let weights: Vec<i8> = (0..rows * columns).map(|_| rng.random_range(range.clone())).collect();
                let exact = |row: usize, x: &Quantized| -> i32 {
                    let w = weights[row * columns..][..columns].iter().map(|&w| codebook.map_or(w, |b| b[w as usize]));
                    w.zip(x.words()).map(|(w, &x)| i32::from(w) * i32::from(x)).sum()
                };
                for version in Version::available() {
                    let matrix = Matrix::new(&weights, columns, codebook, version);
                    for (i, &w) in weights.iter().enumerate() {
                        assert_eq!(matrix.value(i / columns, i % columns), codebook.map_or(w, |b| b[w as usize]));
                    }
                    for count in [1, 2, 4, 7] {
                        let mut seen = 0;
                        matrix.times(&quantized[..count], |vector, first, sums| {
                            for (row, &sum) in (first..rows).zip(sums) {
                                seen += 1;
                                assert_eq!(sum, exact(row, &quantized[vector]), "{version:?} {vector} {row}");
                            }
                        });
                        assert_eq!(seen, rows * count, "{version:?}");
                    }
                }
            }
        }
    }
}
