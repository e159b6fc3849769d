//! Shared by the benchmarks: CPU times, heap allocations, and a line of JSON per engine.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use probe::usage;

/// The system's allocator, counting allocations.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

// SAFETY: forwards everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: guaranteed by the caller.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: guaranteed by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// CPU time of this process, in microseconds: excludes other programs on the same core, and includes a library's own
/// threads.
fn cpu_us() -> f64 {
    usage::process_cpu().as_secs_f64() * 1e6
}

/// Costs of repetitions of one task.
pub struct Costs {
    /// CPU time of each repetition, in microseconds.
    pub us: Vec<f64>,
    /// Largest number of allocations in one repetition.
    pub allocs: u64,
}

/// Measures `count` repetitions of `step`, after `warm_up` others. `step` is called with its index.
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

/// Prints costs as one line of JSON; `notes`: notes per repetition.
pub fn report(name: &str, notes: usize, costs: &Costs) {
    println!("{}", serde_json::json!({ "name": name, "notes": notes, "us": costs.us, "allocs": costs.allocs }));
}
