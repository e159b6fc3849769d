//! Checks the sources: where dependencies come from, their licenses, banned dependencies, calls to math functions that
//! differ between systems, and which of the project's files may contain `unsafe`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, Node, PackageId};
use spdx::{Expression, ParseMode};

/// The only place that dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Licenses that require no more than a notice; one copyleft license, limited to the files under it (MPL-2.0); and font
/// licenses.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "OFL-1.1",
    "Ubuntu-font-1.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Network libraries: the project downloads nothing and sends nothing.
const BANNED: &[&str] = &[
    "attohttpc",
    "curl",
    "hf-hub",
    "hyper",
    "isahc",
    "native-tls",
    "openssl",
    "reqwest",
    "rustls",
    "tungstenite",
    "ureq",
];

/// Packages that the engine may not depend on, even indirectly: plugin frameworks, windows, dialogs and file access.
const NOT_IN_ENGINE: &[&str] =
    &["baseview", "clap-sys", "disk", "egui", "framework-fixes", "nice-plug", "nice-plug-egui", "rfd", "vst3"];

/// Files that may contain `unsafe`; each block states why it is sound.
const UNSAFE: &[&str] = &[
    "crates/test-host/src/audio.rs",
    "crates/test-host/src/bench/process.rs",
    "crates/test-host/src/demo.rs",
    "crates/test-host/src/gui.rs",
    "crates/test-host/src/plugin.rs",
    "crates/test-host/src/soak/accidents.rs",
    "crates/test-host/src/standalone.rs",
    "crates/test-host/src/status.rs",
    "crates/test-host/tests/faults.rs",
    "crates/test-host/tests/vst3.rs",
    "crates/model/examples/common/mod.rs",
    "crates/model/src/dot/mod.rs",
    "crates/model/src/dot/neon.rs",
    "crates/model/src/dot/wasm.rs",
    "crates/model/src/dot/x86.rs",
    "crates/model/src/floats.rs",
    "crates/model/src/simd.rs",
    "crates/model/src/train/amx.rs",
    "crates/model/src/train/bf16.rs",
    "crates/model/src/train/matmul.rs",
    "crates/model/src/train/packed.rs",
    "plugin/framework-fixes/src/clap/blocks.rs",
    "plugin/framework-fixes/src/clap/mod.rs",
    "plugin/framework-fixes/src/clap/texts.rs",
    "plugin/framework-fixes/src/driver.rs",
    "plugin/framework-fixes/src/tests/clap.rs",
    "plugin/framework-fixes/src/tests/vst3.rs",
    "plugin/framework-fixes/src/vst3/mod.rs",
    "plugin/framework-fixes/src/vst3/process.rs",
    "plugin/framework-fixes/src/vst3/texts.rs",
    "plugin/framework-fixes/src/vst3/view.rs",
    "plugin/framework-fixes/src/window.rs",
    "plugin/framework-fixes/xkbcommon-dl/src/lib.rs",
    "plugin/src/editor/handles.rs",
    "plugin/src/learn/controller_input.rs",
    "plugin/src/params/texts.rs",
    "plugin/src/remote.rs",
    "plugin/src/standalone/host.rs",
    "plugin/src/standalone/jack.rs",
    "plugin/src/state.rs",
    "plugin/src/weights/pages.rs",
    "crates/probe/src/heap.rs",
    "trainer/src/bench.rs",
    "trainer/src/main.rs",
    "trainer/src/train/mod.rs",
    "web/src/exports.rs",
];

/// Folders whose code must give the same notes on every system: it uses `libm` instead of the system's math functions.
const SAME_EVERYWHERE: &[&str] = &["crates/notes/src", "crates/model/src", "crates/engine/src"];
/// Exceptions within those folders: training, GPU code (which is compared with the CPU), figures for the window.
const MAY_DIFFER: &[&str] = &[
    "crates/model/src/device/",
    "crates/model/src/golden.rs",
    "crates/model/src/train/",
    "crates/engine/src/link/status.rs",
];
/// Math functions whose rounding differs between systems.
const ROUNDED: &[&str] = &[
    "acos", "asin", "atan", "atan2", "cbrt", "cos", "cosh", "exp", "exp2", "exp_m1", "hypot", "ln", "ln_1p", "log",
    "log10", "log2", "powf", "powi", "sin", "sin_cos", "sinh", "tan", "tanh",
];

