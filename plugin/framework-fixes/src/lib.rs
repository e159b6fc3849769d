//! Works around faults of the plug-in framework: nice-plug 0.4.2, nice-plug-egui 0.6.0, and baseview 0.4.2 below them.
//! The workspace pins all three with `=`, so none of them changes unnoticed.
//!
//! Each module fixes one kind of fault on the way between the host and the framework, and its page says which lines of
//! which release are to blame. Most have a test whose name begins with `upstream_`: it shows the fault in the framework
//! as it is. When such a test fails after an upgrade, the fault is gone, and so may be what works around it.
//!
//! | module | the fault | gone when |
//! | --- | --- | --- |
//! | [`restart`] | every start of processing resets the plug-in | `upstream_starting_processing_resets` fails |
//! | [`clap::blocks`](clap) | a transport event inside a block counts its offset twice; an event behind its block is lost, or crashes | `upstream_counts_an_offset_twice` fails |
//! | [`clap`] | an instance that is destroyed with its window open may abort the host | `cargo xtask editor --times 300` passes without it |
//! | [`vst3`] | an instance learns of an offline render one set-up too late | `upstream_learns_of_an_offline_render_too_late` fails |
//! | [`vst3::process`] | events of a call without samples or without audio buffers are dropped | `upstream_drops_events_without_audio` fails |
//! | [`vst3::view`](vst3) | a view leaves its handler in the host's run loop, forgets a scale, and outlives its instance | `upstream_leaves_a_handler_behind`, `upstream_forgets_the_scale` fail |
//! | [`texts`] | the name of a choice is read in its own case only | `upstream_reads_choices_in_their_own_case` fails |
//! | [`window`] | a scale that is none panics; a panic of the window's thread is thrown again while the window is dropped | `upstream_panics_at_a_scale_that_is_none` fails |
//! | [`worker`] | the worker thread for VST3 on Linux touches what is the window's | pluginval at strictness 10 passes without it |
//! | [`driver`] | Mesa does not give back all it has taken when it is unloaded | `cargo xtask editor` passes without it |
//!
//! Beside it, `xkbcommon-dl/` stands in for the crate of that name, by which baseview leaves the keyboard's layout behind.
//!
//! What is in here knows nothing of Antiphon. It serves one plug-in per library, whose CLAP has no audio ports and whose
//! VST3 is stereo.

// The lists are those of the audio thread: they are denied where it runs.
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]

// As the tests beside `src` call it, which share a module with those in it.
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
