//! `cargo xtask cross`: checks the other systems as far as Linux can. Type-checks and lints everything for Windows and
//! for macOS on both architectures, links the Windows bundle with MinGW, and runs the host's tests on it under Wine.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::screen::Screen;
use crate::workspace::Workspace;
use crate::{bundle, host, packages};

const WINDOWS: &str = "x86_64-pc-windows-gnu";
const TARGETS: [&str; 3] = [WINDOWS, "x86_64-apple-darwin", "aarch64-apple-darwin"];

/// Runs each step and prints whether it succeeded; with `only_check`, skips the bundle and Wine.
pub fn run(workspace: &Workspace, only_check: bool) -> Result<ExitCode> {
    ensure!(cfg!(target_os = "linux"), "this needs Linux; on Windows and macOS, run `cargo xtask test`");
    if !only_check {
        packages::ensure_wine()?;
    }
    add_targets(&TARGETS)?;
    // A separate target folder: the Windows bundles have the same names as this system's.
    let target = workspace.target.join("cross");
    let mut done = Vec::new();
    for triple in TARGETS {
        done.push((format!("{triple} type-checks"), check(triple, &target, &["--workspace"])));
    }
    if !only_check {
        let bundled = link(&target, &[bundle::TO_FAIL]);
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

/// Adds rustup's standard libraries for the targets. Without rustup, they may still be there.
fn add_targets(targets: &[&str]) -> Result<()> {
    match Command::new("rustup").args(["target", "add"]).args(targets).status() {
        Ok(status) => ensure!(status.success(), "rustup could not add {}", targets.join(", ")),
        Err(error) => eprintln!("cannot run rustup ({error}); continuing with the installed targets"),
    }
    Ok(())
}

/// Lints these packages, tests included, without linking. Warnings are errors, as on CI's native builds for that system.
fn check(triple: &str, target: &Path, packages: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.arg("clippy").args(packages).args(["--all-targets", "--features", "antiphon/standalone"]);
    cargo.args(["--target", triple, "--target-dir"]).arg(target).args(["--", "-D", "warnings"]);
    // Without linking, no C compiler for that system is needed: the C parts of dependencies are skipped.
    cargo.env("CC", "true").env("AR", "true");
    success(&mut cargo)
}

/// Prepares [`check_windows`].
pub fn ensure_windows() -> Result<()> {
    add_targets(&[WINDOWS])
}

/// Lints everything but the trainer for Windows: code and uses that only one system has are often the other one's
/// errors. The trainer has none of them, and many dependencies.
pub fn check_windows(workspace: &Workspace) -> Result<()> {
    check(WINDOWS, &workspace.target.join("cross"), &["--workspace", "--exclude", "trainer"])
}

/// Builds the Windows bundle the way `cargo xtask bundle` does, with these options besides.
fn link(target: &Path, more: &[&str]) -> Result<()> {
    let options = [&options(target)?[..], &more.iter().map(|&option| option.to_owned()).collect::<Vec<_>>()].concat();
    nice_plug_xtask::build(&[bundle::PLUGIN.to_owned()], &options)?;
    nice_plug_xtask::bundle(target, bundle::PLUGIN, &options, false)
}

fn options(target: &Path) -> Result<[String; 3]> {
    let folder = target.to_str().context("the path of cargo's target folder is not UTF-8")?;
    Ok(["--release".to_owned(), format!("--target={WINDOWS}"), format!("--target-dir={folder}")])
}

/// Builds the bundles and the standalone app for Windows; returns their folder.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    packages::ensure_wine()?;
    add_targets(&[WINDOWS])?;
    let target = workspace.target.join("cross");
    link(&target, &[])?;
    let options = &options(&target)?[1..];
    bundle::app_for(&target, options)?;
    Ok(target.join("bundled"))
}

/// Fails unless the Windows plugin at `clap` loads and answers a phrase under Wine.
pub fn plays(workspace: &Workspace, clap: &Path) -> Result<()> {
    let target = workspace.target.join("cross");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--package", "test-host", "--target", WINDOWS, "--target-dir"]).arg(&target);
    success(&mut cargo)?;
    let screen = Screen::start()?;
    let mut wine = Command::new("wine");
    wine.arg(bundle::release_folder(&target, Some(WINDOWS)).join("test-host.exe")).env("ANTIPHON_CLAP", clap);
    wine.env("WINEPATH", build_wine_shim(&target)?).env("DISPLAY", &screen.name).env("WINEDEBUG", "-all");
    host::check_answers(&mut wine, &target.join("wine").join("plays"))
        .with_context(|| format!("{} does not play under Wine", clap.display()))
}

/// Exports the random function that Rust's standard library imports from Windows; Wine 8 (Debian 12) provides only its
/// older equivalent.
const RANDOM: &str = "\
unsigned char __stdcall SystemFunction036(void *bytes, unsigned long count);
__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *bytes, unsigned long long count) {
    return SystemFunction036(bytes, (unsigned long)count);
}
";

/// Runs the tests in crates/test-host/tests/, built for Windows, on the Windows bundle.
fn wine(target: &Path) -> Result<()> {
    let shim = build_wine_shim(target)?;
    let screen = Screen::start()?;
    let mut cargo = Command::new("cargo");
    cargo
        .args(["test", "--package", "test-host", "--no-fail-fast", "--target", WINDOWS, "--target-dir"])
        .arg(target)
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "wine")
        .env("ANTIPHON_CLAP", target.join("bundled/Antiphon.clap"))
        .env("WINEPATH", shim)
        .env("DISPLAY", &screen.name)
        // Wine's own messages would flood the output.
        .env("WINEDEBUG", "-all");
    success(&mut cargo)
}

/// Builds the DLL that Wine lacks; returns its folder.
fn build_wine_shim(target: &Path) -> Result<PathBuf> {
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
    ensure!(status.success(), "{:?} failed; see above", command.get_program());
    Ok(())
}