/// Fails with a list of everything that is not allowed.
pub fn check() -> Result<()> {
    let metadata = cargo_metadata::MetadataCommand::new().other_options(["--locked".to_owned()]).exec()?;
    let mut faults = Vec::new();
    for package in &metadata.packages {
        let Some(source) = &package.source else { continue };
        if source.repr != REGISTRY {
            faults.push(format!("{} comes from {source}, not from crates.io", package.name));
        }
        match &package.license {
            None => faults.push(format!("{} does not name a license", package.name)),
            Some(license) if !is_allowed(license) => {
                faults.push(format!("{} has the license {license}, which is not allowed", package.name))
            }
            Some(_) => {}
        }
        if BANNED.contains(&package.name.as_str()) {
            faults.push(format!("{} is banned", package.name));
        }
    }
    for package in metadata.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            if dependency.req.comparators.is_empty() {
                faults.push(format!("{} accepts any version of {}; name one", package.name, dependency.name));
            }
        }
    }
    faults.extend(
        below(&metadata, "engine")
            .into_iter()
            .filter(|name| NOT_IN_ENGINE.contains(&name.as_str()))
            .map(|name| format!("engine must not depend on {name}")),
    );
    for package in metadata.workspace_packages() {
        let folder = package.manifest_path.parent().unwrap_or(&package.manifest_path);
        search(folder.as_std_path(), metadata.workspace_root.as_std_path(), &mut faults)?;
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(())
}

/// Names of all packages that a workspace package depends on, directly or not, on any system; test and build
/// dependencies do not count.
fn below(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: BTreeMap<&PackageId, &Node> = nodes.map(|node| (&node.id, node)).collect();
    let mut open: Vec<&PackageId> =
        metadata.workspace_packages().iter().filter(|package| package.name.as_str() == name).map(|p| &p.id).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = open.pop() {
        let normal = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let normal = normal.filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal));
        for dep in normal {
            if found.insert(metadata[&dep.pkg].name.to_string()) {
                open.push(&dep.pkg);
            }
        }
    }
    found
}

/// Whether a license expression, such as `(MIT OR GPL-2.0-only) AND Zlib`, can be satisfied with the allowed licenses.
fn is_allowed(license: &str) -> bool {
    let named = |requirement: &spdx::LicenseReq| requirement.license.id().is_some_and(|id| LICENCES.contains(&id.name));
    Expression::parse_mode(license, ParseMode::LAX).is_ok_and(|expression| expression.evaluate(named))
}

/// Adds a fault for each Rust file below `folder` with `unsafe` where none is allowed, or with a banned math function.
fn search(folder: &Path, root: &Path, faults: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, root, faults)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(&path)?;
            if let Some(function) = rounded(&name, &text) {
                faults.push(format!("{name} calls the system's `{function}`; use libm's"));
            }
            if is_unsafe(&text) && !UNSAFE.contains(&name.as_str()) {
                faults.push(format!("{name} contains `unsafe`, but is not listed in xtask/src/sources.rs"));
            }
        }
    }
    Ok(())
}

/// A function of [`ROUNDED`] that this file calls outside its tests, although it may not.
fn rounded(name: &str, text: &str) -> Option<&'static str> {
    let must = SAME_EVERYWHERE.iter().any(|folder| name.starts_with(folder)) && !name.contains("/tests/");
    let code = text.split("#[cfg(test)]\nmod tests {").next().filter(|_| must)?;
    let code: Vec<&str> = code.lines().filter_map(|line| line.split("//").next()).collect();
    let free = MAY_DIFFER.iter().any(|other| name.starts_with(other));
    ROUNDED.iter().find(|function| !free && code.iter().any(|line| line.contains(&format!(".{function}(")))).copied()
}

/// Whether this text contains an `unsafe` block or item outside line comments.
fn is_unsafe(text: &str) -> bool {
    let word = concat!("uns", "afe");
    text.lines().any(|line| {
        let code = line.split("//").next().unwrap_or_default();
        ["{", "fn", "impl", "extern", "trait"].iter().any(|what| code.contains(&format!("{word} {what}")))
            || code.contains(&format!("[{word}("))
    })
}

#[cfg(test)]
mod tests {
    use super::{is_allowed, rounded};

    #[test]
    fn the_systems_functions_are_found() {
        let text = "fn f(x: f64) -> f64 { x.sqrt() // x.ln()\n }\n#[cfg(test)]\nmod tests { x.exp() }";
        assert_eq!(rounded("crates/model/src/mood.rs", text), None);
        let text = "fn f(x: f64) -> f64 { x.ln() }";
        assert_eq!(rounded("crates/model/src/mood.rs", text), Some("ln"));
        assert_eq!(rounded("crates/model/src/train/loss.rs", text), None);
        assert_eq!(rounded("plugin/src/voice.rs", text), None);
    }

    #[test]
    fn licenses_need_a_way_through() {
        for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0-only OR MIT", "(MIT OR GPL-2.0-only) AND Zlib"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in ["GPL-3.0-only", "MIT AND LGPL-2.1-or-later", "Proprietary", ""] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }
}
