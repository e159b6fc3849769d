//! A simple piano-like voice for systems without a soundfont: stiff strings, a hammer, and a little room. Not a
//! realistic piano, but good enough to judge what was played.

use std::f32::consts::TAU;

/// Samples per second.
pub const RATE: u32 = 48_000;
/// Partials per string; fewer if they would exceed [`HIGHEST_HZ`].
const PARTIALS: u32 = 14;
/// Maximum frequency of a partial, in Hz.
const HIGHEST_HZ: f32 = 16_000.0;
/// Attack time of the hammer, in seconds.
const ATTACK_S: f32 = 0.002;
/// Time constant of the damper, in seconds.
const DAMPER_S: f32 = 0.07;
/// Envelope level below which a partial has ended.
const SILENT: f32 = 1e-4;

/// A note to render; times in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// Time of the note-on.
    pub on: f64,
    /// Time of the note-off.
    pub off: f64,
    /// MIDI key.
    pub key: u8,
    /// MIDI velocity.
    pub velocity: u8,
}

/// Renders the notes into left and right channels, `seconds` long.
pub fn render(strikes: &[Strike], seconds: f64) -> [Vec<f32>; 2] {
    let length = (seconds * f64::from(RATE)) as usize;
    let mut channels = [vec![0.0; length], vec![0.0; length]];
    for strike in strikes {
        add(&mut channels, strike);
    }
    channels.map(|dry| room(&dry))
}

fn add(channels: &mut [Vec<f32>; 2], strike: &Strike) {
    let rate = RATE as f32;
    let start = (strike.on * f64::from(RATE)) as usize;
    let held = ((strike.off - strike.on).max(0.0) * f64::from(RATE)) as usize;
    let key = f32::from(strike.key);
    let force = f32::from(strike.velocity) / 127.0;
    let base = 440.0 * ((key - 69.0) / 12.0).exp2();
    // Bass strings are on the left, as the player hears them.
    let pan = ((key - 64.0) / 88.0).clamp(-0.45, 0.45);
    let sides = [0.5 - pan, 0.5 + pan].map(f32::sqrt);
    // High strings are short and decay quickly; stiffness stretches the partials.
    let life_s = (7.0 * (-(key - 36.0) / 26.0).exp2()).clamp(0.25, 9.0);
    let stiffness = 1e-4 * ((key - 48.0) / 18.0).exp2();

    for partial in 1..=PARTIALS {
        let n = partial as f32;
        let hz = base * n * (1.0 + stiffness * n * n).sqrt();
        if hz > HIGHEST_HZ {
            break;
        }
        // A harder strike is brighter, not just louder; the hammer strikes at an eighth of the string.
        let bright = (-(n - 1.0) * (0.75 - 0.5 * force)).exp();
        let comb = (std::f32::consts::PI * n / 8.0).sin().abs() + 0.05;
        let level = 0.22 * force.powf(1.4) * bright * comb;
        let decay = (-1.0 / (life_s / (1.0 + 0.35 * (n - 1.0)) * rate)).exp();
        let damper = (-1.0 / (DAMPER_S * rate)).exp();

        // Rotating a complex number is the cheapest way to compute a sine.
        let (turn_sin, turn_cos) = (TAU * hz / rate).sin_cos();
        let (mut re, mut im) = (1.0_f32, 0.0_f32);
        let mut envelope = level;
        let room_left = channels[0].len().saturating_sub(start);
        for t in 0..room_left {
            envelope *= decay;
            if t > held {
                envelope *= damper;
            }
            if envelope < SILENT {
                break;
            }
            let rise = (t as f32 / (ATTACK_S * rate)).min(1.0);
            let value = im * envelope * rise;
            for (channel, side) in channels.iter_mut().zip(sides) {
                channel[start + t] += value * side;
            }
            (re, im) = (re * turn_cos - im * turn_sin, re * turn_sin + im * turn_cos);
        }
    }
}

/// A small room: four echoes with prime delays and feedback.
fn room(dry: &[f32]) -> Vec<f32> {
    let mut wet = dry.to_vec();
    for (delay, gain) in [(1487, 0.5), (1693, 0.48), (2017, 0.45), (2399, 0.42)] {
        let mut line = vec![0.0; delay];
        for (t, out) in wet.iter_mut().enumerate() {
            let echo = line[t % delay];
            line[t % delay] = dry[t] + echo * gain;
            *out += echo * 0.09;
        }
    }
    wet
}
