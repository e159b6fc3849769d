//! Counts of what is odd about a file.

/// Counts of oddities that real files have and tidy ones do not. None of them keeps a file from being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    /// Tracks with at least one note.
    pub note_tracks: usize,
    /// Tempo events in all tracks.
    pub tempo_events: usize,
    /// Tempo events that another one at the same tick overrode.
    pub tempo_overridden: usize,
    /// Note-ons of a key that was already down on the same track and channel.
    pub restruck: usize,
    /// Of these, the ones that ended the previous note, because note-offs are missing.
    pub ended_by_restrike: usize,
    /// Notes without a note-off that an all-notes-off or all-sound-off ended.
    pub ended_by_all_off: usize,
    /// Note-offs without a note; ignored.
    pub orphan_offs: usize,
    /// Notes without a note-off; they end with their track, after [`notes::listener::LONGEST_S`] at the latest.
    pub unended: usize,
    /// Notes whose end is at the same tick as their beginning; kept with duration 0.
    pub zero_durations: usize,
    /// Notes that begin at the same time as another one of the same pitch.
    pub unisons: usize,
    /// Notes that begin while an earlier one of the same pitch sounds, on any track.
    pub overlaps: usize,
    /// Notes on the drum channel; skipped.
    pub drums: usize,
    /// Notes on the drum channel of a track that is for a piano; read.
    pub piano_on_drum_channel: usize,
    /// Number of tracks in a format 2 file, where they are patterns, played one after another.
    pub patterns: usize,
    /// Bytes before the header.
    pub bytes_before_header: usize,
    /// Chunks with one wrong letter in their name.
    pub misspelled_chunks: usize,
    /// Tracks that the header announces but the file lacks.
    pub missing_tracks: usize,
    /// Tracks whose length field does not match their events.
    pub wrong_track_lengths: usize,
    /// Tracks without an End of Track, unless cut off.
    pub tracks_without_end: usize,
    /// Tracks cut off by the end of the file.
    pub cut_off: usize,
    /// Events with a data byte above 127. Velocities are clamped to 127; other such events are skipped.
    pub bad_values: usize,
    /// Invalid meta events: a tempo of 0, a time signature of 0/4, a length that does not match the type.
    pub bad_metas: usize,
    /// Bytes that are not part of any event; skipped.
    pub unknown_bytes: usize,
    /// Real-time and system-common messages, which do not belong in a file; skipped.
    pub system_messages: usize,
}

impl Warnings {
    /// Every count with its name, in field order.
    pub fn counts(&self) -> [(&'static str, usize); 24] {
        [
            ("note_tracks", self.note_tracks),
            ("tempo_events", self.tempo_events),
            ("tempo_overridden", self.tempo_overridden),
            ("restruck", self.restruck),
            ("ended_by_restrike", self.ended_by_restrike),
            ("ended_by_all_off", self.ended_by_all_off),
            ("orphan_offs", self.orphan_offs),
            ("unended", self.unended),
            ("zero_durations", self.zero_durations),
            ("unisons", self.unisons),
            ("overlaps", self.overlaps),
            ("drums", self.drums),
            ("piano_on_drum_channel", self.piano_on_drum_channel),
            ("patterns", self.patterns),
            ("bytes_before_header", self.bytes_before_header),
            ("misspelled_chunks", self.misspelled_chunks),
            ("missing_tracks", self.missing_tracks),
            ("wrong_track_lengths", self.wrong_track_lengths),
            ("tracks_without_end", self.tracks_without_end),
            ("cut_off", self.cut_off),
            ("bad_values", self.bad_values),
            ("bad_metas", self.bad_metas),
            ("unknown_bytes", self.unknown_bytes),
            ("system_messages", self.system_messages),
        ]
    }
}

/// Lists what is odd in words: `orphan offs: 2, cut off: 1`; empty if nothing is.
impl std::fmt::Display for Warnings {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        // The first two counts, tracks and tempo events, are not odd.
        let odd = self.counts().into_iter().skip(2).filter(|&(_, count)| count > 0);
        for (place, (name, count)) in odd.enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}: {count}", name.replace('_', " "))?;
        }
        Ok(())
    }
}
