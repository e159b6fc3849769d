//! The data exchanged with a device, in 32-bit words, so that it can be copied as it is.

use crate::{
    quantize::Quantized,
    shapes::{HIDDEN, LAYERS},
    trunk::States,
};

/// Words of a take's hidden states, which come before its cell states.
const HIDDEN_WORDS: usize = LAYERS * HIDDEN / 2;
/// Words of a take's hidden and cell states.
pub(crate) const STATE_WORDS: usize = HIDDEN_WORDS + LAYERS * HIDDEN;

/// One step of several takes: the trunk's inputs, and the states before and after.
#[derive(Debug)]
pub struct Batch {
    takes: usize,
    width: usize,
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Batch {
    /// A batch for up to `takes` takes; `width`: of the first layer's input, a multiple of four.
    pub(crate) fn new(takes: usize, width: usize) -> Self {
        let stride = Self::stride(width);
        Self { takes: 0, width, before: vec![0; takes * stride], after: vec![0; takes * STATE_WORDS] }
    }

    /// A batch of `takes` takes with inputs and states of zero.
    #[cfg(feature = "gpu")]
    pub(crate) fn zeros(takes: usize, width: usize) -> Self {
        Self { takes, ..Self::new(takes, width) }
    }

    /// Words per take before the step: the input's exponent, the input, and the states.
    pub(crate) fn stride(width: usize) -> usize {
        1 + width / 2 + STATE_WORDS
    }

    /// Number of takes in the batch.
    pub fn takes(&self) -> usize {
        self.takes
    }

    /// Contents before the step: `[takes, stride]`.
    pub fn before(&self) -> &[u32] {
        &self.before[..self.takes * Self::stride(self.width)]
    }

    /// Contents after the step: hidden and cell states, `[takes, STATE_WORDS]`.
    pub fn after_mut(&mut self) -> &mut [u32] {
        &mut self.after[..self.takes * STATE_WORDS]
    }

    pub(crate) fn fill<'a>(&mut self, takes: impl ExactSizeIterator<Item = (&'a Quantized, &'a States<i16, i32>)>) {
        self.takes = takes.len();
        for ((x, states), out) in takes.zip(self.before.chunks_exact_mut(Self::stride(self.width))) {
            out[0] = x.exponent() as u32;
            let (input, out) = out[1..].split_at_mut(self.width / 2);
            let (h, c) = out.split_at_mut(HIDDEN_WORDS);
            join(&x.words()[..self.width], input);
            join(&states.h, h);
            c.iter_mut().zip(&states.c).for_each(|(out, &c)| *out = c as u32);
        }
    }

    /// Reads a take's input and states before the step.
    pub(crate) fn take(&self, take: usize, x: &mut Quantized, states: &mut States<i16, i32>) {
        let stride = Self::stride(self.width);
        let (head, state) = self.before[take * stride..][..stride].split_at(1 + self.width / 2);
        let mut words = vec![0; self.width];
        split(&head[1..], &mut words);
        x.set_integers(&words, head[0] as i32);
        get(state, states);
    }

    /// Writes a take's states after the step.
    pub(crate) fn put(&mut self, take: usize, states: &States<i16, i32>) {
        let (h, c) = self.after[take * STATE_WORDS..][..STATE_WORDS].split_at_mut(HIDDEN_WORDS);
        join(&states.h, h);
        c.iter_mut().zip(&states.c).for_each(|(out, &c)| *out = c as u32);
    }

    /// Reads a take's states after the step.
    pub(crate) fn get(&self, take: usize, states: &mut States<i16, i32>) {
        get(&self.after[take * STATE_WORDS..][..STATE_WORDS], states);
    }
}

fn get(words: &[u32], states: &mut States<i16, i32>) {
    let (h, c) = words.split_at(HIDDEN_WORDS);
    split(h, &mut states.h);
    states.c.iter_mut().zip(c).for_each(|(out, &c)| *out = c as i32);
}

/// Packs four numbers into two words: first their upper bytes, then their lower bytes, all signed.
fn join(numbers: &[i16], words: &mut [u32]) {
    for ([upper, lower], four) in words.as_chunks_mut().0.iter_mut().zip(numbers.as_chunks::<4>().0) {
        *upper = u32::from_le_bytes(four.map(|number| ((number - i16::from(number as i8)) >> 8) as u8));
        *lower = u32::from_le_bytes(four.map(|number| number as u8));
    }
}

fn split(words: &[u32], numbers: &mut [i16]) {
    for ([upper, lower], four) in words.as_chunks().0.iter().zip(numbers.as_chunks_mut::<4>().0) {
        let (upper, lower) = (upper.to_le_bytes(), lower.to_le_bytes());
        *four = std::array::from_fn(|i| i16::from(upper[i] as i8) * 256 + i16::from(lower[i] as i8));
    }
}

#[cfg(test)]
mod tests {
    use super::{join, split};

    #[test]
    fn every_activation_fits_into_its_bytes() {
        let numbers: Vec<i16> = (-16_384..16_384).collect();
        let mut words = vec![0; numbers.len() / 2];
        join(&numbers, &mut words);
        let mut back = vec![0; numbers.len()];
        split(&words, &mut back);
        assert_eq!(back, numbers);
        assert!(
            words.iter().step_by(2).flat_map(|word| word.to_le_bytes()).all(|byte| (-64..=64).contains(&(byte as i8)))
        );
    }
}
