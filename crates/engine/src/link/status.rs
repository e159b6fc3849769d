//! How things stand: what the audio thread and the generator tell the editor and test hosts.
//! Atomics only; any thread may read and write.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use atomic_float::AtomicF64;

use crate::clock::Instant;

/// How much of a slow note's time is reckoned with at the next.
const SLOWLY_FORGOTTEN: f64 = 0.99;

/// How the generator is.
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
    /// It broke more often than it may restart: notes pass through.
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

/// How long something took, each time: bins of an eighth of an octave, from 1 µs to a second.
#[derive(Debug)]
pub struct Times {
    bins: [Count; BINS],
    longest: Gauge,
}

const BINS: usize = 160;
const PER_OCTAVE: f64 = 8.0;

impl Default for Times {
    fn default() -> Self {
        Self { bins: std::array::from_fn(|_| Count::default()), longest: Gauge::default() }
    }
}

impl Times {
    /// It took so many microseconds, once more.
    pub fn add(&self, us: f64) {
        let bin = (us.max(1.0).log2() * PER_OCTAVE) as usize;
        self.bins[bin.min(BINS - 1)].add(1);
        self.longest.raise(us);
    }

    /// The longest time, in microseconds; NaN if there was none.
    pub fn longest(&self) -> f64 {
        self.longest.get()
    }

    /// Half of them took no longer, in microseconds, as exactly as the bins are; NaN if there was none.
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

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Status {
    health: AtomicU8,
    /// How often the generator lost its memory of a take under way: by breaking, or by
    /// changing the weights. The audio thread ends the turn when it sees a change.
    lapses: AtomicU32,
    /// When the generator last showed a sign of life, in milliseconds since [`origin`].
    pulse_ms: AtomicU64,
    /// The weights that are chosen cannot be loaded, and the built-in ones play in their place.
    stand_in: AtomicBool,
    /// The model runs on a GPU.
    on_gpu: AtomicBool,
    /// How often one failed and the CPU took over.
    pub gpu_failures: Count,
    /// How often the generator broke and was restarted.
    pub restarts: Count,
    /// The player's notes that were handed to the model.
    pub heard: Count,
    /// Generated note-ons that the host took.
    pub played: Count,
    /// Hand-overs.
    pub turns: Count,
    /// Generated notes that came too late and were shifted.
    pub late: Count,
    /// Generated notes that came so late that they were dropped.
    pub dropped: Count,
    /// Generated notes given up because the host refused them, or the player held their key.
    pub given_up: Count,
    /// Messages, notes and events for which some queue had no room.
    pub overflows: Count,
    /// Events that no host should send, which were dropped: of keys or channels that do not exist, of notes that nobody
    /// knows, of values that are no numbers.
    pub invalid: Count,
    /// Offline renders that waited in vain for the generator.
    pub timeouts: Count,
    /// The latest hand-over, in seconds of the stream since the last reset.
    pub hand_over_s: Gauge,
    /// The model's time for a note, in microseconds, smoothed.
    pub note_us: Gauge,
    /// The longest time the model took for a note so far, in microseconds.
    pub longest_note_us: Gauge,
    /// The same, lately.
    slow_note_us: Gauge,
    /// How long the generator worked, each time, to go back to a note and be ready to go on.
    pub rollbacks: Times,
    /// How far ahead of the audio thread the model has generated, in seconds.
    pub look_ahead_s: Gauge,
}

impl Status {
    /// How the generator is.
    pub fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            0 => Health::Starting,
            1 => Health::Ready,
            2 => Health::NoWeights,
            _ => Health::Broken,
        }
    }

    /// Says how the generator is.
    pub fn set_health(&self, health: Health) {
        self.health.store(health as u8, Relaxed);
    }

    /// The generator is alive; returns when. Never on the audio thread: it asks for the time.
    pub fn beat(&self) -> Instant {
        let now = Instant::now();
        self.pulse_ms.store(now.saturating_duration_since(origin()).as_millis() as u64, Relaxed);
        now
    }

    /// For how long the generator has not shown a sign of life, when it should: it is frozen, slow
    /// or gone. Never on the audio thread.
    pub fn silence(&self) -> Duration {
        match self.health() {
            Health::Ready => origin().elapsed().saturating_sub(Duration::from_millis(self.pulse_ms.load(Relaxed))),
            Health::Starting | Health::NoWeights | Health::Broken => Duration::ZERO,
        }
    }

    /// Whether the built-in weights play in place of those that are chosen.
    pub fn is_stand_in(&self) -> bool {
        self.stand_in.load(Relaxed)
    }

    /// Says whether they do.
    pub fn set_stand_in(&self, stand_in: bool) {
        self.stand_in.store(stand_in, Relaxed);
    }

    /// Whether the model runs on a GPU.
    pub fn is_on_gpu(&self) -> bool {
        self.on_gpu.load(Relaxed)
    }

    /// Says whether it does.
    pub fn set_on_gpu(&self, on_gpu: bool) {
        self.on_gpu.store(on_gpu, Relaxed);
    }

    /// See [`Status::lapse`].
    pub fn lapses(&self) -> u32 {
        self.lapses.load(Relaxed)
    }

    /// The generator no longer knows the take under way.
    pub fn lapse(&self) {
        self.lapses.fetch_add(1, Relaxed);
    }

    /// A note took the model this long.
    pub fn timed(&self, us: f64) {
        let smooth = self.note_us.get();
        self.note_us.set(if smooth.is_nan() { us } else { smooth + 0.05 * (us - smooth) });
        self.longest_note_us.raise(us);
        // A slow note is remembered for some hundred others.
        self.slow_note_us.set(us.max(SLOWLY_FORGOTTEN * self.slow_note_us.get()));
    }

    /// The longest time the model took for a note lately, in microseconds: what to reckon with.
    pub fn longest_lately_us(&self) -> f64 {
        self.slow_note_us.get()
    }
}

/// A moment to count from, the same for all instances.
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_times_are_below_the_median() {
        let times = Times::default();
        assert!(times.median().is_nan());
        (1..=101).for_each(|us| times.add(f64::from(us) * 10.0));
        assert!((times.median() / 510.0 - 1.0).abs() < 0.1, "{}", times.median());
        assert_eq!(times.longest.get(), 1010.0);
    }
}
