//! Checks for the system packages that a build or a test needs. The plugin itself needs none: it opens X11 and OpenGL
//! at run time. On Linux, the standalone app needs the headers of ALSA and JACK, and pictures of the editor need a
//! virtual screen.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// For building with `--features standalone` on Linux: Debian packages, and the name by which pkg-config knows each
/// library (empty if it has none).
const STANDALONE: &[(&str, &str)] = &[("pkg-config", ""), ("libasound2-dev", "alsa"), ("libjack-jackd2-dev", "jack")];

/// For playing to the standalone app over JACK, in addition to [`STANDALONE`].
const JACK: &[(&str, &str)] = &[("jackd2", "")];

/// For a virtual screen (Xvfb), and a font that can show Chinese file names.
const SCREEN: &[(&str, &str)] =
    &[("xvfb", ""), ("libgl1", ""), ("libgl1-mesa-dri", ""), ("libfontconfig1", ""), ("fonts-droid-fallback", "")];

/// For GPU tests: Mesa's lavapipe is a Vulkan driver that runs on the CPU.
const LAVAPIPE: &[(&str, &str)] = &[("libvulkan1", ""), ("mesa-vulkan-drivers", "")];

/// For linking for Windows, and for running the result. A VST3 there has a message window, which Wine creates only with
/// a screen.
const WINE: &[(&str, &str)] = &[("gcc-mingw-w64-x86-64", ""), ("wine", ""), ("wine64", ""), ("xvfb", "")];

/// For testing the web page.
const BROWSER: &[(&str, &str)] = &[("chromium", ""), ("chromium-driver", "")];

/// Checks for a browser and its WebDriver. Outside Debian, both may be installed under other names.
pub fn ensure_browser() -> Result<()> {
    if works("chromedriver", &["--version"]) {
        return Ok(());
    }
    ensure_packages(BROWSER)?;
    ensure!(works("chromedriver", &["--version"]), "chromedriver is missing; install it");
    Ok(())
}

/// For packing a release.
const ARCHIVES: &[(&str, &str)] = &[("zstd", ""), ("xz-utils", "")];

/// Checks for what packing a Linux release needs.
pub fn ensure_archives() -> Result<()> {
    ensure_packages(ARCHIVES)
}

/// Checks for what linking for Windows and running the result needs.
pub fn ensure_wine() -> Result<()> {
    ensure_packages(WINE)
}

/// [`STANDALONE`] in words, for systems where this program cannot install packages.
pub const STANDALONE_NEEDS: &str = "pkg-config and the development files of ALSA and JACK";

/// Whether the standalone app can be built with what is installed now.
pub fn standalone_can_be_built() -> bool {
    !cfg!(target_os = "linux") || works("pkg-config", &["--exists", "alsa", "jack"])
}

/// Checks for what building the standalone app needs.
pub fn ensure_standalone() -> Result<()> {
    ensure_packages(STANDALONE)
}

/// Checks for what playing to the standalone app over JACK needs.
pub fn ensure_jack() -> Result<()> {
    ensure_packages(&[STANDALONE, JACK].concat())
}

/// Checks for a Vulkan driver, for GPU tests.
pub fn ensure_vulkan() -> Result<()> {
    ensure!(
        cfg!(target_os = "linux"),
        "a GPU driver that runs on the CPU can only be installed on Debian and its derivatives"
    );
    ensure_packages(LAVAPIPE)?;
    ensure!(
        LAVAPIPE.iter().all(|&(package, _)| is_installed(package)),
        "Mesa's lavapipe is missing; install it, or run the GPU tests on a machine with a GPU"
    );
    Ok(())
}

/// Checks for what a virtual screen needs.
pub fn ensure_screen() -> Result<()> {
    ensure_packages(SCREEN)
}

/// Installs missing packages: without asking as root or in CI, otherwise after asking.
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
    // A fresh machine has no package lists, and an old one may have outdated lists.
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

/// For systems without Debian's package manager: prints what seems to be missing and carries on, since it may be
/// installed under a name that pkg-config does not know.
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

/// Whether a program can be run and exits successfully.
fn works(program: &str, args: &[&str]) -> bool {
    let status = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
