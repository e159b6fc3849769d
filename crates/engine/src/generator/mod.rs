//! The generator side: the only place where the network runs. [`GeneratorSide`] holds everything it works with.
//!
//! It runs on its own thread ([`thread`]) or, where there are no threads, is driven by calls ([`driven`]): both call
//! `GeneratorSide::run_once` over and over.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use model::Network;

use crate::link::forecast::PitchForecastWriter;
use crate::link::model_info::{ModelInfo, ModelInfoWriter};
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

use device::{DeviceInfo, DeviceSelector};
use memory::PhraseHistory;
use networks::{LoadedNetwork, NetworkSource};
use session::NetworkSession;

/// The generator's end of the engine, owned by the code that drives it.
pub struct GeneratorSide {
    pub(crate) generator_end: GeneratorEnd,
    pub(crate) status: Arc<Status>,
    pub(crate) networks: Arc<dyn NetworkSource>,
    pub(crate) devices: DeviceSelector,
    pub(crate) model_info_writer: ModelInfoWriter,
    pub(crate) memory: PhraseHistory,
    pub(crate) log: TakeLog,
    pub(crate) forecast_writer: PitchForecastWriter,
}

impl GeneratorSide {
    /// Loads the chosen network, or the stand-in if that fails, and informs the window. `None`: there is no network,
    /// or it is no longer `wanted`.
    fn load(&mut self, wanted: &dyn Fn() -> bool) -> Option<Arc<Network>> {
        self.status.set_health(Health::Starting);
        let chosen = catch_unwind(AssertUnwindSafe(|| self.networks.load(wanted)))
            .unwrap_or_else(|_| Err("This model cannot be read, for an unknown reason. Choose another.".to_owned()));
        // If the file cannot be loaded, the built-in model plays.
        let (chosen, missing) = match chosen {
            Ok(chosen) => (Ok(chosen), None),
            Err(missing) => {
                let stand_in = self.networks.stand_in(wanted);
                let chosen = stand_in.map(|network| LoadedNetwork { network, found: None, trouble: None });
                (chosen, Some(format!("{missing} Until then the built-in model plays.")))
            }
        };
        match chosen {
            _ if !wanted() => None,
            Ok(LoadedNetwork { network, found, trouble }) => {
                self.status.set_stand_in(missing.is_some());
                self.model_info_writer.update(|info| *info = ModelInfo { found, missing, ..ModelInfo::default() });
                self.publish_model_info(Some(&network), trouble);
                Some(network)
            }
            Err(trouble) => {
                self.publish_model_info(None, Some(trouble));
                self.forecast_writer.clear();
                self.status.set_health(Health::NoWeights);
                None
            }
        }
    }

    /// Without a network, discards all messages, so that they are not processed later.
    fn discard_messages(&mut self) {
        while self.generator_end.next_message().is_some() {}
    }

    /// Begins a session with this network, warmed up with the phrase history.
    fn begin(&mut self, network: Arc<Network>) -> NetworkSession {
        let mut session = NetworkSession::new(network, &mut self.memory);
        self.devices.choose_device(&mut session.decoder, &self.status);
        self.model_info_writer.update(|info| info.device = self.devices.info().clone());
        self.status.heartbeat();
        self.status.set_health(Health::Ready);
        session
    }

    /// Processes all waiting messages and generates nothing.
    fn process_messages(&mut self, session: &mut NetworkSession, stop: &AtomicBool) -> bool {
        session.process_messages(&mut self.generator_end, &mut self.memory, &mut self.log, &self.status, stop)
    }

    /// Handles the window's requests, processes all waiting messages and generates one more note if the look-ahead has
    /// room. Returns whether it generated one.
    fn run_once(&mut self, session: &mut NetworkSession, stop: &AtomicBool) -> bool {
        let Self { generator_end, status, networks: _, devices, model_info_writer, memory, log, forecast_writer } =
            self;
        if let Some(record) = log.handle_requests() {
            memory.choose_replay(record);
            generator_end.request_replay();
        }
        if devices.update(&mut session.decoder, status) {
            model_info_writer.update(|info| info.device = devices.info().clone());
        }
        let heard = session.process_messages(generator_end, memory, log, status, stop);
        let generated = session.generate_next(generator_end, memory, status);
        if heard || generated {
            forecast_writer.publish(&mut session.decoder);
        }
        generated
    }

    /// Informs the editor which network plays and what is wrong with it.
    fn publish_model_info(&mut self, network: Option<&Arc<Network>>, trouble: Option<String>) {
        let card = network.map(|network| network.card());
        let device = card.map_or_else(DeviceInfo::default, |_| self.devices.info().clone());
        self.model_info_writer.update(|info| {
            info.weights = card.map_or_else(String::new, |card| card.name.clone());
            info.license = card.map_or_else(String::new, |card| card.license.clone());
            info.device = device;
            info.trouble = trouble;
        });
    }
}
