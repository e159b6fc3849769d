//! The version for AArch64 with the dot product extension, which every Apple silicon processor has.
//!
//! `sdot` multiplies signed bytes and adds up groups of four. The activation plus [`OFFSET`] is split into a high byte,
//! 0–127, and a low byte minus 128.

use std::arch::aarch64::*;
use std::arch::asm;

use super::form::{Form, Line, QUAD, Sums};
use crate::{
    panels::ROWS,
    quantize::{CHUNK, OFFSET, Quantized},
};

/// Adds to each lane of `acc` the sum of four adjacent products. (The intrinsic is not stable yet.)
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn multiply_add(mut acc: int32x4_t, w: int8x16_t, x: int8x16_t) -> int32x4_t {
    // SAFETY: touches only these registers.
    unsafe {
        asm!(
            "sdot {acc:v}.4s, {w:v}.16b, {x:v}.16b",
            acc = inout(vreg) acc, w = in(vreg) w, x = in(vreg) x,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    acc
}

/// Product of one panel with one vector.
///
/// # Safety
/// The CPU must support the target features, and the panel must have as many chunks as the vector, in lines of this
/// form.
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn dot(form: &Form, panel: &[Line], x: &Quantized, row_sums: &Sums) -> Sums {
    let low_nibbles = vdupq_n_s8(0x0f);
    // SAFETY: the caller guarantees that panel and vector have the same length.
    unsafe {
        match form {
            Form::Bytes => sums(panel, x, row_sums, 4, |line, i| vld1q_s8(line.cast::<i8>().add(16 * i))),
            Form::Nibbles(codebook) => {
                let codebook = vld1q_s8(codebook.as_ptr());
                sums(panel, x, row_sums, 2, |line, i| {
                    let codes = vld1q_s8(line.cast::<i8>().add(16 * (i % 8)));
                    let codes = if i < 8 {
                        vandq_s8(codes, low_nibbles)
                    } else {
                        vreinterpretq_s8_u8(vshrq_n_u8::<4>(vreinterpretq_u8_s8(codes)))
                    };
                    vqtbl1q_s8(codebook, vreinterpretq_u8_s8(codes))
                })
            }
        }
    }
}

/// The sums; `load` produces each of a chunk's sixteen vectors (the panel's rows in groups of four for the first quad,
/// then for the second) from its `lines` lines.
///
/// # Safety
/// As [`dot`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn sums(
    panel: &[Line],
    x: &Quantized,
    row_sums: &Sums,
    lines: usize,
    load: impl Fn(*const Line, usize) -> int8x16_t,
) -> Sums {
    let [high, low] = x.bytes();
    let mut acc = [[vdupq_n_s32(0); 2]; 8];
    for chunk in 0..high.len() / CHUNK {
        // SAFETY: the panel has this chunk.
        let line = unsafe { panel.as_ptr().add(lines * chunk) };
        for n in 0..2 {
            // SAFETY: the vector has this quad.
            let quad = |bytes: &[u8]| unsafe {
                vreinterpretq_s8_s32(vdupq_n_s32(
                    bytes.as_ptr().add(chunk * CHUNK + n * QUAD).cast::<i32>().read_unaligned(),
                ))
            };
            let x = [quad(high), veorq_s8(quad(low), vdupq_n_s8(-128))];
            for (rows, acc) in acc.iter_mut().enumerate() {
                let w = load(line, 8 * n + rows);
                for (acc, x) in acc.iter_mut().zip(x) {
                    *acc = multiply_add(*acc, w, x);
                }
            }
        }
    }
    let mut sums = [0; ROWS];
    for (rows, [high, low]) in acc.into_iter().enumerate() {
        // SAFETY: both are four integers long.
        unsafe {
            let sum = vaddq_s32(vshlq_n_s32::<8>(high), low);
            let added = vld1q_s32(row_sums.as_ptr().add(4 * rows));
            vst1q_s32(sums.as_mut_ptr().add(4 * rows), vmlaq_n_s32(sum, added, 128 - OFFSET));
        }
    }
    sums
}
