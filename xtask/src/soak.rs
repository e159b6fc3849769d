//! `cargo xtask soak`: stresses the built plugin with random input and counts violations.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{bundle, host};

/// Builds the plugin, then runs `test-host soak`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build_to_fail(workspace)?;
    let report = workspace.target.join("soak.json");
    host::run(workspace, "soak", args, &[("ANTIPHON_SOAK", report.as_os_str())])
}
