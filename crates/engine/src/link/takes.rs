//! The log of takes: what was played after which phrase. Written by the generator, shown in the editor;
//! the audio thread does not use it.
//!
//! The editor holds [`Takes`]: check [`Takes::version`], and when it has changed, read [`Takes::list`],
//! oldest first. To replay or delete a take, or to keep it from being displaced by later ones, call
//! [`Takes::request`]; the generator responds within milliseconds, and the version changes with the
//! list. A take enters the log when it ends.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use notes::Note;

/// Capacity of the log, in takes. The oldest one that is not kept makes room for the next.
pub const TAKES: usize = 64;
/// Capacity of the queue of requests; further ones are lost.
const REQUESTS: usize = 64;

/// One take. Times are in seconds since its hand-over, negative before it. If a take has more notes than can be kept,
/// only its latest bars are recorded, as if the hand-over had been at the first of them.
#[derive(Clone, Debug, PartialEq)]
pub struct TakeRecord {
    /// Counts up from 1; unique within an instance of the plugin.
    pub id: u64,
    /// The seed that was set.
    pub seed: u64,
    /// Its number among the takes since the phrase began, from 1; together with the seed and the phrase, it identifies
    /// the take.
    pub number: u32,
    /// The host's tempo at the hand-over, which converts these seconds to beats.
    pub beats_per_second: f64,
    /// What the player played since the previous take and, in a duet, during this one; in canonical order.
    pub phrase: Vec<Note>,
    /// Antiphon's notes that sounded, with the durations that they had.
    pub notes: Vec<Note>,
    /// How long it lasted, in seconds.
    pub lasted_s: f64,
    /// Whether it stays until it is deleted.
    pub kept: bool,
}

/// A request of the editor, by a take's id. A take that no longer exists is not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Replay it now, note for note.
    Replay(u64),
    /// Delete it.
    Delete(u64),
    /// Restore it, if it was the last one that was deleted.
    Restore(u64),
    /// Keep it, or let it go when another take needs the room.
    Keep(u64, bool),
}

#[derive(Debug, Default)]
struct Shared {
    takes: Mutex<VecDeque<Arc<TakeRecord>>>,
    version: AtomicU64,
}

impl Shared {
    fn takes(&self) -> MutexGuard<'_, VecDeque<Arc<TakeRecord>>> {
        // No code can leave the list inconsistent, so it is still valid after a panic has poisoned the lock.
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
    /// The latest id.
    id: u64,
    /// The take that was deleted last.
    deleted: Option<Arc<TakeRecord>>,
}

/// Both ends of a new log.
pub fn takes() -> (TakeLog, Takes) {
    let shared = Arc::new(Shared::default());
    let (request, requests) = bounded(REQUESTS);
    (TakeLog { shared: shared.clone(), requests, id: 0, deleted: None }, Takes { shared, requests: request })
}

impl Takes {
    /// A number that changes whenever the list does.
    pub fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    /// The takes, oldest first.
    pub fn list(&self) -> Vec<Arc<TakeRecord>> {
        self.shared.takes().iter().cloned().collect()
    }

    /// Sends a request. `false`: too many requests are waiting, or the generator is gone.
    pub fn request(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }
}

impl TakeLog {
    /// Adds a take and gives it an id.
    pub fn add(&mut self, mut take: TakeRecord) -> Arc<TakeRecord> {
        self.id += 1;
        take.id = self.id;
        let take = Arc::new(take);
        let mut takes = self.shared.takes();
        while takes.len() >= TAKES {
            // If all are kept, the oldest goes anyway.
            let oldest = takes.iter().position(|take| !take.kept).unwrap_or(0);
            takes.remove(oldest);
        }
        takes.push_back(take.clone());
        drop(takes);
        self.shared.changed();
        take
    }

    /// Handles the editor's requests; returns the take to be replayed, if there is one.
    pub fn handle_requests(&mut self) -> Option<Arc<TakeRecord>> {
        let mut replay = None;
        while let Ok(request) = self.requests.try_recv() {
            let mut takes = self.shared.takes();
            let (Request::Replay(id) | Request::Delete(id) | Request::Restore(id) | Request::Keep(id, _)) = request;
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
                Request::Replay(_) => {
                    replay = Some(takes[place].clone());
                    continue;
                }
                Request::Restore(_) => continue,
                Request::Delete(_) => self.deleted = takes.remove(place),
                Request::Keep(_, kept) => Arc::make_mut(&mut takes[place]).kept = kept,
            }
            drop(takes);
            self.shared.changed();
        }
        replay
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
        assert!(
            takes.request(Request::Keep(1, true))
                && takes.request(Request::Delete(3))
                && takes.request(Request::Replay(2))
        );
        let version = takes.version();
        assert_eq!(log.handle_requests().map(|take| take.seed), Some(1));
        assert_eq!(takes.version(), version + 2, "one kept, one deleted");
        for seed in 100..103 {
            log.add(record(seed));
        }
        let ids: Vec<u64> = takes.list().iter().map(|take| take.id).collect();
        assert_eq!((ids.len(), ids[0], ids[1]), (TAKES, 1, 5), "2 and 4 made room, 3 was deleted");
        assert!(takes.list()[0].kept);
        for request in [Request::Delete(1), Request::Delete(6), Request::Restore(1), Request::Restore(6)] {
            assert!(takes.request(request));
        }
        log.handle_requests();
        let ids: Vec<u64> = takes.list().iter().map(|take| take.id).collect();
        assert_eq!((ids.len(), ids[0], ids[1]), (TAKES - 1, 5, 6), "only the last one comes back, to its place");
        assert!(takes.request(Request::Replay(2)));
        assert_eq!(log.handle_requests(), None, "it is gone");
    }
}
