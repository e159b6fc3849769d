//! The LSTM step in integer (fixed-point) arithmetic, which gives the same result on every machine, whatever its
//! compiler or driver does to floats.
//!
//! | value | bits | representation of 1 |
//! | --- | --- | --- |
//! | inputs and hidden states | 15 and a sign | 2^14; for an input, 2^14 / 2^exponent |
//! | pre-activations | 32 | 2^14 |
//! | cell states | 30 | 2^20 |
//! | gates | 16 | 2^15 |
//!
//! Products of weights and activations are summed exactly; each row's scale is a 15-bit multiplier and a shift. All
//! other operations round to nearest or down, as noted. `device/lstm.wgsl` implements the same arithmetic, and
//! `tests/gpu.rs` checks that the two agree.

use crate::{
    dot::{self, Version},
    quantize::{Quantized, Rounded, eight_bits, four_bits},
    shapes::HIDDEN,
    simd::widest,
    weights::{Tensor, Weights},
};

/// Fractional bits of activations and pre-activations.
pub(crate) const POINT: i32 = 14;
/// Fractional bits of cell states.
const CELL: i32 = 20;
/// Cell states are clamped to ± this: 512.
const LARGEST_CELL: i32 = 1 << 29;
/// Hidden states are clamped to ± this, so that they split into two bytes, signed or unsigned.
pub(crate) const LARGEST: i32 = (1 << POINT) - 1;
/// Beyond ± this (11), the sigmoid is 0 or 1 for practical purposes.
const FLAT: i32 = 11 << POINT;
/// log2 e, with 14 fractional bits.
const LOG2_E: u32 = 23_637;
/// Polynomial for 2^-f, f from 0 to 1, through Chebyshev nodes: coefficients from the constant up, with 16 fractional
/// bits.
const POWER: [i32; 5] = [65_536, -45_420, 15_691, -3_487, 448];
/// Polynomial for 1 / (1 + e), e from 0 to 1, likewise.
const RECIPROCAL: [i32; 7] = [65_535, -65_479, 64_580, -59_183, 43_763, -21_147, 4_699];
/// Largest weight supported: keeps sums of three terms within 32 bits.
const LARGEST_WEIGHT: f32 = 15.9;
/// Smallest and largest shift of a row; the smallest for the same reason.
const SHIFTS: [i32; 2] = [2, 23];
/// Smallest exponent of an input: an all-zero input has no largest value to derive one from.
const LEAST_EXPONENT: i32 = -8;

/// Whether a network's trunk can run in integers: its weights must be small enough. (Those of all networks trained so
/// far are.)
pub(crate) fn fits(weights: &Weights) -> bool {
    let trunk = weights.tensors().iter().filter(|(name, _)| name.starts_with("lstm."));
    trunk.flat_map(|(_, tensor)| &tensor.data).all(|weight| weight.abs() <= LARGEST_WEIGHT)
}

/// An integer matrix whose products are pre-activations.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    matrix: dot::Matrix,
    /// Scale of each row: `multiplier / 2^(15 + shift)`.
    multipliers: Vec<i32>,
    shifts: Vec<i32>,
}

impl Linear {
    /// Packs a matrix in 8 bits, or in 4 if `four`.
    fn new(weight: &Tensor, four: bool) -> Self {
        let columns = weight.shape[1];
        let (Rounded { values, scales }, codebook) = if four {
            let (rounded, codebook) = four_bits(weight);
            (rounded, Some(codebook))
        } else {
            (eight_bits(&weight.data, columns), None)
        };
        let version = Version::available().next().unwrap_or(Version::Plain);
        let matrix = dot::Matrix::new(&values, columns, codebook.as_ref(), version);
        // A row of zeros has a scale of 1, but needs none.
        let scales = scales.iter().map(|&scale| if scale < 1.0 { scale } else { 0.0 });
        let (multipliers, shifts) = scales.map(multiplier).unzip();
        Self { matrix, multipliers, shifts }
    }

