//! Tests the web page in a real browser: headless Chromium, controlled by chromedriver. The test is
//! `web/tests/browser.rs`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::server::Server;
use crate::packages;
use crate::workspace::Workspace;

/// Whether there is a browser to test the page in, or one can be installed.
pub fn is_there() -> bool {
    cfg!(target_os = "linux") && packages::ensure_browser().is_ok()
}

/// Builds and serves the page, starts chromedriver, and calls `test` with the environment variables that the test
/// needs.
pub fn try_out(workspace: &Workspace, test: impl FnOnce(&[(&str, &str)]) -> Result<()>) -> Result<()> {
    let folder = super::build(workspace)?;
    let server = Server::start(&folder, 0)?;
    let driver = Driver::start()?;
    let pictures = workspace.target.join("tmp").join("web pictures");
    std::fs::create_dir_all(&pictures)?;
    let pictures = pictures.to_str().context("the path of cargo's target folder is not UTF-8")?;
    test(&[("ANTIPHON_PAGE", &server.address()), ("ANTIPHON_DRIVER", &driver.port), ("ANTIPHON_PICTURES", pictures)])
}

/// A running chromedriver; dropping it ends it and its browsers.
struct Driver {
    process: Child,
    port: String,
}

impl Driver {
    fn start() -> Result<Self> {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start chromedriver")?;
        let output = process.stdout.take().context("chromedriver printed nothing")?;
        // It prints its port within a sentence.
        let mut driver = Self { process, port: String::new() };
        let mut lines = BufReader::new(output).lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                driver.port = port.trim_end_matches('.').trim().to_owned();
                break;
            }
        }
        ensure!(!driver.port.is_empty(), "chromedriver did not start");
        // Its output must still be read, or it would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(driver)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
