//! macOS: universal binaries for Intel and Apple silicon. Needs a Mac.

use anyhow::Result;

use super::contents::{Item, below, built};
use super::documents::Documents;
use super::{Made, Release, archive};
use crate::{bundle, host};

pub fn make(release: &Release, documents: &Documents) -> Result<Made> {
    if !cfg!(target_os = "macos") {
        return Ok(Made::NotHere("needs macOS; the release workflow builds it".to_owned()));
    }
    bundle::universal(release.workspace)?;
    let bundled = release.workspace.bundled();
    let stem = format!("{}-macos-universal", release.stem());
    let mut items = documents.items();
    items.push(Item::text("README.txt", include_str!("../../release/macos.txt")));
    for name in ["Antiphon.clap", "Antiphon.vst3", "Antiphon.app"] {
        items.extend(built(&bundled, name)?);
    }
    let zip = release.file("macos-universal.zip");
    archive::zip(&below(&stem, items), &zip)?;

    let home = release.scratch("from zip")?;
    archive::unzip(&zip, &home)?;
    host::plays(release.workspace, &host::build(release.workspace, &[])?, &home.join(&stem).join("Antiphon.clap"))?;
    Ok(Made::Files(vec![zip], vec!["unpacked, the CLAP plays; not signed by a registered developer".to_owned()]))
}
