//! Prompts of 20 s with the 20 s that follow them in the piece.
//!
//! A prompt ends at a fixed time, not at a note, and the compared part begins exactly there: for a network, whose first
//! note comes after the prompt's end, as well as for the piece itself.

use crate::dataset::Piece;
use crate::play::{self, Length, Style};
use crate::search;
use model::{Decoder, Kind};
use notes::{Note, chords};
use std::collections::BTreeMap;

/// Length of the prompt, and of the part that follows, in seconds.
pub const PART_S: f64 = 20.0;
/// Maximum number of notes in a continuation; a limit for networks that play nothing but chords.
pub const MAX_NOTES: usize = 2000;
/// Minimum number of notes in a prompt.
pub const MIN_NOTES: usize = 10;

/// A prompt and its true continuation.
#[derive(Clone, Debug)]
pub struct Excerpt<'a> {
    /// Index of the piece among those given.
    pub piece: usize,
    /// The piece's work.
    pub work: &'a str,
    /// Canonical notes with onsets in 0..[`PART_S`].
    pub prompt: Vec<Note>,
    /// Canonical notes with onsets in [`PART_S`]..2 [`PART_S`]; may be empty.
    pub truth: Vec<Note>,
}

/// Cuts excerpts from these pieces, in order: at most `most_of_a_piece` from each, spread over it from its start, with
/// their starts at least `apart` seconds apart (with [`PART_S`], the true continuation of one is the prompt of the
/// next), and none reaching beyond the last onset. They are not selected by what follows the prompt, which would bias
/// the truth.
pub fn excerpts<'a>(pieces: &[&'a Piece], most_of_a_piece: usize, apart: f64) -> Vec<Excerpt<'a>> {
    pieces.iter().enumerate().flat_map(|(index, piece)| cut(index, piece, most_of_a_piece, apart)).collect()
}

/// At most `most` excerpts of these pieces, and at most `most_of_a_work` from each work, evenly spread over both.
pub fn excerpts_by_work<'a>(pieces: &[&'a Piece], most_of_a_work: usize, most: usize) -> Vec<Excerpt<'a>> {
    let mut works: BTreeMap<&str, Vec<Excerpt>> = BTreeMap::new();
    for excerpt in excerpts(pieces, most_of_a_work, PART_S) {
        works.entry(excerpt.work).or_default().push(excerpt);
    }
    let all = works.into_values().flat_map(|excerpts| thinned(excerpts, most_of_a_work)).collect();
    thinned(all, most)
}

/// Keeps at most `most` items, evenly spread.
pub fn thinned<T>(items: Vec<T>, most: usize) -> Vec<T> {
    let (count, most) = (items.len(), most.min(items.len()));
    let kept = |index: usize| (index * most).div_ceil(count) < ((index + 1) * most).div_ceil(count);
    items.into_iter().enumerate().filter(|(index, _)| kept(*index)).map(|(_, item)| item).collect()
}

fn cut<'a>(index: usize, piece: &'a Piece, most: usize, apart: f64) -> Vec<Excerpt<'a>> {
    let notes = &piece.notes;
    let length = notes.last().map_or(0.0, |note| note.onset);
    let apart = (length / most as f64).max(apart);
    let part = |start: f64, from: f64| -> Vec<Note> {
        let begin = notes.partition_point(|note| note.onset < start + from);
        let inside = notes[begin..].iter().take_while(|note| note.onset < start + from + PART_S);
        inside.map(|note| Note { onset: note.onset - start, ..*note }).collect()
    };
    (0..most)
        .map(|number| number as f64 * apart)
        .take_while(|start| start + 2.0 * PART_S <= length)
        .map(|start| Excerpt { piece: index, work: &piece.work, prompt: part(start, 0.0), truth: part(start, PART_S) })
        .filter(|excerpt| excerpt.prompt.len() >= MIN_NOTES)
        .collect()
}

/// A network's continuation of a prompt, canonical, with onsets in [`PART_S`]..2 [`PART_S`]. `begins`: whether a
/// network of kind seed is fed a begin-of-sequence after the prompt, as in the original project; other kinds never are.
pub fn continuation(decoder: &mut Decoder, style: &Style, prompt: &[Note], seed: u64, begins: bool) -> Vec<Note> {
    play::feed_phrase(decoder, prompt);
    if begins || decoder.network().kind() == Kind::Antiphon {
        decoder.hand_over();
    }
    let from = prompt.last().map_or(0.0, |note| note.onset);
    let silence = PART_S - from;
    let length = Length { seconds: silence + PART_S, notes: MAX_NOTES };
    within(search::take(decoder, style, prompt, seed, silence, length))
}

/// Makes notes canonical, like those of pieces, and removes those beyond the excerpt's end.
pub fn within(mut notes: Vec<Note>) -> Vec<Note> {
    chords::canonicalize(&mut notes);
    notes.retain(|note| note.onset < 2.0 * PART_S);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Split;

    fn piece(name: &str, work: &str, seconds: usize) -> Piece {
        let note = |index| Note { onset: index as f64 / 2.0, spread: 0.0, duration: 0.5, pitch: 60, velocity: 64 };
        let notes = (0..=seconds * 2).map(note).collect();
        Piece { name: name.into(), set: "set".into(), split: Split::Test, work: work.into(), notes, ..Piece::default() }
    }

    #[test]
    fn excerpts_are_spread_over_the_piece_and_none_reaches_beyond_it() {
        let counts = [39, 40, 100, 320, 1000].map(|seconds| cut(0, &piece("a", "w", seconds), 8, 40.0).len());
        assert_eq!(counts, [0, 1, 2, 8, 8]);
        assert_eq!(cut(0, &piece("a", "w", 100), 8, 20.0).len(), 4);
        let piece = piece("a", "w", 1000);
        let last = &cut(0, &piece, 8, 40.0)[7];
        assert_eq!((last.prompt[0].onset, last.truth[0].onset), (0.0, PART_S));
        assert_eq!((last.prompt.len(), last.truth.len()), (40, 40));
    }

    #[test]
    fn no_work_has_more_than_its_share() {
        let pieces: Vec<Piece> = (0..30)
            .map(|index| piece(&index.to_string(), if index < 25 { "often played" } else { "seldom" }, 400))
            .collect();
        let pieces: Vec<&Piece> = pieces.iter().collect();
        let of = |excerpts: &[Excerpt], work| excerpts.iter().filter(|excerpt| excerpt.work == work).count();
        let all = excerpts_by_work(&pieces, 10, usize::MAX);
        assert_eq!([of(&all, "often played"), of(&all, "seldom")], [10, 10]);
        let performances: std::collections::BTreeSet<usize> = all.iter().map(|excerpt| excerpt.piece).collect();
        assert!(performances.len() > 12, "from many of its performances");
        let few = excerpts_by_work(&pieces, 10, 8);
        assert_eq!([of(&few, "often played"), of(&few, "seldom")], [4, 4]);
    }

    #[test]
    fn thinning_keeps_so_many_evenly_spread() {
        for (count, most, kept) in [(10, 3, &[0, 3, 6][..]), (4, 9, &[0, 1, 2, 3]), (5, 0, &[]), (0, 3, &[])] {
            assert_eq!(thinned((0..count).collect(), most), kept, "{most} of {count}");
        }
    }
}
