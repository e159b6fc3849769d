//! What the measuring programs share: CPU times, heap calls, and a line of JSON for each engine.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use probe::usage;

/// The system's allocator, with a count of what is asked of it.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// CPU time of this process, in microseconds: another program on the same core does not count, and a library
/// that works on threads of its own does.
fn cpu_us() -> f64 {
    usage::process_cpu().as_secs_f64() * 1e6
}

/// What some repetitions of one thing cost.
pub struct Costs {
    /// CPU time of each, in microseconds.
    pub us: Vec<f64>,
    /// The most calls to the heap that one of them made.
    pub allocs: u64,
}

/// Measures `count` repetitions of `step`, which is told the how-manieth it is, after `warm_up` others.
pub fn measure(warm_up: usize, count: usize, mut step: impl FnMut(usize)) -> Costs {
    let mut costs = Costs { us: Vec::with_capacity(count), allocs: 0 };
    for number in 0..warm_up + count {
        let (start, calls) = (cpu_us(), CALLS.load(Ordering::Relaxed));
        step(number);
        let (end, calls) = (cpu_us(), CALLS.load(Ordering::Relaxed) - calls);
        if number >= warm_up {
            costs.us.push(end - start);
            costs.allocs = costs.allocs.max(calls);
        }
    }
    costs
}

/// Prints what steps of so many notes cost, as one line of JSON.
pub fn report(name: &str, notes: usize, costs: &Costs) {
    println!("{}", serde_json::json!({ "name": name, "notes": notes, "us": costs.us, "allocs": costs.allocs }));
}
