//! The versions for x86-64.
//!
//! `vpdpbusd` multiplies unsigned by signed bytes and adds up groups of four. The activation, made positive by
//! [`OFFSET`], is split into two unsigned bytes. The contribution of the offset, `OFFSET` times the sum of the row's
//! weights, is subtracted at the end; sums wrap around, so the result is exact as long as it fits into 32 bits.

#![allow(clippy::needless_range_loop)] // one index is used for several arrays

use std::arch::x86_64::*;

use super::form::{Form, Line, QUAD, Sums};
use crate::{
    panels::ROWS,
    quantize::{CHUNK, Codebook, OFFSET, Quantized},
};

/// The four bytes of quad number `quad`.
///
/// # Safety
/// `bytes` must contain that quad.
#[inline(always)]
unsafe fn quad(bytes: &[u8], quad: usize) -> i32 {
    // SAFETY: guaranteed by the caller.
    unsafe { bytes.as_ptr().add(QUAD * quad).cast::<i32>().read_unaligned() }
}

/// Products of `P` panels with `V` vectors at once.
///
/// # Safety
/// The CPU must support the target features, and the panels must have as many chunks as the vectors, in lines of this
/// form.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub unsafe fn avx512<const P: usize, const V: usize>(
    form: &Form,
    panels: [&[Line]; P],
    xs: [&Quantized; V],
    row_sums: &[Sums; P],
) -> [[Sums; P]; V] {
    let low_nibbles = _mm512_set1_epi8(0x0f);
    // SAFETY: the caller guarantees that panels and vectors have the same length.
    unsafe {
        match form {
            Form::Bytes => sums512(panels, xs, row_sums, 4, |lines| {
                let line = |i| _mm512_load_si512(lines.add(i).cast());
                [line(0), line(1), line(2), line(3)]
            }),
            Form::Nibbles(codebook) => {
                let codebook = sixteen(codebook);
                sums512(panels, xs, row_sums, 2, |lines| {
                    let (a, b) = (_mm512_load_si512(lines.cast()), _mm512_load_si512(lines.add(1).cast()));
                    let value = |codes| _mm512_shuffle_epi8(codebook, _mm512_and_si512(codes, low_nibbles));
                    [value(a), value(b), value(_mm512_srli_epi16::<4>(a)), value(_mm512_srli_epi16::<4>(b))]
                })
            }
        }
    }
}

/// Like [`avx512`], for CPUs with 64-byte table lookups: with four copies of the codebook in the table, the upper bits
/// of a code do not matter, so nothing needs to be masked.
///
/// # Safety
/// As [`avx512`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx512vbmi")]
pub unsafe fn avx512_vbmi<const P: usize, const V: usize>(
    form: &Form,
    panels: [&[Line]; P],
    xs: [&Quantized; V],
    row_sums: &[Sums; P],
) -> [[Sums; P]; V] {
    // SAFETY: the caller guarantees that panels and vectors have the same length.
    unsafe {
        let Form::Nibbles(codebook) = form else { return avx512(form, panels, xs, row_sums) };
        let codebook = sixteen(codebook);
        sums512(panels, xs, row_sums, 2, |lines| {
            let (a, b) = (_mm512_load_si512(lines.cast()), _mm512_load_si512(lines.add(1).cast()));
            let value = |codes| _mm512_permutexvar_epi8(codes, codebook);
            [value(a), value(b), value(_mm512_srli_epi16::<4>(a)), value(_mm512_srli_epi16::<4>(b))]
        })
    }
}

/// Four copies of the codebook.
#[inline]
#[target_feature(enable = "avx512f")]
fn sixteen(codebook: &Codebook) -> __m512i {
    // SAFETY: the codebook has 16 bytes.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(codebook.as_ptr().cast()) })
}

