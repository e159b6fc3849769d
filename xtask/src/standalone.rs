//! `cargo xtask standalone`: plays to the standalone app over JACK.

use std::ffi::OsStr;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;
use crate::{host, packages};

/// A dummy driver (no sound card), without real-time priority. In synchronous mode the server waits for a period that
/// overruns, for up to 5,000 ms.
const SERVER: &[&str] = &["--sync", "--no-realtime", "--timeout", "5000", "-d", "dummy", "-r", "48000", "-p", "256"];

/// Builds the app, starts a JACK server without a sound card, then runs `host standalone`.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    ensure!(cfg!(target_os = "linux"), "this needs JACK's dummy driver, which runs only on Linux");
    packages::ensure_jack()?;
    let build = ["build", "--release", "--package", "antiphon", "--features", "standalone", "--bin", "antiphon"];
    let status = Command::new("cargo").args(build).status().context("cannot run cargo")?;
    ensure!(status.success(), "the standalone app could not be built; see above");
    let mut args = args.to_vec();
    args.extend(["--program".to_owned(), workspace.target.join("release").join("antiphon").display().to_string()]);
    let server = Server::start()?;
    host::run_with(workspace, "standalone", &args, &[("JACK_DEFAULT_SERVER", OsStr::new(&server.name))], &["jack"])
}

/// A running JACK server; dropping it ends the server.
struct Server {
    process: Child,
    /// The value for `JACK_DEFAULT_SERVER`; a unique name, so that the user's own server is not touched.
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
        // It may have ended already; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
