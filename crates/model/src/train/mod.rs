//! Training, on candle: the networks over whole sequences, their losses, the optimizer. Shapes are `[time, lane, ...]`,
//! where a lane is one of the sequences in the batch, which stream pieces side by side.

mod amx;
mod batch;
mod bf16;
mod loss;
mod lstm;
mod matmul;
mod network;
mod optimizer;
mod packed;
mod ragged;
mod reference;
mod sparse;

pub use batch::{Batch, Lane};
pub use lstm::{Carry, Lstm};
pub use matmul::MatmulPrecision;
pub use network::{Losses, Model, Noise};
pub use optimizer::{AdamW, clip};
