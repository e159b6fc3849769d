//! Whether somebody looks at the editor: known on every thread, so that nothing is drawn or told for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nice_plug_egui::RepaintNotifier;

/// What any thread, the audio thread too, may know of the editor's window: atomics only.
#[derive(Clone, Default)]
pub struct Viewer {
    /// Odd while it is open; every opening has a number of its own.
    openings: Arc<AtomicU32>,
    notifier: RepaintNotifier,
}

impl Viewer {
    /// The how-manieth opening this is, if the window is open.
    pub fn opening(&self) -> Option<u32> {
        Some(self.openings.load(Ordering::Relaxed)).filter(|count| count % 2 == 1)
    }

    /// There is something new to see.
    pub fn repaint(&self) {
        self.notifier.request_repaint();
    }

    /// What asks the window to draw itself again.
    pub fn notifier(&self) -> RepaintNotifier {
        self.notifier.clone()
    }

    /// The window opens, or closes.
    pub fn set_open(&self, open: bool) {
        if self.opening().is_some() != open {
            self.openings.fetch_add(1, Ordering::Relaxed);
        }
    }
}
