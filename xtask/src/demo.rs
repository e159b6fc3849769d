//! `cargo xtask demo`: the built plugin answers a phrase.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{bundle, host};

/// Builds, then leaves the playing to `host demo`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    bundle::build(workspace, &[])?;
    let folder = workspace.target.join("demo");
    host::run(workspace, "demo", args, &[("ANTIPHON_DEMO_DIR", folder.as_os_str())])
}
