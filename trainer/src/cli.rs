//! The command line: which subcommand there is, and what it is for.

use crate::{bench, critic, evaluate, export, generate, humanize, import, inspect, prepare, train};
use clap::{Parser, Subcommand};

/// Trains and measures the networks that continue what a pianist plays.
///
/// The usual way: `prepare` MIDI folders into a data set file, `train` on it, `evaluate` the weights,
/// then hear them with `continue` or in the plugin. Every random choice comes from a seed, so the same
/// command gives the same result. Exit codes: 0 fine, 2 input that cannot be used, 1 anything else.
#[derive(Debug, Parser)]
#[command(name = "trainer", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read folders of MIDI files into one data set file.
    Prepare(prepare::Args),
    /// Train a network on a data set.
    Train(train::Args),
    /// Measure weights against music they have not been trained on.
    Evaluate(evaluate::Args),
    /// Let a network play from nothing.
    Generate(generate::GenerateArgs),
    /// Let a network continue what a MIDI file plays.
    Continue(generate::ContinueArgs),
    /// Play scores as training hears them: MIDI files and pictures to judge by.
    Humanize(humanize::Args),
    /// Say what is in a MIDI, data set or weights file.
    Inspect(inspect::Args),
    /// Turn a PyTorch state dict of the seed network into weights.
    Import(import::Args),
    /// Make 16-bit weights for the plugin from those of a run.
    Export(export::Args),
    /// Train the critic that chooses among takes.
    Critic(critic::Args),
    /// Measure how fast this machine trains.
    Bench(bench::Args),
}

/// Does what was asked.
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
