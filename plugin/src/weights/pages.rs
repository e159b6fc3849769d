//! Memory that the system may have back.

/// Takes what is written in the program's own file out of memory: these bytes will hardly be read again. If
/// they are, the system reads them anew.
#[cfg(target_os = "linux")]
pub fn release(bytes: &'static [u8]) {
    use std::ffi::c_void;

    use rustix::mm::{Advice, madvise};

    let page = rustix::param::page_size();
    // Whole pages only: something else may share the first and the last.
    let begin = (bytes.as_ptr() as usize).next_multiple_of(page);
    let end = (bytes.as_ptr() as usize + bytes.len()) & !(page - 1);
    if begin < end {
        // SAFETY: the pages hold constants and nothing else, which nobody can have written to; so they are
        // the file's own, and what is read there next comes from the file again.
        let given = unsafe { madvise(begin as *mut c_void, end - begin, Advice::LinuxDontNeed) };
        // Else they stay: no harm.
        let _ = given;
    }
}

/// Other systems take back what is not used by themselves.
#[cfg(not(target_os = "linux"))]
pub fn release(_: &'static [u8]) {}
