//! The generator driven by calls, where there are no threads: in a browser, and in tests.

use std::sync::atomic::AtomicBool;

use super::GeneratorSide;
use super::session::NetworkSession;

/// A generator driven by calls: call [`Driven::run`] between blocks, or as often as there is time.
pub struct Driven {
    pub(crate) side: GeneratorSide,
    /// The session, if there is a network, and the version of the choice.
    playing: Option<(Option<NetworkSession>, u32)>,
}

impl Driven {
    /// Loads nothing before the first call of [`Self::run`].
    pub fn new(side: GeneratorSide) -> Self {
        Self { side, playing: None }
    }

    /// Loads the chosen network if necessary, processes all waiting messages and generates at most `notes` notes.
    /// Returns whether it generated that many.
    pub fn run(&mut self, notes: usize) -> bool {
        let version = self.side.networks.version();
        if self.playing.as_ref().is_none_or(|(_, playing)| *playing != version) {
            if self.playing.take().is_some() {
                self.side.status.record_lost_take();
            }
            let network = self.side.load(&|| true);
            self.playing = Some((network.map(|network| self.side.begin(network)), version));
        }
        let stop = AtomicBool::new(false);
        self.side.status.heartbeat();
        let Some((Some(session), _)) = &mut self.playing else {
            self.side.discard_messages();
            return false;
        };
        if notes == 0 {
            self.side.process_messages(session, &stop);
        }
        (0..notes).all(|_| self.side.run_once(session, &stop))
    }
}
