//! The networks and everything needed to run them. The API takes bytes; it opens no files and starts no threads.
//!
//! The inference code (always built) runs a network one note at a time, without candle and without allocating per note;
//! it is all the plugin uses. The feature `train` adds the differentiable implementation on candle.
//!
//! One note, end to end: [`encoding`] maps its attributes to classes, [`features`] builds the input features of each
//! part of the network, [`network`] steps the LSTM, and [`sampling`] draws the next note under the constraints of
//! [`constraints`], mixed with what [`markov`] has learned from the player. [`Decoder`] ties these together.

mod activation;
mod batch_decoder;
pub mod compact;
mod conditioning;
pub mod constraints;
mod context;
pub mod critic;
mod decaying_mean;
mod decoder;
pub mod device;
mod dot;
pub mod encoding;
pub mod features;
mod fixed;
mod floats;
pub mod fnv;
#[cfg(test)]
mod golden;
pub mod key;
mod linear;
mod lstm;
pub mod markov;
pub mod network;
mod panels;
mod profiles;
mod quantize;
mod repetition;
mod rhythm;
mod running;
mod sampler;
pub mod sampling;
pub mod search;
pub mod shapes;
mod share;
mod simd;
mod snapshot;
mod sounding;
#[cfg(feature = "train")]
pub mod train;
mod trunk;
mod turn_drift;
mod voices;
pub mod weights;

pub use batch_decoder::BatchDecoder;
pub use conditioning::{Conditioning, Meter, PieceConditioning, Remaining, Source};
pub use constraints::{KeyState, Pitches};
pub use context::Context;
pub use critic::Critic;
pub use decoder::{Decoder, Nats, Scores};
pub use linear::Precision;
pub use markov::{Markov, Recent};
pub use network::{Network, State};
pub use sampler::{FirstDraw, Loudness, MarkovMix, NoteConstraints, StepConstraints, Timing};
pub use sampling::{Controls, Temperature, note_rng};
pub use search::Search;
pub use shapes::Kind;
pub use snapshot::Snapshot;
pub use weights::{Card, Weights, WeightsError};
