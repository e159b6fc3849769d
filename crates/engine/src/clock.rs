//! A monotonic clock, where the platform has one.

#[cfg(not(target_family = "wasm"))]
pub use std::time::Instant;

/// In a browser, this crate has no clock to read without an extra dependency, so no time passes. What is measured with
/// it (how long a note took, whether the generator is alive) is for planning and for the window; no note depends on
/// it.
#[cfg(target_family = "wasm")]
#[derive(Clone, Copy, Debug)]
pub struct Instant;

#[cfg(target_family = "wasm")]
impl Instant {
    /// The current instant.
    pub fn now() -> Self {
        Self
    }

    /// Always zero.
    pub fn elapsed(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    /// Always zero.
    pub fn saturating_duration_since(&self, _: Self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}
