//! Quantization: activations to 15 bits plus sign with one scale per vector, weights to 8 or 4 bits with one scale per
//! row.

use crate::{activation::ROUND, fixed, simd::widest, weights::Tensor};

/// Columns per chunk. One multiply-add consumes four bytes per row (a quad); a line of nibbles holds two quads, in its
/// low and its high nibbles.
pub(crate) const CHUNK: usize = 8;
/// Largest activation magnitude as an integer: 1,024 products with weights of 127 stay below 2^31.
const LARGEST: f32 = 16_000.0;
/// Most columns a quantized matrix may have, for the same reason.
pub(crate) const MAX_COLUMNS: usize = 1024;
/// Added to every activation to make it positive, for multiply-adds of unsigned with signed bytes.
pub(crate) const OFFSET: i32 = 1 << 14;

/// A quantized activation vector, zero-padded to whole chunks. Allocates on construction only.
#[derive(Clone, Debug)]
pub(crate) struct Quantized {
    /// The integer values.
    words: Vec<i16>,
    /// High and low bytes of the values plus [`OFFSET`].
    bytes: [Vec<u8>; 2],
    /// Scale: the real value of one integer step. For power-of-two scales this is 2^(`exponent` - 14).
    step: f32,
    exponent: i32,
}

impl Quantized {
    /// Room for vectors of up to [`MAX_COLUMNS`].
    pub fn new() -> Self {
        Self {
            words: Vec::with_capacity(MAX_COLUMNS),
            bytes: [(); 2].map(|()| Vec::with_capacity(MAX_COLUMNS)),
            step: 0.0,
            exponent: 0,
        }
    }

    /// Quantizes a vector with a scale fitted to its largest magnitude.
    pub fn set(&mut self, x: &[f32]) {
        let largest = largest(x).max(1e-9);
        self.step = largest / LARGEST;
        self.round(x, LARGEST / largest);
    }

    /// Quantizes a vector with a power-of-two scale, as the trunk's input requires. Values beyond ±`2^most` saturate.
    pub fn set_input(&mut self, x: &[f32], most: i32) {
        self.set_exponent(fixed::exponent(largest(x), most));
        self.round(x, self.step.recip());
    }

    /// Takes a hidden state, which is already fixed-point with exponent 0.
    pub fn set_state(&mut self, h: &[i16]) {
        self.set_integers(h, 0);
    }

    /// Takes integers as they are, with the scale 2^(`exponent` - 14).
    pub fn set_integers(&mut self, x: &[i16], exponent: i32) {
        let words = self.words_mut(x.len());
        words[..x.len()].copy_from_slice(x);
        words[x.len()..].fill(0);
        self.set_exponent(exponent);
        self.split();
    }

    fn set_exponent(&mut self, exponent: i32) {
        let exponent_of_step = exponent - fixed::POINT;
        (self.step, self.exponent) = (f32::from_bits(((127 + exponent_of_step) as u32) << 23), exponent);
    }

    fn round(&mut self, x: &[f32], scale: f32) {
        integers(x, scale, self.words_mut(x.len()));
        self.split();
    }

    /// The value buffer, resized to `columns` padded to whole chunks.
    fn words_mut(&mut self, columns: usize) -> &mut [i16] {
        let columns = columns.next_multiple_of(CHUNK);
        assert!(columns <= MAX_COLUMNS, "sums could overflow");
        self.words.resize(columns, 0);
        self.bytes.iter_mut().for_each(|bytes| bytes.resize(columns, 0));
        &mut self.words
    }

    fn split(&mut self) {
        let [high, low] = &mut self.bytes;
        split(&self.words, high, low);
    }

    /// The integer values, padded to whole chunks.
    pub fn words(&self) -> &[i16] {
        &self.words
    }

    /// High and low bytes of the values plus [`OFFSET`].
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // only its kernels read them
    pub fn bytes(&self) -> [&[u8]; 2] {
        [&self.bytes[0], &self.bytes[1]]
    }

    /// The real value of one integer step.
    pub fn step(&self) -> f32 {
        self.step
    }

    /// Exponent of a power-of-two scale, which is 2^(exponent - 14).
    pub fn exponent(&self) -> i32 {
        self.exponent
    }
}

/// The largest magnitude in `x`.
fn largest(x: &[f32]) -> f32 {
    let mut largest = [0.0];
    magnitude(x, &mut largest);
    largest[0]
}

widest! {
    fn magnitude(x: &[f32], largest: &mut [f32; 1]) {
        // Non-negative floats order like their bits, and an integer max does not depend on the order of operations.
        largest[0] = f32::from_bits(x.iter().map(|x| x.to_bits() & !(1 << 31)).max().unwrap_or(0));
    }
}

widest! {
    /// `x * scale`, rounded to integers and clamped to ±[`fixed::LARGEST`]. The rest of `out` becomes 0.
    fn integers(x: &[f32], scale: f32, out: &mut [i16]) {
        let most = fixed::LARGEST as f32;
        let (used, padding) = out.split_at_mut(x.len());
        for (out, x) in used.iter_mut().zip(x) {
            *out = ((x * scale).clamp(-most, most) + ROUND).to_bits() as i16;
        }
        padding.fill(0);
    }
}

