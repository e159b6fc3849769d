//! The messages between the audio thread and the generator. They are `Copy`; those that void generated
//! notes carry a new [`Revision`].

use notes::Note;

use crate::settings::{GenerationParams, Length};

/// Version of the generated notes; a higher one voids notes of lower ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

/// A take's place on the host's timeline: how its seconds map to beats and bars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimelinePosition {
    /// Beats (quarter notes) per second of the take. A later tempo change does not affect it: the take keeps its beats.
    pub beats_per_second: f64,
    /// Beats from a bar line of the host to the hand-over, at least 0 and less than `bar`. If the transport
    /// is not running, the hand-over counts as a bar line.
    pub beat: f64,
    /// Beats per bar.
    pub bar: f64,
    /// Whether the host's transport runs. Only then is the position in the bar an input of the network, and only if the
    /// phrase was played to its beat or the grid follows it.
    pub running: bool,
}

/// Where the notes of a take come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// The network continues the phrase history.
    Continue,
    /// The network begins from nothing; the history is cleared once a note has sounded.
    FromNothing,
    /// Undoes the latest take, if nothing was played since, and continues with another random stream.
    NewTake,
    /// Replays the latest take, or the one chosen in the window.
    Replay,
    /// Loops the latest take.
    Frozen {
        /// Whether a round lasts a whole number of bars; otherwise it lasts as long as the take did.
        bars: bool,
    },
}

/// From the audio thread to the generator. `at` is in stream seconds, `since` in seconds since the hand-over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Message {
    /// A note that the player has finished, in canonical order and in stream seconds.
    Finished(Note),
    /// A note that the player still holds at the hand-over that follows, in canonical order, with its duration so far.
    Held(Note),
    /// A note sent as [`Self::Held`] has ended, with its final duration. Voids nothing.
    HeldEnded(Note),
    /// Antiphon has the turn from its `at` on. May be sent in advance, and canceled.
    Begin(Begin),
    /// From `since` on, the take changes; notes with an earlier onset stay.
    Change {
        /// Voids notes generated for `since` and later.
        revision: Revision,
        /// When.
        since: f64,
        /// Its place on the host's timeline now: time signatures change, and hosts jump.
        position: TimelinePosition,
        /// The generation parameters from then on.
        generation: GenerationParams,
        /// What ends the take.
        length: Length,
    },
    /// In a duet or over a frozen take, a key of the player goes down.
    Join {
        /// Voids notes generated for `from` and later.
        revision: Revision,
        /// When the key goes down.
        since: f64,
        /// `since`, or a little later.
        from: f64,
        /// MIDI key.
        pitch: u8,
        /// MIDI velocity.
        velocity: u8,
    },
    /// A key that joined comes up. Voids nothing.
    Leave {
        /// When.
        since: f64,
        /// MIDI key; `None`: all keys.
        pitch: Option<u8>,
    },
    /// The take loops: from `since` on, it repeats what it plays up to there.
    Freeze {
        /// Voids notes generated for `since` and later.
        revision: Revision,
        /// The end of the first round.
        since: f64,
        /// Length of each round in seconds, not rounded, so that no error accumulates.
        round: f64,
    },
    /// The take stops looping at `since`.
    Thaw {
        /// Voids notes generated for `since` and later.
        revision: Revision,
        /// When.
        since: f64,
    },
    /// The take is over; the revision voids all notes that have not been played.
    End(Revision, End),
    /// Undo the latest take.
    Undo,
    /// Forget the player's latest phrase and what followed it.
    ForgetPhrase {
        /// When.
        at: f64,
    },
    /// Forget everything.
    Forget {
        /// Voids all notes.
        revision: Revision,
    },
    /// Makes the generator panic, for tests of what happens then.
    #[cfg(test)]
    Break,
}

impl Message {
    /// Whether it rolls the network back to an earlier state.
    pub fn rolls_back(&self) -> bool {
        matches!(self, Self::Change { .. } | Self::Join { .. } | Self::Freeze { .. } | Self::Thaw { .. })
    }
}

/// How a take begins; see [`Message::Begin`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Begin {
    /// Its first revision.
    pub revision: Revision,
    /// The hand-over, in stream seconds.
    pub at: f64,
    /// Number of takes since the phrase began, before this one.
    pub number: u32,
    /// Where its notes come from.
    pub source: Source,
    /// Whether a button, the trigger or a bar line caused it, rather than silence.
    pub called: bool,
    /// Its place on the host's timeline.
    pub position: TimelinePosition,
    /// The generation parameters.
    pub generation: GenerationParams,
    /// What ends the take. It does not apply to a replay or a loop.
    pub length: Length,
}

/// How a take ends; see [`Message::End`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// Only notes struck before this could sound, in seconds since the hand-over; minus infinity: the hand-over was
    /// canceled.
    pub limit: f64,
    /// The most notes that could sound.
    pub notes: u32,
    /// When the take ended, in seconds since the hand-over.
    pub since: f64,
    /// When the take ended, in stream seconds.
    pub at: f64,
    /// Beats per second of the take: the hand-over may have been announced at a slightly different tempo.
    pub beats_per_second: f64,
    /// Whether notes still sounding were cut off then.
    pub cut: bool,
    /// Whether Antiphon's own notes are remembered.
    pub remembered: bool,
}

impl End {
    /// The hand-over was canceled.
    pub const CANCELED: Self = Self {
        limit: f64::NEG_INFINITY,
        notes: 0,
        since: 0.0,
        at: 0.0,
        beats_per_second: 2.0,
        cut: true,
        remembered: true,
    };
}

/// A note from the generator to the audio thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Generated {
    /// The revision in which it was generated.
    pub revision: Revision,
    /// Index of the note in the take, from 0.
    pub index: u32,
    /// The note, with its onset in seconds since the hand-over. `None`: the take has no more notes.
    pub note: Option<Note>,
}

/// In a duet, the shortest time from a player's note to the first note that responds to it, in seconds: a human
/// partner would need time too, and so does the thread. Longer than a chord's window.
pub const REACTION_S: f64 = 0.032;

/// A note that begins less than this before a round's end, in seconds, counts as on it: two ways of counting beats
/// differ by less.
pub const ON_END_S: f64 = 1e-5;

/// Length of a loop, in beats, for a take that lasted `lasted` beats: rounded up to whole bars of `bar` beats, if there
/// are bars.
pub fn loop_beats(lasted: f64, bar: Option<f64>) -> f64 {
    match bar {
        // A take that ends just past a bar line is rounded down to it.
        Some(bar) => ((lasted / bar - 1e-3).ceil().max(1.0)) * bar,
        None => lasted,
    }
}
