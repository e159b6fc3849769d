//! Between the audio thread and the generator: the only file that names the queues.
//!
//! [`link`] makes both ends. The [`AudioEnd`] end belongs to the audio thread: it never blocks, never
//! allocates, and never wakes the other side. The [`GeneratorEnd`] end belongs to the generator, which
//! polls. Messages are `Copy`. Whatever concerns a take bears its [`Revision`]; when the audio side
//! raises the revision, everything older is void, wherever it still is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use super::messages::{End, Generated, Message, Revision};

/// Messages to the generator that fit in: over a minute of the densest piano music.
const REPORTS: usize = 2048;
/// Room that finished notes leave free in that queue, for the messages that steer.
const RESERVE: usize = 64;
/// Generated notes that fit in: more than the look-ahead ever holds.
const ANSWERS: usize = 256;

/// How often the generator has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveliness {
    /// Nobody plays.
    Rest,
    /// Somebody plays.
    Lively,
    /// There is a phrase to answer, and the model may be called any moment.
    Expectant,
    /// The turn is about to change, or has just changed: every millisecond counts.
    Imminent,
}

/// What both sides look at without a queue.
#[derive(Debug, Default)]
struct Shared {
    /// Seconds since the hand-over (bits of an f64): how far the audio thread is. Steers the
    /// look-ahead only, never what is generated.
    progress: AtomicU64,
    /// How soon something may be asked for: see [`Liveliness`].
    lively: AtomicU8,
    /// How often the editor has asked for a take to be heard again.
    asked: AtomicU32,
    /// The host renders faster than real time and waits.
    offline: AtomicBool,
    /// The generator sleeps until somebody plays.
    asleep: AtomicBool,
}

/// The audio thread's end.
#[derive(Debug)]
pub struct AudioEnd {
    reports: Producer<Message>,
    answers: Consumer<Generated>,
    shared: Arc<Shared>,
    /// A steering message found no room: the other side no longer knows whose turn it is.
    lost: bool,
}

/// The generator's end.
#[derive(Debug)]
pub struct GeneratorEnd {
    reports: Consumer<Message>,
    answers: Producer<Generated>,
    shared: Arc<Shared>,
}

/// For those who look after a sleeping generator.
#[derive(Clone, Debug)]
pub struct SleepFlag(Arc<Shared>);

impl SleepFlag {
    /// Whether it sleeps although somebody plays: once, it is taken for awake then.
    pub fn quickens(&self) -> bool {
        self.0.asleep.load(Ordering::Relaxed)
            && self.0.lively.load(Ordering::Relaxed) != Liveliness::Rest as u8
            && self.0.asleep.swap(false, Ordering::Relaxed)
    }
}

/// Both ends of a new link.
#[allow(clippy::disallowed_methods)] // made on the main thread
pub fn link() -> (AudioEnd, GeneratorEnd) {
    let (report, reports) = RingBuffer::new(REPORTS);
    let (answer, answers) = RingBuffer::new(ANSWERS);
    let shared = Arc::new(Shared::default());
    (
        AudioEnd { reports: report, answers, shared: shared.clone(), lost: false },
        GeneratorEnd { reports, answers: answer, shared },
    )
}

impl AudioEnd {
    /// Tells of what steers nothing, such as a note. `false`: no room, it is lost whole.
    pub fn offer(&mut self, report: Message) -> bool {
        self.reports.slots() > RESERVE && self.reports.push(report).is_ok()
    }

    /// Whether [`AudioEnd::offer`] has room.
    pub fn has_room(&self) -> bool {
        self.reports.slots() > RESERVE
    }

    /// Steers. `false`: no room even in the reserve; [`AudioEnd::mend`] has to succeed first.
    pub fn steer(&mut self, report: Message) -> bool {
        if !self.lost {
            self.lost = self.reports.push(report).is_err();
        }
        !self.lost
    }

    /// After a lost steering message: calls off whatever the other side believes to be playing.
    /// `true`: both sides agree again (or always did).
    pub fn mend(&mut self, revision: Revision) -> bool {
        if self.lost {
            self.lost = self.reports.push(Message::End(revision, End::CANCELED)).is_err();
        }
        !self.lost
    }

    /// The next generated note.
    pub fn answer(&mut self) -> Option<Generated> {
        self.answers.pop().ok()
    }

    /// Throws away the waiting answers of revisions before this one, which stand in front.
    pub fn skip_before(&mut self, revision: Revision) {
        while self.answers.peek().is_ok_and(|answer| answer.revision < revision) {
            let _ = self.answers.pop();
        }
    }

    /// Says how far the take has come, in seconds since its hand-over (negative before it).
    pub fn progress(&self, since: f64) {
        self.shared.progress.store(since.to_bits(), Ordering::Relaxed);
    }

    /// Says how often to look.
    pub fn lively(&self, lively: Liveliness) {
        self.shared.lively.store(lively as u8, Ordering::Relaxed);
    }

    /// How often the editor has asked for a take to be heard again.
    pub fn asked(&self) -> u32 {
        self.shared.asked.load(Ordering::Acquire)
    }

    /// Says whether the host renders offline.
    pub fn offline(&self, offline: bool) {
        self.shared.offline.store(offline, Ordering::Relaxed);
    }
}

impl GeneratorEnd {
    /// The next message, if there is one.
    pub fn report(&mut self) -> Option<Message> {
        self.reports.pop().ok()
    }

    /// Whether an answer has room.
    pub fn has_room(&self) -> bool {
        self.answers.slots() > 0
    }

    /// Sends a generated note. `false`: no room.
    pub fn answer(&mut self, answer: Generated) -> bool {
        self.answers.push(answer).is_ok()
    }

    /// How far the audio thread is, in seconds since the hand-over.
    pub fn progress(&self) -> f64 {
        f64::from_bits(self.shared.progress.load(Ordering::Relaxed))
    }

    /// How often to look.
    pub fn liveliness(&self) -> Liveliness {
        match self.shared.lively.load(Ordering::Relaxed) {
            0 => Liveliness::Rest,
            1 => Liveliness::Lively,
            2 => Liveliness::Expectant,
            _ => Liveliness::Imminent,
        }
    }

    /// Asks the audio side to begin the take that was chosen.
    pub fn ask(&self) {
        self.shared.asked.fetch_add(1, Ordering::Release);
    }

    /// For those who look after this thread while it sleeps.
    pub fn pulse(&self) -> SleepFlag {
        SleepFlag(self.shared.clone())
    }

    /// Says whether this thread sleeps until somebody plays.
    pub fn sleep(&self, asleep: bool) {
        self.shared.asleep.store(asleep, Ordering::Relaxed);
    }

    /// Whether somebody waits for every note.
    pub fn is_offline(&self) -> bool {
        self.shared.offline.load(Ordering::Relaxed)
    }
}
