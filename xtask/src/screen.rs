//! The editor on a virtual screen: `cargo xtask pictures`, `cargo xtask editor` and `cargo xtask ui-test`.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;
use crate::{bundle, host, packages};

/// Screen size, large enough for every picture, and color depth.
const SCREEN: &str = "3000x2000x24";

/// Builds the plugin, then runs `test-host pictures`, by default into docs/pictures.
pub fn pictures(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let mut args = args.to_vec();
    if !args.iter().any(|arg| arg.starts_with("--out")) {
        let folder = std::env::current_dir()?.join("docs").join("pictures");
        args.extend(["--out".to_owned(), folder.display().to_string()]);
    }
    run(workspace, "pictures", &args)
}

/// Builds the plugin, then runs `test-host editor`.
pub fn editor(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    run(workspace, "editor", args)
}

/// Builds the plugin, then runs `host hand`. The home folder is in the target folder, so that the take saved there does
/// not land in the user's music folder.
pub fn hand(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let home = workspace.target.join("hand");
    run_with(workspace, "hand", args, &[("HOME", home.as_os_str())])
}

fn run(workspace: &Workspace, command: &str, args: &[String]) -> Result<ExitCode> {
    run_with(workspace, command, args, &[])
}

fn run_with(workspace: &Workspace, command: &str, args: &[String], variables: &[(&str, &OsStr)]) -> Result<ExitCode> {
    ensure!(cfg!(target_os = "linux"), "this needs Xvfb, which runs only on Linux");
    packages::ensure_screen()?;
    bundle::build(workspace, &[])?;
    let screen = Screen::start()?;
    let display = [("DISPLAY", OsStr::new(&screen.name))];
    host::run(workspace, command, args, &[&display, variables].concat())
}

/// A running Xvfb server; dropping it ends the server.
pub struct Screen {
    server: Child,
    /// The display's name, as `DISPLAY` expects it.
    pub name: String,
}

impl Screen {
    /// Starts a server; [`packages::ensure_screen`] has to be called first.
    pub fn start() -> Result<Self> {
        // It chooses a free display number and prints it.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", SCREEN, "-noreset", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start Xvfb")?;
        let mut number = String::new();
        let output = server.stdout.take().context("Xvfb printed nothing")?;
        BufReader::new(output).read_line(&mut number)?;
        ensure!(!number.trim().is_empty(), "Xvfb did not start");
        Ok(Self { server, name: format!(":{}", number.trim()) })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
