//! `host soak`: random blocks, notes, parameters and transports, many of them, and a count of what must
//! never happen. `cargo xtask soak` builds the plugin and starts it.

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

/// For so many blocks, one long take that is taken back.
const BLOCKS_PER_TAKE: u64 = 20_000;

/// Play random blocks to the built plugin and count what must never happen. The exit code is 1 if
/// anything did.
#[derive(Args)]
pub struct Options {
    /// How many blocks.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    blocks: u64,
    /// Which blocks. What other threads do in real time is not in its hand.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Rounds in which 32 instances are opened, played and closed. By default one for 10,000 blocks.
    #[arg(long, value_name = "N")]
    rounds: Option<u64>,
    /// Also plays through accidents of the inference thread, in real time: two minutes.
    #[arg(long)]
    accidents: bool,
    /// Where to leave the report.
    #[arg(long, value_name = "FILE", env = "ANTIPHON_SOAK", default_value = "target/soak.json")]
    out: PathBuf,
    /// Leaves out the sessions before this one: to see again what happened in it.
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    from: u64,
}

/// Runs the soak and prints its report.
pub fn run(options: &Options) -> Result<()> {
    sandbox::deny_network()?;
    Status::request();
    let began = Instant::now();
    let mut report = Report { network_denied: cfg!(target_os = "linux"), ..Report::default() };
    // Should the plugin take this process down with it, the report says that the run has no end.
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
            report.describe(|| format!("{name}: waited {waited} times in vain"));
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
    println!("left in {}", options.out.display());
    ensure!(report.faults() == 0, "{} things happened that must not", report.faults());
    Ok(())
}
