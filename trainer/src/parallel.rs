//! Runs work on all cores; results do not depend on the number of cores.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Applies `work` to every item; results are in the order of the items. Each thread creates one `tool` (such as a
/// decoder or a buffer) and repeatedly takes the next item, so `work` must not leave any state in the tool that affects
/// later items. Calls `done` after each item.
pub fn map<I: Sync, T, R: Send>(
    items: &[I],
    tool: impl Fn() -> T + Sync,
    work: impl Fn(&mut T, &I) -> R + Sync,
    done: impl Fn() + Sync,
) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let results = Mutex::new((0..items.len()).map(|_| None).collect::<Vec<Option<R>>>());
    std::thread::scope(|scope| {
        for _ in 0..cores.min(items.len()) {
            scope.spawn(|| {
                let mut tool = tool();
                while let Some((index, item)) = {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    items.get(index).map(|item| (index, item))
                } {
                    let result = work(&mut tool, item);
                    results.lock().expect("no thread panics while holding it")[index] = Some(result);
                    done();
                }
            });
        }
    });
    let results = results.into_inner().expect("no thread panicked");
    results.into_iter().map(|result| result.expect("every item was taken")).collect()
}
