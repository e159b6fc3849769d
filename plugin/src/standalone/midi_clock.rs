//! MIDI clock: song time from start, stop, continue, song position and 24 ticks a beat.
//!
//! Ticks come with jitter, that of a USB cable or of whole blocks, so a delay-locked loop smooths them (Fons Adriaensen,
//! "Using a DLL to filter time", 2005): its estimate of the next tick is corrected by a share of each one's error.

use std::f64::consts::{SQRT_2, TAU};

use super::message::Message;

/// Ticks in a beat (a quarter note).
const PER_BEAT: f64 = 24.0;
/// Ticks in a unit of the song position.
const PER_POSITION: f64 = 6.0;
/// The loop's bandwidth in hertz: for a clock that has just begun, and for one that has gone on for some beats.
const WIDE_HZ: f64 = 6.0;
const NARROW_HZ: f64 = 0.5;
/// Ticks until it is narrow.
const SETTLED: f64 = 48.0;
/// Without a tick for so long there is no clock any more, in seconds; slower than 5 beats a minute none is.
const LOST_S: f64 = 0.5;
/// The tempo is told in so many parts of a beat a minute, and stays while the estimate is within one. Else every block
/// would have a tempo of its own, and each change makes the model generate again.
const TEMPO_PARTS: f64 = 10.0;
/// Beats a minute until the second tick.
const TEMPO: f64 = 120.0;
/// A tick this far from where it was expected, in ticks, is not jitter: some were lost, or the tempo was changed.
const FAR: f64 = 0.5;

/// Where the song is at some sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SongTime {
    /// Whether it runs.
    pub playing: bool,
    /// In beats.
    pub position: f64,
    /// Beats a minute, once there were two ticks.
    pub tempo: Option<f64>,
}

/// See the [module](self). Times are in samples.
#[derive(Debug)]
pub struct MidiClock {
    rate: f64,
    /// Ticks in a row.
    ticks: f64,
    /// When the latest tick was, smoothed, and when it came.
    latest: f64,
    came: f64,
    /// When the latest message came, whatever it was.
    heard: f64,
    /// From one tick to the next, smoothed.
    period: f64,
    tempo: Option<f64>,
    /// Where the song is at the latest tick, in ticks.
    position: f64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has said start or continue: many keyboards send ticks all day.
    Unheard,
    Stopped,
    /// The next tick is at the position.
    Starts,
    Runs,
}

impl MidiClock {
    /// A clock that has not ticked yet, at this sample rate.
    pub fn new(rate: f64) -> Self {
        let none = f64::NEG_INFINITY;
        let (latest, came, heard) = (none, none, none);
        Self { rate, ticks: 0.0, latest, came, heard, period: 0.0, tempo: None, position: 0.0, state: State::Unheard }
    }

    /// A message comes in at a sample. `true`: it was for the clock.
    pub fn hear(&mut self, at: f64, message: &Message) -> bool {
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
            State::Unheard | State::Stopped => {}
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
            // As if it had just begun, but at no other place in the song.
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

    /// Where the song is at a sample; `None`: no clock runs, or none has ever said start.
    pub fn at(&mut self, sample: f64) -> Option<SongTime> {
        if sample - self.heard > LOST_S * self.rate {
            self.ticks = 0.0;
            self.state = State::Unheard;
        }
        if self.state == State::Unheard || self.ticks == 0.0 {
            return None;
        }
        let playing = self.is_running();
        let since = if playing { (sample - self.latest) / self.period.max(1.0) } else { 0.0 };
        Some(SongTime { playing, position: (self.position + since) / PER_BEAT, tempo: self.tempo })
    }

    /// Whether the song runs; if not, the next tick may start it.
    pub fn is_running(&self) -> bool {
        self.state == State::Runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f64 = 48_000.0;

    /// A machine that sends clock, with some jitter that is always the same.
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
            assert!(self.clock.hear(self.now + late, &Message::read(bytes).unwrap()));
        }

        /// So many ticks at a tempo, the first one now.
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
            // A millisecond of USB, and late by half of it on the average.
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
        machine.says(&[0xfb]);
        assert!(!machine.song().unwrap().playing, "the next tick is where it goes on");
        machine.ticks(12, 120.0);
        assert!((machine.song().unwrap().position - 1.0).abs() < 1e-6);
        // To bar 3, and on from there; then to bar 2 in the middle of the song.
        machine.says(&[0xfc]);
        machine.says(&[0xf2, 32, 0]);
        machine.says(&[0xfb]);
        machine.ticks(24, 120.0);
        assert!((machine.song().unwrap().position - 9.0).abs() < 1e-6);
        machine.says(&[0xf2, 16, 0]);
        machine.ticks(1, 120.0);
        assert!((machine.song().unwrap().position - 4.0 - 1.0 / 24.0).abs() < 1e-6);
        // A cable that is pulled.
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
