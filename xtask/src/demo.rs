//! `cargo xtask demo`: plays a phrase to the built plugin and records the answer.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{bundle, host};

/// Builds the plugin, then runs `test-host demo`, which does the playing.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    let folder = workspace.target.join("demo");
    host::run(workspace, "demo", args, &[("ANTIPHON_DEMO_DIR", folder.as_os_str())])
}
