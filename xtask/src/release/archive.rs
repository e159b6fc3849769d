//! Zips, packed and unpacked in this program; tar.zst and Debian packages, packed by the system's tools.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::contents::{Item, write};

/// Packs items with their permissions. The same items give the same bytes.
pub fn zip(items: &[Item], file: &Path) -> Result<()> {
    let mut zip = ZipWriter::new(File::create(file).with_context(|| format!("cannot write {}", file.display()))?);
    for item in items {
        let mode = if item.is_program { 0o755 } else { 0o644 };
        let options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).unix_permissions(mode);
        zip.start_file(&*item.name, options)?;
        zip.write_all(&item.bytes)?;
    }
    zip.finish()?;
    Ok(())
}

/// Unpacks a zip into a folder.
pub fn unzip(file: &Path, folder: &Path) -> Result<()> {
    ZipArchive::new(File::open(file)?)?.extract(folder).with_context(|| format!("cannot unpack {}", file.display()))
}

/// Packs items with `tar` and `zstd`. `scratch` is an empty folder.
pub fn tar_zst(items: &[Item], scratch: &Path, file: &Path) -> Result<()> {
    write(items, scratch)?;
    let mut tar = Command::new("tar");
    // Reproducible: no trace of who packed it and when.
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    tar.args(["-I", "zstd -19 -T0", "-cf"]).arg(file).arg("-C").arg(scratch).arg(".");
    success(&mut tar)
}

/// Builds a Debian package from items, which include the `DEBIAN/` files. `scratch` is an empty folder.
pub fn deb(items: &[Item], scratch: &Path, file: &Path) -> Result<()> {
    write(items, scratch)?;
    let mut deb = Command::new("dpkg-deb");
    deb.args(["--root-owner-group", "-Zxz", "--build"]).arg(scratch).arg(file).env("SOURCE_DATE_EPOCH", "0");
    success(&mut deb)
}

/// Runs a program and fails unless it exits successfully.
pub fn success(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    ensure!(status.success(), "{:?} failed; see above", command.get_program());
    Ok(())
}
