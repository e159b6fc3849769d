//! `cargo xtask verify`: checks on the built plugin what is promised about time and turns.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{bundle, host};

/// Builds the plugin, then runs `test-host verify`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    let report = workspace.target.join("verify.json");
    host::run(workspace, "verify", args, &[("ANTIPHON_VERIFY_JSON", report.as_os_str())])
}
