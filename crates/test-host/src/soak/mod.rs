//! `test-host soak`: plays random blocks, notes, parameters and transports to the plugin and counts violations. `cargo xtask
//! soak` builds the plugin and runs it.

mod accidents;
mod lifecycle;
mod player;
mod referee;
mod report;
mod sandbox;
mod storm;
mod takes;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;
use rand::Rng;
use rand_pcg::Pcg32;
use test_host::{Plugin, Status};

use referee::Referee;
use report::Report;

/// Number of blocks for each long take that is withdrawn.
const BLOCKS_PER_TAKE: u64 = 20_000;

/// Stress the built plugin with random blocks and count violations. Exits with 1 if there were any.
#[derive(Args)]
pub struct Options {
    /// Number of blocks to process.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    blocks: u64,
    /// Seed of the random input; in real time, thread timing still differs between runs.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Number of rounds that open, play and close 32 instances [default: one per 10,000 blocks].
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Also simulate failures of the generator thread, in real time; takes two minutes.
    #[arg(long)]
    accidents: bool,
    /// Write the report to this file.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_SOAK", default_value = "target/soak.json")]
    out: PathBuf,
    /// Skip the sessions before this one, to reproduce what happened in it.
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    from: u64,
}

/// Runs the soak and prints its report.
pub fn run(options: &Options) -> Result<()> {
    sandbox::deny_network()?;
    Status::request();
    let began = Instant::now();
    let mut report = Report { network_denied: cfg!(target_os = "linux"), ..Report::default() };
    // Saved at once: if the plugin crashes this process, the report shows that the run did not finish.
    report.save(&options.out)?;

    let bundle = test_host::find_bundle()?;
    let mut plugin = Plugin::load(&bundle)?;
    let mut referee = Referee::of(&mut plugin)?;
    report.instances += 1;
    let mut shown = 0;
    for session in options.from.. {
        if report.blocks >= options.blocks {
            break;
        }
        let mut rng = Pcg32::new(options.seed, session);
        if rng.random_bool(0.2) {
            report.take_in(&mut plugin)?;
            plugin = Plugin::load(&bundle)?;
            referee = Referee::of(&mut plugin)?;
            report.instances += 1;
        }
        let (most, name) = (options.blocks - report.blocks, format!("session {session}"));
        let timeouts = plugin.status()?.timeouts;
        storm::session(&mut plugin, &mut referee, rng, most, &name, &mut report)?;
        let waited = plugin.status()?.timeouts - timeouts;
        if waited > 0 {
            report.describe(|| format!("{name}: {waited} waits for the model timed out"));
        }
        report.sessions += 1;
        let tenths = report.blocks * 10 / options.blocks.max(1);
        if tenths > shown {
            shown = tenths;
            println!("{} blocks, {} faults, {:.0} s", report.blocks, report.faults(), began.elapsed().as_secs_f64());
            report.save(&options.out)?;
        }
    }
    report.take_in(&mut plugin)?;
    drop(plugin);

    let long_takes = options.blocks.div_ceil(BLOCKS_PER_TAKE);
    takes::play(&bundle, options.seed, long_takes, &mut report)?;

    let rounds = options.rounds.unwrap_or(options.blocks / 10_000);
    lifecycle::rounds(&bundle, rounds, &mut report)?;
    lifecycle::activations(&bundle, rounds * 10, &mut report)?;
    lifecycle::threads(&bundle, rounds * 100, &mut report)?;
    lifecycle::drops(&bundle, rounds, &mut report)?;

    if options.accidents {
        accidents::play(&bundle, &mut report)?;
    }

    report.finished = true;
    report.seconds = began.elapsed().as_secs_f64();
    report.save(&options.out)?;
    print!("{report}");
    println!("written to {}", options.out.display());
    ensure!(report.faults() == 0, "{} violations", report.faults());
    Ok(())
}
