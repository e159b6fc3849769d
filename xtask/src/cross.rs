//! `cargo xtask cross`: the other systems, as far as Linux can tell. Everything is type-checked and linted for Windows
//! and both kinds of Mac; the Windows bundle is linked with MinGW, and the host's tests play it under Wine.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::screen::Screen;
use crate::workspace::Workspace;
use crate::{bundle, host, packages};

const WINDOWS: &str = "x86_64-pc-windows-gnu";
const TARGETS: [&str; 3] = [WINDOWS, "x86_64-apple-darwin", "aarch64-apple-darwin"];

/// Says of each step whether it went well; `--check` leaves the bundle and Wine out.
pub fn run(workspace: &Workspace, only_check: bool) -> Result<ExitCode> {
    ensure!(cfg!(target_os = "linux"), "on Windows and macOS, `cargo xtask test` tells more");
    packages::ensure_cross(!only_check)?;
    add_targets(&TARGETS)?;
    // A folder of its own: the Windows bundle bears the same names as this system's.
    let target = workspace.target.join("cross");
    let mut done = Vec::new();
    for triple in TARGETS {
        done.push((format!("{triple} type-checks"), check(triple, &target)));
    }
    if !only_check {
        let bundled = link(&target);
        let tested = if bundled.is_ok() { wine(&target) } else { Err(anyhow::anyhow!("there is no bundle to test")) };
        done.push(("the Windows bundle links".to_owned(), bundled));
        done.push(("the host's tests pass under Wine".to_owned(), tested));
    }
    println!();
    for (what, result) in &done {
        match result {
            Ok(()) => println!("{what:40} ok"),
            Err(error) => println!("{what:40} FAILED: {error:#}"),
        }
    }
    let ok = done.iter().all(|(_, result)| result.is_ok());
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Rustup's standard libraries for the targets; without rustup they may be there all the same.
fn add_targets(targets: &[&str]) -> Result<()> {
    match Command::new("rustup").args(["target", "add"]).args(targets).status() {
        Ok(status) => ensure!(status.success(), "rustup could not add {}", targets.join(", ")),
        Err(error) => eprintln!("cannot run rustup ({error}); going on with the targets that are there"),
    }
    Ok(())
}

/// Everything, tests included, without linking; a warning fails, as it does where CI builds for that system.
fn check(triple: &str, target: &Path) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.args(["clippy", "--workspace", "--all-targets", "--target", triple, "--target-dir"]).arg(target);
    cargo.args(["--", "-D", "warnings"]);
    if triple.ends_with("darwin") {
        // No C compiler for the Mac is needed where nothing is linked: what dependencies have of C is skipped.
        cargo.env("CC", "true").env("AR", "true");
    }
    success(&mut cargo)
}

/// The bundle as `cargo xtask bundle` makes it, for Windows.
fn link(target: &Path) -> Result<()> {
    let options = options(target)?;
    nice_plug_xtask::build(&[bundle::PLUGIN.to_owned()], &options)?;
    nice_plug_xtask::bundle(target, bundle::PLUGIN, &options, false)
}

fn options(target: &Path) -> Result<[String; 3]> {
    let folder = target.to_str().context("cargo's target folder is no text")?;
    Ok(["--release".to_owned(), format!("--target={WINDOWS}"), format!("--target-dir={folder}")])
}

/// Builds the bundles and the standalone app for Windows; returns their folder.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    packages::ensure_cross(true)?;
    add_targets(&[WINDOWS])?;
    let target = workspace.target.join("cross");
    link(&target)?;
    let options = &options(&target)?[1..];
    bundle::app_for(&target, options)?;
    Ok(target.join("bundled"))
}

/// Fails unless a Windows plugin loads and answers under Wine.
pub fn plays(workspace: &Workspace, clap: &Path) -> Result<()> {
    let target = workspace.target.join("cross");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--package", "test-host", "--target", WINDOWS, "--target-dir"]).arg(&target);
    success(&mut cargo)?;
    let screen = Screen::start()?;
    let mut wine = Command::new("wine");
    wine.arg(bundle::release_folder(&target, Some(WINDOWS)).join("test-host.exe")).env("ANTIPHON_CLAP", clap);
    wine.env("WINEPATH", lacking(&target)?).env("DISPLAY", &screen.name).env("WINEDEBUG", "-all");
    host::answers(&mut wine, &target.join("wine").join("plays"))
        .with_context(|| format!("{} does not play under Wine", clap.display()))
}

/// Random bytes by the name under which Rust's library asks Windows for them; Wine 8, which Debian 12 has, knows
/// them by an older one only.
const RANDOM: &str = "\
unsigned char __stdcall SystemFunction036(void *bytes, unsigned long count);
__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *bytes, unsigned long long count) {
    return SystemFunction036(bytes, (unsigned long)count);
}
";

/// The tests in crates/test-host/tests/, as Windows programs, on the Windows bundle.
fn wine(target: &Path) -> Result<()> {
    let lacking = lacking(target)?;
    let screen = Screen::start()?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--package", "test-host", "--no-fail-fast", "--target", WINDOWS, "--target-dir"])
        .arg(target)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine")
        .env("ANTIPHON_CLAP", target.join("bundled/Antiphon.clap"))
        .env("WINEPATH", lacking)
        .env("DISPLAY", &screen.name)
        // Its own messages are many.
        .env("WINEDEBUG", "-all");
    success(&mut cargo)
}

/// Builds what Wine lacks of Windows; returns its folder.
fn lacking(target: &Path) -> Result<PathBuf> {
    let folder = target.join("wine");
    std::fs::create_dir_all(&folder)?;
    let source = folder.join("random.c");
    std::fs::write(&source, RANDOM)?;
    let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
    compiler.arg("-shared").arg("-o").arg(folder.join("bcryptprimitives.dll")).arg(&source).arg("-ladvapi32");
    success(&mut compiler)?;
    Ok(folder)
}

fn success(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    ensure!(status.success(), "see above");
    Ok(())
}
