//! Why a file could not be read, and what its owner can do about it.

/// A MIDI file that cannot be used: there is no note in it, or nothing that says how long a tick is. Each message is one
/// line; callers put the path in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Zero bytes.
    #[error("the file is empty; export or copy it again")]
    Empty,
    /// Something else than a Standard MIDI File.
    #[error("not a MIDI file (it does not begin with \"MThd\"); expected a Standard MIDI File, .mid, .midi or .rmi")]
    NotMidi,
    /// The file ends before its header or tracks say it should, and before its first note.
    #[error("the MIDI file is cut off after {bytes} bytes; copy or download it again")]
    Truncated {
        /// Length of what is there.
        bytes: usize,
    },
    /// A track holds bytes that are no MIDI events, and no note.
    #[error("the MIDI file is damaged near byte {byte}; open it in a sequencer and export it again")]
    Damaged {
        /// Distance of the first unreadable event from the beginning of the file.
        byte: usize,
    },
    /// A header that divides the beat, or the second, into nothing or in an unknown way.
    #[error("the MIDI file's time division 0x{division:04x} means nothing; export it again from a sequencer")]
    Division {
        /// The header's raw division field.
        division: u16,
    },
    /// More than a reader's memory should be asked for.
    #[error(
        "the MIDI file has more than a million notes and changes of pedal and tempo; split it into pieces in a sequencer"
    )]
    TooMuch,
    /// Well-formed, but nothing to play.
    #[error("the MIDI file has no notes; choose one that does")]
    NoNotes,
    /// Notes on channel 10 only, which General MIDI reserves for drums.
    #[error("the MIDI file has drums only (channel 10); choose one with notes for a keyboard")]
    DrumsOnly,
}
