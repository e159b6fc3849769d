//! A session with one network: processes the audio side's messages and generates ahead during a take. Driven by calls:
//! see [`crate::generator`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Decoder, Network};

use crate::clock::Instant;
use crate::generator::memory::{PhraseHistory, Take, TakeSettings};
use crate::generator::stopwatch::Stopwatch;
use crate::link::messages::Message;
use crate::link::queues::GeneratorEnd;
use crate::link::status::Status;
use crate::link::takes::TakeLog;

/// The look-ahead of the fastest and of the slowest machine, in seconds of music, and how much it grows for
/// each second that a note takes: at 0.5 ms per note it is 3 s.
const SHORTEST_LOOK_AHEAD_S: f64 = 2.5;
const LONGEST_LOOK_AHEAD_S: f64 = 8.0;
const LOOK_AHEAD_PER_S: f64 = 1000.0;
/// The most notes generated ahead, however dense they are.
const LOOK_AHEAD_NOTES: usize = 64;

/// The network's decoder and the current take.
pub struct NetworkSession {
    pub(super) decoder: Decoder,
    take: Option<Take>,
}

impl NetworkSession {
    /// A session with this network, warmed up with the phrase history.
    pub fn new(network: Arc<Network>, memory: &mut PhraseHistory) -> Self {
        let mut decoder = Decoder::new(network);
        memory.warm_up(&mut decoder);
        Self { decoder, take: None }
    }

    /// The decoder.
    #[cfg(test)]
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Processes all messages from the audio thread, until `stop` is set. Returns whether there were any.
    pub fn process_messages(
        &mut self,
        generator_end: &mut GeneratorEnd,
        memory: &mut PhraseHistory,
        log: &mut TakeLog,
        status: &Status,
        stop: &AtomicBool,
    ) -> bool {
        let Self { decoder, take } = self;
        let mut heard = false;
        while !stop.load(Ordering::Relaxed)
            && let Some(message) = generator_end.next_message()
        {
            heard = true;
            status.heartbeat();
            let watch = message.rolls_back().then(Stopwatch::start);
            match message {
                Message::Finished(note) => memory.feed(decoder, &note),
                Message::Held(note) => memory.feed_held(decoder, &note),
                Message::HeldEnded(note) => {
                    if let Some(take) = take {
                        take.end_held(&note);
                    }
                }
                Message::Begin(begin) => *take = Some(Take::begin(memory, decoder, begin)),
                Message::Change { revision, since, position, generation, length } => {
                    if let Some(take) = take {
                        take.change(decoder, revision, since, TakeSettings { position, generation, length });
                    }
                }
                Message::Join { revision, since, from, pitch, velocity } => {
                    if let Some(take) = take {
                        take.join(decoder, revision, (since, from), pitch, velocity);
                    }
                }
                Message::Leave { since, pitch } => {
                    if let Some(take) = take {
                        take.leave(memory, since, pitch);
                    }
                }
                Message::Freeze { revision, since, round } => {
                    if let Some(take) = take {
                        take.freeze(decoder, revision, since, round);
                    }
                }
                Message::Thaw { revision, since } => {
                    if let Some(take) = take {
                        take.thaw(decoder, revision, since);
                    }
                }
                Message::End(_, end) => {
                    if let Some(take) = take.take()
                        && let Some(record) = take.end(memory, decoder, end)
                    {
                        memory.keep_take(log.add(record));
                    }
                }
                Message::Undo => memory.undo(decoder),
                Message::ForgetPhrase { at } => memory.forget_phrase(decoder, at),
                Message::Forget { revision: _ } => {
                    *take = None;
                    memory.forget(decoder);
                }
                #[cfg(test)]
                Message::Break => panic!("as a test has asked"),
            }
            if let Some(watch) = watch {
                status.timing.rollbacks.add(watch.us());
            }
        }
        heard
    }

    /// Generates one more note and sends it, if there is a take and its look-ahead has room. Returns whether it did.
    pub fn generate_next(&mut self, generator_end: &mut GeneratorEnd, memory: &PhraseHistory, status: &Status) -> bool {
        let seconds = look_ahead_s(status.timing.recent_longest_us());
        let Some(take) =
            self.take.as_mut().filter(|take| generator_end.has_room() && take.wants(generator_end.progress(), seconds))
        else {
            return false;
        };
        let start = Instant::now();
        let planned = take.planned();
        let sent = take.next(memory, &mut self.decoder, |note| generator_end.send_note(note));
        // A plan generates many notes at once; what counts is the time per note.
        let notes = 1 + take.planned().saturating_sub(planned);
        status.timing.record_note(start.elapsed().as_secs_f64() * 1e6 / notes as f64);
        status.timing.look_ahead_s.set((take.last_onset() - generator_end.progress()).max(0.0));
        sent
    }
}

/// How far ahead of the audio thread notes are generated, in seconds, if one note takes `note_us` microseconds.
/// A change voids the notes that have not sounded, so a long look-ahead is wasted work on a fast machine; a
/// slow one needs it. Which notes are played does not depend on it.
fn look_ahead_s(note_us: f64) -> f64 {
    let slowness_s = if note_us.is_finite() { note_us * 1e-6 } else { 0.0 };
    (SHORTEST_LOOK_AHEAD_S + LOOK_AHEAD_PER_S * slowness_s).min(LONGEST_LOOK_AHEAD_S)
}

impl Take {
    /// Whether a look-ahead of this many seconds has room for another note, when the audio thread is `progress`
    /// seconds into the take.
    fn wants(&self, progress: f64, look_ahead_s: f64) -> bool {
        !self.is_done() && self.last_onset() < progress + look_ahead_s && self.ahead_of(progress) < LOOK_AHEAD_NOTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A single slow note makes the look-ahead longer at once; when all notes are fast again, it shrinks back.
    #[test]
    fn the_look_ahead_follows_the_speed() {
        let status = Status::default();
        let ahead = |us: f64, times: usize| {
            (0..times).for_each(|_| status.timing.record_note(us));
            look_ahead_s(status.timing.recent_longest_us())
        };
        let fast = ahead(200.0, 10);
        let slow = ahead(4_000.0, 1);
        assert!(fast >= SHORTEST_LOOK_AHEAD_S && slow > fast + 2.0, "{fast} s, then {slow} s");
        assert_eq!(ahead(200.0, 1_000), fast);
        assert_eq!(ahead(1e6, 1), LONGEST_LOOK_AHEAD_S);
    }
}
