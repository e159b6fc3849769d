//! What the project is made of: where its dependencies come from, and which files of its own may hold `unsafe`.

use std::path::Path;

use anyhow::{Result, ensure};

/// The only place that dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The files with reason to be unsafe; each block says its own.
const UNSAFE: &[&str] = &[
    "host/src/audio.rs",
    "host/src/demo.rs",
    "host/src/gui.rs",
    "host/src/heap.rs",
    "host/src/plugin.rs",
    "host/src/soak/accidents.rs",
    "host/src/status.rs",
    "host/tests/faults.rs",
    "model/examples/common/mod.rs",
    "model/src/device/cuda.rs",
    "model/src/device/metal.rs",
    "model/src/dot/mod.rs",
    "model/src/dot/neon.rs",
    "model/src/dot/x86.rs",
    "model/src/floats.rs",
    "model/src/simd.rs",
    "model/src/train/given.rs",
    "plugin/src/editor/handles.rs",
    "plugin/src/learn/learner.rs",
    "plugin/src/pages.rs",
    "plugin/src/status.rs",
    "trainer/src/bench.rs",
    "trainer/src/main.rs",
    "trainer/src/train/mod.rs",
];

/// Fails with all that is not allowed.
pub fn check() -> Result<()> {
    let metadata = cargo_metadata::MetadataCommand::new().other_options(["--locked".to_owned()]).exec()?;
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let Some(source) = &package.source else { continue };
        if source.repr != REGISTRY {
            faults.push(format!("{} comes from {source}", package.name));
        }
        if package.license.is_none() && package.license_file.is_none() {
            faults.push(format!("{} names no licence", package.name));
        }
    }
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
        search(folder.as_std_path(), metadata.workspace_root.as_std_path(), &mut faults)?;
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Files below this folder with unsafe code that may have none.
fn search(folder: &Path, root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, root, faults)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            if is_unsafe(&std::fs::read_to_string(&path)?) && !UNSAFE.contains(&name.as_str()) {
                faults.push(format!("{name} holds `unsafe` and is not listed"));
            }
        }
    }
    Ok(())
}

/// Whether this text opens something unsafe outside a comment.
fn is_unsafe(text: &str) -> bool {
    let word = concat!("uns", "afe");
    text.lines().any(|line| {
        let code = line.split("//").next().unwrap_or_default();
        ["{", "fn", "impl", "extern", "trait"].iter().any(|what| code.contains(&format!("{word} {what}")))
            || code.contains(&format!("[{word}("))
    })
}
