//! Telemetry: health, counts and times that the audio thread and the generator publish for the editor and for test
//! hosts. Atomics only; any thread may read and write.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use atomic_float::AtomicF64;

use crate::clock::Instant;

/// Decay per note of the running maximum of note times.
const DECAY: f64 = 0.99;

/// The generator's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// Not started, or loading weights.
    #[default]
    Starting,
    /// Listening and playing.
    Ready,
    /// Not even the built-in weights could be loaded: notes pass through.
    NoWeights,
    /// It failed too often to be restarted again: notes pass through.
    Broken,
}

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A time or level that changes.
#[derive(Debug)]
pub struct Gauge(AtomicF64);

impl Default for Gauge {
    fn default() -> Self {
        Self(AtomicF64::new(f64::NAN))
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value, Relaxed);
    }

    /// What was set last, NaN at first.
    pub fn get(&self) -> f64 {
        self.0.load(Relaxed)
    }

    /// Sets it, if it was lower (or not set yet).
    pub fn raise(&self, value: f64) {
        // `max` ignores the NaN of the beginning.
        self.0.fetch_max(value, Relaxed);
    }
}

/// Histogram of durations: bins an eighth of an octave wide, from 1 µs to one second.
#[derive(Debug)]
pub struct DurationHistogram {
    bins: [Count; BINS],
    longest: Gauge,
}

const BINS: usize = 160;
const PER_OCTAVE: f64 = 8.0;

impl Default for DurationHistogram {
    fn default() -> Self {
        Self { bins: std::array::from_fn(|_| Count::default()), longest: Gauge::default() }
    }
}

impl DurationHistogram {
    /// Adds a duration, in microseconds.
    pub fn add(&self, us: f64) {
        let bin = (us.max(1.0).log2() * PER_OCTAVE) as usize;
        self.bins[bin.min(BINS - 1)].add(1);
        self.longest.raise(us);
    }

    /// The longest duration, in microseconds; NaN if there is none.
    pub fn longest(&self) -> f64 {
        self.longest.get()
    }

    /// The median, in microseconds, to the precision of the bins; NaN if there is none.
    pub fn median(&self) -> f64 {
        let counts: Vec<u64> = self.bins.iter().map(Count::get).collect();
        let mut half = counts.iter().sum::<u64>().div_ceil(2);
        let bin = counts.iter().position(|count| {
            half = half.saturating_sub(*count);
            *count > 0 && half == 0
        });
        bin.map_or(f64::NAN, |bin| ((bin as f64 + 0.5) / PER_OCTAVE).exp2())
    }
}

/// What has happened so far, counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// The player's notes that were handed to the network.
    pub heard: Count,
    /// Generated note-ons that the host took.
    pub played: Count,
    /// Hand-overs.
    pub turns: Count,
    /// Generated notes that came too late and were delayed.
    pub late: Count,
    /// Generated notes that came so late that they were dropped.
    pub dropped: Count,
    /// Generated notes given up because the host refused them, or because the player held their key.
    pub given_up: Count,
    /// Messages, notes and events lost because a queue was full.
    pub overflows: Count,
    /// Events that no host should send, which were dropped: for keys or channels that do not exist, with ids of
    /// unknown notes, with values that are not numbers.
    pub invalid: Count,
    /// Offline renders that waited for the generator in vain.
    pub timeouts: Count,
    /// How often the generator failed and was restarted.
    pub restarts: Count,
    /// How often a GPU failed and the CPU took over.
    pub gpu_failures: Count,
}

/// How long the generator takes.
#[derive(Debug, Default)]
pub struct Timing {
    /// The network's time for a note, in microseconds, smoothed.
    pub note_us: Gauge,
    /// The longest time for a note so far, in microseconds.
    pub longest_note_us: Gauge,
    /// A running maximum of the same, which decays with every note.
    slow_note_us: Gauge,
    /// How long the generator takes to go back to an earlier note and be ready to continue from there.
    pub rollbacks: DurationHistogram,
    /// How far ahead of the audio thread the generator is, in seconds.
    pub look_ahead_s: Gauge,
}

