//! The documents of a release: licenses (ours and those of everything linked in), model cards, and the bill of
//! materials.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::contents::Item;
use super::{Made, Release, third_party};
use crate::bundle::PLUGIN;
use crate::tools;
use crate::workspace::Workspace;

/// File name of the bill of materials, without extension; cargo-cyclonedx writes it next to each manifest.
const SBOM: &str = "antiphon-sbom-of-release";

/// Documents included in every archive, and the bill of materials, which is published on its own.
pub struct Documents {
    items: Vec<Item>,
    /// The bill of materials: CycloneDX, JSON.
    sbom: Vec<u8>,
}

impl Documents {
    /// Collects the documents; builds the tools that this needs if they are missing.
    pub fn make(workspace: &Workspace) -> Result<Self> {
        let read = |path: &str| std::fs::read(path).with_context(|| format!("cannot read {path}"));
        let mut items = vec![
            Item::text("LICENSE-MIT.txt", read("LICENSE-MIT")?),
            Item::text("LICENSE-APACHE.txt", read("LICENSE-APACHE")?),
            Item::text("LICENSES-THIRD-PARTY.txt", third_party::collect()?),
        ];
        for card in ["antiphon.md", "seed.md"] {
            items.push(Item::text(&format!("model-cards/{card}"), read(&format!("weights/{card}"))?));
        }
        Ok(Self { items, sbom: sbom(workspace)? })
    }

    /// The documents that go into an archive.
    pub fn items(&self) -> Vec<Item> {
        let copy = |item: &Item| Item { name: item.name.clone(), bytes: item.bytes.clone(), ..*item };
        self.items.iter().map(copy).collect()
    }

    /// Writes the documents that are also published next to the archives.
    pub fn publish(&self, release: &Release) -> Result<Made> {
        let mut files = vec![release.file("sbom.cdx.json")];
        std::fs::write(&files[0], &self.sbom)?;
        for (name, rest) in [
            ("LICENSES-THIRD-PARTY.txt", "licenses-third-party.txt"),
            ("model-cards/antiphon.md", "model-card-antiphon.md"),
            ("model-cards/seed.md", "model-card-seed.md"),
        ] {
            let item = self.items.iter().find(|item| item.name == name).context("a document is missing")?;
            let file = release.file(rest);
            std::fs::write(&file, &item.bytes)?;
            files.push(file);
        }
        Ok(Made::Files(files, Vec::new()))
    }
}

/// The bill of materials of the plugin and the app.
fn sbom(workspace: &Workspace) -> Result<Vec<u8>> {
    let cyclonedx = tools::CYCLONEDX.get(workspace)?;
    let mut command = Command::new(cyclonedx);
    command.args(["cyclonedx", "--manifest-path", "plugin/Cargo.toml", "--format", "json", "--spec-version", "1.5"]);
    command.args(["--features", "standalone", "--override-filename", SBOM, "--quiet"]);
    let status = command.status().context("cannot run cargo-cyclonedx")?;
    // It writes one next to every manifest of the workspace; only the plugin's is kept.
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec()?;
    let mut found = None;
    for package in metadata.workspace_packages() {
        let path: PathBuf = package.manifest_path.with_file_name(format!("{SBOM}.json")).into();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        std::fs::remove_file(&path)?;
        if package.name.as_str() == PLUGIN {
            found = Some(bytes);
        }
    }
    ensure!(status.success(), "the bill of materials could not be generated; see above");
    found.context("cargo-cyclonedx wrote no bill of materials for the plugin")
}
