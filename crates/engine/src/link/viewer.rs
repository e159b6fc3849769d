//! Whether somebody looks: known on every thread, so that nothing is drawn or told for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What any thread, the audio thread too, may know of the window that shows the engine.
#[derive(Clone)]
pub struct Viewer {
    /// Odd while it is open; every opening has a number of its own.
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
    /// A window, closed so far, which `repaint` asks to draw itself again. That is called on any thread, the audio
    /// thread too: it must neither block nor allocate.
    pub fn new(repaint: impl Fn() + Send + Sync + 'static) -> Self {
        Self { openings: Arc::default(), repaint: Arc::new(repaint) }
    }

    /// The number of this opening, which no other has, if the window is open.
    pub fn opening(&self) -> Option<u32> {
        Some(self.openings.load(Ordering::Relaxed)).filter(|count| count % 2 == 1)
    }

    /// There is something new to see.
    pub fn repaint(&self) {
        (self.repaint)();
    }

    /// The window opens, or closes.
    pub fn set_open(&self, open: bool) {
        if self.opening().is_some() != open {
            self.openings.fetch_add(1, Ordering::Relaxed);
        }
    }
}