impl Timing {
    /// A note took this long, in microseconds.
    pub fn record_note(&self, us: f64) {
        let smooth = self.note_us.get();
        self.note_us.set(if smooth.is_nan() { us } else { smooth + 0.05 * (us - smooth) });
        self.longest_note_us.raise(us);
        self.slow_note_us.set(us.max(DECAY * self.slow_note_us.get()));
    }

    /// The longest time for any of the latest hundred notes or so, in microseconds: what to allow for.
    pub fn recent_longest_us(&self) -> f64 {
        self.slow_note_us.get()
    }
}

/// The state of one instance: written by the audio thread and the generator, read by the editor and by test hosts.
#[derive(Debug, Default)]
pub struct Status {
    health: AtomicU8,
    /// How often the generator lost its memory of the current take: by a failure, or because the weights were
    /// changed. The audio thread ends the turn when it sees a change.
    lost_takes: AtomicU32,
    /// When the generator last showed a sign of life, in milliseconds since [`origin`].
    heartbeat_ms: AtomicU64,
    /// The chosen weights cannot be loaded, and the built-in ones play in their place.
    stand_in: AtomicBool,
    /// The network runs on a GPU.
    on_gpu: AtomicBool,
    /// The latest hand-over, in stream seconds since the last reset.
    pub hand_over_s: Gauge,
    /// What has happened so far, counted.
    pub counts: Counts,
    /// How long the generator takes.
    pub timing: Timing,
}

impl Status {
    /// The generator's state.
    pub fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            0 => Health::Starting,
            1 => Health::Ready,
            2 => Health::NoWeights,
            _ => Health::Broken,
        }
    }

    /// Sets the generator's state.
    pub fn set_health(&self, health: Health) {
        self.health.store(health as u8, Relaxed);
    }

    /// Records that the generator is alive, and returns the time. Never on the audio thread: it reads the clock.
    pub fn heartbeat(&self) -> Instant {
        let now = Instant::now();
        self.heartbeat_ms.store(now.saturating_duration_since(origin()).as_millis() as u64, Relaxed);
        now
    }

    /// For how long the generator has shown no sign of life although it should: it hangs, is slow, or is gone. Never on
    /// the audio thread.
    pub fn unresponsive_for(&self) -> Duration {
        match self.health() {
            Health::Ready => origin().elapsed().saturating_sub(Duration::from_millis(self.heartbeat_ms.load(Relaxed))),
            Health::Starting | Health::NoWeights | Health::Broken => Duration::ZERO,
        }
    }

    /// Whether the built-in weights play in place of the chosen ones.
    pub fn is_stand_in(&self) -> bool {
        self.stand_in.load(Relaxed)
    }

    /// Sets whether they do.
    pub fn set_stand_in(&self, stand_in: bool) {
        self.stand_in.store(stand_in, Relaxed);
    }

    /// Whether the network runs on a GPU.
    pub fn is_on_gpu(&self) -> bool {
        self.on_gpu.load(Relaxed)
    }

    /// Sets whether it does.
    pub fn set_on_gpu(&self, on_gpu: bool) {
        self.on_gpu.store(on_gpu, Relaxed);
    }

    /// How often the generator has lost its memory of the current take.
    pub fn lost_takes(&self) -> u32 {
        self.lost_takes.load(Relaxed)
    }

    /// Records that the generator no longer knows the current take.
    pub fn record_lost_take(&self) {
        self.lost_takes.fetch_add(1, Relaxed);
    }
}

/// The moment that [`Status::heartbeat`] counts from, the same for all instances.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_times_are_below_the_median() {
        let times = DurationHistogram::default();
        assert!(times.median().is_nan());
        (1..=101).for_each(|us| times.add(f64::from(us) * 10.0));
        assert!((times.median() / 510.0 - 1.0).abs() < 0.1, "{}", times.median());
        assert_eq!(times.longest.get(), 1010.0);
    }
}
