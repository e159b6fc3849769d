//! The project's own commands, run as `cargo xtask COMMAND`. Plain cargo underneath; everything that
//! a person or a machine does with this repository has one name here.

mod bench;
mod book;
mod bundle;
mod cross;
mod demo;
mod digest;
mod golden;
mod host;
mod install;
mod links;
mod packages;
mod release;
mod screen;
mod soak;
mod sources;
mod standalone;
mod test;
mod tools;
mod verify;
mod web;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use workspace::Workspace;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the plugin, play a phrase to it and keep what it answers: played.mid, played.wav and played.png in target/demo.
    Demo(Passed),
    /// Build Antiphon.clap and Antiphon.vst3 under target/bundled; with --features standalone also the standalone app.
    Bundle(Passed),
    /// The same for Intel and Apple silicon in one (macOS).
    BundleUniversal,
    /// Copy the plugins and the standalone app into your own folders, the app with an entry in the menu.
    Install {
        /// What to install; everything if not given.
        parts: Vec<install::Part>,
    },
    /// Remove what `install` has copied, and nothing else.
    Uninstall,
    /// Everything that CI checks: formatting, lints, documentation, the bundle, all tests.
    Test,
    /// What the built plugin promises about time and turns, as a table and target/verify.json.
    Verify(Passed),
    /// Random blocks, notes, parameters and transports against the built plugin; target/soak.json counts what must never happen.
    Soak(Passed),
    /// How fast a note, a block, many instances and loading are, beside other engines where they are installed.
    Bench(Passed),
    /// Write the golden takes again, after new weights or a change that is meant to be heard.
    Golden {
        /// Compare them instead.
        #[arg(long)]
        check: bool,
    },
    /// Type-check and lint for Windows and both kinds of Mac, and run the Windows bundle under Wine (Linux).
    Cross {
        /// Type-check and lint only.
        #[arg(long)]
        check: bool,
    },
    /// The real editor in its states, as docs/pictures/*.png (Linux, with Xvfb).
    Pictures(Passed),
    /// Open and close the editor while it plays, and watch threads and memory.
    Editor(Passed),
    /// Use the editor as a hand does: turn, type and reset a knob, drag a take onto another window.
    Hand(Passed),
    /// Play to the standalone app over JACK, with a server that has no sound card (Linux).
    Standalone(Passed),
    /// Antiphon in a browser, as files for any web server, under target/web.
    Web {
        /// Also serve them to this machine's browsers, at this port.
        #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "8000")]
        serve: Option<u16>,
    },
    /// The book as a website under target/book, with its links checked.
    Book,
    /// What a tag publishes, as far as this system can make it, under target/dist.
    Release {
        /// What to make; everything if not given.
        parts: Vec<release::Part>,
    },
}

/// What another program is given; `--help` too.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
struct Passed {
    /// See --help.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    if let Command::Uninstall = command {
        return install::undo();
    }
    let workspace = &Workspace::enter()?;
    match command {
        Command::Demo(passed) => demo::run(workspace, &passed.options),
        Command::Bundle(passed) => bundle::run(workspace, &passed.options),
        Command::BundleUniversal => bundle::universal(workspace).map(|()| ExitCode::SUCCESS),
        Command::Install { parts } => install::run(workspace, &parts),
        Command::Uninstall => install::undo(),
        Command::Test => test::run(workspace),
        Command::Verify(passed) => verify::run(workspace, &passed.options),
        Command::Soak(passed) => soak::run(workspace, &passed.options),
        Command::Bench(passed) => bench::run(workspace, &passed.options),
        Command::Golden { check } => golden::run(check),
        Command::Cross { check } => cross::run(workspace, check),
        Command::Pictures(passed) => screen::pictures(workspace, &passed.options),
        Command::Editor(passed) => screen::editor(workspace, &passed.options),
        Command::Hand(passed) => screen::hand(workspace, &passed.options),
        Command::Standalone(passed) => standalone::run(workspace, &passed.options),
        Command::Web { serve } => web::run(workspace, serve),
        Command::Book => book::run(workspace),
        Command::Release { parts } => release::run(workspace, &parts),
    }
}
