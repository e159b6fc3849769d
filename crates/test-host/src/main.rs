//! The host as a program: `test-host demo` plays a phrase to the built plugin and saves the answer, `test-host soak` stresses it
//! with random input and counts violations, `test-host verify` checks what is promised about time and turns, `test-host bench`
//! measures its speed. `cargo xtask` builds the plugin and runs this program.
//!
//! Exit codes: 0 success, 1 the plugin did something wrong, 2 invalid input.

mod bench;
mod canvas;
mod demo;
#[cfg(target_os = "linux")]
mod endurance;
#[cfg(target_os = "linux")]
mod handling;
#[cfg(target_os = "linux")]
mod mishandling;
mod phrase;
#[cfg(target_os = "linux")]
mod pictures;
mod roll;
mod soak;
mod sound;
#[cfg(all(target_os = "linux", feature = "jack"))]
mod stage;
#[cfg(all(target_os = "linux", feature = "jack"))]
mod standalone;
#[cfg(target_os = "linux")]
mod target;
mod verify;
mod voice;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "test-host", about = "Plays to the built plugin, as a DAW would.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Options),
    Soak(soak::Options),
    Verify(verify::Options),
    Bench(bench::Options),
    #[cfg(target_os = "linux")]
    Editor(endurance::Options),
    #[cfg(target_os = "linux")]
    Hand(handling::Options),
    #[cfg(target_os = "linux")]
    Pictures(pictures::Options),
    #[cfg(all(target_os = "linux", feature = "jack"))]
    Standalone(standalone::Options),
}

/// Invalid input from the user, not a fault of the plugin: exit code 2.
#[derive(Debug)]
struct BadInput(String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Verify(options) => verify::run(&options),
        Command::Bench(options) => bench::run(&options),
        #[cfg(target_os = "linux")]
        Command::Editor(options) => endurance::run(&options),
        #[cfg(target_os = "linux")]
        Command::Hand(options) => handling::run(&options),
        #[cfg(target_os = "linux")]
        Command::Pictures(options) => pictures::run(&options),
        #[cfg(all(target_os = "linux", feature = "jack"))]
        Command::Standalone(options) => standalone::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(if error.is::<BadInput>() { 2 } else { 1 })
        }
    }
}
