//! The inference thread's room. `worker` is the thread, the rest what it thinks with.

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
