//! Work on all cores with a result that does not depend on how many there are.

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Applies `work` to every item; results stand in the items' order. Each thread makes one `tool` (a
/// decoder, a buffer) and takes the next item that nobody has, so `work` must leave nothing behind in it
/// that the next item could notice.
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
