//! Whether the window is open: known on every thread, so that nothing is drawn or published in vain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The window's state, for any thread, including the audio thread.
#[derive(Clone)]
pub struct Viewer {
    /// Counts openings and closings; odd while the window is open.
    openings: Arc<AtomicU32>,
    repaint: Arc<dyn Fn() + Send + Sync>,
}

impl Default for Viewer {
    /// A window that is never drawn.
    fn default() -> Self {
        Self::new(|| {})
    }
}

impl Viewer {
    /// A window that is closed at first. `repaint` asks it to redraw; it is called on any thread, including the audio
    /// thread, and must neither block nor allocate.
    pub fn new(repaint: impl Fn() + Send + Sync + 'static) -> Self {
        Self { openings: Arc::default(), repaint: Arc::new(repaint) }
    }

    /// A number unique to this opening of the window; `None`: it is closed.
    pub fn opening(&self) -> Option<u32> {
        Some(self.openings.load(Ordering::Relaxed)).filter(|count| count % 2 == 1)
    }

    /// Asks the window to redraw.
    pub fn repaint(&self) {
        (self.repaint)();
    }

    /// Records that the window opens or closes.
    pub fn set_open(&self, open: bool) {
        if self.opening().is_some() != open {
            self.openings.fetch_add(1, Ordering::Relaxed);
        }
    }
}