/// The sums; `load` produces a chunk's four vectors (both halves of the panel's rows for the first quad, then for the
/// second) from its `lines` lines.
///
/// # Safety
/// As [`avx512`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn sums512<const P: usize, const V: usize>(
    panels: [&[Line]; P],
    xs: [&Quantized; V],
    row_sums: &[Sums; P],
    lines: usize,
    load: impl Fn(*const Line) -> [__m512i; 4],
) -> [[Sums; P]; V] {
    let bytes = xs.map(Quantized::bytes);
    // Indexed by vector, panel, half of the panel's rows, and byte (high, low).
    let mut acc = [[[[_mm512_setzero_si512(); 2]; 2]; P]; V];
    for chunk in 0..bytes[0][0].len() / CHUNK {
        // Indexed by vector, quad, byte.
        let mut x = [[[_mm512_setzero_si512(); 2]; 2]; V];
        for v in 0..V {
            for n in 0..2 {
                for byte in 0..2 {
                    // SAFETY: the vectors have this chunk.
                    x[v][n][byte] = _mm512_set1_epi32(unsafe { quad(bytes[v][byte], 2 * chunk + n) });
                }
            }
        }
        for p in 0..P {
            // SAFETY: the panels have this chunk.
            let w = load(unsafe { panels[p].as_ptr().add(lines * chunk) });
            for n in 0..2 {
                for v in 0..V {
                    for half in 0..2 {
                        for byte in 0..2 {
                            let acc = &mut acc[v][p][half][byte];
                            *acc = _mm512_dpbusd_epi32(*acc, x[v][n][byte], w[2 * n + half]);
                        }
                    }
                }
            }
        }
    }
    let mut sums = [[[0; ROWS]; P]; V];
    for v in 0..V {
        for p in 0..P {
            for half in 0..2 {
                let [high, low] = acc[v][p][half];
                // SAFETY: both are 16 integers long.
                unsafe {
                    let added = _mm512_loadu_si512(row_sums[p].as_ptr().add(16 * half).cast());
                    let sum = _mm512_add_epi32(_mm512_slli_epi32::<8>(high), low);
                    let sum = _mm512_sub_epi32(sum, _mm512_slli_epi32::<{ OFFSET.ilog2() }>(added));
                    _mm512_storeu_si512(sums[v][p].as_mut_ptr().add(16 * half).cast(), sum);
                }
            }
        }
    }
    sums
}

/// Product of one panel with one vector.
///
/// # Safety
/// As [`avx512`].
#[target_feature(enable = "avx2,avxvnni")]
pub unsafe fn avx_vnni(form: &Form, panel: &[Line], x: &Quantized, row_sums: &Sums) -> Sums {
    let low_nibbles = _mm256_set1_epi8(0x0f);
    // SAFETY: the caller guarantees that panel and vector have the same length.
    unsafe {
        match form {
            Form::Bytes => sums256(panel, x, row_sums, 4, |lines, i| _mm256_load_si256(lines.cast::<__m256i>().add(i))),
            Form::Nibbles(codebook) => {
                let codebook = _mm256_broadcastsi128_si256(_mm_loadu_si128(codebook.as_ptr().cast()));
                sums256(panel, x, row_sums, 2, |lines, i| {
                    let line = _mm256_load_si256(lines.cast::<__m256i>().add(i % 4));
                    let codes = if i < 4 { line } else { _mm256_srli_epi16::<4>(line) };
                    _mm256_shuffle_epi8(codebook, _mm256_and_si256(codes, low_nibbles))
                })
            }
        }
    }
}

