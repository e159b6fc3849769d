//! The MIDI ports of the standalone app: what its window shows of them and what is chosen there, shared with the thread
//! that keeps them connected. Never on the audio thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use engine::link::viewer::Viewer;

/// To the app, or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What it hears.
    In,
    /// What it plays to.
    Out,
}

/// The ports of one direction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    /// Those that there are, by name.
    pub there: Vec<String>,
    /// What is chosen: a name; nothing, for the first keyboard there is; an empty name, for none.
    pub chosen: Option<String>,
    /// The one that is connected.
    pub connected: Option<String>,
}

/// See the [module](self). Copies are the same.
#[derive(Clone, Default)]
pub struct MidiPorts(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sides: [Side; 2],
    /// What is missing, a sentence each.
    notices: Vec<String>,
    viewer: Option<Viewer>,
    /// The thread that keeps them connected.
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

    /// What is missing, a sentence each.
    pub fn notices(&self) -> Vec<String> {
        self.lock().notices.clone()
    }

    /// Somebody chooses a port; see [`Side::chosen`].
    pub fn choose(&self, direction: Direction, port: Option<String>) {
        let mut state = self.lock();
        state.sides[direction as usize].chosen = port;
        if let Some(keeper) = &state.keeper {
            keeper.unpark();
        }
    }

    /// Where all that is shown.
    pub fn set_viewer(&self, viewer: Viewer) {
        self.lock().viewer = Some(viewer);
    }

    /// The thread that is to hear of what is chosen.
    pub fn set_keeper(&self, keeper: Thread) {
        self.lock().keeper = Some(keeper);
    }

    /// What there is now, what is connected, and what is missing. Returns the sentences that are new.
    pub fn tell(&self, there: [Vec<String>; 2], connected: [Option<String>; 2], notices: Vec<String>) -> Vec<String> {
        let mut state = self.lock();
        let before = (state.sides.clone(), state.notices.clone());
        for (side, (there, connected)) in state.sides.iter_mut().zip(there.into_iter().zip(connected)) {
            (side.there, side.connected) = (there, connected);
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
