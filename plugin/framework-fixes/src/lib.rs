//! Works around bugs of the plugin framework: nice-plug 0.4.2, nice-plug-egui 0.6.0, and baseview 0.4.2 below them. The
//! workspace pins all three with `=`, so none of them changes unnoticed.
//!
//! Each module works around one kind of bug between the host and the framework, and its documentation names the release
//! and the lines. Most bugs have a test named `upstream_…`, which shows the bug in the framework itself. When such a
//! test fails after an upgrade, the bug is fixed, and the workaround can probably go.
//!
//! | module | the bug | remove when |
//! | --- | --- | --- |
//! | [`restart`] | every start of processing resets the plugin | `upstream_starting_processing_resets` fails |
//! | [`clap::blocks`](clap) | a transport event inside a block counts its offset twice; an event beyond its block is lost, or crashes | `upstream_counts_an_offset_twice` fails |
//! | [`clap`] | an instance destroyed while its window is open may abort the host | `cargo xtask editor --times 300` passes without it |
//! | [`vst3`] | an instance learns of an offline render one set-up too late | `upstream_learns_of_an_offline_render_too_late` fails |
//! | [`vst3::process`] | events of a call without samples or without audio buffers are dropped | `upstream_drops_events_without_audio` fails |
//! | [`vst3::view`](vst3) | a view leaves its handler in the host's run loop, forgets a scale, and outlives its instance | `upstream_leaves_a_handler_behind`, `upstream_forgets_the_scale` and `upstream_outlives_its_instance` fail |
//! | [`texts`] | the name of a choice is read case-sensitively | `upstream_reads_choices_in_their_own_case` fails |
//! | [`window`] | an invalid scale panics; a panic of the window's thread is rethrown while the window is dropped | `upstream_panics_at_a_scale_that_is_none` fails |
//! | [`worker`] | the worker thread for VST3 on Linux accesses data of the window's thread | pluginval at strictness 10 passes without it |
//! | [`driver`] | Mesa does not free everything when it is unloaded | `cargo xtask editor --times 1000` passes without it |
//!
//! In addition, `xkbcommon-dl/` replaces the crate of that name, with which baseview leaks the keyboard layout.
//!
//! This crate knows nothing of Antiphon. It serves one plugin per library, whose CLAP version has no audio ports and
//! whose VST3 version is stereo.

// The disallowed lists are for the audio thread; the modules that run there deny them.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

// `tests/worker.rs` shares the module `probe` with the unit tests; both refer to this crate by its external name.
#[cfg(test)]
extern crate self as framework_fixes;

pub mod clap;
#[cfg(target_os = "linux")]
pub mod driver;
pub mod letter;
pub mod restart;
#[cfg(test)]
mod tests;
pub mod texts;
pub mod vst3;
pub mod window;
#[cfg(target_os = "linux")]
pub mod worker;
