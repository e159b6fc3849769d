//! Builds and runs the project's test host, as a separate process: a plugin that it loads may crash it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// Builds the host and runs one of its commands on the built bundle; returns the host's exit code.
pub fn run(workspace: &Workspace, command: &str, args: &[String], variables: &[(&str, &OsStr)]) -> Result<ExitCode> {
    run_with(workspace, command, args, variables, &[])
}

/// Same as [`run`], with additional cargo features for the host.
pub fn run_with(
    workspace: &Workspace,
    command: &str,
    args: &[String],
    variables: &[(&str, &OsStr)],
    features: &[&str],
) -> Result<ExitCode> {
    let program = build(workspace, features)?;
    let status = Command::new(&program)
        .arg(command)
        .args(args)
        .env("ANTIPHON_CLAP", workspace.clap())
        .envs(variables.iter().copied())
        .current_dir(&workspace.called_from)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    // No exit code: it was killed by a signal, so it crashed.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if code.is_none() {
        eprintln!("error: the host crashed: {status}");
    }
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Builds the host with these cargo features; returns the path of the executable.
pub fn build(workspace: &Workspace, features: &[&str]) -> Result<PathBuf> {
    let build = ["build", "--release", "--package", "test-host", "--features", &features.join(",")];
    let status = Command::new("cargo").args(build).status().context("cannot run cargo")?;
    ensure!(status.success(), "the host could not be built; see above");
    Ok(workspace.target.join("release").join("test-host").with_extension(std::env::consts::EXE_EXTENSION))
}

/// Fails unless the plugin at `clap` loads and answers: plays the demo's phrase and 4 seconds more, offline.
pub fn plays(workspace: &Workspace, host: &Path, clap: &Path) -> Result<()> {
    let mut demo = Command::new(host);
    demo.env("ANTIPHON_CLAP", clap);
    check_answers(&mut demo, &workspace.target.join("tmp").join("plays"))
        .with_context(|| format!("{} does not play", clap.display()))
}

/// Same as [`plays`], with a host command prepared by the caller, for example one that runs under Wine.
pub fn check_answers(host: &mut Command, out: &Path) -> Result<()> {
    let output = host.args(["demo", "--offline", "--seconds", "4", "--out"]).arg(out).output();
    let output = output.context("cannot start the host")?;
    let table = String::from_utf8_lossy(&output.stdout);
    let played = table.lines().find_map(|line| line.strip_prefix("notes played")?.trim().parse::<u32>().ok());
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && played.is_some_and(|notes| notes > 0), "its output:\n{table}{errors}");
    Ok(())
}
