//! `cargo xtask test`: everything that CI checks, in one command, roughly from cheapest to most expensive.

use std::io::{BufRead, BufReader, IsTerminal};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;
use crate::{bundle, cross, install, links, packages, sources, tools, web};

/// Numbers of tests run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

/// Results of the stages run so far.
#[derive(Default)]
struct Report {
    stages: Vec<(&'static str, Duration, bool)>,
    /// Stages that this machine cannot run, and why.
    skipped: Vec<(&'static str, String)>,
}

impl Report {
    /// Runs one stage, times it, and prints its error at once if it fails. Returns whether it passed.
    fn stage(&mut self, name: &'static str, stage: impl FnOnce() -> Result<()>) -> bool {
        println!("== {name}");
        let began = Instant::now();
        let result = stage();
        if let Err(error) = &result {
            println!("{name} failed: {error:#}");
        }
        self.stages.push((name, began.elapsed(), result.is_ok()));
        result.is_ok()
    }
}

/// Runs every stage and ends with a line `N passed, N failed`.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let mut report = Report::default();
    let mut count = Count::default();
    report.stage("formatting", || cargo(&["fmt", "--all", "--check"], &[]));
    report.stage("sources", sources::check);
    report.stage("links", || links::check(Path::new(".")));
    match tools::ACTIONLINT.get(workspace) {
        Ok(folder) => drop(report.stage("workflows", || workflows(&folder))),
        Err(why) => report.skipped.push(("workflows", format!("{why:#}"))),
    }
    // The standalone app is part of the plugin's crate, behind a feature that needs system packages.
    let standalone = packages::ensure_standalone();
    let features: &[&str] = if standalone.is_ok() { &["--features", "antiphon/standalone"] } else { &[] };
    if let Err(why) = standalone {
        report.skipped.push(("standalone app", format!("{why:#}")));
    }
    report.stage("lints", || {
        let lints = [&["clippy", "--workspace", "--all-targets"], features, &["--", "-D", "warnings"]].concat();
        cargo(&lints, &[])
    });
    if cfg!(target_os = "linux") {
        match cross::ensure_windows() {
            Ok(()) => drop(report.stage("Windows", || cross::check_windows(workspace))),
            Err(why) => report.skipped.push(("Windows", format!("{why:#}"))),
        }
    }
    match web::target() {
        Ok(()) => drop(report.stage("engine in a page", web::check)),
        Err(why) => report.skipped.push(("engine in a page", format!("{why:#}"))),
    }
    report.stage("documentation", || cargo(&["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")]));
    // Before the tests, because those in crates/test-host/tests/ load the bundle and would all fail without it.
    let bundled = report.stage("release bundle", || bundle::build_to_fail(workspace));
    if bundled {
        // Without the CPU driver, GPU tests still run where there is a GPU, and elsewhere print that they were skipped.
        let adapter = packages::ensure_vulkan();
        if let Err(why) = &adapter {
            report.skipped.push(("GPU tests", format!("{why:#}")));
        }
        report.stage("tests", || {
            // With the CPU driver installed, tests that need a GPU must find one.
            let variables: &[_] = if adapter.is_ok() { &[("ANTIPHON_GPU_TESTS", "1")] } else { &[] };
            let which = [&["--workspace", "--no-fail-fast"], features].concat();
            count = tests(workspace, &which, variables)?;
            ensure!(count.passed + count.failed > 0, "no tests ran");
            ensure!(count.failed == 0, "{} tests failed", count.failed);
            Ok(())
        });
    }
    if bundled {
        report.stage("installation", || install::check(workspace));
    }

    if bundled && web::is_there() {
        report.stage("web page", || {
            web::try_out(workspace, |variables| {
                // All packages, so that dependencies keep the features they were already built with.
                let which = [&["--workspace", "--test", "browser"], features, &["--", "--ignored"]].concat();
                let more = tests(workspace, &which, variables)?;
                count = Count { passed: count.passed + more.passed, failed: count.failed + more.failed };
                ensure!(more.passed > 0 && more.failed == 0, "{} tests failed", more.failed);
                Ok(())
            })
        });
    } else {
        let why = "Chromium is missing (on Linux, install chromium and chromium-driver)";
        report.skipped.push(("web page", why.to_owned()));
    }

    println!();
    for (name, time, ok) in &report.stages {
        let result = if *ok { "ok" } else { "FAILED" };
        println!("{name:16} {:7.1} s  {result}", time.as_secs_f64());
    }
    for (name, why) in &report.skipped {
        println!("{name:16}            SKIPPED: {why}");
    }
    let ok = bundled && report.stages.iter().all(|(_, _, ok)| *ok);
    if !ok && count.failed == 0 {
        // A stage other than the tests failed, but many readers look only at the line below.
        count.failed = report.stages.iter().filter(|(_, _, ok)| !ok).count();
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs tests and counts them. All crates are tested in one cargo invocation, so that dependencies are built with one
/// set of features; the tests in crates/test-host/tests/ get the bundle that was just built.
fn tests(workspace: &Workspace, which: &[&str], variables: &[(&str, &str)]) -> Result<Count> {
    let mut child = Command::new("cargo")
        .arg("test")
        .args(which)
        .env("ANTIPHON_CLAP", workspace.clap())
        .envs(variables.iter().copied())
        .env("CARGO_TERM_COLOR", if std::io::stdout().is_terminal() { "always" } else { "auto" })
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let output = child.stdout.take().context("no output to read")?;
    let mut count = Count::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some(more) = parse(&line) {
            count.passed += more.passed;
            count.failed += more.failed;
        }
    }
    if !child.wait()?.success() && count.failed == 0 {
        bail!("cargo test failed; see above");
    }
    Ok(count)
}

/// Parses the last line of a test binary, such as `test result: ok. 3 passed; 0 failed; …`.
fn parse(line: &str) -> Option<Count> {
    let (_, counts) = line.split_once("test result: ")?;
    let number = |word: &str| {
        let before = counts.split_once(word)?.0;
        before.rsplit(' ').next()?.parse().ok()
    };
    Some(Count { passed: number(" passed")?, failed: number(" failed")? })
}

/// Checks GitHub's workflow files with actionlint.
fn workflows(actionlint: &Path) -> Result<()> {
    let program = actionlint.join("bin").join("actionlint");
    // Its optional checkers are disabled: the result should not depend on what else is installed.
    let status = Command::new(program)
        .args(["-shellcheck=", "-pyflakes="])
        .env("PYTHONPATH", actionlint)
        .status()
        .context("cannot run actionlint")?;
    ensure!(status.success(), "actionlint found problems; see above");
    Ok(())
}

fn cargo(args: &[&str], variables: &[(&str, &str)]) -> Result<()> {
    let status =
        Command::new("cargo").args(args).envs(variables.iter().copied()).status().context("cannot run cargo")?;
    ensure!(status.success(), "`cargo {}` failed; see above", args.join(" "));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn sources_are_as_allowed() {
        crate::workspace::Workspace::enter().unwrap();
        crate::sources::check().unwrap();
    }

    use super::{Count, parse};

    #[test]
    fn reads_closing_lines_with_and_without_colour() {
        let count = |passed, failed| Some(Count { passed, failed });
        let plain = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured";
        assert_eq!(parse(plain), count(12, 0));
        let colored = "test result: \u{1b}[31mFAILED\u{1b}[m. 3 passed; 2 failed; 0 ignored";
        assert_eq!(parse(colored), count(3, 2));
        assert_eq!(parse("test result_is_parsed ... ok"), None);
    }
}
