//! The inference thread: one per instance, the only place where the network runs.
//!
//! It polls its end of the link, hears finished notes as they come (warm-up: one step of the network
//! each), and from a hand-over on keeps the look-ahead full. The audio thread never wakes it. It ends
//! when [`Inference`] is dropped; a panic in it is caught, told, and answered with a fresh start from
//! the notes it remembers, [`RESTARTS`] times at most.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::{Mind, Network};
use triple_buffer::{Input, Output, triple_buffer};

use crate::link::{Answer, Far, Report};
use crate::memory::{Memory, Take};
use crate::status::{Health, Status};
use crate::takes::TakeLog;
use crate::weights::{self, WeightsChoice};

/// How far ahead of the audio thread notes are generated, in seconds. A change of a knob voids the
/// part that has not sounded, so length costs nothing but time.
const LOOK_AHEAD_S: f64 = 4.0;
/// Notes generated ahead at most, however dense.
const LOOK_AHEAD_NOTES: usize = 64;
/// Restarts after a panic; then the plugin passes notes through.
const RESTARTS: u64 = 3;
/// Between two looks at the queue: while a render waits, while somebody plays, at rest.
const POLLS: [Duration; 3] = [Duration::from_micros(100), Duration::from_millis(1), Duration::from_millis(10)];

/// What the editor shows of the weights.
#[derive(Clone, Debug, Default)]
pub struct Bulletin {
    /// Name of the weights in use.
    pub weights: String,
    /// Their licence.
    pub licence: String,
    /// What went wrong, if something did: one sentence that says what to do.
    pub trouble: Option<String>,
}

/// The running thread; dropping it ends it.
pub struct Inference {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread works with.
pub struct Worker {
    far: Far,
    status: Arc<Status>,
    choice: WeightsChoice,
    bulletin: Input<Bulletin>,
    memory: Memory,
    log: TakeLog,
}

impl Worker {
    /// A worker at the far end of a link, and what it tells the editor.
    pub fn new(far: Far, status: Arc<Status>, choice: WeightsChoice, log: TakeLog) -> (Self, Output<Bulletin>) {
        let (bulletin, seen) = triple_buffer(&Bulletin::default());
        (Self { far, status, choice, bulletin, memory: Memory::default(), log }, seen)
    }
}

impl Inference {
    /// Starts the thread. An error if the system refuses one.
    pub fn start(worker: Worker) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("antiphon".to_owned()).spawn(move || run(worker, &stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Inference {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It catches its own panics; there is nobody left to tell of another one.
            let _ = thread.join();
        }
    }
}

/// The thread from beginning to end.
fn run(mut worker: Worker, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let version = worker.choice.version();
        worker.status.set_health(Health::Starting);
        match weights::load(worker.choice.path().as_deref()) {
            Ok(network) => play(&mut worker, &network, version, stop),
            Err(trouble) => {
                worker.tell(None, Some(trouble));
                worker.status.set_health(Health::NoWeights);
                idle(&mut worker, version, stop);
            }
        }
        worker.status.lapse();
    }
}

/// Plays with this network until another is chosen, it breaks for good, or the thread is stopped.
fn play(worker: &mut Worker, network: &Arc<Network>, version: u32, stop: &AtomicBool) {
    worker.tell(Some(network), None);
    loop {
        let done = catch_unwind(AssertUnwindSafe(|| think(worker, network, version, stop)));
        if done.is_ok() {
            return;
        }
        worker.status.lapse();
        worker.status.restarts.add(1);
        if worker.status.restarts.get() > RESTARTS {
            let trouble = "The model broke too often and was stopped. Reload the plugin to try again.";
            worker.tell(Some(network), Some(trouble.to_owned()));
            worker.status.set_health(Health::Broken);
            return idle(worker, version, stop);
        }
    }
}

/// The thread's main flow: listen, and think ahead.
fn think(worker: &mut Worker, network: &Arc<Network>, version: u32, stop: &AtomicBool) {
    let Worker { far, status, choice, memory, log, .. } = worker;
    let mut thinker = Thinker::new(network.clone(), memory);
    status.set_health(Health::Ready);

    while !stop.load(Ordering::Relaxed) && choice.version() == version {
        log.obey();
        thinker.listen(far, memory, log);
        if !thinker.play_on(far, status) {
            rest(far);
        }
    }
}

/// The network at work: its mind, and the take it is in.
pub struct Thinker {
    mind: Mind,
    take: Option<Take>,
}

impl Thinker {
    /// Wakes up with what is remembered.
    pub fn new(network: Arc<Network>, memory: &Memory) -> Self {
        let mut mind = Mind::new(network);
        memory.recall(&mut mind);
        Self { mind, take: None }
    }

    /// What it has in mind.
    #[cfg(test)]
    pub fn mind(&self) -> &Mind {
        &self.mind
    }

    /// Takes in all that the audio thread has reported.
    pub fn listen(&mut self, far: &mut Far, memory: &mut Memory, log: &mut TakeLog) {
        let Self { mind, take } = self;
        while let Some(report) = far.report() {
            match report {
                Report::Heard(note) => memory.hear(mind, &note),
                Report::Begin { epoch, at, take: number, place, wishes } => {
                    *take = Some(Take::begin(memory, mind, epoch, at, number, place, wishes));
                }
                Report::Change { epoch, since, place, wishes } => {
                    if let Some(take) = take {
                        take.change(mind, epoch, since, place, wishes);
                    }
                }
                Report::End { epoch: _, limit, notes, since, at } => {
                    if let Some(take) = take.take()
                        && let Some(record) = take.end(memory, mind, limit, notes, since, at)
                    {
                        log.add(record);
                    }
                }
                Report::Forget { epoch: _ } => {
                    *take = None;
                    memory.forget(mind);
                }
                #[cfg(test)]
                Report::Break => panic!("as a test has asked"),
            }
        }
    }

    /// Thinks of one more note and sends it, if the look-ahead has room. `false`: it has none.
    pub fn play_on(&mut self, far: &mut Far, status: &Status) -> bool {
        let Some(take) = self.take.as_mut().filter(|take| far.has_room() && take.wants(far.progress())) else {
            return false;
        };
        let start = Instant::now();
        let (epoch, index, note) = take.next(&mut self.mind);
        status.timed(start.elapsed().as_secs_f64() * 1e6);
        far.answer(Answer { epoch, index, note })
    }
}

/// Without a network: keeps the queue empty, so that nothing old is heard later.
fn idle(worker: &mut Worker, version: u32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) && worker.choice.version() == version {
        while worker.far.report().is_some() {}
        thread::park_timeout(POLLS[2]);
    }
}

/// Sleeps until the next look.
fn rest(far: &Far) {
    let poll = match (far.is_offline(), far.is_lively()) {
        (true, true) => POLLS[0],
        (false, true) => POLLS[1],
        (_, false) => POLLS[2],
    };
    thread::park_timeout(poll);
}

impl Worker {
    /// Tells the editor.
    fn tell(&mut self, network: Option<&Arc<Network>>, trouble: Option<String>) {
        let card = network.map(|network| network.card());
        self.bulletin.write(Bulletin {
            weights: card.map_or_else(String::new, |card| card.name.clone()),
            licence: card.map_or_else(String::new, |card| card.licence.clone()),
            trouble,
        });
    }
}

impl Take {
    /// Whether there is room in the look-ahead, when the audio thread is `progress` seconds into the take.
    fn wants(&self, progress: f64) -> bool {
        self.last_onset() < progress + LOOK_AHEAD_S && self.ahead_of(progress) < LOOK_AHEAD_NOTES
    }
}
