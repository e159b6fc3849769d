//! `cargo xtask book`: the book as a website.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::workspace::Workspace;
use crate::{links, tools};

/// Builds the book and prints where it is.
pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    let folder = build(workspace)?;
    let (files, bytes) = size(&folder)?;
    println!("{}: {files} files, {:.1} MB; all links work", folder.join("index.html").display(), bytes as f64 / 1e6);
    Ok(ExitCode::SUCCESS)
}

/// Pages of the book whose source is outside `docs/`, where readers expect it: name in the book, source file.
const ELSEWHERE: [(&str, &str); 4] = [
    ("architecture.md", "ARCHITECTURE.md"),
    ("changes.md", "CHANGELOG.md"),
    ("card-antiphon.md", "weights/antiphon.md"),
    ("card-seed.md", "weights/seed.md"),
];

/// Builds the book into `target/book`, with its links checked; returns the folder.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    links::check(Path::new("."))?;
    let mdbook = tools::MDBOOK.get(workspace)?;
    let source = workspace.target.join("tmp").join("book");
    if source.exists() {
        std::fs::remove_dir_all(&source)?;
    }
    copy(Path::new("docs"), &source)?;
    for (page, file) in ELSEWHERE {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        // These files link to pages as `docs/PAGE`; in the book the pages are siblings.
        std::fs::write(source.join(page), text.replace("](docs/", "]("))?;
    }
    let folder = workspace.target.join("book");
    let mut mdbook = Command::new(mdbook);
    let status = mdbook.arg("build").arg(&source).arg("--dest-dir").arg(&folder).status();
    ensure!(status.context("cannot run mdbook")?.success(), "the book could not be built; see above");
    links::check_site(&folder)?;
    Ok(folder)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// The number of files below a folder, and their total size in bytes.
pub fn size(folder: &Path) -> Result<(usize, u64)> {
    let mut sum = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (files, bytes) = if entry.path().is_dir() { size(&entry.path())? } else { (1, entry.metadata()?.len()) };
        sum = (sum.0 + files, sum.1 + bytes);
    }
    Ok(sum)
}
