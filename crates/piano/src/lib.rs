//! A small piano-like voice, so that a keyboard and headphones are enough: stiff strings as sums of partials, dampers,
//! a sustain pedal, a little room. For the audio thread: everything is allocated at construction. Used by the
//! standalone app and the web page.
#![forbid(unsafe_code)]

use std::f32::consts::{PI, TAU};

/// Maximum polyphony; beyond it, the quietest string is dropped.
const STRINGS: usize = 40;
/// Partials per string, unless [`HIGHEST_HZ`] limits them.
const PARTIALS: usize = 12;
/// Highest frequency of a partial, in Hz.
const HIGHEST_HZ: f32 = 14_000.0;
/// Rise time of an attack, in seconds.
const ATTACK_S: f32 = 0.002;
/// Time constant of a damped string, in seconds.
const DAMPER_S: f32 = 0.08;
/// A string whose partials are all at or below this level is silent.
const SILENT: f32 = 2e-5;
/// Events per block that are sample-accurate; further ones take effect at once.
const EVENTS: usize = 256;
/// Comb filters for the room: delay in samples, chosen for 48 kHz, and feedback.
const COMBS: [(usize, f32); 4] = [(1_487, 0.5), (1_693, 0.48), (2_017, 0.45), (2_399, 0.42)];
/// Level of the room.
const ROOM: f32 = 0.09;
/// Overall gain, so that many strings stay below full scale.
const GAIN: f32 = 0.55;

/// An event for the voice.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// A key goes down.
    Strike {
        /// MIDI channel, 0–15.
        channel: u8,
        /// MIDI key, 0–127.
        key: u8,
        /// Velocity, 0–1.
        velocity: f32,
    },
    /// Keys are released.
    Release {
        /// MIDI channel; `None`: all.
        channel: Option<u8>,
        /// MIDI key; `None`: all.
        key: Option<u8>,
    },
    /// The sustain pedal goes down (true) or up.
    Pedal(bool),
}

/// A struck string. Each partial is a rotating phasor, stored as sine and cosine.
#[derive(Clone, Copy, Debug)]
struct Struck {
    channel: u8,
    key: u8,
    held: bool,
    /// Samples since the strike.
    age: u32,
    sides: [f32; 2],
    sine: [f32; PARTIALS],
    cosine: [f32; PARTIALS],
    /// Rotation per sample.
    turn_sine: [f32; PARTIALS],
    turn_cosine: [f32; PARTIALS],
    level: [f32; PARTIALS],
    /// Factor on the level per sample.
    decay: [f32; PARTIALS],
}

/// The voice; see the [module documentation](self).
pub struct Piano {
    rate: f32,
    strings: Vec<Struck>,
    pedal: bool,
    events: Vec<(u32, Action)>,
    delay_lines: [Vec<f32>; 4],
    place: usize,
}

impl Default for Piano {
    fn default() -> Self {
        Self {
            rate: 48_000.0,
            strings: Vec::with_capacity(STRINGS),
            pedal: false,
            events: Vec::with_capacity(EVENTS),
            delay_lines: COMBS.map(|(delay, _)| vec![0.0; delay]),
            place: 0,
        }
    }
}

impl Piano {
    /// Sets the sample rate and silences all strings.
    pub fn set_rate(&mut self, rate: f32) {
        self.rate = rate.max(1.0);
        self.strings.clear();
    }

    /// Schedules an action at a sample of the next block; offsets must be in ascending order.
    pub fn at(&mut self, offset: u32, action: Action) {
        if self.events.len() < EVENTS {
            // Within the capacity: no allocation.
            self.events.push((offset, action));
        } else {
            self.act(action);
        }
    }

    /// Renders a block: calls `out` for each sample with its index and the left and right values.
    pub fn play(&mut self, frames: usize, mut out: impl FnMut(usize, [f32; 2])) {
        let mut next = 0;
        for sample in 0..frames {
            while let Some(&(_, action)) = self.events.get(next).filter(|event| event.0 as usize <= sample) {
                self.act(action);
                next += 1;
            }
            out(sample, self.sound());
        }
        // Events beyond the end of the block, or for an empty block.
        while let Some(&(_, action)) = self.events.get(next) {
            self.act(action);
            next += 1;
        }
        self.events.clear();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Strike { channel, key, velocity } => {
                self.strings.retain(|string| (string.channel, string.key) != (channel, key));
                if self.strings.len() >= STRINGS {
                    let loudness = |string: &Struck| string.level.iter().sum::<f32>();
                    let quietest = (0..self.strings.len())
                        .min_by(|&a, &b| loudness(&self.strings[a]).total_cmp(&loudness(&self.strings[b])));
                    if let Some(quietest) = quietest {
                        self.strings.swap_remove(quietest);
                    }
                }
                // Within the capacity: no allocation.
                self.strings.push(Struck::new(channel, key, velocity, self.rate));
            }
            Action::Release { channel, key } => {
                for string in &mut self.strings {
                    if channel.is_none_or(|channel| channel == string.channel)
                        && key.is_none_or(|key| key == string.key)
                    {
                        string.held = false;
                    }
                }
            }
            Action::Pedal(down) => self.pedal = down,
        }
    }

    /// Renders one sample, left and right.
    fn sound(&mut self) -> [f32; 2] {
        let damper = (-1.0 / (DAMPER_S * self.rate)).exp();
        let (pedal, attack) = (self.pedal, ATTACK_S * self.rate);
        let mut dry = [0.0; 2];
        self.strings.retain_mut(|string| {
            let rise = (string.age as f32 / attack).min(1.0);
            string.age = string.age.saturating_add(1);
            let damp = if string.held || pedal { 1.0 } else { damper };
            let value = string.turn(damp) * rise;
            dry[0] += value * string.sides[0];
            dry[1] += value * string.sides[1];
            string.level.iter().any(|level| *level > SILENT)
        });
        let mono = 0.5 * (dry[0] + dry[1]);
        let mut wet = 0.0;
        for (line, (_, back)) in self.delay_lines.iter_mut().zip(COMBS) {
            let place = self.place % line.len();
            let delayed = line[place];
            // Subnormal floats are slow.
            let into = mono + delayed * back;
            line[place] = if into.abs() < 1e-15 { 0.0 } else { into };
            wet += delayed;
        }
        self.place = self.place.wrapping_add(1);
        dry.map(|dry| GAIN * (dry + ROOM * wet))
    }
}

