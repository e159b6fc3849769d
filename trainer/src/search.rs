//! Playing with search: generates several takes side by side and chooses one, plan by plan ([`model::search`]).

use crate::play::{self, Length, Style};
use model::critic::{MIN_NOTES, Phrase};
use model::search::{Judge, Takes, take_seed};
use model::{BatchDecoder, Controls, Decoder, note_rng};
use notes::{Note, Successor};

/// The takes of one plan, without limits or a tempo.
struct SideBySide<'a> {
    batch: &'a mut BatchDecoder,
    controls: &'a Controls,
    seed: u64,
    /// Index of the next note in the turn.
    index: u64,
    /// Silence since the last onset that has already passed, in seconds.
    silence: f64,
    /// The last onset before the plan, in seconds.
    from: f64,
    /// The notes of each take: as fed to the network, and in seconds of the turn.
    heard: Vec<Vec<Successor>>,
    notes: Vec<Vec<Note>>,
}

impl Takes for SideBySide<'_> {
    fn play(&mut self) {
        let rng = |take| note_rng(take_seed(self.seed, take), self.index);
        let mut rngs: Vec<_> = (0..self.notes.len()).map(rng).collect();
        let played = self.batch.play(self.controls, self.silence, &mut rngs);
        for ((next, heard), notes) in played.iter().zip(&mut self.heard).zip(&mut self.notes) {
            heard.push(*next);
            notes.push(next.note(notes.last().map_or(self.from, |note| note.onset)));
        }
        (self.index, self.silence) = (self.index + 1, 0.0);
    }

    fn notes(&self, take: usize) -> &[Note] {
        &self.notes[take]
    }

    fn become_copy(&mut self, take: usize, of: usize) {
        self.batch.become_copy(take, of);
        self.heard[take] = self.heard[of].clone();
        self.notes[take] = self.notes[of].clone();
    }
}

/// Like [`play::take`], with search, after this phrase (canonical notes). Without a critic, with a single take, or
/// after too short a phrase, it is the same as without search.
pub fn take(
    decoder: &mut Decoder,
    style: &Style,
    phrase: &[Note],
    seed: u64,
    silence: f64,
    length: Length,
) -> Vec<Note> {
    let Style { controls, search, .. } = style;
    style.start_transport(decoder);
    let from = phrase.last().map_or(0.0, |note| note.onset);
    let network = decoder.network().clone();
    let Some(critic) = network.critic().filter(|_| search.takes > 1 && phrase.len() >= MIN_NOTES) else {
        return play::take(decoder, controls, seed, from, silence, length);
    };
    let phrase = Phrase::new(phrase);
    let mut batch = BatchDecoder::new(decoder, search.takes);
    let mut notes: Vec<Note> = Vec::new();
    let (handed_over, mut silence) = (silence, silence);
    loop {
        let last = notes.last().map_or(from, |note| note.onset);
        let left = length.notes.min(play::max_notes(length.seconds)).saturating_sub(notes.len());
        if left == 0 || last > from + length.seconds {
            break;
        }
        batch.restart(decoder);
        let mut takes = SideBySide {
            batch: &mut batch,
            controls,
            seed,
            index: notes.len() as u64,
            silence,
            from: last,
            heard: vec![Vec::new(); search.takes],
            notes: vec![Vec::new(); search.takes],
        };
        let judge = Judge { critic, phrase: &phrase, so_far: &notes, others: &[], hand_over: from + handed_over };
        let plan = search.next_plan(notes.len()).min(left);
        let chosen = search.plan(&mut takes, &judge, plan, (seed, notes.len() as u64));
        let (heard, chosen) = (takes.heard.swap_remove(chosen), takes.notes.swap_remove(chosen));
        decoder.feed_all(&heard);
        notes.extend(chosen);
        silence = 0.0;
    }
    notes.retain(|note| note.onset <= from + length.seconds);
    notes
}
