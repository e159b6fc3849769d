//! The partner itself, free of plug-in frameworks, windows and files.
//!
//! Three threads meet here, and each holds an end of its own, which [`new`] makes:
//!
//! | end | module | whose it is |
//! | --- | --- | --- |
//! | [`AudioSide`] | [`audio`] | the audio thread's: hears the player, knows whose turn it is, plays |
//! | [`GeneratorSide`] | [`generator`] | the network's: a thread, or whoever drives it by calls |
//! | [`UiSide`] | | the window's: what it shows, and what it can ask for |
//!
//! [`link`] is all that passes between them; [`settings`] are plain values of one moment.
//!
//! A note's way: the player's event comes to [`AudioSide::receive_event`]; finished, it goes over the link to the generator,
//! whose network hears it. At the hand-over the network draws note after note, until the look-ahead is full; they go
//! back over the link, wait for their moment and go out through [`audio::Out`].
//!
//! Builds for `wasm32-unknown-unknown`, too: there the generator is [driven by calls](generator::driven).

#![warn(missing_docs)]
// `clippy.toml` lists what blocks, allocates or wakes others. It is denied in the audio modules.
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

use generator::device::Devices;
use generator::memory::PhraseHistory;
use generator::networks::Networks;
use link::bulletin::{Bulletin, bulletin};
use link::forecast::{PitchForecast, outlook};
use link::queues::link;
use link::roll::{RollReader, roll};
use link::status::Status;
use link::takes::{Takes, takes};
use link::touches::{KeyboardSender, touches};
use link::viewer::Viewer;
use settings::DeviceChoice;

/// What an engine is made with.
pub struct Config {
    /// Counts and gauges, which any thread may read.
    pub status: Arc<Status>,
    /// Where the network comes from, for a generator on a thread.
    pub networks: Arc<dyn Networks>,
    /// Where the network is to run, asked on the generator's thread.
    pub device: Box<dyn Fn() -> DeviceChoice + Send>,
    /// The window.
    pub viewer: Viewer,
}

/// The window's end: what it shows, and what it can ask for.
pub struct UiSide {
    /// What is heard and played.
    pub roll: RollReader,
    /// What the network expects.
    pub outlook: Output<PitchForecast>,
    /// The network in use, and what is wrong with it.
    pub bulletin: Output<Bulletin>,
    /// The takes so far, and what can be asked for with them.
    pub takes: Takes,
    /// The keyboard on the screen.
    pub toucher: KeyboardSender,
}

/// The three ends of a new engine, for a host whose events are `E`: the player's go through as they are. Allocates all
/// that the audio side will ever need.
pub fn new<E: Copy>(config: Config) -> (AudioSide<E>, GeneratorSide, UiSide) {
    let Config { status, networks, device, viewer } = config;
    let (near, far) = link();
    let (writer, roll) = roll(viewer.clone());
    let (log, takes) = takes();
    let (teller, outlook) = outlook(viewer);
    let (notice, bulletin) = bulletin();
    let (toucher, touched) = touches();
    let generator = GeneratorSide {
        far,
        status: status.clone(),
        choice: networks,
        devices: Devices::new(device),
        notice,
        memory: PhraseHistory::default(),
        log,
        outlook: teller,
    };
    let audio = AudioSide::new(near, status, writer, touched);
    (audio, generator, UiSide { roll, outlook, bulletin, takes, toucher })
}
