//! The MIDI ports of the standalone app: what its window shows and lets the user choose, shared with the thread that
//! keeps them connected. Never use it on the audio thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use engine::link::viewer::Viewer;

/// The direction of a port, as seen from the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The player's input.
    In,
    /// The output for all notes.
    Out,
}

/// The ports of one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// The names of the available ports.
    pub available: Vec<String>,
    /// The user's choice: a name; `None` for the first keyboard; an empty name for no port.
    pub chosen: Option<String>,
    /// The connected port.
    pub connected: Option<String>,
}

/// The MIDI ports, as the window and the thread that connects them share them. Clones share the same state.
#[derive(Clone, Default)]
pub struct MidiPorts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sides: [Side; 2],
    /// What is missing, one sentence each.
    notices: Vec<String>,
    viewer: Option<Viewer>,
    /// The thread that keeps the ports connected.
    keeper: Option<Thread>,
}

impl MidiPorts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ports of one direction.
    pub fn side(&self, direction: Direction) -> Side {
        self.lock().sides[direction as usize].clone()
    }

    /// What is missing, one sentence each.
    pub fn notices(&self) -> Vec<String> {
        self.lock().notices.clone()
    }

    /// Chooses a port, as in [`Side::chosen`].
    pub fn choose(&self, direction: Direction, port: Option<String>) {
        let mut state = self.lock();
        state.sides[direction as usize].chosen = port;
        if let Some(keeper) = &state.keeper {
            keeper.unpark();
        }
    }

    /// The window to redraw when something changes.
    pub fn set_viewer(&self, viewer: Viewer) {
        self.lock().viewer = Some(viewer);
    }

    /// The thread to wake when a port is chosen.
    pub fn set_keeper(&self, keeper: Thread) {
        self.lock().keeper = Some(keeper);
    }

    /// Updates what is available, connected and missing. Returns the new ones among the notices.
    pub fn tell(
        &self,
        available: [Vec<String>; 2],
        connected: [Option<String>; 2],
        notices: Vec<String>,
    ) -> Vec<String> {
        let mut state = self.lock();
        let before = (state.sides.clone(), state.notices.clone());
        for (side, (available, connected)) in state.sides.iter_mut().zip(available.into_iter().zip(connected)) {
            (side.available, side.connected) = (available, connected);
        }
        let new = notices.iter().filter(|notice| !state.notices.contains(notice)).cloned().collect();
        state.notices = notices;
        if (&state.sides, &state.notices) != (&before.0, &before.1)
            && let Some(viewer) = &state.viewer
        {
            viewer.repaint();
        }
        new
    }
}
