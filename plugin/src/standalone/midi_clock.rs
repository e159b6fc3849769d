//! MIDI clock: song time from start, stop, continue, song position, and 24 ticks per beat.
//!
//! Ticks arrive with jitter, from a USB cable or from whole blocks, so a delay-locked loop smooths them (Fons
//! Adriaensen, "Using a DLL to filter time", 2005): it corrects its estimate of the next tick by a fraction of each
//! tick's error.

use std::f64::consts::{SQRT_2, TAU};

use super::message::Message;

/// Ticks per beat (quarter note).
const PER_BEAT: f64 = 24.0;
/// Ticks per unit of song position (sixteenth notes).
const PER_POSITION: f64 = 6.0;
/// The loop's bandwidth in hertz: right after the clock has started, and once it has settled.
const WIDE_HZ: f64 = 6.0;
const NARROW_HZ: f64 = 0.5;
/// Ticks until it has settled.
const SETTLED: f64 = 48.0;
/// Seconds without a tick after which the clock counts as gone: it would be slower than 5 BPM.
const LOST_S: f64 = 0.5;
/// The reported tempo is rounded to this fraction of a BPM, and only changes when the estimate differs from it by more
/// than one such step. Otherwise every block would have a different tempo, and each change makes the model generate
/// again.
const TEMPO_PARTS: f64 = 10.0;
/// Beats per minute assumed until the second tick.
const TEMPO: f64 = 120.0;
/// A tick this far from its expected time, in ticks, is not jitter: ticks were lost, or the tempo has changed.
const FAR: f64 = 0.5;

/// The song's position at a given sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SongTime {
    /// Whether it is running.
    pub playing: bool,
    /// In beats.
    pub position: f64,
    /// Beats per minute; `None` before the second tick.
    pub tempo: Option<f64>,
}

/// Follows a MIDI clock. Times are in samples.
#[derive(Debug)]
pub struct MidiClock {
    rate: f64,
    /// Ticks since the clock started, or was last resynchronized.
    ticks: f64,
    /// The smoothed time of the latest tick, and its actual arrival.
    latest: f64,
    came: f64,
    /// Arrival of the latest message of any kind.
    heard: f64,
    /// Smoothed interval between ticks.
    period: f64,
    tempo: Option<f64>,
    /// Song position of the latest tick, in ticks.
    position: f64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Neither start nor continue has come: many keyboards send ticks all the time.
    NotStarted,
    Stopped,
    /// The next tick is at `position`.
    Starts,
    Runs,
}

impl MidiClock {
    /// A clock without ticks so far, at this sample rate.
    pub fn new(rate: f64) -> Self {
        let none = f64::NEG_INFINITY;
        let (latest, came, heard) = (none, none, none);
        Self {
            rate,
            ticks: 0.0,
            latest,
            came,
            heard,
            period: 0.0,
            tempo: None,
            position: 0.0,
            state: State::NotStarted,
        }
    }

    /// Handles a message that arrives at a sample. `true`: it was for the clock.
    pub fn handle(&mut self, at: f64, message: &Message) -> bool {
        match message.status() {
            0xf8 => self.tick(at),
            0xfa => {
                self.position = 0.0;
                self.state = State::Starts;
            }
            0xfb => self.state = State::Starts,
            0xfc => self.stop(),
            0xf2 => {
                let [low, high] = message.data().map(f64::from);
                self.position = (low + 128.0 * high) * PER_POSITION;
                if self.state == State::Runs {
                    self.state = State::Starts;
                }
            }
            _ => return false,
        }
        self.heard = at;
        true
    }

    fn stop(&mut self) {
        if self.state == State::Runs {
            self.position += 1.0;
        }
        self.state = State::Stopped;
    }

    fn tick(&mut self, at: f64) {
        match self.state {
            State::Starts => self.state = State::Runs,
            State::Runs => self.position += 1.0,
            State::NotStarted | State::Stopped => {}
        }
        let step = at - self.came;
        self.came = at;
        if step > LOST_S * self.rate || self.ticks == 0.0 {
            self.period = 60.0 * self.rate / (PER_BEAT * self.tempo.unwrap_or(TEMPO));
            (self.ticks, self.latest) = (1.0, at);
            return;
        }
        if self.ticks == 1.0 {
            self.period = step;
        }
        let expected = self.latest + self.period;
        let error = at - expected;
        if error.abs() > FAR * self.period {
            // Resynchronizes, but keeps the song position.
            (self.ticks, self.latest, self.period) = (1.0, at, step);
        } else {
            let settled = (self.ticks / SETTLED).min(1.0);
            let bandwidth = WIDE_HZ * (NARROW_HZ / WIDE_HZ).powf(settled);
            let omega = (TAU * bandwidth * self.period / self.rate).min(0.7);
            self.latest = expected + SQRT_2 * omega * error;
            self.period += omega * omega * error;
        }
        self.ticks += 1.0;
        let tempo = 60.0 * self.rate / (PER_BEAT * self.period.max(1.0));
        let differs = |shown: f64| (shown - tempo).abs() > 1.0 / TEMPO_PARTS && self.ticks >= PER_BEAT / 4.0;
        if self.tempo.is_none_or(differs) {
            self.tempo = Some((tempo * TEMPO_PARTS).round() / TEMPO_PARTS);
        }
    }

