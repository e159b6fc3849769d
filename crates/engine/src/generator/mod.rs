//! The generator side: the only place where the network runs. [`GeneratorSide`] holds everything it works with.
//!
//! It runs on its own thread ([`thread`]) or, where there are no threads, is driven by calls ([`driven`]): both call
//! `GeneratorSide::turn` over and over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::Network;

use crate::link::bulletin::{Bulletin, BulletinWriter};
use crate::link::forecast::PitchForecastWriter;
use crate::link::queues::GeneratorEnd;
use crate::link::status::{Health, Status};
use crate::link::takes::TakeLog;

pub(crate) mod analysis;
pub mod device;
pub mod driven;
#[cfg(not(target_family = "wasm"))]
mod fault;
mod grid;
pub(crate) mod memory;
pub mod networks;
pub(crate) mod phrasing;
mod pulse;
pub(crate) mod session;
mod stopwatch;
#[cfg(not(target_family = "wasm"))]
pub mod thread;
#[cfg(not(target_family = "wasm"))]
mod waker;

use device::{Devices, Place};
use memory::PhraseHistory;
use networks::{Loaded, Networks};
use session::NetworkSession;

/// The generator's end of the engine, owned by the code that drives it.
pub struct GeneratorSide {
    pub(crate) generator_end: GeneratorEnd,
    pub(crate) status: Arc<Status>,
    pub(crate) choice: Arc<dyn Networks>,
    pub(crate) devices: Devices,
    pub(crate) notice: BulletinWriter,
    pub(crate) memory: PhraseHistory,
    pub(crate) log: TakeLog,
    pub(crate) outlook: PitchForecastWriter,
}

impl GeneratorSide {
    /// Loads the chosen network, or the stand-in if that fails, and informs the window. `None`: there is no network,
    /// or it is no longer `wanted`.
    fn load(&mut self, wanted: &dyn Fn() -> bool) -> Option<Arc<Network>> {
        self.status.set_health(Health::Starting);
        let chosen = catch_unwind(AssertUnwindSafe(|| self.choice.load(wanted))).unwrap_or_else(|_| {
            Err("This model cannot be read, for a reason unknown to Antiphon. Choose another.".to_owned())
        });
        // If the file cannot be loaded, the built-in model plays.
        let (chosen, missing) = match chosen {
            Ok(chosen) => (Ok(chosen), None),
            Err(missing) => {
                let stand_in = self.choice.stand_in(wanted);
                let chosen = stand_in.map(|network| Loaded { network, found: None, trouble: None });
                (chosen, Some(format!("{missing} Until then the built-in model plays.")))
            }
        };
        match chosen {
            _ if !wanted() => None,
            Ok(Loaded { network, found, trouble }) => {
                self.status.set_stand_in(missing.is_some());
                self.notice.tell(|said| *said = Bulletin { found, missing, ..Bulletin::default() });
                self.tell(Some(&network), trouble);
                Some(network)
            }
            Err(trouble) => {
                self.tell(None, Some(trouble));
                self.outlook.clear();
                self.status.set_health(Health::NoWeights);
                None
            }
        }
    }

    /// Without a network, discards all messages, so that they are not processed later.
    fn ignore(&mut self) {
        while self.generator_end.report().is_some() {}
    }

    /// Begins a session with this network, warmed up with the phrase history.
    fn begin(&mut self, network: Arc<Network>) -> NetworkSession {
        let mut session = NetworkSession::new(network, &mut self.memory);
        self.devices.seat(&mut session.decoder, &self.status);
        self.notice.tell(|said| said.place = self.devices.place().clone());
        self.status.beat();
        self.status.set_health(Health::Ready);
        session
    }

    /// Processes all waiting messages and generates nothing.
    fn listen(&mut self, session: &mut NetworkSession, stop: &AtomicBool) -> bool {
        session.listen(&mut self.generator_end, &mut self.memory, &mut self.log, &self.status, stop)
    }

    /// Handles the window's requests, processes all waiting messages and generates one more note if the look-ahead has
    /// room. Returns whether it generated one.
    fn turn(&mut self, session: &mut NetworkSession, stop: &AtomicBool) -> bool {
        let Self { generator_end, status, choice: _, devices, notice, memory, log, outlook } = self;
        if let Some(record) = log.obey() {
            memory.choose(record);
            generator_end.ask();
        }
        if devices.look_after(&mut session.decoder, status) {
            notice.tell(|said| said.place = devices.place().clone());
        }
        let heard = session.listen(generator_end, memory, log, status, stop);
        let generated = session.play_on(generator_end, memory, status);
        if heard || generated {
            outlook.tell(&mut session.decoder);
        }
        generated
    }

    /// Informs the editor which network plays and what is wrong with it.
    fn tell(&mut self, network: Option<&Arc<Network>>, trouble: Option<String>) {
        let card = network.map(|network| network.card());
        let place = card.map_or_else(Place::default, |_| self.devices.place().clone());
        self.notice.tell(|said| {
            said.weights = card.map_or_else(String::new, |card| card.name.clone());
            said.licence = card.map_or_else(String::new, |card| card.licence.clone());
            said.place = place;
            said.trouble = trouble;
        });
    }
}
