//! Statistics of music: the summary that `inspect` prints.

use notes::Note;
use serde::Serialize;

/// The percentiles in the summary, in percent.
pub const PERCENTILES: [f64; 8] = [1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0, 99.9];

/// Statistics of one or more pieces, each with sorted notes.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Number of notes.
    pub notes: usize,
    /// Total time from each piece's first onset to its last release, in seconds.
    pub seconds: f64,
    /// Inter-onset times in seconds; a piece's first note has none.
    pub step: Times,
    /// Durations in seconds.
    pub duration: Times,
    /// Delays in chords, in seconds.
    pub spread: Times,
    /// MIDI keys.
    pub pitch: Levels,
    /// MIDI velocities.
    pub velocity: Levels,
}

/// A distribution of times in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Times {
    /// Fraction that is exactly 0.
    pub zero: f64,
    /// Fraction under 10 ms.
    pub under_10_ms: f64,
    /// Fraction under 30 ms.
    pub under_30_ms: f64,
    /// Mean.
    pub mean: f64,
    /// Percentiles, as in [`PERCENTILES`].
    pub percentiles: [f64; 8],
    /// Maximum.
    pub max: f64,
}

/// A distribution of values from 0 to 127.
#[derive(Clone, Debug, Serialize)]
pub struct Levels {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub deviation: f64,
    /// Minimum.
    pub min: u8,
    /// Maximum.
    pub max: u8,
    /// Number of different values.
    pub distinct: usize,
}

impl Summary {
    /// The summary of pieces whose notes are sorted by onset.
    pub fn of<'a>(pieces: impl Iterator<Item = &'a [Note]> + Clone) -> Self {
        let all = || pieces.clone().flatten();
        let ends = |notes: &[Note]| notes.iter().map(Note::end).fold(0.0, f64::max);
        Self {
            notes: all().count(),
            seconds: pieces.clone().filter(|notes| !notes.is_empty()).map(|notes| ends(notes) - notes[0].onset).sum(),
            step: Times::of(
                pieces.clone().flat_map(|notes| notes.windows(2).map(|pair| pair[1].onset - pair[0].onset)).collect(),
            ),
            duration: Times::of(all().map(|note| note.duration).collect()),
            spread: Times::of(all().map(|note| note.spread).collect()),
            pitch: Levels::of(all().map(|note| note.pitch)),
            velocity: Levels::of(all().map(|note| note.velocity)),
        }
    }
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let count = times.len().max(1) as f64;
        let under = |limit: f64| times.partition_point(|&time| time < limit) as f64 / count;
        Self {
            zero: times.partition_point(|&time| time <= 0.0) as f64 / count,
            under_10_ms: under(0.010),
            under_30_ms: under(0.030),
            mean: times.iter().sum::<f64>() / count,
            percentiles: PERCENTILES.map(|percent| percentile(&times, percent)),
            max: times.last().copied().unwrap_or(0.0),
        }
    }
}

/// A percentile of a sorted slice, interpolated between neighbors; 0 if it is empty.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = percent / 100.0 * last as f64;
    let below = sorted[place as usize];
    let above = sorted[(place as usize + 1).min(last)];
    below + (above - below) * place.fract()
}

impl Levels {
    fn of(levels: impl Iterator<Item = u8>) -> Self {
        let mut counts = [0u64; 256];
        levels.for_each(|level| counts[usize::from(level)] += 1);
        let total = counts.iter().sum::<u64>().max(1) as f64;
        let moment = |f: &dyn Fn(f64) -> f64| -> f64 {
            counts.iter().enumerate().map(|(level, &count)| f(level as f64) * count as f64).sum::<f64>() / total
        };
        let mean = moment(&|level| level);
        let present = || counts.iter().enumerate().filter(|&(_, &count)| count > 0).map(|(level, _)| level as u8);
        Self {
            mean,
            deviation: moment(&|level| (level - mean).powi(2)).sqrt(),
            min: present().min().unwrap_or(0),
            max: present().max().unwrap_or(0),
            distinct: present().count(),
        }
    }
}
