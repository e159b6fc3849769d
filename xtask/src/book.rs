//! `cargo xtask book`: the book as a website.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;
use crate::{links, tools};

/// Builds the book and says where it is.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    ensure!(args.is_empty(), "`cargo xtask book` takes no options");
    let folder = build(workspace)?;
    let (files, bytes) = size(&folder)?;
    println!("{}: {files} files, {:.1} MB; every link leads somewhere", folder.join("index.html").display(), bytes as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}

/// Builds the book into `target/book`, with its links checked; returns the folder.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    links::check(Path::new("."))?;
    let mdbook = tools::MDBOOK.get(workspace)?;
    let folder = workspace.target.join("book");
    let status = Command::new(mdbook).args(["build", "docs", "--dest-dir"]).arg(&folder).status();
    ensure!(status.context("cannot run mdbook")?.success(), "the book could not be built; see above");
    links::check_site(&folder)?;
    Ok(folder)
}

/// Files below a folder, and their bytes.
pub fn size(folder: &Path) -> Result<(usize, u64)> {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (files, bytes) = if entry.path().is_dir() { size(&entry.path())? } else { (1, entry.metadata()?.len()) };
        sum = (sum.0 + files, sum.1 + bytes);
    }
    Ok(sum)
}
