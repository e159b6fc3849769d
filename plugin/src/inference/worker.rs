//! The inference thread: one per instance, the only place where the network runs.
//!
//! It polls its end of the link, hears finished notes as they come (warm-up: one step of the network
//! each), and from a hand-over on keeps the look-ahead full. The audio thread never wakes it. It ends
//! when [`Inference`] is dropped; a panic in it is caught, told, and answered with a fresh start from
//! the notes it remembers, [`RESTARTS`] times at most. That it is alive at all it tells with a pulse
//! ([`Status::beat`]).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use model::{Mind, Network};
use triple_buffer::{Input, Output, triple_buffer};

use crate::bridge::link::{Far, Liveliness};
use crate::bridge::messages::{Answer, Report};
use crate::bridge::outlook::OutlookWriter;
use crate::bridge::status::{Health, Status};
use crate::bridge::takes::TakeLog;
use crate::inference::device::{Devices, Place};
use crate::inference::fault::Fault;
use crate::inference::memory::{Memory, Take};
use crate::inference::stopwatch::Stopwatch;
use crate::inference::watch::Ward;
use crate::weights::{self, Chosen, Loaded, WeightsChoice};

/// The look-ahead of the fastest machine and of the slowest, in seconds of music, and how much it grows
/// for each second that a note takes: 0.5 ms give 3 s.
const SHORTEST_LOOK_AHEAD_S: f64 = 2.5;
const LONGEST_LOOK_AHEAD_S: f64 = 8.0;
const LOOK_AHEAD_PER_S: f64 = 1000.0;
/// Notes generated ahead at most, however dense.
const LOOK_AHEAD_NOTES: usize = 64;
/// Restarts after a panic; then the plugin passes notes through.
const RESTARTS: u64 = 3;
/// Between two looks at the queue: while every millisecond counts, while somebody plays.
const POLLS: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(1)];
/// At rest, from which it is woken ([`crate::inference::watch`]); what only the editor asks for has the time,
/// and what only a host does while no window is open has more.
const RESTS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(250)];
/// While it may be called any moment: the look, and the thought of a note, are to fit into a block of 64
/// samples.
const EXPECTANT: Duration = Duration::from_micros(250);

/// What the editor shows of the weights.
#[derive(Clone, Debug, Default)]
pub struct Bulletin {
    /// Name of the weights in use.
    pub weights: String,
    /// Their licence.
    pub licence: String,
    /// Where they run.
    pub place: Place,
    /// The file that they were found in, if it is not the one that the project says.
    pub found: Option<String>,
    /// Why the weights that are chosen do not play, and the built-in ones do: sentences that say what to do.
    pub missing: Option<String>,
    /// What else went wrong, if something did, likewise.
    pub trouble: Option<String>,
}

/// The running thread; dropping it ends it.
pub struct Inference {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    ward: Option<Ward>,
}

/// What the thread works with.
pub struct Worker {
    far: Far,
    status: Arc<Status>,
    choice: WeightsChoice,
    devices: Devices,
    notice: Notice,
    memory: Memory,
    log: TakeLog,
    outlook: OutlookWriter,
}

/// The editor's bulletin, as it was told last.
struct Notice {
    out: Input<Bulletin>,
    said: Bulletin,
}

impl Notice {
    /// Tells what has changed.
    fn tell(&mut self, change: impl FnOnce(&mut Bulletin)) {
        change(&mut self.said);
        self.out.write(self.said.clone());
    }
}

impl Worker {
    /// A worker at the far end of a link, and what it tells the editor.
    pub fn new(
        far: Far,
        status: Arc<Status>,
        choice: WeightsChoice,
        devices: Devices,
        log: TakeLog,
        outlook: OutlookWriter,
    ) -> (Self, Output<Bulletin>) {
        let (out, seen) = triple_buffer(&Bulletin::default());
        let notice = Notice { out, said: Bulletin::default() };
        (Self { far, status, choice, devices, notice, memory: Memory::default(), log, outlook }, seen)
    }
}

impl Inference {
    /// Starts the thread. An error if the system refuses one.
    pub fn start(worker: Worker) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let pulse = worker.far.pulse();
        let thread = thread::Builder::new().name("antiphon".to_owned()).spawn(move || run(worker, &stopped))?;
        let ward = Ward::new(pulse, thread.thread().clone());
        Ok(Self { stop, thread: Some(thread), ward: Some(ward) })
    }
}