impl Struck {
    fn new(channel: u8, key: u8, velocity: f32, rate: f32) -> Self {
        let height = f32::from(key);
        let force = velocity.clamp(0.0, 1.0);
        let base = 440.0 * ((height - 69.0) / 12.0).exp2();
        // Bass strings on the left, as heard by the player.
        let pan = ((height - 64.0) / 88.0).clamp(-0.45, 0.45);
        // High strings decay quickly; stiffness stretches the partials.
        let life_s = (7.0 * (-(height - 36.0) / 26.0).exp2()).clamp(0.25, 9.0);
        let stiffness = 1e-4 * ((height - 48.0) / 18.0).exp2();
        let mut string = Self {
            channel,
            key,
            held: true,
            age: 0,
            sides: [0.5 - pan, 0.5 + pan].map(f32::sqrt),
            sine: [0.0; PARTIALS],
            cosine: [1.0; PARTIALS],
            turn_sine: [0.0; PARTIALS],
            turn_cosine: [1.0; PARTIALS],
            level: [0.0; PARTIALS],
            decay: [0.0; PARTIALS],
        };
        for partial in 0..PARTIALS {
            let n = partial as f32 + 1.0;
            let hz = base * n * (1.0 + stiffness * n * n).sqrt();
            if hz > HIGHEST_HZ.min(0.45 * rate) {
                break;
            }
            // Harder strikes are brighter, not only louder; the hammer hits at an eighth of the string's length.
            let bright = (-(n - 1.0) * (0.75 - 0.5 * force)).exp();
            let comb = (PI * n / 8.0).sin().abs() + 0.05;
            string.level[partial] = 0.22 * force.powf(1.4) * bright * comb;
            string.decay[partial] = (-(1.0 + 0.35 * (n - 1.0)) / (life_s * rate)).exp();
            (string.turn_sine[partial], string.turn_cosine[partial]) = (TAU * hz / rate).sin_cos();
        }
        string
    }

    /// Advances all partials by one sample and returns the string's output. `damp`: factor on the level.
    fn turn(&mut self, damp: f32) -> f32 {
        let mut value = 0.0;
        for partial in 0..PARTIALS {
            let (sine, cosine) = (self.sine[partial], self.cosine[partial]);
            let (turn_sine, turn_cosine) = (self.turn_sine[partial], self.turn_cosine[partial]);
            self.sine[partial] = sine * turn_cosine + cosine * turn_sine;
            self.cosine[partial] = cosine * turn_cosine - sine * turn_sine;
            self.level[partial] *= self.decay[partial] * damp;
            value += sine * self.level[partial];
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice() -> Piano {
        Piano::default()
    }

    fn loudest(voice: &mut Piano, seconds: f32) -> f32 {
        (0..(seconds * 48_000.0) as usize).map(|_| voice.sound()[0].abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_string_sounds_at_its_pitch_until_it_is_damped() {
        let mut voice = voice();
        voice.act(Action::Strike { channel: 0, key: 69, velocity: 0.8 });
        let sound: Vec<f32> = (0..48_000).map(|_| voice.sound()[0]).collect();
        let product = |hz: f32| {
            let wave = |t: usize| (TAU * hz * t as f32 / 48_000.0).sin_cos();
            let (sine, cosine) = sound.iter().enumerate().fold((0.0, 0.0), |(s, c), (t, value)| {
                let (sine, cosine) = wave(t);
                (s + sine * value, c + cosine * value)
            });
            (sine * sine + cosine * cosine).sqrt()
        };
        assert!(product(440.0) > 20.0 * product(466.2), "{} and {}", product(440.0), product(466.2));
        voice.act(Action::Release { channel: Some(0), key: Some(69) });
        loudest(&mut voice, 1.0);
        assert!(voice.strings.is_empty());
        assert!(loudest(&mut voice, 0.1) < 1e-3);
    }

    #[test]
    fn the_pedal_holds_and_a_hundred_loud_keys_stay_below_full_scale() {
        let mut voice = voice();
        voice.act(Action::Pedal(true));
        for key in 20..108 {
            voice.act(Action::Strike { channel: 0, key, velocity: 0.6 });
        }
        assert_eq!(voice.strings.len(), STRINGS);
        voice.act(Action::Release { channel: None, key: None });
        assert!(loudest(&mut voice, 0.5) > 0.05, "the pedal holds");
        voice.act(Action::Pedal(false));
        loudest(&mut voice, 2.0);
        assert!(voice.strings.is_empty());
    }
}
