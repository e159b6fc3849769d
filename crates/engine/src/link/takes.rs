//! The log of takes: what was played after which phrase. Written on the generator, shown in
//! the editor; the audio thread knows nothing of it.
//!
//! The editor holds [`Takes`]: look at [`Takes::version`], and when it has changed, at
//! [`Takes::list`], oldest first. To have a take heard again, thrown away, or kept from being
//! displaced by later ones, [`Takes::ask`]; the generator obeys within some milliseconds, and
//! the version changes where the list does. A take enters the log when it ends.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use notes::Note;

/// Takes in the log. The oldest one that is not kept makes room for the next.
pub const TAKES: usize = 64;
/// Requests that can wait. A click more than these is lost, as on any stuck button.
const REQUESTS: usize = 64;

/// One take. Times are seconds since its hand-over; what was before it is negative. Of a take of more notes than can be
/// kept, the latest bars, as if the hand-over had been at the first of them.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeRecord {
    /// Counts up from 1; never given twice in the life of an instance.
    pub id: u64,
    /// The seed that was set.
    pub seed: u64,
    /// Its place among the takes since the phrase began, from 1: with the seed and the phrase, what tells it from
    /// others.
    pub number: u32,
    /// The host's tempo at the hand-over: what turns these seconds into beats.
    pub beats_per_second: f64,
    /// What the player played since the take before, and, in a duet, during this one: in canonical order.
    pub phrase: Vec<Note>,
    /// What the model played: those notes that sounded, as long as they did.
    pub notes: Vec<Note>,
    /// How long it lasted.
    pub lasted_s: f64,
    /// It stays until it is deleted.
    pub kept: bool,
}

/// What the editor can ask for, by a take's id. A take that is no longer there is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Play it again, now, note for note.
    Again(u64),
    /// Throw it away.
    Delete(u64),
    /// Bring it back, if it was the last one that was thrown away.
    Restore(u64),
    /// Keep it, or let it go when others need the room.
    Keep(u64, bool),
}

#[derive(Debug, Default)]
struct Shared {
    takes: Mutex<VecDeque<Arc<TakeRecord>>>,
    version: AtomicU64,
}

impl Shared {
    fn takes(&self) -> MutexGuard<'_, VecDeque<Arc<TakeRecord>>> {
        // No one leaves the list half done: what a panic has poisoned is still a list.
        self.takes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// The editor's end.
#[derive(Clone, Debug)]
pub struct Takes {
    shared: Arc<Shared>,
    requests: Sender<Request>,
}

/// The generator's end.
#[derive(Debug)]
pub struct TakeLog {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    /// The id given last.
    id: u64,
    /// The one that was thrown away last.
    deleted: Option<Arc<TakeRecord>>,
}

/// Both ends of a new log.
pub fn takes() -> (TakeLog, Takes) {
    let shared = Arc::new(Shared::default());
    let (request, requests) = bounded(REQUESTS);
    (TakeLog { shared: shared.clone(), requests, id: 0, deleted: None }, Takes { shared, requests: request })
}

impl Takes {
    /// Changes whenever the list does.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// The takes, oldest first.
    pub fn list(&self) -> Vec<Arc<TakeRecord>> {
        self.shared.takes().iter().cloned().collect()
    }

    /// Asks for something. `false`: too much has been asked for already.
    pub fn ask(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }
}

impl TakeLog {
    /// Adds a take, whose id is given here.
    pub fn add(&mut self, mut take: TakeRecord) -> Arc<TakeRecord> {
        self.id += 1;
        take.id = self.id;
        let take = Arc::new(take);
        let mut takes = self.shared.takes();
        while takes.len() >= TAKES {
            // Where all are kept, the oldest goes all the same.
            let oldest = takes.iter().position(|take| !take.kept).unwrap_or(0);
            takes.remove(oldest);
        }
        takes.push_back(take.clone());
        drop(takes);
        self.shared.changed();
        take
    }

    /// Does what the editor has asked for, and says which take is to be heard again, if one is.
    pub fn obey(&mut self) -> Option<Arc<TakeRecord>> {
        let mut again = None;
        while let Ok(request) = self.requests.try_recv() {
            let mut takes = self.shared.takes();
            let (Request::Again(id) | Request::Delete(id) | Request::Restore(id) | Request::Keep(id, _)) = request;
            let Some(place) = takes.iter().position(|take| take.id == id) else {
                if request == Request::Restore(id)
                    && let Some(take) = self.deleted.take_if(|take| take.id == id)
                {
                    let place = takes.partition_point(|other| other.id < id);
                    takes.insert(place, take);
                    drop(takes);
                    self.shared.changed();
                }
                continue;
            };
            match request {
                Request::Again(_) => {
                    again = Some(takes[place].clone());
                    continue;
                }
                Request::Restore(_) => continue,
                Request::Delete(_) => self.deleted = takes.remove(place),
                Request::Keep(_, kept) => Arc::make_mut(&mut takes[place]).kept = kept,
            }
            drop(takes);
            self.shared.changed();
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seed: u64) -> TakeRecord {
        TakeRecord {
            id: 0,
            seed,
            number: 1,
            beats_per_second: 2.0,
            phrase: vec![],
            notes: vec![],
            lasted_s: 1.0,
            kept: false,
        }
    }

    #[test]
    fn a_kept_take_stays_and_the_oldest_other_one_makes_room() {
        let (mut log, takes) = takes();
        for seed in 0..TAKES as u64 {
            log.add(record(seed));
        }
        assert!(takes.ask(Request::Keep(1, true)) && takes.ask(Request::Delete(3)) && takes.ask(Request::Again(2)));
        let version = takes.version();
        assert_eq!(log.obey().map(|take| take.seed), Some(1));
        assert_eq!(takes.version(), version + 2, "one kept, one deleted");
        for seed in 100..103 {
            log.add(record(seed));
        }
        let ids: Vec<u64> = takes.list().iter().map(|take| take.id).collect();
        assert_eq!((ids.len(), ids[0], ids[1]), (TAKES, 1, 5), "2 and 4 made room, 3 was deleted");
        assert!(takes.list()[0].kept);
        for request in [Request::Delete(1), Request::Delete(6), Request::Restore(1), Request::Restore(6)] {
            assert!(takes.ask(request));
        }
        log.obey();
        let ids: Vec<u64> = takes.list().iter().map(|take| take.id).collect();
        assert_eq!((ids.len(), ids[0], ids[1]), (TAKES - 1, 5, 6), "only the last one comes back, to its place");
        assert!(takes.ask(Request::Again(2)));
        assert_eq!(log.obey(), None, "it is gone");
    }
}
