//! The generator on its own thread, one per instance.
//!
//! It polls its end of the link, feeds finished notes to the network as they arrive (warm-up: one step of the
//! network each), and from a hand-over on keeps the look-ahead full. The audio thread never wakes it. It ends
//! when [`GeneratorThread`] is dropped. A panic in it is caught and reported, and the generator restarts from
//! the notes it remembers, at most `RESTARTS` times. A heartbeat ([`crate::link::status::Status::heartbeat`]) shows
//! that it is alive.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use model::Network;

use super::GeneratorSide;
use super::fault::Fault;
use super::waker::WakeGuard;
use crate::link::queues::{GeneratorEnd, Liveliness};
use crate::link::status::Health;

/// The most restarts after a panic; after that, the plugin only passes notes through.
const RESTARTS: u64 = 3;
/// Polling interval of the queue: while every millisecond counts, and while somebody is playing.
const POLLS: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(1)];
/// Polling interval at rest, with the window open and closed. Playing wakes it ([`super::waker`]); requests of
/// the editor can wait this long, and those of a host without a window even longer.
const RESTS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// Polling interval while a hand-over may follow at any moment: this plus the time to generate a note should
/// fit into a block of 64 samples.
const EXPECTANT: Duration = Duration::from_micros(250);

/// The running thread; dropping this ends it.
pub struct GeneratorThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    wake_guard: Option<WakeGuard>,
}

impl GeneratorThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system cannot start a thread.
    pub fn start(side: GeneratorSide) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let sleep_flag = side.generator_end.sleep_flag();
        let thread = thread::Builder::new().name("antiphon".to_owned()).spawn(move || run(side, &stopped))?;
        let wake_guard = WakeGuard::new(sleep_flag, thread.thread().clone());
        Ok(Self { stop, thread: Some(thread), wake_guard: Some(wake_guard) })
    }
}

impl Drop for GeneratorThread {
    fn drop(&mut self) {
        self.wake_guard = None;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread catches its own panics; nothing could be done about another one here.
            let _ = thread.join();
        }
    }
}

/// The thread's body: loads the chosen network and plays with it, until stopped.
fn run(mut side: GeneratorSide, stop: &AtomicBool) {
    let mut fault = Fault::from_env();
    while !stop.load(Ordering::Relaxed) {
        let networks = side.networks.clone();
        let version = networks.version();
        let wanted = || !stop.load(Ordering::Relaxed) && networks.version() == version;
        match side.load(&wanted) {
            Some(network) => play(&mut side, &network, version, &mut fault, stop),
            None => idle(&mut side, version, stop),
        }
        side.status.record_lost_take();
    }
}

/// Plays with this network until another one is chosen or the thread is stopped; restarts after failures.
fn play(side: &mut GeneratorSide, network: &Arc<Network>, version: u32, fault: &mut Fault, stop: &AtomicBool) {
    loop {
        let done = catch_unwind(AssertUnwindSafe(|| generate(side, network, version, fault, stop)));
        let asked = stop.load(Ordering::Relaxed) || side.networks.version() != version;
        if done.is_ok() && asked {
            return;
        }
        side.devices.report_failure(&side.status);
        side.status.record_lost_take();
        side.status.counts.restarts.add(1);
        let restarts = side.status.counts.restarts.get();
        if restarts > RESTARTS {
            let trouble = "The model failed too often and was stopped. Reload the plugin to try again.";
            side.publish_model_info(Some(network), Some(trouble.to_owned()));
            side.status.set_health(Health::Broken);
            return idle(side, version, stop);
        }
        let trouble = format!("The model failed and was restarted ({restarts} of {RESTARTS}).");
        side.publish_model_info(Some(network), Some(trouble));
    }
}

/// The thread's main loop: processes messages and generates ahead.
fn generate(side: &mut GeneratorSide, network: &Arc<Network>, version: u32, fault: &mut Fault, stop: &AtomicBool) {
    let mut session = side.begin(network.clone());
    while !stop.load(Ordering::Relaxed) && side.networks.version() == version {
        let began = side.status.heartbeat();
        if !side.run_once(&mut session, stop) {
            rest(&side.generator_end, side.forecast_writer.is_seen());
        } else if fault.strikes(began.elapsed()) {
            return;
        }
    }
}

/// Without a network, waits until another one is chosen.
fn idle(side: &mut GeneratorSide, version: u32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) && side.networks.version() == version {
        side.discard_messages();
        thread::park_timeout(RESTS[1]);
    }
}

/// Sleeps until the next poll. `seen`: whether the window is open.
fn rest(generator_end: &GeneratorEnd, seen: bool) {
    let poll = match generator_end.liveliness() {
        Liveliness::Rest => {
            generator_end.set_asleep(true);
            thread::park_timeout(RESTS[usize::from(!seen)]);
            return generator_end.set_asleep(false);
        }
        _ if generator_end.is_offline() => POLLS[0],
        Liveliness::Lively => POLLS[1],
        Liveliness::Expectant => EXPECTANT,
        Liveliness::Imminent => POLLS[0],
    };
    thread::park_timeout(poll);
}
