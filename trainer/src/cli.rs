//! The command line and its subcommands.

use crate::{bench, critic, evaluate, export, generate, humanize, import, inspect, prepare, train};
use clap::{Parser, Subcommand};

/// Train and measure the networks that continue what a pianist plays.
///
/// The usual workflow: `prepare` folders of MIDI files into a data set file, `train` a network on it, `evaluate` the
/// weights, then listen to them with `continue` or in the plugin. All random choices derive from seeds, so the same
/// command gives the same result. Exit codes: 0 success, 2 unusable input, 1 any other error.
#[derive(Debug, Parser)]
#[command(name = "trainer", version)]
pub struct Cli {
    /// The subcommand to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read folders of MIDI files into a data set file.
    Prepare(prepare::Args),
    /// Train a network on a data set.
    Train(train::Args),
    /// Measure weights on music that they were not trained on.
    Evaluate(evaluate::Args),
    /// Generate music with a network, from nothing.
    Generate(generate::GenerateArgs),
    /// Continue the music in a MIDI file with a network.
    Continue(generate::ContinueArgs),
    /// Render scores with the timing and dynamics used in training, as MIDI files and pictures.
    Humanize(humanize::Args),
    /// Show the contents of a MIDI, data set or weights file.
    Inspect(inspect::Args),
    /// Convert a PyTorch state dict of the seed network to a weights file.
    Import(import::Args),
    /// Export the weights of a training run as a 16-bit weights file for the plugin.
    Export(export::Args),
    /// Train the critic that `--search` uses to choose among takes.
    Critic(critic::Args),
    /// Measure training speed on this machine.
    Bench(bench::Args),
}

/// Runs the chosen subcommand.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Prepare(args) => prepare::run(args),
        Command::Train(args) => train::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Generate(args) => generate::generate(args),
        Command::Continue(args) => generate::continue_phrase(args),
        Command::Humanize(args) => humanize::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
        Command::Critic(args) => critic::run(args),
        Command::Bench(args) => bench::run(args),
    }
}