    /// `out += W x` for each vector, in the format of pre-activations: `[vectors, rows]`.
    fn add(&self, xs: &[Quantized], out: &mut [i32]) {
        let rows = self.multipliers.len();
        debug_assert_eq!(out.len(), xs.len() * rows);
        self.matrix.times(xs, |vector, first, sums| {
            let out = &mut out[vector * rows..][..rows][first..];
            add_scaled(sums, &self.multipliers[first..], &self.shifts[first..], xs[vector].exponent(), out);
        });
    }

    /// The integer weights in row-major order, for upload to a device.
    #[cfg(feature = "gpu")]
    pub fn values(&self, columns: usize) -> impl Iterator<Item = i8> {
        (0..self.multipliers.len()).flat_map(move |row| (0..columns).map(move |column| self.matrix.value(row, column)))
    }

    /// Multipliers and shifts, for upload to a device.
    #[cfg(feature = "gpu")]
    pub fn scales(&self) -> [&[i32]; 2] {
        [&self.multipliers, &self.shifts]
    }

    /// Size in bytes.
    fn bytes(&self) -> usize {
        self.matrix.bytes() + size_of_val(&self.multipliers[..]) + size_of_val(&self.shifts[..])
    }
}

/// `scale` as (multiplier, shift): it is `multiplier / 2^(15 + shift)`.
fn multiplier(scale: f32) -> (i32, i32) {
    let scale = f64::from(scale);
    let [least, most] = SHIFTS;
    let shift = (least..most).rev().find(|shift| scale * f64::from(1 << shift) < 0.999_98).map_or(least, |shift| shift);
    ((scale * (1_i64 << (15 + shift)) as f64).round().min(32_767.0) as i32, shift)
}

widest! {
    /// `out += sum * scale * 2^exponent` for every row of `out`, rounded down.
    fn add_scaled(sums: &[i32], multipliers: &[i32], shifts: &[i32], exponent: i32, out: &mut [i32]) {
        for (((out, &sum), &multiplier), &shift) in out.iter_mut().zip(sums).zip(multipliers).zip(shifts) {
            let low = (sum & 0x7fff).wrapping_mul(multiplier) >> 15;
            let product = (sum >> 15).wrapping_mul(multiplier).wrapping_add(low);
            *out = out.wrapping_add(product.wrapping_shr(shift.wrapping_sub(exponent) as u32));
        }
    }
}

/// Weights of one layer: pre-activations are `W_ih x + b + W_hh h`.
#[derive(Debug)]
pub(crate) struct Layer {
    /// `[4 HIDDEN, input]`
    pub input: Linear,
    /// `[4 HIDDEN, HIDDEN]`
    pub recurrent: Linear,
    /// The sum of PyTorch's two biases, plus 1 to make up for both products being rounded down.
    pub bias: Vec<i32>,
    /// Largest exponent that an input may have.
    pub exponent: i32,
}

impl Layer {
    /// Packs a layer in 8 bits, or in 4 if `four`.
    pub fn new(weights: &Weights, layer: usize, four: bool) -> Self {
        let get = |name: &str| weights.get(&format!("lstm.{name}_l{layer}"));
        let bias = get("bias_ih").data.iter().zip(&get("bias_hh").data).map(|(a, b)| {
            let largest = (1 << (29 - POINT)) as f32;
            ((a + b).clamp(-largest, largest) * (1 << POINT) as f32).round() as i32 + 1
        });
        let input = Linear::new(get("weight_ih"), four);
        let exponent = input.shifts.iter().min().map_or(0, |least| least - SHIFTS[0]);
        Self { bias: bias.collect(), recurrent: Linear::new(get("weight_hh"), four), input, exponent }
    }

    /// Input projection, with bias: `[n, 4 HIDDEN]`.
    pub fn project_input(&self, inputs: &[Quantized], gates: &mut [i32]) {
        for gates in gates.chunks_exact_mut(4 * HIDDEN) {
            gates.copy_from_slice(&self.bias);
        }
        self.input.add(inputs, gates);
    }

    /// Adds the recurrent projection; [`cell`] does the rest.
    pub fn project_recurrent(&self, states: &[Quantized], gates: &mut [i32]) {
        self.recurrent.add(states, gates);
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.input.bytes() + self.recurrent.bytes() + size_of_val(&self.bias[..])
    }
}