widest! {
    fn split(words: &[i16], high: &mut [u8], low: &mut [u8]) {
        for ((word, high), low) in words.iter().zip(high).zip(low) {
            let positive = i32::from(*word) + OFFSET;
            *high = (positive >> 8) as u8;
            *low = positive as u8;
        }
    }
}

/// Quantized weights with their scale per row.
#[derive(PartialEq)]
pub(crate) struct Rounded {
    /// `[rows, columns]`: integers of -127 … 127, or indices into a [`Codebook`].
    pub values: Vec<i8>,
    /// `[rows]`: the real value of one integer step.
    pub scales: Vec<f32>,
}

/// Rounds each row to integers of -127 … 127.
pub(crate) fn eight_bits(weights: &[f32], columns: usize) -> Rounded {
    let scales = scales(weights, columns);
    let rows = weights.chunks_exact(columns).zip(&scales);
    let values = rows.flat_map(|(row, scale)| row.iter().map(move |w| (w / scale).round() as i8)).collect();
    Rounded { values, scales }
}

/// A codebook: the sixteen values that a 4-bit index can select, in 127ths of a row's largest weight.
pub(crate) type Codebook = [i8; CODEBOOK_SIZE];
/// Entries in a codebook.
pub(crate) const CODEBOOK_SIZE: usize = 16;

/// Histogram bins in which weights are counted for the codebook.
const CELLS: usize = 4096;
/// Iterations of Lloyd's algorithm; it settles after some fifty.
const ROUNDS: usize = 80;

/// Quantizes to 4-bit codes, which are indices into one codebook for the whole matrix. The codebook is fitted by
/// Lloyd's algorithm (Lloyd 1957, published 1982) to the weights in units of their row's largest. Errors are weighted
/// by the weight's magnitude, since large weights matter most.
pub(crate) fn four_bits(weight: &Tensor) -> (Rounded, Codebook) {
    let (weights, columns) = (&weight.data[..], weight.shape[1]);
    let scales = scales(weights, columns);
    let cell = |w: f32, scale: f32| ((w / scale + 127.0) * ((CELLS - 1) as f32 / 254.0) + 0.5) as usize;
    let mut counts = vec![0u32; CELLS];
    for (row, &scale) in weights.chunks_exact(columns).zip(&scales) {
        row.iter().for_each(|&w| counts[cell(w, scale)] += 1);
    }
    let codebook = weight.codebook.unwrap_or_else(|| codebook(&counts));
    let codes: Vec<i8> = (0..CELLS).map(|cell| nearest(&codebook, center(cell)) as i8).collect();
    let rows = weights.chunks_exact(columns).zip(&scales);
    let values = rows.flat_map(|(row, &scale)| row.iter().map(move |&w| (w, scale)));
    let values = values.map(|(w, scale)| codes[cell(w, scale)]).collect();
    (Rounded { values, scales }, codebook)
}

/// The weight at the center of a histogram bin, in 127ths of its row's largest.
fn center(cell: usize) -> f64 {
    cell as f64 * 254.0 / (CELLS - 1) as f64 - 127.0
}

fn codebook(counts: &[u32]) -> Codebook {
    // Initial values: the medians of sixteen equal shares of the weights.
    let total: u64 = counts.iter().map(|&n| u64::from(n)).sum();
    let mut seen = 0;
    let mut points = Vec::with_capacity(16);
    for (cell, &count) in counts.iter().enumerate() {
        seen += u64::from(count);
        while points.len() < 16 && seen * 32 > total * (2 * points.len() as u64 + 1) {
            points.push(center(cell));
        }
    }
    points.resize(16, 127.0);
    for _ in 0..ROUNDS {
        let mut sums = [(0.0, 0.0); 16];
        let mut mine = 0;
        for (cell, &count) in counts.iter().enumerate() {
            let at = center(cell);
            while mine < 15 && points[mine] + points[mine + 1] < 2.0 * at {
                mine += 1;
            }
            let share = f64::from(count) * (at.abs() + 1e-3);
            sums[mine].0 += share * at;
            sums[mine].1 += share;
        }
        for (point, (sum, share)) in points.iter_mut().zip(sums) {
            if share > 0.0 {
                *point = sum / share;
            }
        }
    }
    std::array::from_fn(|i| points[i].round() as i8)
}

fn nearest(codebook: &Codebook, value: f64) -> usize {
    (0..16)
        .min_by(|&a, &b| {
            let far = |i: usize| (f64::from(codebook[i]) - value).abs();
            far(a).total_cmp(&far(b))
        })
        .unwrap_or(0)
}

/// Scale per row, such that the largest weight becomes ±127; 1 for a row of zeros.
fn scales(weights: &[f32], columns: usize) -> Vec<f32> {
    let largest = |row: &[f32]| row.iter().fold(0.0f32, |largest, w| largest.max(w.abs()));
    weights.chunks_exact(columns).map(|row| if largest(row) > 0.0 { largest(row) / 127.0 } else { 1.0 }).collect()
}
