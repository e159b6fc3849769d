//! The time of day, where there is any.

#[cfg(not(target_family = "wasm"))]
pub use std::time::Instant;

/// A page in a browser has no clock that this crate could read without one of its libraries: no time goes by. What is
/// measured with it (how long a note took, whether the generator lives) is for planning and for the window; no note
/// depends on it.
#[cfg(target_family = "wasm")]
#[derive(Clone, Copy, Debug)]
pub struct Instant;

#[cfg(target_family = "wasm")]
impl Instant {
    /// This moment.
    pub fn now() -> Self {
        Self
    }

    /// No time.
    pub fn elapsed(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    /// No time.
    pub fn saturating_duration_since(&self, _: Self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}
