//! `cargo xtask release`: makes everything that is published for a tag, as far as this machine can, in `target/dist`.
//! Each archive is unpacked again, and the plugin in it has to play.

mod archive;
mod contents;
mod documents;
mod glibc;
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
use documents::Documents;

/// The parts of a release, in the order in which they are made by default.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Part {
    /// Third-party licenses, bill of materials (SBOM) and model cards.
    #[value(alias = "papers")]
    Documents,
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

/// The release being made.
struct Release<'a> {
    workspace: &'a Workspace,
    version: String,
    /// The folder for all of its files.
    dist: PathBuf,
}

/// The result of one part.
enum Made {
    /// The files made, and notes about them.
    Files(Vec<PathBuf>, Vec<String>),
    /// Cannot be made on this machine, and why.
    NotHere(String),
}

/// Makes the requested parts (all of them if `asked` is empty) and prints what each produced, or why it was not made.
pub fn run(workspace: &Workspace, asked: &[Part]) -> Result<ExitCode> {
    let parts = if asked.is_empty() { Part::value_variants() } else { asked };
    let version = workspace.version()?;
    let dist = workspace.target.join("dist");
    if dist.exists() {
        std::fs::remove_dir_all(&dist)?;
    }
    std::fs::create_dir_all(&dist)?;
    let release = Release { workspace, version, dist };
    // Needed by every archive.
    let documents = Documents::make(workspace)?;
    let mut rows = Vec::new();
    let mut left = Vec::new();
    for &part in parts {
        println!("== {}", part.word());
        let began = Instant::now();
        let made = match part {
            Part::Linux => linux::make(&release, &documents),
            Part::Windows => windows::make(&release, &documents),
            Part::MacOs => macos::make(&release, &documents),
            Part::Documents => documents.publish(&release),
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
            Made::NotHere(why) => rows.push(format!("{:10} NOT BUILT HERE: {why}", part.word())),
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

/// Writes `SHA256SUMS`, in the format that `sha256sum --check` reads.
fn checksums(release: &Release, files: &[PathBuf]) -> Result<()> {
    ensure!(!files.is_empty(), "none of the requested parts can be built on this machine");
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
    /// The path of a release file; `rest` follows `antiphon-VERSION-` in its name.
    fn file(&self, rest: &str) -> PathBuf {
        self.dist.join(format!("{}-{rest}", self.stem()))
    }

    /// `antiphon-VERSION`: the start of file names.
    fn stem(&self) -> String {
        format!("antiphon-{}", self.version)
    }

    /// Packs a folder for web servers as a zip.
    fn site(&self, folder: &Path, name: &str) -> Result<Made> {
        let file = self.file(&format!("{name}.zip"));
        archive::zip(&contents::folder(folder, &format!("antiphon-{name}"))?, &file)?;
        Ok(Made::Files(vec![file], Vec::new()))
    }

    /// A new empty folder below `target/tmp/release`, for trying out archives.
    fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.workspace.target.join("tmp").join("release").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
