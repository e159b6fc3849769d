//! What the system must have before something can be built or shown. The plugin itself needs nothing: it
//! opens X11 and OpenGL at run time. The program of its own needs ALSA's and JACK's headers on Linux; pictures of
//! the editor need a screen in memory.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// What `--features standalone` needs on Linux: Debian's packages, and the name under which pkg-config
/// knows the library.
const STANDALONE: &[(&str, &str)] = &[("pkg-config", ""), ("libasound2-dev", "alsa"), ("libjack-jackd2-dev", "jack")];

/// What playing to the program over JACK needs beyond that.
const JACK: &[(&str, &str)] = &[("jackd2", "")];

/// What a screen in memory needs, and a font to show Chinese file names with.
const SCREEN: &[(&str, &str)] =
    &[("xvfb", ""), ("libgl1", ""), ("libgl1-mesa-dri", ""), ("libfontconfig1", ""), ("fonts-droid-fallback", "")];

/// What GPU tests need: Mesa's lavapipe is a Vulkan driver that runs on the CPU.
const LAVAPIPE: &[(&str, &str)] = &[("libvulkan1", ""), ("mesa-vulkan-drivers", "")];

/// What linking for Windows, and running it, needs: a VST3 there has a window of its own for messages, and without a
/// screen Wine makes none. Dependencies with C in them want the compiler for a check too.
const MINGW: &[(&str, &str)] = &[("gcc-mingw-w64-x86-64", "")];
const WINE: &[(&str, &str)] = &[("gcc-mingw-w64-x86-64", ""), ("wine", ""), ("wine64", ""), ("xvfb", "")];

/// What tries the web page.
const BROWSER: &[(&str, &str)] = &[("chromium", ""), ("chromium-driver", "")];

/// Checks for a browser and what leads it. Elsewhere than on Debian both may be there under other names.
pub fn ensure_browser() -> Result<()> {
    if works("chromedriver", &["--version"]) {
        return Ok(());
    }
    ensure_packages(BROWSER)?;
    ensure!(works("chromedriver", &["--version"]), "there is no chromedriver");
    Ok(())
}

/// What packs a release.
const ARCHIVES: &[(&str, &str)] = &[("zstd", ""), ("xz-utils", "")];

/// Checks for what packing a release for Linux needs.
pub fn ensure_archives() -> Result<()> {
    ensure_packages(ARCHIVES)
}

/// Checks for what `cargo xtask cross` needs, with or without running what was built.
pub fn ensure_cross(runs: bool) -> Result<()> {
    ensure_packages(if runs { WINE } else { MINGW })
}

/// In words, for systems where nothing can be installed by itself.
pub const STANDALONE_NEEDS: &str = "pkg-config and the development files of ALSA and JACK";

/// Whether the standalone app can be built here as things stand.
pub fn standalone_can_be_built() -> bool {
    !cfg!(target_os = "linux") || works("pkg-config", &["--exists", "alsa", "jack"])
}

/// Checks for what the program of its own needs.
pub fn ensure_standalone() -> Result<()> {
    ensure_packages(STANDALONE)
}

/// Checks for what playing to the program of its own over JACK needs.
pub fn ensure_jack() -> Result<()> {
    ensure_packages(&[STANDALONE, JACK].concat())
}

/// Checks for a Vulkan driver, for GPU tests.
pub fn ensure_vulkan() -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "only Debian and its like can be given a GPU's driver that runs on the CPU");
    ensure_packages(LAVAPIPE)?;
    ensure!(LAVAPIPE.iter().all(|&(package, _)| is_installed(package)), "install Mesa's lavapipe");
    Ok(())
}

/// Checks for what a screen in memory needs.
pub fn ensure_screen() -> Result<()> {
    ensure_packages(SCREEN)
}

/// Installs what is missing: at once as root or in CI, else after asking.
fn ensure_packages(needed: &[(&str, &str)]) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    if !works("dpkg-query", &["--version"]) {
        without_apt(needed);
        return Ok(());
    }
    let missing: Vec<&str> =
        needed.iter().map(|&(package, _)| package).filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let root = is_root();
    if !root && std::env::var_os("CI").is_none() {
        let command = format!("sudo apt-get install {list}");
        if !std::io::stdin().is_terminal() {
            bail!("packages are missing; install them with: {command}");
        }
        eprint!("These packages are missing: {list}\nRun `{command}` now? [Y/n] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        ensure!(matches!(answer.trim(), "" | "y" | "Y" | "yes"), "install them first: {command}");
    }
    eprintln!("Installing {list}");
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    // A fresh machine has no list of packages at all, an old one an outdated list.
    apt(root, &["update"])?;
    apt(root, &install)
}

fn apt(root: bool, args: &[&str]) -> Result<()> {
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        command.arg("apt-get");
    }
    let status = command
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::io::stderr())
        .status()
        .context("cannot run apt-get")?;
    ensure!(status.success(), "apt-get {} failed; see above", args.join(" "));
    Ok(())
}

/// Systems without Debian's package manager: say what seems to be missing and go on, since it may be
/// there under a name that pkg-config does not know.
fn without_apt(needed: &[(&str, &str)]) {
    let missing: Vec<&str> = needed
        .iter()
        .map(|&(_, library)| library)
        .filter(|library| !library.is_empty() && !works("pkg-config", &["--exists", library]))
        .collect();
    if !missing.is_empty() {
        eprintln!(
            "If the build fails, install pkg-config and the development files of {} with your system's package manager.",
            missing.join(", ")
        );
    }
}

fn is_installed(package: &str) -> bool {
    let query = ["-W", "-f=${db:Status-Status}", package];
    let output = Command::new("dpkg-query").args(query).output();
    output.is_ok_and(|output| output.stdout == b"installed")
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Whether the program is there and ends well.
fn works(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