impl Drop for Inference {
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
fn run(mut worker: Worker, stop: &AtomicBool) {
    let mut fault = Fault::from_env();
    while !stop.load(Ordering::Relaxed) {
        let version = worker.choice.version();
        worker.status.set_health(Health::Starting);
        let choice = worker.choice.clone();
        let wanted = || !stop.load(Ordering::Relaxed) && choice.version() == version;
        let chosen = catch_unwind(AssertUnwindSafe(|| choice.load_while(&wanted))).unwrap_or_else(|_| {
            Err("These weights cannot be read, for a reason unknown to Antiphon. Choose others.".to_owned())
        });
        // Whatever is wrong with a file, there is something to play with.
        let (chosen, missing) = match chosen {
            Ok(chosen) => (Ok(chosen), None),
            Err(missing) => {
                let built_in = weights::load_while(None, &wanted);
                let chosen = built_in.map(|loaded| Chosen { loaded, elsewhere: None, trouble: None });
                (chosen, Some(format!("{missing} Until then the built-in weights play.")))
            }
        };
        match chosen {
            _ if !wanted() => {}
            Ok(Chosen { loaded: Loaded { network, .. }, elsewhere, trouble }) => {
                worker.status.set_stand_in(missing.is_some());
                let found = elsewhere.map(|file| file.display().to_string());
                worker.notice.tell(|said| *said = Bulletin { found, missing, ..Bulletin::default() });
                worker.tell(Some(&network), trouble);
                play(&mut worker, &network, version, &mut fault, stop);
            }
            Err(trouble) => {
                worker.tell(None, Some(trouble));
                worker.outlook.clear();
                worker.status.set_health(Health::NoWeights);
                idle(&mut worker, version, stop);
            }
        }
        worker.status.lapse();
    }
}

/// Plays with this network until another is chosen, it breaks for good, or the thread is stopped.
fn play(worker: &mut Worker, network: &Arc<Network>, version: u32, fault: &mut Fault, stop: &AtomicBool) {
    loop {
        let done = catch_unwind(AssertUnwindSafe(|| think(worker, network, version, fault, stop)));
        let asked = stop.load(Ordering::Relaxed) || worker.choice.version() != version;
        if done.is_ok() && asked {
            return;
        }
        worker.devices.distrust(&worker.status);
        worker.status.lapse();
        worker.status.restarts.add(1);
        let restarts = worker.status.restarts.get();
        if restarts > RESTARTS {
            let trouble = "The model broke too often and was stopped. Reload the plugin to try again.";
            worker.tell(Some(network), Some(trouble.to_owned()));
            worker.status.set_health(Health::Broken);
            return idle(worker, version, stop);
        }
        let trouble = format!("The model broke and was started again, {restarts} of {RESTARTS} times.");
        worker.tell(Some(network), Some(trouble));
    }
}

/// The thread's main flow: listen, and think ahead.
fn think(worker: &mut Worker, network: &Arc<Network>, version: u32, fault: &mut Fault, stop: &AtomicBool) {
    let Worker { far, status, choice, devices, notice, memory, log, outlook } = worker;
    let mut thinker = Thinker::new(network.clone(), memory);
    devices.seat(&mut thinker.mind, status);
    notice.tell(|said| said.place = devices.place().clone());
    status.beat();
    status.set_health(Health::Ready);

    while !stop.load(Ordering::Relaxed) && choice.version() == version {
        let began = status.beat();
        if let Some(record) = log.obey() {
            memory.choose(record);
            far.ask();
        }
        if devices.look_after(&mut thinker.mind, status) {
            notice.tell(|said| said.place = devices.place().clone());
        }
        let heard = thinker.listen(far, memory, log, status, stop);
        let thought = thinker.play_on(far, memory, status);
        if heard || thought {
            outlook.tell(&mut thinker.mind);
        }
        if !thought {
            rest(far, outlook.is_seen());
        } else if fault.strikes(began.elapsed()) {
            return;
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
    pub fn new(network: Arc<Network>, memory: &mut Memory) -> Self {
        let mut mind = Mind::new(network);
        memory.recall(&mut mind);
        Self { mind, take: None }
    }

    /// What it has in mind.
    #[cfg(test)]
    pub fn mind(&self) -> &Mind {
        &self.mind
    }

    /// Takes in all that the audio thread has reported, unless it is to stop. `false`: nothing.
    pub fn listen(
        &mut self,
        far: &mut Far,
        memory: &mut Memory,
        log: &mut TakeLog,
        status: &Status,
        stop: &AtomicBool,
    ) -> bool {
        let Self { mind, take } = self;
        let mut heard = false;
        while !stop.load(Ordering::Relaxed)
            && let Some(report) = far.report()
        {
            heard = true;
            status.beat();
            let watch = report.goes_back().then(Stopwatch::start);
            match report {
                Report::Heard(note) => memory.hear(mind, &note),
                Report::Held(note) => memory.hear_held(mind, &note),
                Report::LetGo(note) => {
                    if let Some(take) = take {
                        take.let_go(&note);
                    }
                }
                Report::Begin(begin) => *take = Some(Take::begin(memory, mind, begin)),
                Report::Change { epoch, since, place, wishes, length } => {
                    if let Some(take) = take {
                        take.change(memory, mind, epoch, since, (place, wishes, length));
                    }
                }
                Report::Join { epoch, since, from, pitch, velocity } => {
                    if let Some(take) = take {
                        take.join(mind, epoch, (since, from), pitch, velocity);
                    }
                }
                Report::Leave { since, pitch } => {
                    if let Some(take) = take {
                        take.leave(memory, since, pitch);
                    }
                }
                Report::Freeze { epoch, since, round } => {
                    if let Some(take) = take {
                        take.freeze(mind, epoch, since, round);
                    }
                }
                Report::Thaw { epoch, since } => {
                    if let Some(take) = take {
                        take.thaw(mind, epoch, since);
                    }
                }
                Report::End(_, end) => {
                    if let Some(take) = take.take()
                        && let Some(record) = take.end(memory, mind, end)
                    {
                        memory.keep_take(log.add(record));
                    }
                }
                Report::Undo => memory.undo(mind),
                Report::ForgetPhrase { at } => memory.forget_phrase(mind, at),
                Report::Forget { epoch: _ } => {
                    *take = None;
                    memory.forget(mind);
                }
                #[cfg(test)]
                Report::Break => panic!("as a test has asked"),
            }
            if let Some(watch) = watch {
                status.rollbacks.add(watch.us());
            }
        }
        heard
    }

    /// Thinks of one more note and sends it, if the look-ahead has room. `false`: it has none.
    pub fn play_on(&mut self, far: &mut Far, memory: &Memory, status: &Status) -> bool {
        let seconds = look_ahead_s(status.longest_lately_us());
        let Some(take) = self.take.as_mut().filter(|take| far.has_room() && take.wants(far.progress(), seconds)) else {
            return false;
        };
        let start = Instant::now();
        let (epoch, index, note) = take.next(memory, &mut self.mind);
        status.timed(start.elapsed().as_secs_f64() * 1e6);
        status.look_ahead_s.set((take.last_onset() - far.progress()).max(0.0));
        far.answer(Answer { epoch, index, note })
    }
}

/// Without a network: keeps the queue empty, so that nothing old is heard later.
fn idle(worker: &mut Worker, version: u32, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) && worker.choice.version() == version {
        while worker.far.report().is_some() {}
        thread::park_timeout(RESTS[1]);
    }
}

/// Sleeps until the next look. `seen`: the editor is open.
fn rest(far: &Far, seen: bool) {
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

impl Worker {
    /// Tells the editor which network plays, and what is wrong with it.
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

/// How far ahead of the audio thread notes are generated, in seconds, where one takes this long, in
/// microseconds. A change voids what has not sounded, so on a fast machine length is wasted work; a
/// slow one needs it. What is played does not hang on it.
fn look_ahead_s(note_us: f64) -> f64 {
    let slowness_s = if note_us.is_finite() { note_us * 1e-6 } else { 0.0 };
    (SHORTEST_LOOK_AHEAD_S + LOOK_AHEAD_PER_S * slowness_s).min(LONGEST_LOOK_AHEAD_S)
}

impl Take {
    /// Whether there is room in the look-ahead, so many seconds of it, when the audio thread is
    /// `progress` seconds into the take.
    fn wants(&self, progress: f64, look_ahead_s: f64) -> bool {
        !self.is_done() && self.last_onset() < progress + look_ahead_s && self.ahead_of(progress) < LOOK_AHEAD_NOTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A note that took long makes it look farther ahead at once; when all are fast again, it comes back.
    #[test]
    fn the_look_ahead_follows_the_speed() {
        let status = Status::default();
        let ahead = |us: f64, times: usize| {
            (0..times).for_each(|_| status.timed(us));
            look_ahead_s(status.longest_lately_us())
        };
        let fast = ahead(200.0, 10);
        let slow = ahead(4_000.0, 1);
        assert!(fast >= SHORTEST_LOOK_AHEAD_S && slow > fast + 2.0, "{fast} s, then {slow} s");
        assert_eq!(ahead(200.0, 1_000), fast);
        assert_eq!(ahead(1e6, 1), LONGEST_LOOK_AHEAD_S);
    }
}
