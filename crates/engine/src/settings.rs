//! What the player asks for, as plain values of one moment: [`Settings`] for the audio side, and in
//! them the [`GenerationParams`] that go to the generator with the messages.

use model::search::Search;

/// When the turn changes hands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The model takes the turn after a silence.
    #[default]
    Auto,
    /// It plays while a trigger is held, or from one touch of it to the next.
    Trigger,
    /// So many bars the player, so many the model, on the host's bar lines.
    Trade,
    /// It plays on while the player plays, and hears what is played meanwhile.
    Duet,
    /// It plays by itself, from nothing.
    Alone,
}

/// What works as the trigger, beside the button and its parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TriggerBy {
    /// Nothing else.
    #[default]
    Button,
    /// A key of the keyboard, which then is no note any more.
    Key,
    /// A MIDI controller.
    Controller,
    /// The sustain pedal.
    Sustain,
    /// The sostenuto pedal.
    Sostenuto,
    /// The soft pedal.
    Soft,
}

/// A trigger other than the button.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// What it is.
    pub by: TriggerBy,
    /// MIDI key, for [`TriggerBy::Key`].
    pub key: u8,
    /// Number of the controller, for [`TriggerBy::Controller`].
    pub controller: u8,
    /// Each touch swaps the turns; else the model plays for as long as it is held.
    pub toggles: bool,
}

/// The silence after which the model takes the turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Silence {
    /// In seconds.
    Seconds(f64),
    /// In beats (quarter notes).
    Beats(f64),
}

/// What ends a turn of the model, beside the player.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// Nothing does.
    Open,
    /// So many seconds: what sounds then still ends in its own time.
    Seconds(f64),
    /// So many notes.
    Notes(u32),
    /// So many bars, to the host's bar line.
    Bars(u32),
}

/// Switches whose every change acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buttons {
    /// Swaps the turns.
    pub go: bool,
    /// The latest take again, note for note.
    pub replay: bool,
    /// Another take from the same phrase.
    pub new_take: bool,
    /// Takes the latest take back, as if it had never been played.
    pub undo: bool,
    /// Forgets the latest phrase of the player and what followed it.
    pub forget_phrase: bool,
    /// Forgets everything.
    pub forget: bool,
    /// Ends every note, of the player's too, and gives the turn back.
    pub panic: bool,
}

impl Buttons {
    /// All off.
    pub const OFF: Self = Self {
        go: false,
        replay: false,
        new_take: false,
        undo: false,
        forget_phrase: false,
        forget: false,
        panic: false,
    };
}

/// When Antiphon plays, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnSettings {
    /// When the turn changes hands.
    pub mode: Mode,
    /// No key down for this long hands the turn over, wherever the mode listens for silence.
    pub silence: Silence,
    /// The sustain pedal counts as a held key: it delays the hand-over.
    pub sustain_holds: bool,
    /// In [`Mode::Trigger`].
    pub trigger: Trigger,
    /// In [`Mode::Trade`]: bars of the player.
    pub your_bars: u32,
    /// In [`Mode::Trade`]: bars of Antiphon.
    pub antiphon_bars: u32,
    /// What ends Antiphon's turn.
    pub length: Length,
    /// When the player enters, Antiphon's notes keep their length; otherwise they end at once.
    pub rings_out: bool,
    /// The network remembers what it has played itself; otherwise only what the player has.
    pub remembers_own: bool,
}

/// How MIDI goes in and out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MidiSettings {
    /// The player's notes are passed on to the output.
    pub thru: bool,
    /// MIDI channel of Antiphon's notes, 0–15; `None`: that of the player's latest note.
    pub channel: Option<u8>,
    /// The sustain pedal lengthens the notes that the network receives.
    pub sustain_in: bool,
    /// Antiphon plays the sustain pedal with its phrases.
    pub sustain_out: bool,
    /// A late note is delayed by at most this, in seconds; a later one is dropped.
    pub late_s: f64,
}

