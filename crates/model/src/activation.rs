//! Sigmoid and tanh without library calls, so that loops over them vectorize; exp and ln likewise, so that they give
//! the same bits on every machine.
//!
//! The relative error of `exp` is under 2e-7 in the range that matters: Cody and Waite's argument reduction and a
//! polynomial of degree 6 (from Cephes' `expf`).

/// 1.5 * 2^23: adding it rounds a float to an integer, which ends up in the low bits; subtracting it again leaves that
/// integer as a float.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// e^x, with x clamped to ±87.
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
    // The low bits of `shifted` hold `n`: used as an exponent, they give 2^n. (A cast would be checked for out-of-range
    // values.)
    value * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// The natural logarithm; `-inf` for 0 and below. Relative error under 2e-7 (from Cephes' `logf`).
pub(crate) fn ln(x: f32) -> f32 {
    if x <= 0.0 {
        return f32::NEG_INFINITY;
    }
    // Smaller numbers are subnormal.
    let (x, scale) = if x < f32::MIN_POSITIVE { (x * 8_388_608.0, -23.0) } else { (x, 0.0) };
    // x = m 2^e, with m from sqrt(1/2) to sqrt(2).
    let bits = x.to_bits();
    let (mut e, mut m) = (((bits >> 23) as i32 - 126) as f32 + scale, f32::from_bits(bits & 0x7f_ffff | 0x3f00_0000));
    if m < std::f32::consts::FRAC_1_SQRT_2 {
        e -= 1.0;
        m += m;
    }
    let x = m - 1.0;
    let z = x * x;
    let p = 7.037_683_6e-2;
    let p = p * x - 1.151_461e-1;
    let p = p * x + 1.167_699_9e-1;
    let p = p * x - 1.242_014_1e-1;
    let p = p * x + 1.424_932_3e-1;
    let p = p * x - 1.666_805_8e-1;
    let p = p * x + 2.000_071_5e-1;
    let p = p * x - 2.499_999_4e-1;
    let p = p * x + 3.333_333e-1;
    x + (p * x * z - 2.121_944_4e-4 * e - 0.5 * z) + 0.693_359_4 * e
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
            let power = super::exp(x * 4.0);
            let ln = f64::from(power).ln();
            assert!((f64::from(super::ln(power)) - ln).abs() < 2e-7 * ln.abs().max(1.0), "ln({power})");
        }
        assert_eq!([super::ln(0.0), super::ln(1.0)], [f32::NEG_INFINITY, 0.0]);
        assert!((super::ln(1e-42) - 1e-42f32.ln()).abs() < 1e-4);
    }
}
