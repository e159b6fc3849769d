//! The queues between the audio thread and the generator: the only file that names them.
//!
//! [`link`] makes both ends. The [`AudioEnd`] belongs to the audio thread: it never blocks, never
//! allocates, and never wakes the other side. The [`GeneratorEnd`] belongs to the generator, which
//! polls. Messages are `Copy`. Generated notes carry their [`Revision`]; when the audio side raises the
//! revision, older notes become void, even those still in a queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

use super::messages::{End, Generated, Message, Revision};

/// Capacity of the queue to the generator, in messages: over a minute of the densest piano music.
const MESSAGES: usize = 2048;
/// Places in that queue that notes leave free for steering messages.
const RESERVE: usize = 64;
/// Capacity of the queue of generated notes: more than the look-ahead ever holds.
const NOTES: usize = 256;

/// How often the generator has to check for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveliness {
    /// Nobody is playing.
    Rest,
    /// The player or Antiphon is playing.
    Lively,
    /// There is a phrase to answer, and a hand-over may follow at any moment.
    Expectant,
    /// The turn is about to change, or has just changed: every millisecond counts.
    Imminent,
}

/// Values shared by both sides without a queue.
#[derive(Debug, Default)]
struct Shared {
    /// How far the audio thread is, in seconds since the hand-over (bits of an f64). Affects only how far
    /// ahead notes are generated, never which ones.
    progress: AtomicU64,
    /// A [`Liveliness`].
    liveliness: AtomicU8,
    /// How often the editor has requested a replay.
    replay_requests: AtomicU32,
    /// The host renders offline and waits for notes.
    offline: AtomicBool,
    /// The generator sleeps until somebody plays; see [`SleepFlag`].
    asleep: AtomicBool,
}

/// The audio thread's end.
#[derive(Debug)]
pub struct AudioEnd {
    messages: Producer<Message>,
    notes: Consumer<Generated>,
    shared: Arc<Shared>,
    /// A steering message found no room, so the generator no longer knows whose turn it is.
    lost: bool,
}

/// The generator's end.
#[derive(Debug)]
pub struct GeneratorEnd {
    messages: Consumer<Message>,
    notes: Producer<Generated>,
    shared: Arc<Shared>,
}

/// Shows whether a sleeping generator has to be woken.
#[derive(Clone, Debug)]
pub struct SleepFlag(Arc<Shared>);

impl SleepFlag {
    /// Whether the generator sleeps although somebody is playing. Returns `true` once, and marks it as awake.
    pub fn take_wake_request(&self) -> bool {
        self.0.asleep.load(Ordering::Relaxed)
            && self.0.liveliness.load(Ordering::Relaxed) != Liveliness::Rest as u8
            && self.0.asleep.swap(false, Ordering::Relaxed)
    }
}

/// Both ends of a new link.
#[allow(clippy::disallowed_methods)] // made on the main thread
pub fn link() -> (AudioEnd, GeneratorEnd) {
    let (message_in, message_out) = RingBuffer::new(MESSAGES);
    let (note_in, note_out) = RingBuffer::new(NOTES);
    let shared = Arc::new(Shared::default());
    (
        AudioEnd { messages: message_in, notes: note_out, shared: shared.clone(), lost: false },
        GeneratorEnd { messages: message_out, notes: note_in, shared },
    )
}

impl AudioEnd {
    /// Sends a message that steers nothing, such as a note. `false`: there was no room and it is lost.
    pub fn send_note(&mut self, message: Message) -> bool {
        self.messages.slots() > RESERVE && self.messages.push(message).is_ok()
    }

    /// Whether [`AudioEnd::send_note`] has room.
    pub fn has_room(&self) -> bool {
        self.messages.slots() > RESERVE
    }

    /// Sends a steering message. `false`: there was no room even in the reserve, and nothing more is sent until
    /// [`AudioEnd::resync`] succeeds.
    pub fn send_command(&mut self, message: Message) -> bool {
        if !self.lost {
            self.lost = self.messages.push(message).is_err();
        }
        !self.lost
    }

    /// Whether a steering message was lost, and [`AudioEnd::resync`] has not succeeded since.
    pub fn has_lost(&self) -> bool {
        self.lost
    }

    /// After a lost steering message, ends whatever take the generator believes to be playing.
    /// `true`: both sides agree again, or always did.
    pub fn resync(&mut self, revision: Revision) -> bool {
        if self.lost {
            self.lost = self.messages.push(Message::End(revision, End::CANCELED)).is_err();
        }
        !self.lost
    }

    /// The next generated note.
    pub fn receive_note(&mut self) -> Option<Generated> {
        self.notes.pop().ok()
    }

    /// Drops waiting notes of revisions before this one from the front of the queue.
    pub fn skip_before(&mut self, revision: Revision) {
        while self.notes.peek().is_ok_and(|note| note.revision < revision) {
            let _ = self.notes.pop();
        }
    }

    /// Publishes how far the take has come, in seconds since its hand-over (negative before it).
    pub fn set_progress(&self, since: f64) {
        self.shared.progress.store(since.to_bits(), Ordering::Relaxed);
    }

    /// Sets how often the generator has to check for messages.
    pub fn set_liveliness(&self, liveliness: Liveliness) {
        self.shared.liveliness.store(liveliness as u8, Ordering::Relaxed);
    }

    /// How often the editor has requested a replay.
    pub fn replay_requests(&self) -> u32 {
        self.shared.replay_requests.load(Ordering::Acquire)
    }

    /// Sets whether the host renders offline.
    pub fn set_offline(&self, offline: bool) {
        self.shared.offline.store(offline, Ordering::Relaxed);
    }
}

impl GeneratorEnd {
    /// The next message, if there is one.
    pub fn next_message(&mut self) -> Option<Message> {
        self.messages.pop().ok()
    }

    /// Whether a generated note has room.
    pub fn has_room(&self) -> bool {
        self.notes.slots() > 0
    }

    /// Sends a generated note. `false`: there was no room.
    pub fn send_note(&mut self, note: Generated) -> bool {
        self.notes.push(note).is_ok()
    }

    /// How far the audio thread is, in seconds since the hand-over.
    pub fn progress(&self) -> f64 {
        f64::from_bits(self.shared.progress.load(Ordering::Relaxed))
    }

    /// How often to check for messages.
    pub fn liveliness(&self) -> Liveliness {
        match self.shared.liveliness.load(Ordering::Relaxed) {
            0 => Liveliness::Rest,
            1 => Liveliness::Lively,
            2 => Liveliness::Expectant,
            _ => Liveliness::Imminent,
        }
    }

    /// Asks the audio side to begin a replay of the take that was chosen.
    pub fn request_replay(&self) {
        self.shared.replay_requests.fetch_add(1, Ordering::Release);
    }

    /// The flag through which this thread can be woken while it sleeps.
    pub fn sleep_flag(&self) -> SleepFlag {
        SleepFlag(self.shared.clone())
    }

    /// Sets whether this thread sleeps until somebody plays.
    pub fn set_asleep(&self, asleep: bool) {
        self.shared.asleep.store(asleep, Ordering::Relaxed);
    }

    /// Whether the host renders offline and waits for every note.
    pub fn is_offline(&self) -> bool {
        self.shared.offline.load(Ordering::Relaxed)
    }
}
