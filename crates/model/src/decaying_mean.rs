//! A mean over recent values.

/// A mean in which each value weighs a little less than the next: sum and weight. Over zeros and ones it is a share.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct DecayingMean {
    /// Weighted sum of the values.
    pub sum: f32,
    /// Sum of the weights.
    pub weight: f32,
}

impl DecayingMean {
    /// Adds a value; earlier ones weigh `decay` times as much as before.
    pub fn feed(&mut self, value: f32, decay: f32) {
        self.sum = decay * self.sum + value;
        self.weight = decay * self.weight + 1.0;
    }

    /// The mean; 0 without values.
    pub fn mean(&self) -> f32 {
        self.sum / self.weight.max(1.0)
    }
}
