//! Inner products of 8-bit weights with 16-bit activations: where a step spends its time.
//!
//! The compiler does not find the processor's multiply-add of 16-bit pairs by itself (measured: 4
//! times slower), so it is spelled out for AVX-512 and AVX2. Sums of integers are exact: every
//! version gives the same result.

/// Rows that share each load of the activations.
pub(crate) const ROWS: usize = 4;

/// `sums[r] = rows[r] · x`: up to [`ROWS`] rows of `x.len()` weights, one behind the other;
/// `x.len()` is a multiple of 64.
pub(crate) type Dots = fn(rows: &[i8], x: &[i16], sums: &mut [i32]);

/// The widest version that this processor has.
pub(crate) fn widest() -> Dots {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has what the function was compiled for.
            return |rows, x, sums| unsafe { x86::avx512(rows, x, sums) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what the function was compiled for.
            return |rows, x, sums| unsafe { x86::avx2(rows, x, sums) };
        }
    }
    plain
}

/// For every processor; NEON's widening multiply-add is found by the compiler.
fn plain(rows: &[i8], x: &[i16], sums: &mut [i32]) {
    for (row, sum) in rows.chunks_exact(x.len()).zip(sums) {
        *sum = row.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x)).sum();
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{ROWS, plain};

    /// Where each of [`ROWS`] rows of `stride` weights begins, in chunks of `N`.
    fn chunks<const N: usize>(rows: &[i8], stride: usize) -> [*const [i8; N]; ROWS] {
        std::array::from_fn(|row| rows[row * stride..][..stride].as_chunks::<N>().0.as_ptr())
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn avx512(rows: &[i8], x: &[i16], sums: &mut [i32]) {
        if sums.len() < ROWS {
            return plain(rows, x, sums);
        }
        let rows = chunks::<32>(rows, x.len());
        let mut acc = [_mm512_setzero_si512(); ROWS];
        for (i, x) in x.as_chunks::<32>().0.iter().enumerate() {
            // SAFETY: an array of 64 bytes.
            let x = unsafe { _mm512_loadu_si512(x.as_ptr().cast()) };
            for (acc, row) in acc.iter_mut().zip(rows) {
                // SAFETY: each row is as long as `x`, so it has an `i`th chunk of 32 bytes.
                let w = unsafe { _mm256_loadu_si256(row.add(i).cast()) };
                *acc = _mm512_add_epi32(*acc, _mm512_madd_epi16(_mm512_cvtepi8_epi16(w), x));
            }
        }
        for (sum, acc) in sums.iter_mut().zip(acc) {
            *sum = _mm512_reduce_add_epi32(acc);
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn avx2(rows: &[i8], x: &[i16], sums: &mut [i32]) {
        if sums.len() < ROWS {
            return plain(rows, x, sums);
        }
        let rows = chunks::<16>(rows, x.len());
        let mut acc = [_mm256_setzero_si256(); ROWS];
        for (i, x) in x.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: an array of 32 bytes.
            let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
            for (acc, row) in acc.iter_mut().zip(rows) {
                // SAFETY: each row is as long as `x`, so it has an `i`th chunk of 16 bytes.
                let w = unsafe { _mm_loadu_si128(row.add(i).cast()) };
                *acc = _mm256_add_epi32(*acc, _mm256_madd_epi16(_mm256_cvtepi8_epi16(w), x));
            }
        }
        for (sum, acc) in sums.iter_mut().zip(acc) {
            // SAFETY: both are 32 bytes of plain integers.
            let lanes: [i32; 8] = unsafe { std::mem::transmute(acc) };
            *sum = lanes.iter().sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_version_gives_the_exact_sum() {
        let mut rng = rand_pcg::Pcg32::new(3, 0);
        for stride in [64, 768, 1024] {
            for count in 1..=ROWS {
                let rows: Vec<i8> = (0..count * stride).map(|_| rng.random_range(-127..=127)).collect();
                let x: Vec<i16> = (0..stride).map(|_| rng.random_range(-16_000..=16_000)).collect();
                let (mut expected, mut found) = (vec![0; count], vec![0; count]);
                plain(&rows, &x, &mut expected);
                widest()(&rows, &x, &mut found);
                assert_eq!(found, expected);
                #[cfg(target_arch = "x86_64")]
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has what the function was compiled for.
                    unsafe { x86::avx2(&rows, &x, &mut found) };
                    assert_eq!(found, expected);
                }
            }
        }
    }
}