/// The exponent for an input whose largest magnitude is `largest`: it lies within ±2^exponent, unless the exponent is
/// clamped to `most`.
pub(crate) fn exponent(largest: f32, most: i32) -> i32 {
    let exponent = (largest.to_bits() >> 23 & 0xff) as i32 - 126;
    exponent.clamp(LEAST_EXPONENT.min(most), most)
}

/// Evaluates a polynomial at `x`, which has `bits` fractional bits.
#[inline(always)]
fn polynomial(coefficients: &[i32], x: i32, bits: i32) -> i32 {
    let round = 1 << (bits - 1);
    coefficients.iter().rev().fold(0i32, |sum, &c| (sum.wrapping_mul(x).wrapping_add(round) >> bits).wrapping_add(c))
}

/// 1 / (1 + e^-x) with 16 fractional bits: 0 to 65,536, with an error below five.
#[inline(always)]
fn sigmoid(x: i32) -> i32 {
    let t = (x.wrapping_abs().min(FLAT) as u32).wrapping_mul(LOG2_E) >> POINT;
    let whole = t >> POINT;
    let power = polynomial(&POWER, (t & 0x3fff) as i32, POINT);
    let power = power.wrapping_add(1i32.wrapping_shl(whole)).wrapping_shr(whole + 1);
    let value = polynomial(&RECIPROCAL, power, 15);
    if x < 0 { 65_536i32.wrapping_sub(value) } else { value }
}

/// `c * gate`, rounded to nearest.
#[inline(always)]
fn part(c: i32, gate: i32) -> i32 {
    let low = (c & 0x7fff).wrapping_mul(gate).wrapping_add(0x4000) >> 15;
    (c >> 15).wrapping_mul(gate).wrapping_add(low)
}

