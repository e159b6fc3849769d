//! The licenses of everything linked into a release: every package that the plugin or the app uses on any of the
//! systems, with the license texts in that package.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use crate::bundle::PLUGIN;

/// The targets that releases are made for.
const TARGETS: [&str; 4] =
    ["x86_64-unknown-linux-gnu", "x86_64-pc-windows-msvc", "x86_64-apple-darwin", "aarch64-apple-darwin"];
/// File names of licenses and notices start with one of these, in lower case.
const NAMES: [&str; 6] = ["license", "licence", "copying", "notice", "unlicense", "copyright"];

const HEAD: &str = "\
THIRD-PARTY LICENSES

Antiphon's plugins and its standalone app contain the Rust packages listed here. Each license text
below is preceded by the packages that it applies to. The sources of packages under MPL-2.0 are unchanged,
and public on crates.io under the names and versions given here.
";

/// Collects all licenses into one text.
pub fn collect() -> Result<String> {
    let mut packages: BTreeMap<String, Package> = BTreeMap::new();
    for target in TARGETS {
        let metadata = MetadataCommand::new()
            .manifest_path("plugin/Cargo.toml")
            .features(CargoOpt::SomeFeatures(vec!["standalone".to_owned()]))
            .other_options(["--locked".to_owned(), "--filter-platform".to_owned(), target.to_owned()])
            .exec()?;
        for id in linked(&metadata)? {
            let package = &metadata[&id];
            // Packages of this workspace have no source.
            if package.source.is_some() {
                packages.insert(title(package), package.clone());
            }
        }
    }
    ensure!(packages.len() > 50, "only {} packages were found", packages.len());
    let mut text = HEAD.to_owned();
    text.push_str("\n\nPACKAGES\n\n");
    let mut texts: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (title, package) in &packages {
        let license = package.license.as_deref().unwrap_or("see below");
        let link = package.repository.as_deref().unwrap_or_default();
        text.push_str(&format!("{title}: {license}  {link}\n"));
        let folder = package.manifest_path.parent().context("a package without a folder")?;
        let found = license_texts(folder.as_std_path())?;
        if found.is_empty() {
            text.push_str(&format!("    (its package has no license file; by {})\n", package.authors.join(", ")));
        }
        for found in found {
            texts.entry(found).or_default().insert(title);
        }
    }
    // The texts shared by the most packages come first; these are the common licenses.
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by_key(|(_, titles)| std::cmp::Reverse(titles.len()));
    for (license, titles) in texts {
        let titles = titles.into_iter().collect::<Vec<_>>().join(", ");
        text.push_str(&format!("\n\n{}\n{titles}\n{}\n\n{license}\n", "=".repeat(100), "-".repeat(100)));
    }
    Ok(text)
}

fn title(package: &Package) -> String {
    format!("{} {}", package.name, package.version)
}

/// Packages that are linked into the plugin, found by following its normal dependencies; build and test dependencies do
/// not count, and neither do those of procedural macros.
fn linked(metadata: &Metadata) -> Result<BTreeSet<PackageId>> {
    let resolve = metadata.resolve.as_ref().context("cargo metadata has no dependency graph")?;
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let plugin = metadata.workspace_packages().into_iter().find(|package| package.name.as_str() == PLUGIN);
    let mut todo = vec![plugin.context("there is no plugin in the workspace")?.id.clone()];
    let mut found = BTreeSet::new();
    while let Some(id) = todo.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        let is_macro = metadata[&id].targets.iter().any(|target| target.is_proc_macro());
        for dependency in nodes.get(&id).into_iter().filter(|_| !is_macro).flat_map(|node| &node.deps) {
            if dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal) {
                todo.push(dependency.pkg.clone());
            }
        }
    }
    Ok(found)
}

/// The license texts in a package's folder and in its license folder, if it has one.
fn license_texts(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if !NAMES.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        if path.is_dir() {
            for entry in std::fs::read_dir(&path)? {
                texts.extend(text(&entry?.path())?);
            }
        } else if !name.ends_with(".rs") && !name.ends_with(".toml") {
            texts.extend(text(&path)?);
        }
    }
    Ok(texts)
}

/// A file's text with line endings, trailing spaces and surrounding empty lines normalized; `None` if it is empty or
/// not a file.
fn text(path: &Path) -> Result<Option<String>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&std::fs::read(path)?).replace('\r', "");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let text = lines.join("\n").trim_matches('\n').to_owned();
    Ok((!text.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::collect;

    #[test]
    fn every_license_has_its_text() {
        crate::workspace::Workspace::enter().unwrap();
        let text = collect().unwrap();
        for part in
            ["egui 0.37", "clap-sys", "Mozilla Public License", "Apache License", "Permission is hereby granted"]
        {
            assert!(text.contains(part), "no `{part}`");
        }
        // Packages used only on other systems are listed; those used only by tests are not.
        assert!(text.contains("\nwindows-") && text.contains("\nobjc2"));
        assert!(!text.contains("\nproptest "));
    }
}
