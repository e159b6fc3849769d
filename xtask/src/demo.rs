//! `cargo xtask demo`: the built plugin answers a phrase.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::bundle;
use crate::workspace::Workspace;

/// Builds, then leaves the playing to `host demo`, in a process of its own.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    let build = ["build", "--release", "--package", "host"];
    let status = Command::new("cargo").args(build).status().context("cannot run cargo")?;
    ensure!(status.success(), "the host could not be built; see above");
    let program = workspace.target.join("release").join(if cfg!(windows) { "host.exe" } else { "host" });
    let mut command = Command::new(&program);
    command
        .arg("demo")
        .args(args)
        .env("ANTIPHON_CLAP", workspace.clap())
        .env("ANTIPHON_DEMO_DIR", workspace.target.join("demo"))
        .current_dir(&workspace.called_from);
    let status = command.status().with_context(|| format!("cannot start {}", program.display()))?;
    // Without a code it was killed by a signal: a crash.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    if code.is_none() {
        eprintln!("error: the host ended by force: {status}");
    }
    Ok(ExitCode::from(code.unwrap_or(1)))
}
