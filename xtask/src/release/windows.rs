//! Windows, x86-64: built on Windows, or on Linux with MinGW and tried under Wine.

use std::path::PathBuf;

use anyhow::Result;

use super::contents::{Item, below, built};
use super::documents::Documents;
use super::{Made, Release, archive};
use crate::{bundle, cross, host};

pub fn make(release: &Release, documents: &Documents) -> Result<Made> {
    let (bundled, how): (PathBuf, _) = if cfg!(windows) {
        bundle::build(release.workspace, &[])?;
        bundle::app(release.workspace, &[])?;
        (release.workspace.bundled(), "tested on this system")
    } else if cfg!(target_os = "linux") {
        (cross::build(release.workspace)?, "built with MinGW, tested under Wine")
    } else {
        return Ok(Made::NotHere("needs Windows, or Linux with MinGW".to_owned()));
    };
    let stem = format!("{}-windows-x86_64", release.stem());
    let mut items = documents.items();
    items.push(Item::text("README.txt", include_str!("../../release/windows.txt")));
    for name in ["Antiphon.clap", "Antiphon.vst3", "Antiphon.exe"] {
        items.extend(built(&bundled, name)?);
    }
    let zip = release.file("windows-x86_64.zip");
    archive::zip(&below(&stem, items), &zip)?;

    let home = release.scratch("from windows")?;
    archive::unzip(&zip, &home)?;
    let clap = home.join(&stem).join("Antiphon.clap");
    if cfg!(windows) {
        host::plays(release.workspace, &host::build(release.workspace, &[])?, &clap)?;
    } else {
        cross::plays(release.workspace, &clap)?;
    }
    Ok(Made::Files(vec![zip], vec![format!("{how}: unpacked, the CLAP plays")]))
}
