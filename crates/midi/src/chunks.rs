//! The frame around a file's tracks, which is believed as far as it fits what is in it.

use crate::ReadError;
use crate::events::Events;
use crate::tempo::Division;
use std::ops::Range;

/// How far into a file that is not RIFF a header is looked for.
const LATEST_HEADER: usize = 4 << 10;
/// Bytes of a header with its name and length, without what later standards may add.
const HEADER: usize = 14;

/// What the header says, and where the tracks begin.
pub(crate) struct Frame<'a> {
    /// The file, without what a RIFF file has behind the MIDI file.
    pub bytes: &'a [u8],
    pub format: u16,
    pub division: Division,
    /// Tracks that the header counts.
    pub announced: usize,
    /// One letter of the header's name is wrong.
    pub misspelled: bool,
    /// Bytes before the header that belong to no RIFF file.
    pub before_header: usize,
    /// Where to look for the first track.
    pub tracks: usize,
}

/// Where a track's events begin, and how far they may go.
pub(crate) struct Extent {
    pub start: usize,
    /// By the track's own length.
    pub said: usize,
    /// Where its length leads to the end of the file or to another chunk: there. Else at the next track.
    pub limit: usize,
    /// One letter of its name is wrong.
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

    /// The first track from `at` on; whatever lies before it is passed over.
    pub fn track(&self, at: usize) -> Option<Extent> {
        // Where one is due, it is one whatever length it says it has.
        let misspelled = is_misspelled(self.bytes, at, b"MTrk");
        let due = misspelled || self.bytes[at..].starts_with(b"MTrk");
        let start = if due { at } else { self.find_track(at..self.bytes.len())? } + 8;
        let said = start.saturating_add(be32(self.bytes, start - 4)?);
        let fits = said == self.bytes.len() || is_chunk(self.bytes, said);
        let limit = if fits { said } else { find(self.bytes, start, b"MTrk").next().unwrap_or(self.bytes.len()) };
        Some(Extent { start, said, limit, misspelled: due && misspelled })
    }

    /// Where to look for the track after one whose events end at `at`: right there, if there is one, else behind what
    /// its length covers.
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

/// Whether a track's header stands here beyond doubt: its name, and a length below 16 MiB, or one that is no length.
pub(crate) fn is_track(bytes: &[u8], at: usize) -> bool {
    // Asked at every event: mostly one byte is enough to tell.
    bytes.get(at) == Some(&b'M')
        && bytes[at..].starts_with(b"MTrk")
        && bytes.get(at + 4..at + 8).is_some_and(|length| length[0] == 0 || length == [0xff; 4])
}

/// Whether a name stands here with one wrong letter.
fn is_misspelled(bytes: &[u8], at: usize, name: &[u8; 4]) -> bool {
    let Some(found) = bytes.get(at..at.saturating_add(4)) else { return false };
    found.iter().zip(name).filter(|(found, letter)| found == letter).count() == 3
}

/// All places from `at` on where a name stands.
fn find<'a>(bytes: &'a [u8], at: usize, name: &'a [u8; 4]) -> impl Iterator<Item = usize> + 'a {
    let places = bytes.get(at..).unwrap_or_default().windows(4).enumerate();
    places.filter(move |(_, window)| window == name).map(move |(place, _)| at + place)
}

fn be32(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_be_bytes(field.try_into().ok()?)).ok()
}

/// Whether what stands here is a header beyond doubt.
fn sane(bytes: &[u8], at: usize) -> bool {
    let length = be32(bytes, at + 4).is_some_and(|length| (6..256).contains(&length));
    let fields = bytes.get(at + 8..at + HEADER).is_some_and(|fields| {
        fields[0] == 0 && fields[1] <= 2 && Division::from_header(u16::from_be_bytes([fields[4], fields[5]])).is_some()
    });
    length && fields
}

/// Whether a chunk begins here whose length fits: a track, or one with a name of letters, digits and the like.
fn is_chunk(bytes: &[u8], at: usize) -> bool {
    let name = bytes.get(at..at.saturating_add(4)).unwrap_or_default();
    let fits = || be32(bytes, at + 4).is_some_and(|length| length <= bytes.len() - at - 8);
    name == b"MTrk" || name.len() == 4 && name.iter().all(|byte| (b' '..=b'~').contains(byte)) && fits()
}

/// Where the MIDI file inside a RIFF file ends: where its `data` chunk does, unless there are tracks behind it.
fn data_end(bytes: &[u8], header: usize) -> usize {
    let length = header.checked_sub(8).and_then(|at| bytes[at..header].strip_prefix(b"data"));
    let length = length.and_then(|length| length.try_into().ok()).map(u32::from_le_bytes);
    let end = length.and_then(|length| header.checked_add(usize::try_from(length).ok()?));
    match end {
        Some(end) if end < bytes.len() && find(bytes, end, b"MTrk").next().is_none() => end.max(header + HEADER),
        _ => bytes.len(),
    }
}
