//! `cargo xtask soak`: random blocks against the built plugin, and a count of what must never happen.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{bundle, host};

/// Builds, then leaves the playing to `host soak`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    let report = workspace.target.join("soak.json");
    host::run(workspace, "soak", args, &[("ANTIPHON_SOAK", report.as_os_str())])
}
