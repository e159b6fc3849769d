//! The network at work: it hears what the audio side reports, and thinks ahead while a take is under way. Driven by
//! calls, whoever makes them: see [`crate::generator`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Mind, Network};

use crate::clock::Instant;
use crate::generator::memory::{Memory, Take};
use crate::generator::stopwatch::Stopwatch;
use crate::link::messages::{Answer, Report};
use crate::link::queues::Far;
use crate::link::status::Status;
use crate::link::takes::TakeLog;

/// The look-ahead of the fastest machine and of the slowest, in seconds of music, and how much it grows
/// for each second that a note takes: 0.5 ms give 3 s.
const SHORTEST_LOOK_AHEAD_S: f64 = 2.5;
const LONGEST_LOOK_AHEAD_S: f64 = 8.0;
const LOOK_AHEAD_PER_S: f64 = 1000.0;
/// Notes generated ahead at most, however dense.
const LOOK_AHEAD_NOTES: usize = 64;

/// The network at work: its mind, and the take it is in.
pub struct Thinker {
    pub(super) mind: Mind,
    take: Option<Take>,
}

impl Thinker {
    /// Wakes up with what is remembered.
    pub fn new(network: Arc<Network>, memory: &mut Memory) -> Self {
        let mut mind = Mind::new(network);
        memory.recall(&mut mind);
        Self { mind, take: None }
    }

    /// What it has in mind.
    #[cfg(test)]
    pub fn mind(&self) -> &Mind {
        &self.mind
    }

    /// Takes in all that the audio thread has reported, unless it is to stop. `false`: nothing.
    pub fn listen(
        &mut self,
        far: &mut Far,
        memory: &mut Memory,
        log: &mut TakeLog,
        status: &Status,
        stop: &AtomicBool,
    ) -> bool {
        let Self { mind, take } = self;
        let mut heard = false;
        while !stop.load(Ordering::Relaxed)
            && let Some(report) = far.report()
        {
            heard = true;
            status.beat();
            let watch = report.goes_back().then(Stopwatch::start);
            match report {
                Report::Heard(note) => memory.hear(mind, &note),
                Report::Held(note) => memory.hear_held(mind, &note),
                Report::LetGo(note) => {
                    if let Some(take) = take {
                        take.let_go(&note);
                    }
                }
                Report::Begin(begin) => *take = Some(Take::begin(memory, mind, begin)),
                Report::Change { epoch, since, place, wishes, length } => {
                    if let Some(take) = take {
                        take.change(mind, epoch, since, (place, wishes, length));
                    }
                }
                Report::Join { epoch, since, from, pitch, velocity } => {
                    if let Some(take) = take {
                        take.join(mind, epoch, (since, from), pitch, velocity);
                    }
                }
                Report::Leave { since, pitch } => {
                    if let Some(take) = take {
                        take.leave(memory, since, pitch);
                    }
                }
                Report::Freeze { epoch, since, round } => {
                    if let Some(take) = take {
                        take.freeze(mind, epoch, since, round);
                    }
                }
                Report::Thaw { epoch, since } => {
                    if let Some(take) = take {
                        take.thaw(mind, epoch, since);
                    }
                }
                Report::End(_, end) => {
                    if let Some(take) = take.take()
                        && let Some(record) = take.end(memory, mind, end)
                    {
                        memory.keep_take(log.add(record));
                    }
                }
                Report::Undo => memory.undo(mind),
                Report::ForgetPhrase { at } => memory.forget_phrase(mind, at),
                Report::Forget { epoch: _ } => {
                    *take = None;
                    memory.forget(mind);
                }
                #[cfg(test)]
                Report::Break => panic!("as a test has asked"),
            }
            if let Some(watch) = watch {
                status.rollbacks.add(watch.us());
            }
        }
        heard
    }

    /// Thinks of one more note and sends it, if the look-ahead has room. `false`: it has none.
    pub fn play_on(&mut self, far: &mut Far, memory: &Memory, status: &Status) -> bool {
        let seconds = look_ahead_s(status.longest_lately_us());
        let Some(take) = self.take.as_mut().filter(|take| far.has_room() && take.wants(far.progress(), seconds)) else {
            return false;
        };
        let start = Instant::now();
        let (epoch, index, note) = take.next(memory, &mut self.mind);
        status.timed(start.elapsed().as_secs_f64() * 1e6);
        status.look_ahead_s.set((take.last_onset() - far.progress()).max(0.0));
        far.answer(Answer { epoch, index, note })
    }
}

/// How far ahead of the audio thread notes are generated, in seconds, where one takes this long, in
/// microseconds. A change voids what has not sounded, so on a fast machine length is wasted work; a
/// slow one needs it. What is played does not hang on it.
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
