//! `trainer`: see `trainer --help`.

use clap::Parser;
use std::process::ExitCode;

/// Training asks for the same large buffers step after step; this allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match trainer::cli::run(trainer::cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(trainer::error::exit_code(&error))
        }
    }
}