/// All parameters as plain values, as of a block's start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Serial number of the loaded state that they come from; `None`: one is being loaded right now.
    pub state: Option<u32>,
    /// Neither listen nor play.
    pub bypass: bool,
    /// When Antiphon plays.
    pub turn: TurnSettings,
    /// The latest take loops.
    pub freeze: bool,
    /// Switches whose every change acts.
    pub buttons: Buttons,
    /// Antiphon plays only pitch classes of the chord that the player holds.
    pub follows_chord: bool,
    /// How MIDI goes in and out.
    pub midi: MidiSettings,
    /// How Antiphon plays.
    pub generation: GenerationParams,
}

impl Settings {
    /// The parameters' defaults.
    pub const INITIAL: Self = Self {
        state: Some(0),
        bypass: false,
        turn: TurnSettings {
            mode: Mode::Auto,
            silence: Silence::Seconds(0.8),
            sustain_holds: false,
            trigger: Trigger { by: TriggerBy::Button, key: 24, controller: 80, toggles: false },
            your_bars: 4,
            antiphon_bars: 4,
            length: Length::Open,
            rings_out: false,
            remembers_own: true,
        },
        freeze: false,
        buttons: Buttons::OFF,
        follows_chord: false,
        midi: MidiSettings { thru: true, channel: None, sustain_in: false, sustain_out: false, late_s: 0.05 },
        generation: GenerationParams::INITIAL,
    };
}

impl TurnSettings {
    /// Antiphon plays for as long as the trigger is held.
    pub fn holds(&self) -> bool {
        self.mode == Mode::Trigger && !self.trigger.toggles
    }
}

/// What the player asks of the model, at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GenerationParams {
    /// Which continuation.
    pub seed: u64,
    /// Multiply the network's own temperatures.
    pub temperature: TemperatureScales,
    /// Multiplies the network's own top-p.
    pub top_p: f32,
    /// How its time relates to the host's.
    pub rhythm: Rhythm,
    /// What it may play.
    pub limits: Limits,
    /// How loud it plays.
    pub dynamics: Dynamics,
    /// How much it plays after this session's notes instead of the network: 0–1.
    pub learn: f32,
    /// Takes that go on side by side, of which the critic chooses one; 1: no search.
    pub search: u8,
    /// Its turn ends with so many bars, by the mode or by the length that is set: it closes by then.
    pub bars: Option<u32>,
}

impl GenerationParams {
    /// The network as it is.
    pub const INITIAL: Self = Self {
        seed: 1,
        temperature: TemperatureScales { pitch: 1.0, rhythm: 1.0, length: 1.0, dynamics: 1.0 },
        top_p: 1.0,
        rhythm: Rhythm {
            strength: 0.0,
            grid: Grid::Sixteenth,
            swing: 0.5,
            beat_source: BeatSource::Host,
            speed: Speed::Normal,
            density: 1.0,
        },
        limits: Limits {
            key: Key::Free,
            scale: Scale::Major,
            lowest: 0,
            highest: 127,
            chord: 0,
            polyphony: None,
            longest_s: None,
            repeats: None,
        },
        dynamics: Dynamics::Model,
        learn: 0.0,
        search: Search::DEFAULT_TAKES as u8,
        bars: None,
    };
}

/// Factors on the temperatures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemperatureScales {
    /// Of pitches.
    pub pitch: f32,
    /// Of steps.
    pub rhythm: f32,
    /// Of durations.
    pub length: f32,
    /// Of velocities.
    pub dynamics: f32,
}

/// The grid that onsets are drawn to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each says what it is
pub enum Grid {
    Quarter,
    QuarterDotted,
    QuarterTriplet,
    Eighth,
    EighthDotted,
    EighthTriplet,
    #[default]
    Sixteenth,
    SixteenthDotted,
    SixteenthTriplet,
    ThirtySecond,
}

impl Grid {
    /// The distance of its lines, in beats (quarter notes).
    pub fn beats(self) -> f64 {
        match self {
            Self::Quarter => 1.0,
            Self::QuarterDotted => 1.5,
            Self::QuarterTriplet => 2.0 / 3.0,
            Self::Eighth => 0.5,
            Self::EighthDotted => 0.75,
            Self::EighthTriplet => 1.0 / 3.0,
            Self::Sixteenth => 0.25,
            Self::SixteenthDotted => 0.375,
            Self::SixteenthTriplet => 1.0 / 6.0,
            Self::ThirtySecond => 0.125,
        }
    }
}

