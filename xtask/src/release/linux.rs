//! Linux, x86-64: a zip and a tar.zst, both with an install script, and a Debian package. Linked against glibc 2.31,
//! the version of Debian 11 and Ubuntu 20.04.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::contents::{Item, below, built};
use super::documents::Documents;
use super::{Made, Release, archive, glibc};
use crate::bundle::{self, PLUGIN};
use crate::{host, packages, tools};

/// The only library besides glibc's that the app links; it opens JACK at run time.
const ALSA: &str = "libasound.so.2";

pub fn make(release: &Release, documents: &Documents) -> Result<Made> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(Made::NotHere("needs Linux on x86-64".to_owned()));
    }
    packages::ensure_archives()?;
    let mut notes = Vec::new();
    let zig = tools::ZIG.get(release.workspace);
    let bundled = match &zig {
        Ok(zig) => build(release, zig)?,
        Err(error) => {
            notes.push(format!("NOT FOR OLDER SYSTEMS: needs the glibc of this system or newer ({error:#})"));
            bundle::build(release.workspace, &[])?;
            bundle::app(release.workspace, &[])?;
            release.workspace.bundled()
        }
    };
    for (file, others) in
        [("Antiphon.clap", &[][..]), ("Antiphon.vst3/Contents/x86_64-linux/Antiphon.so", &[]), ("Antiphon", &[ALSA])]
    {
        let file = bundled.join(file);
        let needs = if zig.is_ok() { glibc::check(&file, others)? } else { glibc::needs(&file)? };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let (major, minor) = needs.glibc;
        notes.push(format!("{name} needs glibc {major}.{minor} and {}", needs.libraries.join(", ")));
    }

    let clap = built(&bundled, "Antiphon.clap")?;
    let vst3 = built(&bundled, "Antiphon.vst3")?;
    let program = built(&bundled, "Antiphon")?.into_iter().map(|item| Item { name: "antiphon".to_owned(), ..item });
    let app: Vec<Item> = program.chain(desktop()).collect();

    let stem = format!("{}-linux-x86_64", release.stem());
    let script = Item {
        name: "install.sh".to_owned(),
        bytes: include_bytes!("../../release/install.sh").to_vec(),
        is_program: true,
    };
    let mut items = documents.items();
    items.push(Item::text("README.txt", include_str!("../../release/linux.txt")));
    items.push(script);
    items.extend([clap, vst3, app].into_iter().flatten());
    let items = below(&stem, items);

    let zip = release.file("linux-x86_64.zip");
    archive::zip(&items, &zip)?;
    let tar = release.file("linux-x86_64.tar.zst");
    archive::tar_zst(&items, &release.scratch("tar")?, &tar)?;
    let deb = release.dist.join(format!("antiphon_{}_amd64.deb", release.version));
    archive::deb(&debian(release, documents, &bundled)?, &release.scratch("deb")?, &deb)?;

    notes.extend(try_out(release, &stem, &zip, &tar, &deb)?);
    Ok(Made::Files(vec![zip, tar, deb], notes))
}

/// Builds plugin and app as usual, except that Zig links them, against its stubs of the old glibc. Symbol versions are
/// chosen at link time, so no dependency has to be built again. Returns the bundles' folder.
fn build(release: &Release, zig: &Path) -> Result<PathBuf> {
    packages::ensure_standalone()?;
    let workspace = release.workspace;
    let linker = linker(release, zig)?;
    let rustc = |options: &[&str], more: &[String]| -> Result<()> {
        let mut cargo = Command::new("cargo");
        cargo.args(["rustc", "--release", "--package", PLUGIN]).args(options).arg("--");
        cargo.arg("-C").arg(format!("linker={}", linker.display())).args(more);
        archive::success(&mut cargo)
    };
    rustc(&["--lib"], &[])?;
    nice_plug_xtask::bundle(&workspace.target, PLUGIN, &["--release".to_owned()], false)?;
    // The system's ALSA was built for a newer glibc than the one targeted. The app uses only old symbols of ALSA, and
    // ALSA's own imports are not checked.
    let alsa = format!("native={}", alsa(release)?.display());
    let more = ["-L", &alsa, "-C", "link-arg=-Wl,--allow-shlib-undefined"].map(str::to_owned);
    rustc(&["--features", "standalone", "--bin", PLUGIN], &more)?;
    bundle::collect_app(&workspace.target, &[])?;
    Ok(workspace.bundled())
}

/// Writes a linker script: used like `cc`, it links with Zig for the oldest supported glibc. Returns its path.
fn linker(release: &Release, zig: &Path) -> Result<PathBuf> {
    let folder = release.workspace.target.join("tmp").join("zig");
    std::fs::create_dir_all(&folder)?;
    let script = folder.join("cc");
    let (major, minor) = glibc::OLDEST;
    let text = format!(
        "#!/bin/sh\nPYTHONPATH='{0}' PATH=\"{0}/bin:$PATH\" exec cargo-zigbuild zig cc -- \
         -target x86_64-linux-gnu.{major}.{minor} \"$@\"\n",
        zig.display()
    );
    std::fs::write(&script, text)?;
    archive::success(Command::new("chmod").arg("+x").arg(&script))?;
    Ok(script)
}

