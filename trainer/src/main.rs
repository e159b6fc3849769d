//! The `trainer` binary; see `trainer --help`.

use clap::Parser;
use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// Training allocates the same large buffers in every step; this allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// SAFETY: the signature is the one in mimalloc.h (versions 2 and 3).
unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// `mi_option_purge_delay` in mimalloc.h: milliseconds until free pages are returned to the system, -1 for never.
const PURGE_DELAY: c_int = 15;

fn main() -> ExitCode {
    // By default, free pages are returned after 10 ms, and fetched again in the next step as 14,000 to 26,000 page
    // faults: 5 to 15 % of the time, for 4 % less memory (`trainer bench`).
    // SAFETY: sets a number in the allocator that is linked in; no other thread is running yet.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
    match trainer::cli::run(trainer::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(trainer::error::exit_code(&error))
        }
    }
}
