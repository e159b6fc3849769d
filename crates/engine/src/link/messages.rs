//! What the audio thread and the generator tell each other. Messages are `Copy`; whatever concerns
//! a take bears its [`Revision`].

use notes::Note;

use crate::settings::{GenerationParams, Length};

/// Which generation of a take a message belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u64);

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
    /// The host's transport runs: its beats and bars are where the music is. Else they are only where a turn of bars ends.
    pub running: bool,
}

/// Where the notes of a take come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// The network goes on from what it remembers.
    GoOn,
    /// It begins from nothing: what was before is forgotten, once something has sounded.
    Alone,
    /// It takes the latest take back, if nothing was played since, and goes on with another random stream.
    Another,
    /// The latest take comes again.
    Again,
    /// The latest take comes again and again.
    Frozen {
        /// A round lasts whole bars; else as long as the take did.
        bars: bool,
    },
}

/// From the audio thread to the generator. `at`: seconds of the stream; `since`: seconds
/// since the hand-over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Message {
    /// The player finished a note; canonical, in onset order, in seconds of the stream.
    Heard(Note),
    /// At the hand-over that follows, the player still holds this note: canonical, in order, as long as it has sounded.
    Held(Note),
    /// Such a note has ended since: as long as it was. Voids nothing.
    LetGo(Note),
    /// The turn is the model's from its `at` on. May come some time before, and be called off.
    Begin(Begin),
    /// From `since` on, play differently: notes with an onset before it stay.
    Change {
        /// Makes what was generated beyond `since` void.
        revision: Revision,
        /// When.
        since: f64,
        /// Where it lies in the host's time now: signatures change, and hosts jump.
        place: Place,
        /// How to play from then on.
        generation: GenerationParams,
        /// What ends it.
        length: Length,
    },
    /// In a duet, or over a frozen take: a key of the player's goes down. Voids what was generated beyond.
    Join {
        /// Makes what was generated beyond `from` void.
        revision: Revision,
        /// When.
        since: f64,
        /// Then, or a little later.
        from: f64,
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
        revision: Revision,
        /// The end of the first round.
        since: f64,
        /// How long each lasts, not rounded: nothing adds up.
        round: f64,
    },
    /// From `since` on it plays freely again.
    Thaw {
        /// Makes what was generated beyond `since` void.
        revision: Revision,
        /// When.
        since: f64,
    },
    /// The take is over; the revision makes what was generated beyond void.
    End(Revision, End),
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
        revision: Revision,
    },
    /// The generator is to break; for tests of what happens then.
    #[cfg(test)]
    Break,
}

impl Message {
    /// Whether it makes the network go back to what it knew before, to go on from there.
    pub fn goes_back(&self) -> bool {
        matches!(self, Self::Change { .. } | Self::Join { .. } | Self::Freeze { .. } | Self::Thaw { .. })
    }
}

/// How a take begins; see [`Message::Begin`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Begin {
    /// Its first revision.
    pub revision: Revision,
    /// The hand-over, in seconds of the stream.
    pub at: f64,
    /// The how-manieth take.
    pub number: u32,
    /// Where its notes come from.
    pub source: Source,
    /// Somebody has called for it.
    pub called: bool,
    /// Where it lies in the host's time.
    pub place: Place,
    /// How to play.
    pub generation: GenerationParams,
    /// What ends it. A known one is as long as it was.
    pub length: Length,
}

/// How a take ends; see [`Message::End`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// Until when its notes could begin; minus infinity: the hand-over did not take place.
    pub limit: f64,
    /// How many could begin.
    pub notes: u32,
    /// When it ended.
    pub since: f64,
    /// The same moment in seconds of the stream.
    pub at: f64,
    /// Beats in a second of it: its hand-over may have been pending at a tempo a little off.
    pub beats_per_second: f64,
    /// What still sounded was cut off then.
    pub cut: bool,
    /// Its own notes are remembered.
    pub remembered: bool,
}

impl End {
    /// The hand-over did not take place.
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

/// From the generator to the audio thread. Times are seconds since the hand-over (onset) and
/// since the onset (spread, duration), as in [`Note`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Generated {
    /// The take, and which generation of it.
    pub revision: Revision,
    /// The how-manieth note of the take, from 0.
    pub index: u32,
    /// The note, its onset in seconds since the hand-over. `None`: the take has no more.
    pub note: Option<Note>,
}

/// The first note that answers one of the player's in a duet comes this much later at the earliest,
/// in seconds: no partner foresees it, and the thread needs the time. Longer than a chord's window.
pub const REACTION_S: f64 = 0.032;

/// What begins this little before a round's end, in seconds, is on it: two ways of counting beats differ by less.
pub const ON_END_S: f64 = 1e-5;

/// How long a round of what lasts so many beats is: up to the bar line, where there are bars.
pub fn loop_beats(lasted: f64, bar: Option<f64>) -> f64 {
    match bar {
        // What is a hair over a line ends on it.
        Some(bar) => ((lasted / bar - 1e-3).ceil().max(1.0)) * bar,
        None => lasted,
    }
}
