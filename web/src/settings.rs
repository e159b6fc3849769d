//! The page's settings: the plugin's defaults, and what can be set on the page.

use engine::settings::{GenerationParams, Mode, Settings, TemperatureScales};

/// The plugin's defaults with *Search* off: a page has no time for many takes in parallel.
pub fn default() -> Settings {
    Settings { generation: GenerationParams { search: 1, ..GenerationParams::INITIAL }, ..Settings::INITIAL }
}

/// The modes that work without a transport, by their numbers on the page.
pub fn mode(number: u32) -> Mode {
    match number {
        1 => Mode::Trigger,
        2 => Mode::Duet,
        3 => Mode::Alone,
        _ => Mode::Auto,
    }
}

/// The same temperature for everything, limited to the range of the plugin's parameter.
pub fn temperature_scales(temperature: f32) -> TemperatureScales {
    let all = temperature.clamp(0.1, 2.0);
    TemperatureScales { pitch: all, rhythm: all, length: all, dynamics: all }
}
