//! `cargo xtask verify`: what the plugin promises about time and turns, shown on the built plugin.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{bundle, host};

/// Builds, then leaves the playing to `host verify`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    let report = workspace.target.join("verify.json");
    host::run(workspace, "verify", args, &[("ANTIPHON_VERIFY_JSON", report.as_os_str())])
}