/// Whose pulse the grid follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BeatSource {
    /// The host's tempo and bar lines.
    #[default]
    Host,
    /// The pulse of the player's phrase.
    Phrase,
}

/// How fast the model's music goes by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speed {
    /// Half as fast.
    Half,
    /// As the phrase goes.
    #[default]
    Normal,
    /// Twice as fast.
    Double,
}

/// How the model's time relates to the host's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rhythm {
    /// How far onsets are drawn to the grid, 0–1.
    pub strength: f32,
    /// Which grid.
    pub grid: Grid,
    /// Where every second line of the grid lies between its neighbors, 0.5–0.75.
    pub swing: f32,
    /// Whose pulse it is.
    pub beat_source: BeatSource,
    /// How fast the music goes by.
    pub speed: Speed,
    /// Factor on how many notes there are: 0.25–4.
    pub density: f32,
}

/// Which tonic the model keeps to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each says what it is
pub enum Key {
    /// Every pitch is free.
    #[default]
    Free,
    /// The key and scale that the phrase is in.
    Phrase,
    C,
    Db,
    D,
    Eb,
    E,
    F,
    Gb,
    G,
    Ab,
    A,
    Bb,
    B,
}

impl Key {
    /// The pitch class of a fixed tonic, 0 for C.
    pub fn tonic(self) -> Option<u8> {
        (self as u8).checked_sub(Self::C as u8)
    }
}

/// Which steps above the tonic the model keeps to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // each says what it is
pub enum Scale {
    #[default]
    Major,
    Minor,
    HarmonicMinor,
    MelodicMinor,
    Dorian,
    Phrygian,
    Lydian,
    Mixolydian,
    Pentatonic,
    MinorPentatonic,
    Blues,
    WholeTone,
}

impl Scale {
    /// Its pitch classes above the tonic: bit 0 is the tonic, bit 11 the major seventh.
    pub fn steps(self) -> u16 {
        match self {
            Self::Major => 0b1010_1011_0101,
            Self::Minor => 0b0101_1010_1101,
            Self::HarmonicMinor => 0b1001_1010_1101,
            Self::MelodicMinor => 0b1010_1010_1101,
            Self::Dorian => 0b0110_1010_1101,
            Self::Phrygian => 0b0101_1010_1011,
            Self::Lydian => 0b1010_1101_0101,
            Self::Mixolydian => 0b0110_1011_0101,
            Self::Pentatonic => 0b0010_1001_0101,
            Self::MinorPentatonic => 0b0100_1010_1001,
            Self::Blues => 0b0100_1110_1001,
            Self::WholeTone => 0b0101_0101_0101,
        }
    }

    /// Its pitch classes upon a tonic: bit 0 is C.
    pub fn upon(self, tonic: u8) -> u16 {
        let (steps, tonic) = (self.steps(), tonic % 12);
        (steps << tonic | steps >> (12 - tonic)) & 0xfff
    }
}

/// What the model may play.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The tonic, if any.
    pub key: Key,
    /// The scale upon it.
    pub scale: Scale,
    /// Lowest MIDI key.
    pub lowest: u8,
    /// Highest MIDI key.
    pub highest: u8,
    /// Bit p: pitch p is held by the player, whose pitch classes are all that may be played. 0: no limit.
    pub chord: u128,
    /// Notes that may sound at once; `None`: any number.
    pub polyphony: Option<u8>,
    /// The longest note, in seconds; `None`: any.
    pub longest_s: Option<f32>,
    /// How often a pitch may be struck in a row; `None`: without end.
    pub repeats: Option<u8>,
}

/// How loud the model plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dynamics {
    /// As the network would.
    Model,
    /// The network's shape around the player's level.
    Follow,
    /// All notes at this velocity, 1–127.
    Fixed(u8),
}

/// Where the network runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// Wherever it is faster, as measured when an instance first plays.
    Auto,
    /// On the CPU. No GPU's driver is loaded.
    #[default]
    Cpu,
    /// On the GPU, where there is one, else on the CPU.
    Gpu,
}
