//! Between the audio thread and the inference thread: the only file that names the queues.
//!
//! [`link`] makes both ends. The [`Near`] end belongs to the audio thread: it never blocks, never
//! allocates, and never wakes the other side. The [`Far`] end belongs to the inference thread, which
//! polls. Messages are `Copy`. Whatever concerns a take bears its [`Epoch`]; when the audio side
//! raises the epoch, everything older is void, wherever it still is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use notes::Note;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::settings::Wishes;

/// Messages to the inference thread that fit in: over a minute of the densest piano music.
const REPORTS: usize = 2048;
/// Room that finished notes leave free in that queue, for the messages that steer.
const RESERVE: usize = 64;
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

/// From the audio thread to the inference thread. `at`: seconds of the stream; `since`: seconds
/// since the hand-over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Report {
    /// The player finished a note; canonical, in onset order, in seconds of the stream.
    Heard(Note),
    /// The turn is the model's from `at` on. May come some time before, and be called off.
    Begin {
        /// The take's first epoch.
        epoch: Epoch,
        /// When the hand-over is.
        at: f64,
        /// The how-manieth take since the phrase began.
        take: u32,
        /// Where it lies in the host's time.
        place: Place,
        /// How to play.
        wishes: Wishes,
    },
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
    },
    /// The take is over: only its first `notes` notes were played, and of them those that were
    /// struck before `limit`; what still sounded at `since` was cut off.
    End {
        /// Makes what was generated beyond void.
        epoch: Epoch,
        /// Until when notes could begin; minus infinity: the hand-over did not take place.
        limit: f64,
        /// How many notes could begin.
        notes: u32,
        /// When it ended.
        since: f64,
        /// The same moment as `since`, on the stream's own axis (the tempo may have changed).
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

/// A generated note, from the inference thread to the audio thread. Times are seconds since the
/// hand-over (onset) and since the onset (spread, duration), as in [`Note`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The take, and which generation of it.
    pub epoch: Epoch,
    /// The how-manieth note of the take, from 0.
    pub index: u32,
    /// The note, its onset in seconds since the hand-over.
    pub note: Note,
}

/// What both sides look at without a queue.
#[derive(Debug, Default)]
struct Shared {
    /// Seconds since the hand-over (bits of an f64): how far the audio thread is. Steers the
    /// look-ahead only, never what is generated.
    progress: AtomicU64,
    /// Something may be asked for at any moment: poll often.
    lively: AtomicBool,
    /// The host renders faster than real time and waits.
    offline: AtomicBool,
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

/// Both ends of a new link.
#[allow(clippy::disallowed_methods)] // made on the main thread
pub fn link() -> (Near, Far) {
    let (report, reports) = RingBuffer::new(REPORTS);
    let (answer, answers) = RingBuffer::new(ANSWERS);
    let shared = Arc::new(Shared::default());
    (Near { reports: report, answers, shared: shared.clone(), lost: false }, Far { reports, answers: answer, shared })
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
            let off = Report::End { epoch, limit: f64::NEG_INFINITY, notes: 0, since: 0.0, at: 0.0 };
            self.lost = self.reports.push(off).is_err();
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

    /// Says whether to poll often.
    pub fn lively(&self, lively: bool) {
        self.shared.lively.store(lively, Ordering::Relaxed);
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

    /// Whether to poll often.
    pub fn is_lively(&self) -> bool {
        self.shared.lively.load(Ordering::Relaxed)
    }

    /// Whether somebody waits for every note.
    pub fn is_offline(&self) -> bool {
        self.shared.offline.load(Ordering::Relaxed)
    }
}
