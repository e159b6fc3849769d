//! Between the audio thread and the inference thread: the only file that names the queues.
//!
//! [`link`] makes both ends. The [`Near`] end belongs to the audio thread: it never blocks, never
//! allocates, and never wakes the other side. The [`Far`] end belongs to the inference thread, which
//! polls. Messages are `Copy`. Whatever concerns a take bears its [`Epoch`]; when the audio side
//! raises the epoch, everything older is void, wherever it still is on its way.
//!
//! [`touches`] makes another pair, from the editor's keyboard to the audio thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use notes::Note;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::memory::{Begin, End};
use crate::settings::{Length, Wishes};

/// Messages to the inference thread that fit in: over a minute of the densest piano music.
const REPORTS: usize = 2048;
/// Room that finished notes leave free in that queue, for the messages that steer.
const RESERVE: usize = 64;
/// Touches of the editor's keyboard that fit in: two for each key that a hand can reach in a block.
const TOUCHES: usize = 64;
/// Generated notes that fit in: more than the look-ahead ever holds.
const ANSWERS: usize = 256;

/// Which generation of a take a message belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// Where a take lies in the host's time: what its seconds are in beats and bars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Beats (quarter notes) in a second of the take, whatever the tempo is later: it keeps its beats.
    pub beats_per_second: f64,
    /// Beats from a bar line of the host to the hand-over; from 0 to below `bar`. Where no transport
    /// runs, the hand-over is a bar line.
    pub beat: f64,
    /// Beats per bar.
    pub bar: f64,
}

/// Where the notes of a take come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// The network goes on from what it remembers.
    GoOn,
    /// It begins from nothing: what was before is forgotten, once something has sounded.
    Alone,
    /// It takes the latest take back, if nothing was played since, and goes on with other luck.
    Another,
    /// The latest take comes again.
    Again,
    /// The latest take comes again and again.
    Frozen {
        /// A round lasts whole bars; else as long as the take did.
        bars: bool,
    },
}

/// From the audio thread to the inference thread. `at`: seconds of the stream; `since`: seconds
/// since the hand-over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Report {
    /// The player finished a note; canonical, in onset order, in seconds of the stream.
    Heard(Note),
    /// The turn is the model's from its `at` on. May come some time before, and be called off.
    Begin(Begin),
    /// From `since` on, play differently: notes with an onset before it stay.
    Change {
        /// Makes what was generated beyond `since` void.
        epoch: Epoch,
        /// When.
        since: f64,
        /// Where it lies in the host's time now: signatures change, and hosts jump.
        place: Place,
        /// How to play from then on.
        wishes: Wishes,
        /// What ends it.
        length: Length,
    },
    /// In a duet: a key of the player's goes down. Voids what was generated beyond.
    Join {
        /// Makes what was generated beyond `since` void.
        epoch: Epoch,
        /// When.
        since: f64,
        /// MIDI key.
        pitch: u8,
        /// MIDI velocity.
        velocity: u8,
    },
    /// It comes up again. Voids nothing.
    Leave {
        /// When.
        since: f64,
        /// MIDI key; `None`: all of them do.
        pitch: Option<u8>,
    },
    /// What the take plays until `since` comes again from there on, round and round.
    Freeze {
        /// Makes what was generated beyond `since` void.
        epoch: Epoch,
        /// The end of the first round: the length of each.
        since: f64,
    },
    /// From `since` on it plays freely again.
    Thaw {
        /// Makes what was generated beyond `since` void.
        epoch: Epoch,
        /// When.
        since: f64,
    },
    /// The take is over; the epoch makes what was generated beyond void.
    End(Epoch, End),
    /// The latest take is taken back.
    Undo,
    /// The player's latest phrase is forgotten, and what followed it.
    ForgetPhrase {
        /// When.
        at: f64,
    },
    /// The phrase is forgotten.
    Forget {
        /// Makes any take void.
        epoch: Epoch,
    },
    /// The inference thread is to break; for tests of what happens then.
    #[cfg(test)]
    Break,
}

impl Report {
    /// Whether it makes the network go back to what it knew before, to think on from there.
    pub fn goes_back(&self) -> bool {
        matches!(self, Self::Change { .. } | Self::Join { .. } | Self::Freeze { .. } | Self::Thaw { .. })
    }
}

/// From the inference thread to the audio thread. Times are seconds since the hand-over (onset) and
/// since the onset (spread, duration), as in [`Note`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The take, and which generation of it.
    pub epoch: Epoch,
    /// The how-manieth note of the take, from 0.
    pub index: u32,
    /// The note, its onset in seconds since the hand-over. `None`: the take has no more.
    pub note: Option<Note>,
}

