//! `cargo xtask standalone`: the program of its own, played to over JACK.

use std::ffi::OsStr;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;
use crate::{host, packages};

/// No sound card and no real-time priority; a period that takes longer than it should takes its time.
const SERVER: &[&str] = &["--sync", "--no-realtime", "--timeout", "5000", "-d", "dummy", "-r", "48000", "-p", "256"];

/// Builds the program, starts a JACK server that has no sound card, and leaves the rest to `host standalone`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    ensure!(cfg!(target_os = "linux"), "this needs JACK's dummy driver, hence Linux");
    packages::ensure_jack()?;
    let build = ["build", "--release", "--package", "antiphon", "--features", "standalone", "--bin", "antiphon"];
    let status = Command::new("cargo").args(build).status().context("cannot run cargo")?;
    ensure!(status.success(), "the program could not be built; see above");
    let mut args = args.to_vec();
    args.extend(["--program".to_owned(), workspace.target.join("release").join("antiphon").display().to_string()]);
    let server = Server::start()?;
    host::run_with(workspace, "standalone", &args, &[("JACK_DEFAULT_SERVER", OsStr::new(&server.name))], &["jack"])
}

/// A running server; dropping it ends it.
struct Server {
    process: Child,
    /// As `JACK_DEFAULT_SERVER` wants it: none that the user may have is touched.
    name: String,
}

impl Server {
    fn start() -> Result<Self> {
        let name = format!("antiphon-{}", std::process::id());
        let process = Command::new("jackd")
            .args(["--name", &name])
            .args(SERVER)
            .env("JACK_NO_AUDIO_RESERVATION", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start jackd")?;
        Ok(Self { process, name })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
