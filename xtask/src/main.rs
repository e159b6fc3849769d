//! The project's commands, run as `cargo xtask COMMAND`. They wrap plain cargo: every task that a developer or CI does
//! in this repository has one command here.

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

/// Build, test, measure and release Antiphon.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a phrase to the built plugin and record its answer as played.mid, played.wav and played.png in target/demo.
    Demo(ForwardedArgs),
    /// Build Antiphon.clap and Antiphon.vst3 in target/bundled; with `--features standalone`, also the standalone app.
    Bundle(ForwardedArgs),
    /// Build the plugins and the standalone app as universal binaries for Intel and Apple silicon (macOS only).
    BundleUniversal,
    /// Build and install the plugins and the standalone app for the current user, without root.
    Install {
        /// Parts to install [default: all; the app only if it can be built here].
        parts: Vec<install::Part>,
    },
    /// Remove the files that `install` copied; keep those changed since.
    Uninstall,
    /// Run everything that CI checks: formatting, dependencies, links, lints, documentation, the bundle and all tests.
    Test,
    /// Check the built plugin's timing and turn-taking; print a table and write target/verify.json.
    Verify(ForwardedArgs),
    /// Stress the built plugin with random blocks, notes, parameters and transports; count violations in
    /// target/soak.json.
    Soak(ForwardedArgs),
    /// Measure the speed of a step, a block, many instances and loading; compare with other engines where installed.
    Bench(ForwardedArgs),
    /// Rewrite the golden takes, after new weights or an intended change of the generated notes.
    Golden {
        /// Compare with the stored takes instead of rewriting them.
        #[arg(long)]
        check: bool,
    },
    /// Type-check and lint for Windows and macOS, and run the tests on the Windows bundle under Wine (Linux only).
    Cross {
        /// Only type-check and lint; skip the Windows bundle and Wine.
        #[arg(long)]
        check: bool,
    },
    /// Take screenshots of the editor in several states, as docs/pictures/*.png (Linux only, needs Xvfb).
    Pictures(ForwardedArgs),
    /// Open and close the editor while the plugin plays, and check threads and memory (Linux only).
    Editor(ForwardedArgs),
    /// Operate the editor with a simulated mouse and keyboard: turn, type and reset a knob, drag out a take (Linux
    /// only).
    #[command(alias = "hand")]
    UiTest(ForwardedArgs),
    /// Play to the standalone app over JACK, on a server without a sound card (Linux only).
    Standalone(ForwardedArgs),
    /// Build the web page with Antiphon in it in target/web, ready for any web server.
    Web {
        /// Also serve the page to browsers on this machine, on this port [default: 8000].
        #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "8000")]
        serve: Option<u16>,
    },
    /// Build the book as a website in target/book and check its links.
    Book,
    /// Build the release files of this version in target/dist, as far as this system can.
    Release {
        /// Parts to build [default: all that this system can].
        parts: Vec<release::Part>,
    },
}

/// Options passed to another program, `--help` included.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
struct ForwardedArgs {
    /// Options for the command; see `--help` after the command's name.
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
        Command::Demo(args) => demo::run(workspace, &args.options),
        Command::Bundle(args) => bundle::run(workspace, &args.options),
        Command::BundleUniversal => bundle::universal(workspace).map(|()| ExitCode::SUCCESS),
        Command::Install { parts } => install::run(workspace, &parts),
        Command::Uninstall => install::undo(),
        Command::Test => test::run(workspace),
        Command::Verify(args) => verify::run(workspace, &args.options),
        Command::Soak(args) => soak::run(workspace, &args.options),
        Command::Bench(args) => bench::run(workspace, &args.options),
        Command::Golden { check } => golden::run(check),
        Command::Cross { check } => cross::run(workspace, check),
        Command::Pictures(args) => screen::pictures(workspace, &args.options),
        Command::Editor(args) => screen::editor(workspace, &args.options),
        Command::UiTest(args) => screen::hand(workspace, &args.options),
        Command::Standalone(args) => standalone::run(workspace, &args.options),
        Command::Web { serve } => web::run(workspace, serve),
        Command::Book => book::run(workspace),
        Command::Release { parts } => release::run(workspace, &parts),
    }
}
