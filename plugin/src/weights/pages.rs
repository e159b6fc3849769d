//! Returns memory to the system.

/// Releases the memory pages of constants in the program file that will hardly be read again. If they are, the system
/// reloads them from the file.
#[cfg(target_os = "linux")]
pub fn release(bytes: &'static [u8]) {
    use std::ffi::c_void;

    use rustix::mm::{Advice, madvise};

    let page = rustix::param::page_size();
    // Whole pages only: the first and the last one may be shared with other data.
    let begin = (bytes.as_ptr() as usize).next_multiple_of(page);
    let end = (bytes.as_ptr() as usize + bytes.len()) & !(page - 1);
    if begin < end {
        // SAFETY: the pages only hold constants, which cannot have been modified: they are backed by the file, and the
        // next read loads them from there.
        let given = unsafe { madvise(begin as *mut c_void, end - begin, Advice::LinuxDontNeed) };
        // On failure the pages just stay in memory.
        let _ = given;
    }
}

/// Other systems reclaim unused pages by themselves.
#[cfg(not(target_os = "linux"))]
pub fn release(_: &'static [u8]) {}
