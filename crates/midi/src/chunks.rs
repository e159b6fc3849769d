//! The chunk structure around a file's tracks, trusted only as far as it matches what is there.

use crate::ReadError;
use crate::events::Events;
use crate::tempo::Division;
use std::ops::Range;

/// How far into a file that is not RIFF a header is searched for, in bytes.
const LATEST_HEADER: usize = 4 << 10;
/// Bytes of the header chunk with its name and length, without fields that later standards may add.
const HEADER: usize = 14;

/// The header's fields, and where the tracks begin.
pub(crate) struct Frame<'a> {
    /// The file, without what follows the MIDI data in a RIFF file.
    pub bytes: &'a [u8],
    pub format: u16,
    pub division: Division,
    /// Number of tracks according to the header.
    pub announced: usize,
    /// One letter of the header's name is wrong.
    pub misspelled: bool,
    /// Bytes before the header, unless they are part of a RIFF file.
    pub before_header: usize,
    /// Where to look for the first track.
    pub tracks: usize,
}

/// Where a track's events begin and how far they may extend.
pub(crate) struct Extent {
    pub start: usize,
    /// The end according to the track's length field.
    pub said: usize,
    /// The same as `said` if that is the end of the file or another chunk begins there; else the next track, or the end
    /// of the file.
    pub limit: usize,
    /// One letter of the track's name is wrong.
    pub misspelled: bool,
}

impl<'a> Frame<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, ReadError> {
        if bytes.is_empty() {
            return Err(ReadError::Empty);
        }
        let riff = bytes.starts_with(b"RIFF");
        let misspelled = is_misspelled(bytes, 0, b"MThd") && sane(bytes, 0);
        let at = if bytes.starts_with(b"MThd") || misspelled {
            0
        } else if b"MThd".starts_with(bytes) {
            return Err(ReadError::Truncated { bytes: bytes.len() });
        } else {
            let reach = if riff { bytes.len() } else { bytes.len().min(LATEST_HEADER + HEADER) };
            find(&bytes[..reach], 1, b"MThd").find(|&at| sane(bytes, at)).ok_or(ReadError::NotMidi)?
        };
        let header = bytes.get(at + 8..at + HEADER).ok_or(ReadError::Truncated { bytes: bytes.len() })?;
        let field = |index: usize| u16::from_be_bytes([header[index], header[index + 1]]);
        let division = Division::from_header(field(4)).ok_or(ReadError::Division { division: field(4) })?;
        Ok(Self {
            bytes: &bytes[..data_end(bytes, at)],
            format: field(0),
            division,
            announced: field(2).into(),
            misspelled,
            before_header: if riff { 0 } else { at },
            tracks: at + HEADER,
        })
    }

    /// The first track at or after `at`; anything before it is skipped.
    pub fn track(&self, at: usize) -> Option<Extent> {
        // A track that begins right here counts, whatever its length field says.
        let misspelled = is_misspelled(self.bytes, at, b"MTrk");
        let due = misspelled || self.bytes[at..].starts_with(b"MTrk");
        let start = if due { at } else { self.find_track(at..self.bytes.len())? } + 8;
        let said = start.saturating_add(be32(self.bytes, start - 4)?);
        let fits = said == self.bytes.len() || is_chunk(self.bytes, said);
        let limit = if fits { said } else { find(self.bytes, start, b"MTrk").next().unwrap_or(self.bytes.len()) };
        Some(Extent { start, said, limit, misspelled: due && misspelled })
    }

    /// Where to look for the next track: right behind the events if they end with an End of Track and a track begins
    /// there or the length field is wrong; else at the first track header within the length, or behind it.
    pub fn after(&self, extent: &Extent, events: &Events) -> usize {
        let at = events.at();
        let fits = extent.said == extent.limit;
        let due = self.bytes[at..].starts_with(b"MTrk") || is_misspelled(self.bytes, at, b"MTrk");
        if events.ended() && (!fits || due) {
            return at;
        }
        self.find_track(at..extent.limit).unwrap_or(extent.limit)
    }

    fn find_track(&self, range: Range<usize>) -> Option<usize> {
        find(&self.bytes[..range.end], range.start, b"MTrk").find(|&at| is_track(self.bytes, at))
    }
}

/// Whether this is certainly a track header: its name, and a length below 16 MiB or of ffffffff.
pub(crate) fn is_track(bytes: &[u8], at: usize) -> bool {
    // Called for every event: usually the first byte decides.
    bytes.get(at) == Some(&b'M')
        && bytes[at..].starts_with(b"MTrk")
        && bytes.get(at + 4..at + 8).is_some_and(|length| length[0] == 0 || length == [0xff; 4])
}

/// Whether the name is here with exactly one wrong letter.
fn is_misspelled(bytes: &[u8], at: usize, name: &[u8; 4]) -> bool {
    let Some(found) = bytes.get(at..at.saturating_add(4)) else { return false };
    found.iter().zip(name).filter(|(found, letter)| found == letter).count() == 3
}

/// All positions of a chunk name from `at` on.
fn find<'a>(bytes: &'a [u8], at: usize, name: &'a [u8; 4]) -> impl Iterator<Item = usize> + 'a {
    let places = bytes.get(at..).unwrap_or_default().windows(4).enumerate();
    places.filter(move |(_, window)| window == name).map(move |(place, _)| at + place)
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_be_bytes(field.try_into().ok()?)).ok()
}

/// Whether this is certainly a file header.
fn sane(bytes: &[u8], at: usize) -> bool {
    let length = be32(bytes, at + 4).is_some_and(|length| (6..256).contains(&length));
    let fields = bytes.get(at + 8..at + HEADER).is_some_and(|fields| {
        fields[0] == 0 && fields[1] <= 2 && Division::from_header(u16::from_be_bytes([fields[4], fields[5]])).is_some()
    });
    length && fields
}

/// Whether a chunk begins here: a track, or one with a printable name and a length that fits.
fn is_chunk(bytes: &[u8], at: usize) -> bool {
    let name = bytes.get(at..at.saturating_add(4)).unwrap_or_default();
    let fits = || be32(bytes, at + 4).is_some_and(|length| length <= bytes.len() - at - 8);
    name == b"MTrk" || name.len() == 4 && name.iter().all(|byte| (b' '..=b'~').contains(byte)) && fits()
}

/// The end of the MIDI file inside a RIFF file: the end of its `data` chunk, unless there are tracks after that.
fn data_end(bytes: &[u8], header: usize) -> usize {
    let length = header.checked_sub(8).and_then(|at| bytes[at..header].strip_prefix(b"data"));
    let length = length.and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let end = length.and_then(|length| header.checked_add(usize::try_from(length).ok()?));
    match end {
        Some(end) if end < bytes.len() && find(bytes, end, b"MTrk").next().is_none() => end.max(header + HEADER),
        _ => bytes.len(),
    }
}