/// A folder with only the system's `libasound.so` in it: ALSA's real folder also holds a glibc that must not be linked.
fn alsa(release: &Release) -> Result<PathBuf> {
    let folder = release.workspace.target.join("tmp").join("alsa");
    std::fs::create_dir_all(&folder)?;
    let output =
        Command::new("pkg-config").args(["--variable=libdir", "alsa"]).output().context("cannot run pkg-config")?;
    let library = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("libasound.so");
    let link = folder.join("libasound.so");
    if link.exists() {
        std::fs::remove_file(&link)?;
    }
    std::fs::copy(&library, &link).with_context(|| format!("cannot copy {}", library.display()))?;
    Ok(folder)
}

/// The menu entry and the icons, at their paths in the archives.
fn desktop() -> [Item; 4] {
    [
        Item::text("antiphon.desktop", include_str!("../install/antiphon.desktop")),
        Item::text("icons/antiphon.svg", include_bytes!("../../../plugin/icon/antiphon.svg")),
        Item::text("icons/antiphon-48.png", include_bytes!("../../../plugin/icon/antiphon-48.png")),
        Item::text("icons/antiphon-256.png", include_bytes!("../../../plugin/icon/antiphon-256.png")),
    ]
}

/// The files of the Debian package.
fn debian(release: &Release, documents: &Documents, bundled: &Path) -> Result<Vec<Item>> {
    let mut items = below("usr/lib/clap", built(bundled, "Antiphon.clap")?);
    // Debian's policy: shared libraries are not executable.
    items.extend(below("usr/lib/vst3", built(bundled, "Antiphon.vst3")?));
    items.iter_mut().for_each(|item| item.is_program = false);
    items.extend(
        built(bundled, "Antiphon")?.into_iter().map(|item| Item { name: "usr/bin/antiphon".to_owned(), ..item }),
    );
    for item in desktop() {
        let name = match &*item.name {
            "antiphon.desktop" => "usr/share/applications/antiphon.desktop",
            "icons/antiphon.svg" => "usr/share/icons/hicolor/scalable/apps/antiphon.svg",
            "icons/antiphon-48.png" => "usr/share/icons/hicolor/48x48/apps/antiphon.png",
            _ => "usr/share/icons/hicolor/256x256/apps/antiphon.png",
        };
        items.push(Item { name: name.to_owned(), ..item });
    }
    items.extend(below("usr/share/doc/antiphon", documents.items()));
    items.push(Item::text("usr/share/doc/antiphon/copyright", include_str!("../../release/copyright")));
    let size: usize = items.iter().map(|item| item.bytes.len()).sum();
    let control = include_str!("../../release/control")
        .replace("{version}", &release.version)
        .replace("{size}", &size.div_ceil(1024).to_string());
    items.push(Item::text("DEBIAN/control", control));
    Ok(items)
}

/// Unpacks each archive into an empty folder and checks that its CLAP plays; from the tar and the Debian package also
/// that the app starts, and from the tar that `install.sh` installs and uninstalls.
fn try_out(release: &Release, stem: &str, zip: &Path, tar: &Path, deb: &Path) -> Result<Vec<String>> {
    let host = host::build(release.workspace, &[])?;
    let home = release.scratch("from zip")?;
    archive::unzip(zip, &home)?;
    host::plays(release.workspace, &host, &home.join(stem).join("Antiphon.clap"))?;

    let folder = release.scratch("from tar")?;
    archive::success(Command::new("tar").args(["-I", "zstd", "-xf"]).arg(tar).arg("-C").arg(&folder))?;
    let home = release.scratch("home")?;
    let script = |option: &[&str]| {
        let mut script = Command::new(folder.join(stem).join("install.sh"));
        archive::success(script.args(option).env("HOME", &home).env_remove("XDG_DATA_HOME"))
    };
    script(&[])?;
    host::plays(release.workspace, &host, &home.join(".clap/Antiphon.clap"))?;
    starts(release, &home.join(".local/bin/antiphon"))?;
    script(&["--uninstall"])?;
    let left: Vec<_> = super::contents::folder(&home, "home")?.into_iter().map(|item| item.name).collect();
    ensure!(left.is_empty(), "install.sh --uninstall left {left:?} behind");

    let root = release.scratch("from deb")?;
    archive::success(Command::new("dpkg-deb").arg("--extract").arg(deb).arg(&root))?;
    host::plays(release.workspace, &host, &root.join("usr/lib/clap/Antiphon.clap"))?;
    starts(release, &root.join("usr/bin/antiphon"))?;
    Ok(vec!["unpacked, installed and removed; each archive's CLAP plays and its app starts".to_owned()])
}

/// Fails unless the app runs and prints this release's version.
fn starts(release: &Release, program: &Path) -> Result<()> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        said.trim().ends_with(&release.version),
        "{} prints the wrong version: `{}`",
        program.display(),
        said.trim()
    );
    Ok(())
}
