//! Counts a piece of code's use of the heap, including that of a loaded plugin: the calls to `malloc`, `free` and the
//! like on this thread while [`watched`] runs, and the bytes allocated while [`measured`] runs.
//!
//! Linux with glibc only. There, a program's own `malloc` takes precedence over the library's, even in libraries loaded
//! later, and glibc's allocator can still be called by a second name (`__libc_malloc`). The thread sanitizer has its
//! own `malloc`: with `--cfg tsan` nothing is counted.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

thread_local! {
    /// Whether calls on this thread are counted.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// Number of counted calls.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// Bytes allocated minus bytes freed while [`measured`] runs; negative if older memory was freed.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// Maximum of [`HELD`], in bytes.
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

/// Heap memory used by a piece of code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapUse {
    /// Maximum number of bytes allocated at one time, beyond those allocated before.
    pub peak: usize,
    /// Largest number of bytes requested by one call.
    pub largest: usize,
}

/// Bytes allocated by the whole process.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Bytes allocated on the heap now, by all threads; `None` if this system cannot count them.
pub fn live() -> Option<usize> {
    CAN_WATCH.then(|| LIVE.load(Relaxed))
}

/// Returns free heap memory to the system, so that resident memory is memory in use.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(tsan)))]
    glibc::trim();
}

/// Whether heap calls can be counted on this system.
pub const CAN_WATCH: bool = cfg!(all(target_os = "linux", target_env = "gnu", not(tsan)));

/// Runs `f`; also returns the number of heap calls that it made on this thread.
pub fn watched<R>(f: impl FnOnce() -> R) -> (R, u64) {
    let before = CALLS.get();
    let outer = WATCHED.replace(true);
    let result = f();
    WATCHED.set(outer);
    (result, CALLS.get() - before)
}

/// Runs `f`; also returns its heap use on this thread. Cannot be nested.
pub fn measured<R>(f: impl FnOnce() -> R) -> (R, HeapUse) {
    HELD.set(0);
    PEAK.set(0);
    LARGEST.set(0);
    let (result, _) = watched(f);
    let heap_use = HeapUse { peak: PEAK.get().max(0) as usize, largest: LARGEST.get() };
    (result, heap_use)
}

/// Runs `f` without counting its calls: for what a host does when the plugin calls back into it.
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
        /// Returns 0 for a null pointer.
        fn malloc_usable_size(place: *mut c_void) -> usize;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub(super) fn trim() {
        // SAFETY: has no preconditions.
        unsafe { malloc_trim(0) };
    }

    /// None of the cells has a destructor or is initialized lazily, so counting does not use the heap.
    fn count() {
        if WATCHED.get() {
            CALLS.set(CALLS.get() + 1);
        }
    }

    /// Counts an allocation of `size` bytes at `place`, which may be null; returns `place`.
    fn count_alloc(size: usize, place: *mut c_void) -> *mut c_void {
        // SAFETY: `place` is null or was just allocated.
        let usable = unsafe { malloc_usable_size(place) };
        LIVE.fetch_add(usable, Relaxed);
        if WATCHED.get() {
            LARGEST.set(LARGEST.get().max(size));
            HELD.set(HELD.get() + usable as isize);
            PEAK.set(PEAK.get().max(HELD.get()));
        }
        place
    }

    /// Counts `usable` bytes as freed.
    fn count_free(usable: usize) {
        LIVE.fetch_sub(usable, Relaxed);
        if WATCHED.get() {
            HELD.set(HELD.get() - usable as isize);
        }
    }

    // SAFETY, for all of them: the symbols replace glibc's by design, with the same signatures, and pass their
    // arguments to the very functions they replace; so memory from one of them may be passed to any other.

    /// # Safety
    /// Same as for the C function.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        count_alloc(size, unsafe { __libc_malloc(size) })
    }

    /// # Safety
    /// Same as for the C function.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        count_alloc(number.saturating_mul(size), unsafe { __libc_calloc(number, size) })
    }

    /// # Safety
    /// Same as for the C function.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(place: *mut c_void, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        unsafe {
            let before = malloc_usable_size(place);
            let memory = __libc_realloc(place, size);
            // If it fails, the old block stays allocated.
            if !memory.is_null() || size == 0 {
                count_free(before);
            }
            count_alloc(size, memory)
        }
    }

    /// # Safety
    /// Same as for the C function.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(place: *mut c_void) {
        // Freeing a null pointer does nothing, so it is not counted.
        if !place.is_null() {
            count();
        }
        // SAFETY: see above.
        unsafe {
            count_free(malloc_usable_size(place));
            __libc_free(place);
        }
    }

    /// # Safety
    /// Same as for the C function.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        count_alloc(size, unsafe { __libc_memalign(alignment, size) })
    }

    /// # Safety
    /// Same as for the C function.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        count_alloc(size, unsafe { __libc_memalign(alignment, size) })
    }

    /// # Safety
    /// Same as for the C function.
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
            let memory = count_alloc(size, __libc_memalign(alignment, size));
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
        let ((), heap_use) = measured(|| {
            for _ in 0..10 {
                std::hint::black_box(vec![1_u8; 10_000]);
            }
            let mut grows = vec![0_u8; 20_000];
            grows.reserve_exact(10_000);
            std::hint::black_box(&grows);
        });
        assert_eq!(heap_use.largest, 30_000);
        assert!((30_000..30_100).contains(&heap_use.peak), "{heap_use:?}");
        assert_eq!(measured(|| ()).1, HeapUse::default());
    }
}