/// How often the inference thread has to look.
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
    /// The inference thread sleeps until somebody plays.
    asleep: AtomicBool,
}

/// The audio thread's end.
#[derive(Debug)]
pub struct Near {
    reports: Producer<Report>,
    answers: Consumer<Answer>,
    shared: Arc<Shared>,
    /// A steering message found no room: the other side no longer knows whose turn it is.
    lost: bool,
}

/// The inference thread's end.
#[derive(Debug)]
pub struct Far {
    reports: Consumer<Report>,
    answers: Producer<Answer>,
    shared: Arc<Shared>,
}

/// For those who look after a sleeping inference thread.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<Shared>);

impl Pulse {
    /// Whether it sleeps although somebody plays: once, it is taken for awake then.
    pub fn quickens(&self) -> bool {
        self.0.asleep.load(Ordering::Relaxed)
            && self.0.lively.load(Ordering::Relaxed) != Liveliness::Rest as u8
            && self.0.asleep.swap(false, Ordering::Relaxed)
    }
}

/// Both ends of a new link.
#[allow(clippy::disallowed_methods)] // made on the main thread
pub fn link() -> (Near, Far) {
    let (report, reports) = RingBuffer::new(REPORTS);
    let (answer, answers) = RingBuffer::new(ANSWERS);
    let shared = Arc::new(Shared::default());
    (Near { reports: report, answers, shared: shared.clone(), lost: false }, Far { reports, answers: answer, shared })
}

/// A key of the editor's keyboard goes down, or up with velocity 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// MIDI key, 0–127.
    pub key: u8,
    /// MIDI velocity.
    pub velocity: u8,
}

/// The editor's end of its keyboard.
#[derive(Debug)]
pub struct Toucher(Producer<Touch>);

/// The audio thread's end of the editor's keyboard.
#[derive(Debug)]
pub struct Touched(Consumer<Touch>);

/// Both ends of a new keyboard.
pub fn touches() -> (Toucher, Touched) {
    let (touch, touches) = RingBuffer::new(TOUCHES);
    (Toucher(touch), Touched(touches))
}

impl Toucher {
    /// Tells of a touch. `false`: no room, which means that no audio runs; the touch is lost. The last
    /// places are for keys that go up.
    pub fn touch(&mut self, touch: Touch) -> bool {
        (touch.velocity == 0 || self.0.slots() > TOUCHES / 2) && self.0.push(touch).is_ok()
    }
}

impl Touched {
    /// The next touch.
    pub fn next(&mut self) -> Option<Touch> {
        self.0.pop().ok()
    }
}

impl Near {
    /// Tells of a finished note. `false`: no room, the note is lost whole.
    pub fn tell(&mut self, note: Note) -> bool {
        self.reports.slots() > RESERVE && self.reports.push(Report::Heard(note)).is_ok()
    }

    /// Whether [`Near::tell`] has room.
    pub fn has_room(&self) -> bool {
        self.reports.slots() > RESERVE
    }

    /// Steers. `false`: no room even in the reserve; [`Near::mend`] has to succeed first.
    pub fn steer(&mut self, report: Report) -> bool {
        if !self.lost {
            self.lost = self.reports.push(report).is_err();
        }
        !self.lost
    }

    /// After a lost steering message: calls off whatever the other side believes to be playing.
    /// `true`: both sides agree again (or always did).
    pub fn mend(&mut self, epoch: Epoch) -> bool {
        if self.lost {
            self.lost = self.reports.push(Report::End(epoch, End::CALLED_OFF)).is_err();
        }
        !self.lost
    }

    /// The next generated note.
    pub fn answer(&mut self) -> Option<Answer> {
        self.answers.pop().ok()
    }

    /// Throws away the waiting answers of epochs before this one, which stand in front.
    pub fn skip_before(&mut self, epoch: Epoch) {
        while self.answers.peek().is_ok_and(|answer| answer.epoch < epoch) {
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

impl Far {
    /// The next message, if there is one.
    pub fn report(&mut self) -> Option<Report> {
        self.reports.pop().ok()
    }

    /// Whether an answer has room.
    pub fn has_room(&self) -> bool {
        self.answers.slots() > 0
    }

    /// Sends a generated note. `false`: no room.
    pub fn answer(&mut self, answer: Answer) -> bool {
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
    pub fn pulse(&self) -> Pulse {
        Pulse(self.shared.clone())
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
