//! `cargo xtask web`: the web page with Antiphon in it, as static files for any web server.

mod browser;
mod server;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

pub use browser::{is_there, try_out};
use server::Server;

use crate::book;
use crate::workspace::Workspace;

const TARGET: &str = "wasm32-unknown-unknown";
/// Maximum size of the page's files, in bytes, as transferred.
const MAX_BYTES: u64 = 8 << 20;

/// Builds the page; with a port, also serves it to browsers on this machine until interrupted.
pub fn run(workspace: &Workspace, port: Option<u16>) -> Result<ExitCode> {
    let folder = build(workspace)?;
    let (files, bytes) = book::size(&folder)?;
    println!("{}: {files} files, {:.2} MB to download", folder.join("index.html").display(), bytes as f64 / 1e6);
    match port {
        None => println!("Serve them with any web server, or on this machine with `cargo xtask web --serve`"),
        Some(port) => {
            let server = Server::start(&folder, port)?;
            println!("{} (stop with Ctrl-C)", server.address());
            server.wait();
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the page into `target/web`; returns the folder.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    target()?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--package", "web", "--lib", "--target", TARGET]);
    ensure!(cargo.status().context("cannot run cargo")?.success(), "the page's engine could not be built; see above");
    let module = std::fs::read(workspace.target.join(TARGET).join("release").join("web.wasm"))?;

    let weights = workspace.target.join("tmp").join("antiphon.weights");
    std::fs::create_dir_all(weights.parent().context("a file without a folder")?)?;
    let mut cargo = Command::new("cargo");
    cargo.args(["run", "--quiet", "--package", "model", "--example", "compact", "weights/antiphon.safetensors"]);
    ensure!(cargo.arg(&weights).status()?.success(), "the weights could not be compressed; see above");

    let folder = workspace.target.join("web");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    for entry in std::fs::read_dir("web/page")? {
        let entry = entry?;
        std::fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    std::fs::copy("plugin/icon/antiphon.svg", folder.join("icon.svg"))?;
    std::fs::copy("weights/antiphon.md", folder.join("model-card.md"))?;
    pack(&module, &folder.join("antiphon.wasm.gz"))?;
    pack(&std::fs::read(&weights)?, &folder.join("antiphon.weights.gz"))?;
    let (_, bytes) = book::size(&folder)?;
    ensure!(bytes <= MAX_BYTES, "the page has {bytes} bytes, more than the limit of {MAX_BYTES}");
    Ok(folder)
}

/// Adds the page's target to the toolchain if it is missing. Without rustup, it may still be there.
pub fn target() -> Result<()> {
    match Command::new("rustup").args(["target", "add", TARGET]).status() {
        Ok(status) => ensure!(status.success(), "rustup could not add {TARGET}; add it yourself and try again"),
        Err(error) => eprintln!("cannot run rustup ({error}); continuing with the installed targets"),
    }
    Ok(())
}

/// Lints the page's engine for its target; it must not use threads or files.
pub fn check() -> Result<()> {
    let clippy = ["clippy", "--package", "web", "--lib", "--target", TARGET, "--", "-D", "warnings"];
    let status = Command::new("cargo").args(clippy).status().context("cannot run cargo")?;
    ensure!(status.success(), "clippy found problems; see above");
    Ok(())
}

/// Compresses bytes with gzip, which every browser can decompress itself, whatever the server supports.
fn pack(bytes: &[u8], file: &Path) -> Result<()> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    std::fs::write(file, packer.finish()?).with_context(|| format!("cannot write {}", file.display()))
}
