//! The link between the threads: queues, atomics and triple buffers, and the messages sent through them.

pub mod forecast;
#[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
pub mod keyboard;
pub mod messages;
pub mod model_info;
#[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
pub mod queues;
#[deny(clippy::disallowed_macros, clippy::disallowed_methods, clippy::disallowed_types)]
#[deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unreachable)]
pub mod roll;
pub mod status;
pub mod takes;
pub mod viewer;
