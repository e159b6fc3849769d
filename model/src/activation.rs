//! Sigmoid and tanh without a library call, so that loops over them are vectorised.
//!
//! Relative error of `exp` under 2e-7 in the range that matters: Cody and Waite's reduction and a
//! polynomial of degree 6 (Cephes' `expf`).

/// 1.5 * 2^23: adding it rounds to a whole number, which then stands in the last bits; taking it away again
/// leaves that number.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// e^x for x clamped to ±87.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 5.000_000_3e-1;
    let value = p * r * r + r + 1.0;
    // The last bits of `shifted` are those of `n`: as an exponent they make 2^n. (A cast would be checked
    // for values that do not fit.)
    value * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// 1 / (1 + e^-x)
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh(x) = 2 sigmoid(2x) - 1
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    2.0 / (1.0 + exp(-2.0 * x)) - 1.0
}

#[cfg(test)]
mod tests {
    #[test]
    fn they_agree_with_the_library() {
        for i in -4000..=4000 {
            let x = i as f32 * 0.005;
            let wide = f64::from(x);
            assert!((f64::from(super::exp(x)) / wide.exp() - 1.0).abs() < 3e-7, "exp({x})");
            assert!((f64::from(super::tanh(x)) - wide.tanh()).abs() < 2e-7, "tanh({x})");
            assert!((f64::from(super::sigmoid(x)) - 1.0 / (1.0 + (-wide).exp())).abs() < 2e-7, "sigmoid({x})");
        }
    }
}
