//! The inference thread's room: one thread per instance, the only place where the network runs.

pub mod device;
pub mod ear;
mod fault;
mod grid;
pub mod memory;
pub mod phrasing;
mod pulse;
mod stopwatch;
mod watch;
pub mod worker;

pub use worker::{Bulletin, Inference, Worker};
