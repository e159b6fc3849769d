//! `cargo xtask bench`: measures the speed of the built plugin, next to other engines.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;
use crate::{bundle, host};

/// Builds the plugin and two step benchmarks (our engine, candle's), then runs `test-host bench`, which measures.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    for (example, features) in [("step", "gpu"), ("candle_step", "train")] {
        let mut build = Command::new("cargo");
        build.args(["build", "--release", "--package", "model", "--example", example, "--features", features]);
        let status = build.status().context("cannot run cargo")?;
        ensure!(status.success(), "the example {example} could not be built; see above");
    }
    let figures = workspace.target.join("bench.json");
    let example = |name: &str| {
        workspace.target.join("release/examples").join(name).with_extension(std::env::consts::EXE_EXTENSION)
    };
    let (step, candle) = (example("step"), example("candle_step"));
    let peers = std::env::current_dir()?.join("crates/test-host/bench");
    host::run(
        workspace,
        "bench",
        args,
        &[
            ("ANTIPHON_BENCH_JSON", figures.as_os_str()),
            ("ANTIPHON_BENCH_STEP", step.as_os_str()),
            ("ANTIPHON_BENCH_CANDLE", candle.as_os_str()),
            ("ANTIPHON_BENCH_PEERS", peers.as_os_str()),
        ],
    )
}
