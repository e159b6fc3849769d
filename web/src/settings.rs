//! What the page plays with: the plugin's own defaults, and what can be set on the page.

use engine::settings::{
    Dynamics, Grid, Heat, Key, Length, Limits, Mode, Pulse, Rhythm, Scale, Settings, Silence, Speed, Strokes, Trigger,
    TriggerBy, Wishes,
};

/// A new instance of the plugin.
pub const DEFAULT: Settings = Settings {
    state: Some(0),
    bypass: false,
    mode: Mode::Auto,
    silence: Silence::Seconds(0.8),
    pedal_holds: false,
    trigger: Trigger { by: TriggerBy::Button, key: 24, controller: 80, toggles: false },
    your_bars: 4,
    my_bars: 4,
    length: Length::Open,
    rings_out: false,
    remembers_own: true,
    freeze: false,
    strokes: Strokes {
        go: false,
        again: false,
        another: false,
        undo: false,
        forget_phrase: false,
        forget: false,
        panic: false,
    },
    late_s: 0.05,
    channel: None,
    passes: true,
    pedal_lengthens: false,
    pedal_out: false,
    follows_chord: false,
    wishes: Wishes {
        seed: 1,
        heat: Heat { pitch: 1.0, rhythm: 1.0, length: 1.0, dynamics: 1.0 },
        top_p: 1.0,
        rhythm: Rhythm {
            strength: 0.0,
            grid: Grid::Sixteenth,
            swing: 0.5,
            pulse: Pulse::Host,
            speed: Speed::Normal,
            density: 1.0,
        },
        limits: Limits {
            key: Key::Free,
            scale: Scale::Major,
            lowest: 0,
            highest: 127,
            chord: 0,
            polyphony: None,
            longest_s: None,
            repeats: None,
        },
        dynamics: Dynamics::Model,
        learn: 0.0,
        // A page has no time for many takes at once: as with the plugin's *Search* off.
        search: 1,
        bars: None,
    },
};

/// The modes that make sense without a transport, by their numbers on the page.
pub fn mode(number: u32) -> Mode {
    match number {
        1 => Mode::Trigger,
        2 => Mode::Duet,
        3 => Mode::Alone,
        _ => Mode::Auto,
    }
}

/// One temperature for all, as far as the plugin's control goes.
pub fn heat(temperature: f32) -> Heat {
    let all = temperature.clamp(0.1, 2.0);
    Heat { pitch: all, rhythm: all, length: all, dynamics: all }
}
