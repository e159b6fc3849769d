//! Why a file could not be read, and what the user can do about it.

/// A MIDI file that cannot be used: it has no notes, or too many events, or nothing that defines the length of a tick.
/// Each message is one line; callers prepend the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The file has no bytes.
    #[error("the file is empty; export or copy it again")]
    Empty,
    /// Not a Standard MIDI File.
    #[error("not a MIDI file (it does not begin with \"MThd\"); expected a Standard MIDI File, .mid, .midi or .rmi")]
    NotMidi,
    /// The file ends before its header or tracks say it should, and before its first note.
    #[error("the MIDI file is cut off after {bytes} bytes; copy or download it again")]
    Truncated {
        /// Length of the file, in bytes.
        bytes: usize,
    },
    /// A track contains bytes that are not MIDI events, and no notes.
    #[error("the MIDI file is damaged near byte {byte}; open it in a sequencer and export it again")]
    Damaged {
        /// Position of the first unreadable event, in bytes from the beginning of the file.
        byte: usize,
    },
    /// The header's time division is zero or of an unknown kind.
    #[error("the MIDI file has an invalid time division (0x{division:04x}); export it again from a sequencer")]
    Division {
        /// The header's raw division field.
        division: u16,
    },
    /// More events than the reader accepts, to limit its memory.
    #[error(
        "the MIDI file has more than a million notes and changes of pedal and tempo; split it into pieces in a sequencer"
    )]
    TooMuch,
    /// Well-formed, but without notes.
    #[error("the MIDI file has no notes; choose one that does")]
    NoNotes,
    /// All notes are on channel 10, which General MIDI reserves for drums.
    #[error("the MIDI file has only drums (channel 10); choose one with keyboard notes")]
    DrumsOnly,
}
