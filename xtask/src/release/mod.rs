//! `cargo xtask release`: everything that a tag publishes, as far as this machine can make it, into `target/dist`. Each
//! archive is unpacked again and has to play before the command ends.

mod archive;
mod contents;
mod glibc;
mod legal;
mod linux;
mod macos;
mod third_party;
mod windows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use crate::workspace::Workspace;
use crate::{book, digest, web};
use legal::Papers;

/// What a release is made of, in the order in which it is made.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Part {
    /// Licences of third parties, SBOM, model cards.
    Papers,
    Web,
    Book,
    Linux,
    Windows,
    #[value(name = "macos")]
    MacOs,
}

impl Part {
    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What the parts are made with.
struct Release<'a> {
    workspace: &'a Workspace,
    version: String,
    /// Where it all goes.
    dist: PathBuf,
}

/// What came of one part.
enum Made {
    /// These files, and what is to be said of them.
    Files(Vec<PathBuf>, Vec<String>),
    /// This machine cannot make it.
    NotHere(String),
}

/// Makes the parts that are named, else all, and says of each what it left or why it is not there.
pub fn run(workspace: &Workspace, asked: &[Part]) -> Result<ExitCode> {
    let parts = if asked.is_empty() { Part::value_variants() } else { asked };
    let version = workspace.version()?;
    let dist = workspace.target.join("dist");
    if dist.exists() {
        std::fs::remove_dir_all(&dist)?;
    }
    std::fs::create_dir_all(&dist)?;
    let release = Release { workspace, version, dist };
    // Every archive has them.
    let papers = Papers::make(workspace)?;
    let mut rows = Vec::new();
    let mut left = Vec::new();
    for &part in parts {
        println!("== {}", part.word());
        let began = Instant::now();
        let made = match part {
            Part::Linux => linux::make(&release, &papers),
            Part::Windows => windows::make(&release, &papers),
            Part::MacOs => macos::make(&release, &papers),
            Part::Papers => papers.publish(&release),
            Part::Web => web::build(workspace).and_then(|folder| release.site(&folder, "web")),
            Part::Book => book::build(workspace).and_then(|folder| release.site(&folder, "book")),
        };
        let made = made.with_context(|| format!("the {} part of the release", part.word()))?;
        let seconds = began.elapsed().as_secs_f64();
        match made {
            Made::Files(files, notes) => {
                rows.extend(notes.into_iter().map(|note| format!("{:10} {note}", part.word())));
                rows.push(format!("{:10} {} files in {seconds:.0} s", part.word(), files.len()));
                left.extend(files);
            }
            Made::NotHere(why) => rows.push(format!("{:10} NOT MADE HERE: {why}", part.word())),
        }
    }
    checksums(&release, &left)?;
    println!();
    for row in rows {
        println!("{row}");
    }
    println!("\n{}", release.dist.display());
    for entry in sorted(&release.dist)? {
        let size = std::fs::metadata(&entry)?.len() as f64 / 1e6;
        println!("{size:8.2} MB  {}", entry.file_name().unwrap_or_default().to_string_lossy());
    }
    Ok(ExitCode::SUCCESS)
}

/// `SHA256SUMS`, as `sha256sum --check` reads it.
fn checksums(release: &Release, files: &[PathBuf]) -> Result<()> {
    ensure!(!files.is_empty(), "this machine can make nothing of what was asked for");
    let mut lines = String::new();
    for file in files {
        let name = file.file_name().context("a file without a name")?.to_string_lossy();
        lines.push_str(&format!("{}  {name}\n", digest::of(&std::fs::read(file)?)));
    }
    Ok(std::fs::write(release.dist.join("SHA256SUMS"), lines)?)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

impl Release<'_> {
    /// A file of the release, by what follows `antiphon-VERSION-`.
    fn file(&self, rest: &str) -> PathBuf {
        self.dist.join(format!("{}-{rest}", self.stem()))
    }

    /// `antiphon-VERSION`
    fn stem(&self) -> String {
        format!("antiphon-{}", self.version)
    }

    /// A folder for web servers, as a zip.
    fn site(&self, folder: &Path, name: &str) -> Result<Made> {
        let file = self.file(&format!("{name}.zip"));
        archive::zip(&contents::folder(folder, &format!("antiphon-{name}"))?, &file)?;
        Ok(Made::Files(vec![file], Vec::new()))
    }

    /// An empty folder to try things in.
    fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.workspace.target.join("tmp").join("release").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
