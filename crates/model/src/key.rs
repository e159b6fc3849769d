//! Key detection: correlates pitch-class counts with the probe-tone profiles of Krumhansl and Kessler (Krumhansl,
//! *Cognitive Foundations of Musical Pitch*, 1990).

/// How well listeners rated each pitch class to fit C major and C minor.
const KEYS: [[f64; 12]; 2] = [
    [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
    [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
];

/// A major or minor key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Pitch class of the tonic; 0 is C.
    pub tonic: u8,
    /// Whether the key is minor.
    pub minor: bool,
}

/// The key that best fits pitch-class counts; `None` if no key correlates positively.
pub fn key_of(classes: &[f64; 12]) -> Option<Key> {
    let profile = key_profile(classes);
    // Ties go to the first, so that the result is deterministic.
    let best = (1..24).fold(0, |best, key| if profile[key] > profile[best] { key } else { best });
    (profile[best] > 0.0).then_some(Key { tonic: (best % 12) as u8, minor: best >= 12 })
}

/// Correlation of pitch-class counts with each of the 24 keys: C major and up by semitones, then C minor and up.
pub fn key_profile(classes: &[f64; 12]) -> [f64; 24] {
    std::array::from_fn(|key| {
        let profile: [f64; 12] = std::array::from_fn(|class| KEYS[key / 12][(class + 12 - key % 12) % 12]);
        correlation(classes, &profile)
    })
}

/// Pearson correlation; 0 if either side is constant.
pub fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        ab += (a - mean_a) * (b - mean_b);
        aa += (a - mean_a) * (a - mean_a);
        bb += (b - mean_b) * (b - mean_b);
    }
    if aa * bb > 0.0 { ab / (aa * bb).sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_with_its_tonic_is_in_its_key() {
        for (minor, steps) in [(false, [0, 2, 4, 5, 7, 9, 11]), (true, [0, 2, 3, 5, 7, 8, 11])] {
            for tonic in 0..12u8 {
                let mut classes = [0.0; 12];
                steps.iter().for_each(|step| classes[(usize::from(tonic) + step) % 12] = 1.0);
                classes[usize::from(tonic)] = 2.0;
                assert_eq!(key_of(&classes), Some(Key { tonic, minor }));
            }
        }
        assert_eq!(key_of(&[0.0; 12]), None);
        assert_eq!(key_of(&[1.0; 12]), None);
    }
}
