//! The engine that continues what the player plays, independent of plugin frameworks, windows and files.
//!
//! It has three ends, each for one thread, made by [`new`]:
//!
//! | end | module | used by |
//! | --- | --- | --- |
//! | [`AudioSide`] | [`audio`] | the audio thread: receives the player's events, decides whose turn it is, plays |
//! | [`GeneratorSide`] | [`generator`] | the generator, which runs the network: on a thread, or driven by calls |
//! | [`UiSide`] | | the window: what it shows and what it can request |
//!
//! Everything that passes between them is in [`mod@link`]; [`settings`] are plain values.
//!
//! A note's path: the player's event arrives at [`AudioSide::receive_event`]; once finished, the note goes over the
//! link to the generator, which feeds it to the network. From the hand-over on, the generator samples notes until
//! the look-ahead is full; they return over the link, wait until they are due and leave through [`audio::Out`].
//!
//! It also builds for `wasm32-unknown-unknown`, where the generator is [driven by calls](generator::driven).

#![warn(missing_docs)]
// `clippy.toml` lists what blocks, allocates or wakes other threads. It is denied in the audio modules.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

use std::sync::Arc;

use triple_buffer::Output;

#[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
pub mod audio;
mod clock;
pub mod generator;
pub mod link;
pub mod settings;
#[cfg(test)]
mod tests;

pub use audio::AudioSide;
pub use generator::GeneratorSide;

use generator::device::DeviceSelector;
use generator::memory::PhraseHistory;
use generator::networks::NetworkSource;
use link::forecast::{PitchForecast, forecast_link};
use link::keyboard::{KeyboardSender, keyboard_link};
use link::model_info::{ModelInfo, model_info_link};
use link::queues::link;
use link::roll::{RollReader, roll};
use link::status::Status;
use link::takes::{Takes, takes};
use link::viewer::Viewer;
use settings::DeviceChoice;

/// What [`new`] needs to make an engine.
pub struct Config {
    /// Counters and gauges, which any thread may read.
    pub status: Arc<Status>,
    /// Where the generator gets its network from.
    pub networks: Arc<dyn NetworkSource>,
    /// Returns the device on which the network is to run; called on the generator's thread.
    pub device: Box<dyn Fn() -> DeviceChoice + Send>,
    /// Whether the window is open, and how to make it redraw.
    pub viewer: Viewer,
}

/// The window's end: what it shows and what it can request.
pub struct UiSide {
    /// The notes of the player and of Antiphon.
    pub roll: RollReader,
    /// The pitch forecast.
    pub forecast: Output<PitchForecast>,
    /// The network in use and what is wrong with it.
    pub model_info: Output<ModelInfo>,
    /// The takes so far, and requests about them.
    pub takes: Takes,
    /// The on-screen keyboard.
    pub keyboard_sender: KeyboardSender,
}

/// Makes the three ends of a new engine. `E`: the host's event type, passed through unchanged. Allocates everything
/// that the audio side will ever need.
pub fn new<E: Copy>(config: Config) -> (AudioSide<E>, GeneratorSide, UiSide) {
    let Config { status, networks, device, viewer } = config;
    let (audio_end, generator_end) = link();
    let (writer, roll) = roll(viewer.clone());
    let (log, takes) = takes();
    let (forecast_writer, forecast) = forecast_link(viewer);
    let (model_info_writer, model_info) = model_info_link();
    let (keyboard_sender, keyboard_receiver) = keyboard_link();
    let generator = GeneratorSide {
        generator_end,
        status: status.clone(),
        networks,
        devices: DeviceSelector::new(device),
        model_info_writer,
        memory: PhraseHistory::default(),
        log,
        forecast_writer,
    };
    let audio = AudioSide::new(audio_end, status, writer, keyboard_receiver);
    (audio, generator, UiSide { roll, forecast, model_info, takes, keyboard_sender })
}
