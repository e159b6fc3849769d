//! The network at work: it hears what the audio side reports, and generates ahead while a take is under way. Driven by
//! calls, whoever makes them: see [`crate::generator`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Decoder, Network};

use crate::clock::Instant;
use crate::generator::memory::{Manner, PhraseHistory, Take};
use crate::generator::stopwatch::Stopwatch;
use crate::link::messages::{Generated, Message};
use crate::link::queues::GeneratorEnd;
use crate::link::status::Status;
use crate::link::takes::TakeLog;

/// The look-ahead of the fastest machine and of the slowest, in seconds of music, and how much it grows
/// for each second that a note takes: 0.5 ms give 3 s.
const SHORTEST_LOOK_AHEAD_S: f64 = 2.5;
const LONGEST_LOOK_AHEAD_S: f64 = 8.0;
const LOOK_AHEAD_PER_S: f64 = 1000.0;
/// Notes generated ahead at most, however dense.
const LOOK_AHEAD_NOTES: usize = 64;

/// The network at work: its decoder, and the take it is in.
pub struct NetworkSession {
    pub(super) decoder: Decoder,
    take: Option<Take>,
}

impl NetworkSession {
    /// Wakes up with what is remembered.
    pub fn new(network: Arc<Network>, memory: &mut PhraseHistory) -> Self {
        let mut decoder = Decoder::new(network);
        memory.recall(&mut decoder);
        Self { decoder, take: None }
    }

    /// The decoder it generates with.
    #[cfg(test)]
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// Takes in all that the audio thread has reported, unless it is to stop. `false`: nothing.
    pub fn listen(
        &mut self,
        far: &mut GeneratorEnd,
        memory: &mut PhraseHistory,
        log: &mut TakeLog,
        status: &Status,
        stop: &AtomicBool,
    ) -> bool {
        let Self { decoder, take } = self;
        let mut heard = false;
        while !stop.load(Ordering::Relaxed)
            && let Some(report) = far.report()
        {
            heard = true;
            status.beat();
            let watch = report.goes_back().then(Stopwatch::start);
            match report {
                Message::Heard(note) => memory.hear(decoder, &note),
                Message::Held(note) => memory.hear_held(decoder, &note),
                Message::LetGo(note) => {
                    if let Some(take) = take {
                        take.let_go(&note);
                    }
                }
                Message::Begin(begin) => *take = Some(Take::begin(memory, decoder, begin)),
                Message::Change { revision, since, place, generation, length } => {
                    if let Some(take) = take {
                        take.change(decoder, revision, since, Manner { place, generation, length });
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
                status.rollbacks.add(watch.us());
            }
        }
        heard
    }

    /// Thinks of one more note and sends it, if the look-ahead has room. `false`: it has none.
    pub fn play_on(&mut self, far: &mut GeneratorEnd, memory: &PhraseHistory, status: &Status) -> bool {
        let seconds = look_ahead_s(status.longest_lately_us());
        let Some(take) = self.take.as_mut().filter(|take| far.has_room() && take.wants(far.progress(), seconds)) else {
            return false;
        };
        let start = Instant::now();
        let planned = take.planned();
        let (revision, index, note) = take.next(memory, &mut self.decoder);
        // A plan is many notes at once; what counts is how long each of them takes.
        let notes = 1 + take.planned().saturating_sub(planned);
        status.timed(start.elapsed().as_secs_f64() * 1e6 / notes as f64);
        status.look_ahead_s.set((take.last_onset() - far.progress()).max(0.0));
        far.answer(Generated { revision, index, note })
    }
}

/// How far ahead of the audio thread notes are generated, in seconds, where one takes this long, in
/// microseconds. A change voids what has not sounded, so on a fast machine length is wasted work; a
/// slow one needs it. What is played does not depend on it.
fn look_ahead_s(note_us: f64) -> f64 {
    let slowness_s = if note_us.is_finite() { note_us * 1e-6 } else { 0.0 };
    (SHORTEST_LOOK_AHEAD_S + LOOK_AHEAD_PER_S * slowness_s).min(LONGEST_LOOK_AHEAD_S)
}

impl Take {
    /// Whether there is room in the look-ahead, so many seconds of it, when the audio thread is
    /// `progress` seconds into the take.
    fn wants(&self, progress: f64, look_ahead_s: f64) -> bool {
        !self.is_done() && self.last_onset() < progress + look_ahead_s && self.ahead_of(progress) < LOOK_AHEAD_NOTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A note that took long makes it look farther ahead at once; when all are fast again, it comes back.
    #[test]
    fn the_look_ahead_follows_the_speed() {
        let status = Status::default();
        let ahead = |us: f64, times: usize| {
            (0..times).for_each(|_| status.timed(us));
            look_ahead_s(status.longest_lately_us())
        };
        let fast = ahead(200.0, 10);
        let slow = ahead(4_000.0, 1);
        assert!(fast >= SHORTEST_LOOK_AHEAD_S && slow > fast + 2.0, "{fast} s, then {slow} s");
        assert_eq!(ahead(200.0, 1_000), fast);
        assert_eq!(ahead(1e6, 1), LONGEST_LOOK_AHEAD_S);
    }
}
