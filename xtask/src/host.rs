//! The project's own host, in a process of its own: what it loads may crash.

use std::ffi::OsStr;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// Builds the host and runs one of its commands on the built bundle.
pub fn run(workspace: &Workspace, command: &str, args: &[String], variables: &[(&str, &OsStr)]) -> Result<ExitCode> {
    run_with(workspace, command, args, variables, &[])
}

/// The same, of a host with more features.
pub fn run_with(
    workspace: &Workspace,
    command: &str,
    args: &[String],
    variables: &[(&str, &OsStr)],
    features: &[&str],
) -> Result<ExitCode> {
    let build = ["build", "--release", "--package", "test-host", "--features", &features.join(",")];
    let status = Command::new("cargo").args(build).status().context("cannot run cargo")?;
    ensure!(status.success(), "the host could not be built; see above");
    let program = workspace.target.join("release").join(if cfg!(windows) { "test-host.exe" } else { "test-host" });
    let status = Command::new(&program)
        .arg(command)
        .args(args)
        .env("ANTIPHON_CLAP", workspace.clap())
        .envs(variables.iter().copied())
        .current_dir(&workspace.called_from)
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    // Without a code it was killed by a signal: a crash.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if code.is_none() {
        eprintln!("error: the host ended by force: {status}");
    }
    Ok(ExitCode::from(code.unwrap_or(1)))
}
