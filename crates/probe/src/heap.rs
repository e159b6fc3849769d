//! What a piece of code asks of the heap, whoever wrote it: counts the calls of `malloc`, `free` and
//! their like on this thread while [`watched`] runs, those of a loaded plugin included, and the bytes
//! that are asked for while [`measured`] runs.
//!
//! Linux with glibc only. There a program's own `malloc` stands before the library's for everything
//! that is loaded later, and glibc's allocator has a second name under which it can still be called. The thread sanitizer
//! has a `malloc` of its own: with `--cfg tsan` nothing is counted.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

thread_local! {
    /// Whether calls on this thread count.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// The calls that counted.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// Bytes taken and not given back while [`measured`] runs; below 0 where older ones were given back.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most that was held at one time, and the most that one call asked for.
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// What was taken of the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The most bytes that were held at one time beyond those held before.
    pub peak: usize,
    /// The most bytes that one call asked for.
    pub largest: usize,
}

/// Bytes that the whole process has on its heap.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are on the heap now, those of all threads. `None`: this system cannot count them.
pub fn live() -> Option<usize> {
    CAN_WATCH.then(|| LIVE.load(Relaxed))
}

/// Gives what is free back to the system, so that resident memory is memory in use.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(tsan)))]
    glibc::trim();
}

/// Whether this system lets heap calls be counted.
pub const CAN_WATCH: bool = cfg!(all(target_os = "linux", target_env = "gnu", not(tsan)));

/// Runs `f`; also returns how many calls to the heap it made on this thread.
pub fn watched<R>(f: impl FnOnce() -> R) -> (R, u64) {
    let before = CALLS.get();
    let outer = WATCHED.replace(true);
    let result = f();
    WATCHED.set(outer);
    (result, CALLS.get() - before)
}

/// Runs `f`; also returns what it took of the heap on this thread. Not to be nested.
pub fn measured<R>(f: impl FnOnce() -> R) -> (R, Taken) {
    HELD.set(0);
    PEAK.set(0);
    LARGEST.set(0);
    let (result, _) = watched(f);
    let taken = Taken { peak: PEAK.get().max(0) as usize, largest: LARGEST.get() };
    (result, taken)
}

/// Runs `f`, whose calls do not count: for what a host does when the plugin calls it.
pub fn unwatched<R>(f: impl FnOnce() -> R) -> R {
    let outer = WATCHED.replace(false);
    let result = f();
    WATCHED.set(outer);
    result
}

#[cfg(all(target_os = "linux", target_env = "gnu", not(tsan)))]
mod glibc {
    use std::ffi::{c_int, c_void};

    use super::{CALLS, HELD, LARGEST, LIVE, PEAK, Relaxed, WATCHED};

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(place: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
        fn __libc_free(place: *mut c_void);
        /// 0 for nothing.
        fn malloc_usable_size(place: *mut c_void) -> usize;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub(super) fn trim() {
        // SAFETY: has no preconditions.
        unsafe { malloc_trim(0) };
    }

    /// None of the cells has a destructor or is made lazily, so this itself needs no heap.
    fn count() {
        if WATCHED.get() {
            CALLS.set(CALLS.get() + 1);
        }
    }

    /// Counts what was asked for and came as `place`; hands it on.
    fn comes(size: usize, place: *mut c_void) -> *mut c_void {
        // SAFETY: `place` is nothing or has just come from the allocator.
        let usable = unsafe { malloc_usable_size(place) };
        LIVE.fetch_add(usable, Relaxed);
        if WATCHED.get() {
            LARGEST.set(LARGEST.get().max(size));
            HELD.set(HELD.get() + usable as isize);
            PEAK.set(PEAK.get().max(HELD.get()));
        }
        place
    }

    /// Counts so many bytes that go back.
    fn goes(usable: usize) {
        LIVE.fetch_sub(usable, Relaxed);
        if WATCHED.get() {
            HELD.set(HELD.get() - usable as isize);
        }
    }

    // SAFETY, for all of them: the symbols replace glibc's by design, with the same signatures, and hand
    // on what they got to the very functions they replace; so memory from one of them may go to any other.

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(size, unsafe { __libc_malloc(size) })
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(number.saturating_mul(size), unsafe { __libc_calloc(number, size) })
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(place: *mut c_void, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        unsafe {
            let before = malloc_usable_size(place);
            let memory = __libc_realloc(place, size);
            // Where it fails, the old place stays.
            if !memory.is_null() || size == 0 {
                goes(before);
            }
            comes(size, memory)
        }
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(place: *mut c_void) {
        // Freeing nothing does nothing.
        if !place.is_null() {
            count();
        }
        // SAFETY: see above.
        unsafe {
            goes(malloc_usable_size(place));
            __libc_free(place);
        }
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(size, unsafe { __libc_memalign(alignment, size) })
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(size, unsafe { __libc_memalign(alignment, size) })
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
        const EINVAL: c_int = 22;
        const ENOMEM: c_int = 12;
        count();
        if !alignment.is_power_of_two() || !alignment.is_multiple_of(size_of::<*mut c_void>()) {
            return EINVAL;
        }
        // SAFETY: see above; the caller owns `place`.
        unsafe {
            let memory = comes(size, __libc_memalign(alignment, size));
            if memory.is_null() {
                return ENOMEM;
            }
            *place = memory;
        }
        0
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu", not(tsan)))]
mod tests {
    use super::*;

    #[test]
    fn counts_what_happens_inside_and_nothing_else() {
        let (outside, calls) = watched(|| unwatched(|| vec![1_u8; 100]));
        assert_eq!(calls, 0);
        let ((), calls) = watched(|| drop(outside));
        assert_eq!(calls, 1, "a free counts");
        let (boxed, calls) = watched(|| std::hint::black_box(Box::new(7)));
        assert_eq!((*boxed, calls), (7, 1));
        let (sum, calls) = watched(|| std::hint::black_box([1, 2, 3]).iter().sum::<i32>());
        assert_eq!((sum, calls), (6, 0));
    }

    #[test]
    fn measures_what_is_held_at_one_time_and_asked_for_at_once() {
        let ((), taken) = measured(|| {
            for _ in 0..10 {
                std::hint::black_box(vec![1_u8; 10_000]);
            }
            let mut grows = vec![0_u8; 20_000];
            grows.reserve_exact(10_000);
            std::hint::black_box(&grows);
        });
        assert_eq!(taken.largest, 30_000);
        assert!((30_000..30_100).contains(&taken.peak), "{taken:?}");
        assert_eq!(measured(|| ()).1, Taken::default());
    }
}
