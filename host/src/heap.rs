//! What a piece of code asks of the heap, whoever wrote it: counts the calls of `malloc`, `free` and
//! their like on this thread while [`watched`] runs, those of a loaded plugin included.
//!
//! Linux with glibc only. There a program's own `malloc` stands before the library's for everything
//! that is loaded later, and glibc's allocator has a second name under which it can still be called.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

thread_local! {
    /// Whether calls on this thread count.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    /// The calls that counted.
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that the whole process has on its heap.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are on the heap now, those of all threads. `None`: this system cannot count them.
pub fn live() -> Option<usize> {
    CAN_WATCH.then(|| LIVE.load(Relaxed))
}

/// Gives what is free back to the system, so that resident memory is memory in use.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::trim();
}

/// Whether this system lets heap calls be counted.
pub const CAN_WATCH: bool = cfg!(all(target_os = "linux", target_env = "gnu"));

/// Runs `f`; also returns how many calls to the heap it made on this thread.
pub fn watched<R>(f: impl FnOnce() -> R) -> (R, u64) {
    let before = CALLS.get();
    let outer = WATCHED.replace(true);
    let result = f();
    WATCHED.set(outer);
    (result, CALLS.get() - before)
}

/// Runs `f`, whose calls do not count: for what a host does when the plugin calls it.
pub fn unwatched<R>(f: impl FnOnce() -> R) -> R {
    let outer = WATCHED.replace(false);
    let result = f();
    WATCHED.set(outer);
    result
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::{c_int, c_void};

    use super::{CALLS, LIVE, Relaxed, WATCHED};

    unsafe extern "C" {
        fn __libc_malloc(size: usize) -> *mut c_void;
        fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
        fn __libc_realloc(place: *mut c_void, size: usize) -> *mut c_void;
        fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
        fn __libc_free(place: *mut c_void);
        fn malloc_usable_size(place: *mut c_void) -> usize;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub(super) fn trim() {
        // SAFETY: has no preconditions.
        unsafe { malloc_trim(0) };
    }

    /// Neither cell has a destructor or is made lazily, so this itself needs no heap.
    fn count() {
        if WATCHED.get() {
            CALLS.set(CALLS.get() + 1);
        }
    }

    /// Memory that has come; hands it on.
    fn comes(place: *mut c_void) -> *mut c_void {
        // SAFETY: the allocator has just given it, or null.
        LIVE.fetch_add(unsafe { malloc_usable_size(place) }, Relaxed);
        place
    }

    /// Memory that is about to go; hands it on.
    fn goes(place: *mut c_void) -> *mut c_void {
        // SAFETY: the caller owns it, or it is null.
        LIVE.fetch_sub(unsafe { malloc_usable_size(place) }, Relaxed);
        place
    }

    // SAFETY, for all of them: the symbols replace glibc's by design, with the same signatures, and hand
    // on what they got to the very functions they replace; so memory from one of them may go to any other.

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(unsafe { __libc_malloc(size) })
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(unsafe { __libc_calloc(number, size) })
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
            if !memory.is_null() || size == 0 {
                LIVE.fetch_sub(before, Relaxed);
            }
            comes(memory)
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
        unsafe { __libc_free(goes(place)) }
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memalign(alignment: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(unsafe { __libc_memalign(alignment, size) })
    }

    /// # Safety
    /// As C's.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
        count();
        // SAFETY: see above.
        comes(unsafe { __libc_memalign(alignment, size) })
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
            let memory = comes(__libc_memalign(alignment, size));
            if memory.is_null() {
                return ENOMEM;
            }
            *place = memory;
        }
        0
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
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
}