widest! {
    /// The cell update of one step. `gates`: pre-activations of i, f, g, o; `c`, `h`: `[hidden]`, replaced by the new
    /// state.
    pub(crate) fn cell(gates: &[i32], c: &mut [i32], h: &mut [i16]) {
        let hidden = c.len();
        let (i, rest) = gates.split_at(hidden);
        let (f, rest) = rest.split_at(hidden);
        let (g, o) = rest.split_at(hidden);
        for ((((&i, &f), &g), &o), (c, h)) in i.iter().zip(f).zip(g).zip(o).zip(c.iter_mut().zip(h)) {
            let gate = |x| sigmoid(x).wrapping_add(1) >> 1;
            // tanh x = 2 sigmoid(2x) - 1, with 15 fractional bits.
            let tanh = |doubled| sigmoid(doubled).wrapping_sub(32_768);
            let fresh = gate(i).wrapping_mul(tanh(g.clamp(-FLAT, FLAT).wrapping_shl(1)));
            let fresh = fresh.wrapping_add(1 << (29 - CELL)) >> (30 - CELL);
            *c = part(*c, gate(f)).wrapping_add(fresh).clamp(-LARGEST_CELL, LARGEST_CELL);
            let doubled = c.wrapping_add(1 << (CELL - POINT - 2)) >> (CELL - POINT - 1);
            let output = gate(o).wrapping_mul(tanh(doubled)).wrapping_add(1 << 15) >> 16;
            *h = output.clamp(-LARGEST, LARGEST) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same arithmetic in 64 bits, which cannot overflow, written plainly.
    mod plain {
        pub fn sigmoid(x: i64) -> i64 {
            let polynomial = |coefficients: &[i32], x: i64, bits: u32| {
                let step = |sum: i64, c: &i32| ((sum * x + (1 << (bits - 1))) >> bits) + i64::from(*c);
                coefficients.iter().rev().fold(0, step)
            };
            let t = (x.abs().min(super::FLAT.into()) * i64::from(super::LOG2_E)) >> 14;
            let power = (polynomial(&super::POWER, t % 16_384, 14) + (1 << (t / 16_384))) >> (t / 16_384 + 1);
            let value = polynomial(&super::RECIPROCAL, power, 15);
            if x < 0 { 65_536 - value } else { value }
        }

        pub fn cell([i, f, g, o]: [i64; 4], c: i64) -> [i64; 2] {
            let gate = |x| (sigmoid(x) + 1) / 2;
            let fresh = (gate(i) * (sigmoid(2 * g) - 32_768) + 512) >> 10;
            let c = (((c * gate(f) + 16_384) >> 15) + fresh).clamp(-(1 << 29), 1 << 29);
            let h = (gate(o) * (sigmoid((c + 16) >> 5) - 32_768) + 32_768) >> 16;
            [c, h.clamp(-16_383, 16_383)]
        }
    }

    fn real(value: i32, bits: i32) -> f64 {
        f64::from(value) / f64::from(1 << bits)
    }

    /// All inputs; beyond ±11 the sigmoid is flat.
    #[test]
    fn the_sigmoid_is_the_plain_one_and_near_the_true_one() {
        let mut before = 0;
        for x in -FLAT - 10..=FLAT + 10 {
            let value = sigmoid(x);
            assert_eq!(i64::from(value), plain::sigmoid(x.into()), "{x}");
            assert!((real(value, 16) - 1.0 / (1.0 + (-real(x, POINT)).exp())).abs() < 5.0 / 65_536.0, "{x}: {value}");
            assert!(value + 1 >= before && value <= 65_536, "{x}: {value} after {before}");
            before = value;
        }
        assert_eq!(sigmoid(i32::MIN + 1), sigmoid(-FLAT));
    }

    proptest! {
        #[test]
        fn products_are_scaled_as_exact_numbers_are(
            sums in prop::collection::vec(-2_130_000_000..2_130_000_000i32, 1..90), scale in 1e-7..0.1252f32, exponent in -8..1i32,
        ) {
            let (multiplier, shift) = multiplier(scale);
            let mut out = vec![7; sums.len()];
            add_scaled(&sums, &vec![multiplier; sums.len()], &vec![shift; sums.len()], exponent, &mut out);
            for (out, sum) in out.into_iter().zip(sums) {
                let exact = (((i64::from(sum) * i64::from(multiplier)) >> 15) >> (shift - exponent)) + 7;
                prop_assert_eq!(i64::from(out), exact);
                let ideal = f64::from(sum) * f64::from(scale) * f64::from(exponent).exp2();
                // A multiplier is off by up to half a unit.
                let precision = 0.5 / f64::from(multiplier);
                prop_assert!((f64::from(out) - 7.0 - ideal).abs() < 2.0 + ideal.abs() * precision, "{out}, not {ideal}");
            }
        }

        /// Every vector width gives what the plain cell gives, which is close to the cell in real numbers.
        #[test]
        fn the_cell_is_the_plain_one_and_near_the_true_one(
            units in prop::collection::vec((prop::array::uniform4(-12.0..12.0f64), -20.0..20.0f64), 1..70), far in 0..4i32,
        ) {
            let gates = |g: usize| units.iter().map(move |(gates, _)| (gates[g] * f64::from(1 << (POINT + 3 * far))) as i32);
            let before: Vec<i32> = units.iter().map(|(_, c)| (c * f64::from(1 << (CELL + far))) as i32).collect();
            let all: Vec<i32> = (0..4).flat_map(gates).collect();
            let (mut c, mut h) = (before.clone(), vec![0; units.len()]);
            cell(&all, &mut c, &mut h);
            for n in 0..units.len() {
                let x = [0, 1, 2, 3].map(|g| all[g * units.len() + n]);
                prop_assert_eq!(plain::cell(x.map(i64::from), before[n].into()), [i64::from(c[n]), i64::from(h[n])]);
                let [i, f, g, o] = x.map(|x| real(x, POINT));
                let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
                let cell = sigmoid(f) * real(before[n], CELL) + sigmoid(i) * g.tanh();
                prop_assert!((real(c[n], CELL) - cell).abs() < 3e-4 + real(before[n], CELL).abs() * 8e-5, "{} {cell}", real(c[n], CELL));
                prop_assert!((real(h[n].into(), POINT) - sigmoid(o) * real(c[n], CELL).tanh()).abs() < 3e-4);
            }
        }
    }
}
