//! The generator on a thread of its own: one per instance.
//!
//! It polls its end of the link, hears finished notes as they come (warm-up: one step of the network
//! each), and from a hand-over on keeps the look-ahead full. The audio thread never wakes it. It ends
//! when [`GeneratorThread`] is dropped; a panic in it is caught, told, and answered with a fresh start from
//! the notes it remembers, `RESTARTS` times at most. That it is alive at all it tells with a pulse
//! ([`crate::link::status::Status::beat`]).

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

/// Restarts after a panic; then the plugin passes notes through.
const RESTARTS: u64 = 3;
/// Between two looks at the queue: while every millisecond counts, while somebody plays.
const POLLS: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(1)];
/// At rest, from which it is woken ([`super::waker`]); what only the editor asks for has the time,
/// and what only a host does while no window is open has more.
const RESTS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// While it may be called any moment: the look, and generating a note, are to fit into a block of 64
/// samples.
const EXPECTANT: Duration = Duration::from_micros(250);

/// The running thread; dropping it ends it.
pub struct GeneratorThread {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    ward: Option<WakeGuard>,
}

impl GeneratorThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// If the system refuses one.
    pub fn start(side: GeneratorSide) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let pulse = side.far.pulse();
        let thread = thread::Builder::new().name("antiphon".to_owned()).spawn(move || run(side, &stopped))?;
        let ward = WakeGuard::new(pulse, thread.thread().clone());
        Ok(Self { stop, thread: Some(thread), ward: Some(ward) })
    }
}

impl Drop for GeneratorThread {
    fn drop(&mut self) {
        self.ward = None;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It catches its own panics; there is nobody left to tell of another one.
            let _ = thread.join();
        }
    }
}

/// The thread from beginning to end.
fn run(mut side: GeneratorSide, stop: &AtomicBool) {
    let mut fault = Fault::from_env();
    while !stop.load(Ordering::Relaxed) {
        let choice = side.choice.clone();
        let version = choice.version();
        let wanted = || !stop.load(Ordering::Relaxed) && choice.version() == version;
        match side.load(&wanted) {
            Some(network) => play(&mut side, &network, version, &mut fault, stop),
            None => idle(&mut side, version, stop),
        }
        side.status.lapse();
    }
}

/// Plays with this network until another is chosen, it breaks for good, or the thread is stopped.
fn play(side: &mut GeneratorSide, network: &Arc<Network>, version: u32, fault: &mut Fault, stop: &AtomicBool) {
    loop {
        let done = catch_unwind(AssertUnwindSafe(|| generate(side, network, version, fault, stop)));
        let asked = stop.load(Ordering::Relaxed) || side.choice.version() != version;
        if done.is_ok() && asked {
            return;
        }
        side.devices.distrust(&side.status);
        side.status.lapse();
        side.status.restarts.add(1);
        let restarts = side.status.restarts.get();
        if restarts > RESTARTS {
            let trouble = "The model failed too often and was stopped. Reload the plugin to try again.";
            side.tell(Some(network), Some(trouble.to_owned()));
            side.status.set_health(Health::Broken);
            return idle(side, version, stop);
        }
        let trouble = format!("The model failed and was restarted ({restarts} of {RESTARTS}).");
        side.tell(Some(network), Some(trouble));
    }
}

/// The thread's main flow: listen, and generate ahead.
fn generate(side: &mut GeneratorSide, network: &Arc<Network>, version: u32, fault: &mut Fault, stop: &AtomicBool) {
    let mut session = side.begin(network.clone());
    while !stop.load(Ordering::Relaxed) && side.choice.version() == version {
        let began = side.status.beat();
        if !side.turn(&mut session, stop) {
            rest(&side.far, side.outlook.is_seen());
        } else if fault.strikes(began.elapsed()) {
            return;
        }
    }
}

/// Without a network, waits for another choice.
fn idle(side: &mut GeneratorSide, version: u32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) && side.choice.version() == version {
        side.ignore();
        thread::park_timeout(RESTS[1]);
    }
}

/// Sleeps until the next look. `seen`: the editor is open.
fn rest(far: &GeneratorEnd, seen: bool) {
    let poll = match far.liveliness() {
        Liveliness::Rest => {
            far.sleep(true);
            thread::park_timeout(RESTS[usize::from(!seen)]);
            return far.sleep(false);
        }
        _ if far.is_offline() => POLLS[0],
        Liveliness::Lively => POLLS[1],
        Liveliness::Expectant => EXPECTANT,
        Liveliness::Imminent => POLLS[0],
    };
    thread::park_timeout(poll);
}