    /// The song's position at a sample; `None` if there is no clock, or none that has been started.
    pub fn at(&mut self, sample: f64) -> Option<SongTime> {
        if sample - self.heard > LOST_S * self.rate {
            self.ticks = 0.0;
            // Many clocks are silent while the song is stopped; that does not start another song.
            if self.state != State::Stopped {
                self.state = State::NotStarted;
            }
        }
        match self.state {
            State::NotStarted => return None,
            State::Starts | State::Runs if self.ticks == 0.0 => return None,
            _ => {}
        }
        let playing = self.is_running();
        let since = if playing { (sample - self.latest) / self.period.max(1.0) } else { 0.0 };
        Some(SongTime { playing, position: (self.position + since) / PER_BEAT, tempo: self.tempo })
    }

    /// Whether the song is running; if not, the next tick may start it.
    pub fn is_running(&self) -> bool {
        self.state == State::Runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;

    /// A device that sends clock, with deterministic jitter.
    struct Machine {
        clock: MidiClock,
        now: f64,
        luck: u64,
        jitter: f64,
    }

    impl Machine {
        fn new(jitter_s: f64) -> Self {
            Self { clock: MidiClock::new(RATE), now: 1_000.0, luck: 1, jitter: jitter_s * RATE }
        }

        fn says(&mut self, bytes: &[u8]) {
            self.luck = self.luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let late = self.jitter * (self.luck >> 33) as f64 / f64::from(1_u32 << 31);
            assert!(self.clock.handle(self.now + late, &Message::read(bytes).unwrap()));
        }

        /// Sends ticks at a tempo, the first one now.
        fn ticks(&mut self, count: usize, tempo: f64) {
            for _ in 0..count {
                self.says(&[0xf8]);
                self.now += 60.0 / tempo / PER_BEAT * RATE;
            }
        }

        fn song(&mut self) -> Option<SongTime> {
            self.clock.at(self.now)
        }
    }

    #[test]
    fn song_time_follows_the_ticks_through_their_jitter() {
        for tempo in [60.0, 97.3, 120.0, 200.0] {
            // A millisecond of USB jitter, half of that on average.
            let mut machine = Machine::new(0.001);
            machine.ticks(24, tempo);
            machine.says(&[0xfa]);
            machine.ticks(24 * 8, tempo);
            let (mut tempi, mut last) = (Vec::new(), machine.song().unwrap().position);
            for beat in 8..24 {
                let song = machine.song().unwrap();
                let off_s = (song.position - f64::from(beat)) * 60.0 / tempo + 0.0005;
                assert!(song.playing && off_s.abs() < 0.001, "{off_s} s off at {tempo}, beat {beat}");
                assert!((song.tempo.unwrap() - tempo).abs() <= 2.0 / TEMPO_PARTS, "{song:?} for {tempo}");
                assert!(song.position >= last);
                last = song.position;
                tempi.push(song.tempo);
                machine.ticks(24, tempo);
            }
            tempi.dedup();
            assert!(tempi.len() <= 3, "the tempo comes to rest: {tempi:?}");
        }
    }

    #[test]
    fn start_stop_continue_and_song_position_move_it() {
        let mut machine = Machine::new(0.0);
        machine.ticks(48, 120.0);
        assert_eq!(machine.song(), None, "a keyboard that ticks all day starts nothing");
        machine.says(&[0xfa]);
        machine.ticks(12, 120.0);
        let song = machine.song().unwrap();
        assert!(song.playing && (song.position - 0.5).abs() < 1e-6 && song.tempo == Some(120.0), "{song:?}");
        machine.says(&[0xfc]);
        machine.ticks(24, 120.0);
        assert_eq!(machine.song().unwrap(), SongTime { playing: false, position: 0.5, tempo: Some(120.0) });
        machine.now += 2.0 * RATE;
        let stopped = SongTime { playing: false, position: 0.5, tempo: Some(120.0) };
        assert_eq!(machine.song().unwrap(), stopped, "a clock may be silent while the song is stopped");
        machine.ticks(24, 120.0);
        assert_eq!(machine.song().unwrap(), stopped);
        machine.says(&[0xfb]);
        assert!(!machine.song().unwrap().playing, "the next tick is where it goes on");
        machine.ticks(12, 120.0);
        assert!((machine.song().unwrap().position - 1.0).abs() < 1e-6);
        // To bar 3, and on from there; then, while running, to bar 2.
        machine.says(&[0xfc]);
        machine.says(&[0xf2, 32, 0]);
        machine.says(&[0xfb]);
        machine.ticks(24, 120.0);
        assert!((machine.song().unwrap().position - 9.0).abs() < 1e-6);
        machine.says(&[0xf2, 16, 0]);
        machine.ticks(1, 120.0);
        assert!((machine.song().unwrap().position - 4.0 - 1.0 / 24.0).abs() < 1e-6);
        // The cable is pulled.
        machine.now += RATE;
        assert_eq!(machine.song(), None);
        machine.ticks(48, 120.0);
        assert_eq!(machine.song(), None, "it waits for a start");
    }

    #[test]
    fn another_tempo_is_there_within_a_beat() {
        let mut machine = Machine::new(0.0);
        machine.ticks(1, 100.0);
        machine.says(&[0xfa]);
        machine.ticks(96, 100.0);
        machine.ticks(24, 150.0);
        let song = machine.song().unwrap();
        assert!((song.tempo.unwrap() - 150.0).abs() < 1.0, "{song:?}");
        assert!((song.position - 5.0).abs() < 0.05, "{song:?}");
        machine.ticks(96, 150.0);
        let song = machine.song().unwrap();
        assert!((song.tempo.unwrap() - 150.0).abs() < 0.2 && (song.position - 9.0).abs() < 1e-3, "{song:?}");
    }
}