/// The sums; `load` produces each of a chunk's eight vectors (quarters of the panel's rows for the first quad, then for
/// the second) from its `lines` lines.
///
/// # Safety
/// As [`avx_vnni`].
#[inline]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn sums256(
    panel: &[Line],
    x: &Quantized,
    row_sums: &Sums,
    lines: usize,
    load: impl Fn(*const Line, usize) -> __m256i,
) -> Sums {
    let bytes = x.bytes();
    let mut acc = [[_mm256_setzero_si256(); 2]; 4];
    for chunk in 0..bytes[0].len() / CHUNK {
        // SAFETY: the panel has this chunk.
        let line = unsafe { panel.as_ptr().add(lines * chunk) };
        for n in 0..2 {
            // SAFETY: the vector has this chunk.
            let (high, low) = unsafe { (quad(bytes[0], 2 * chunk + n), quad(bytes[1], 2 * chunk + n)) };
            let (high, low) = (_mm256_set1_epi32(high), _mm256_set1_epi32(low));
            for quarter in 0..4 {
                let w = load(line, 4 * n + quarter);
                acc[quarter][0] = _mm256_dpbusd_avx_epi32(acc[quarter][0], high, w);
                acc[quarter][1] = _mm256_dpbusd_avx_epi32(acc[quarter][1], low, w);
            }
        }
    }
    let mut sums = [0; ROWS];
    for (quarter, [high, low]) in acc.into_iter().enumerate() {
        // SAFETY: both are 8 integers long.
        unsafe {
            let added = _mm256_loadu_si256(row_sums.as_ptr().add(8 * quarter).cast());
            let sum = _mm256_add_epi32(_mm256_slli_epi32::<8>(high), low);
            let sum = _mm256_sub_epi32(sum, _mm256_slli_epi32::<{ OFFSET.ilog2() as i32 }>(added));
            _mm256_storeu_si256(sums.as_mut_ptr().add(8 * quarter).cast(), sum);
        }
    }
    sums
}

/// How far ahead weights are prefetched, in lines: the hardware prefetcher does not reach that far.
const AHEAD: usize = 32;

/// Products of one panel of bytes with `V` vectors, by multiply-adds of 16-bit pairs.
///
/// # Safety
/// As [`avx512`].
#[target_feature(enable = "avx2")]
pub unsafe fn avx2<const V: usize>(panel: &[Line], xs: [&Quantized; V]) -> [Sums; V] {
    // As many accumulators as there are registers for.
    // SAFETY: guaranteed by the caller.
    unsafe { if V == 1 { sums_of_words::<V, 8>(panel, xs) } else { sums_of_words::<V, 2>(panel, xs) } }
}

/// The sums, `4 N` rows at a time: each weight is widened once for all vectors.
///
/// # Safety
/// As [`avx512`].
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn sums_of_words<const V: usize, const N: usize>(panel: &[Line], xs: [&Quantized; V]) -> [Sums; V] {
    let words = xs.map(|x| x.words().as_ptr().cast::<i64>());
    let quads = xs[0].words().len() / QUAD;
    let quarters = panel.as_ptr().cast::<__m128i>();
    let mut sums = [[0; ROWS]; V];
    for part in 0..8 / N {
        // Per four rows, the sums of even and of odd pairs of columns.
        let mut acc = [[_mm256_setzero_si256(); N]; V];
        for n in 0..quads {
            // With one vector, prefetch what comes next; with several, the following panel, while this one stays in the
            // L1 cache. The address may lie beyond the last panel: it is only a hint.
            let ahead = if V == 1 { 2 * n + AHEAD } else { panel.len() + (part * quads + n) / 2 };
            for line in ahead..ahead + if V == 1 { 2 } else { 1 } {
                _mm_prefetch::<_MM_HINT_T0>(panel.as_ptr().wrapping_add(line).cast());
            }
            let mut x = [_mm256_setzero_si256(); V];
            for v in 0..V {
                // SAFETY: the vectors have this quad.
                x[v] = _mm256_set1_epi64x(unsafe { words[v].add(n).read_unaligned() });
            }
            for i in 0..N {
                // SAFETY: the panel has two lines for it.
                let w = _mm256_cvtepi8_epi16(unsafe { _mm_load_si128(quarters.add(8 * n + N * part + i)) });
                for v in 0..V {
                    acc[v][i] = _mm256_add_epi32(acc[v][i], _mm256_madd_epi16(w, x[v]));
                }
            }
        }
        for v in 0..V {
            for (n, [a, b]) in acc[v].as_chunks::<2>().0.iter().enumerate() {
                let pairs = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(*a, *b));
                // SAFETY: stores 8 of 32 integers.
                unsafe { _mm256_storeu_si256(sums[v].as_mut_ptr().add(4 * N * part + 8 * n).cast(), pairs) };
            }
        }
    }
    sums
}
