//! The generator driven by calls, where there are no threads: in a page of a browser, and in tests.

use std::sync::atomic::AtomicBool;

use super::GeneratorSide;
use super::session::NetworkSession;

/// See the [module](self). Whoever holds it calls [`Driven::run`] between two blocks, or as often as there is time.
pub struct Driven {
    pub(crate) side: GeneratorSide,
    /// The network at work, and which choice it is.
    playing: Option<(Option<NetworkSession>, u32)>,
}

impl Driven {
    /// Nothing is loaded before the first call.
    pub fn new(side: GeneratorSide) -> Self {
        Self { side, playing: None }
    }

    /// Takes in all that has come, and generates `notes` notes at most. `true`: it has generated so many. Loads the
    /// network that is chosen, if it has not done so yet.
    pub fn run(&mut self, notes: usize) -> bool {
        let version = self.side.choice.version();
        if self.playing.as_ref().is_none_or(|(_, playing)| *playing != version) {
            if self.playing.take().is_some() {
                self.side.status.lapse();
            }
            let network = self.side.load(&|| true);
            self.playing = Some((network.map(|network| self.side.begin(network)), version));
        }
        let stop = AtomicBool::new(false);
        self.side.status.beat();
        let Some((Some(session), _)) = &mut self.playing else {
            self.side.ignore();
            return false;
        };
        if notes == 0 {
            self.side.listen(session, &stop);
        }
        (0..notes).all(|_| self.side.turn(session, &stop))
    }
}
