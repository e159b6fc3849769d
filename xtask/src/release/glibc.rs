//! The glibc version that a binary needs, found from the versions of the symbols it imports, and the shared libraries
//! that it loads.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use goblin::elf::Elf;

/// The glibc version of Debian 11 and Ubuntu 20.04.
pub const OLDEST: (u32, u32) = (2, 31);

/// What a binary needs from the system.
#[derive(Debug, PartialEq, Eq)]
pub struct Needs {
    /// The newest glibc version among its imported symbols: major, minor.
    pub glibc: (u32, u32),
    /// Names of the shared libraries, as the loader looks them up.
    pub libraries: Vec<String>,
}

/// Reads the needs of an ELF file.
pub fn needs(path: &Path) -> Result<Needs> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let elf = Elf::parse(&bytes).with_context(|| format!("cannot parse {}", path.display()))?;
    let names =
        elf.verneed.iter().flat_map(|section| section.iter()).flat_map(|need| {
            need.iter().filter_map(|version| elf.dynstrtab.get_at(version.vna_name)).collect::<Vec<_>>()
        });
    let glibc = names.filter_map(version).max().context("it uses no versioned symbols of glibc")?;
    Ok(Needs { glibc, libraries: elf.libraries.iter().map(|name| (*name).to_owned()).collect() })
}

/// Parses `GLIBC_2.31` or `GLIBC_2.2.5`; a third number never matters here.
fn version(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name.strip_prefix("GLIBC_")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Fails if a binary needs a newer glibc than [`OLDEST`], or a library that is neither common to all Linux systems nor
/// in `others`.
pub fn check(path: &Path, others: &[&str]) -> Result<Needs> {
    let needs = needs(path)?;
    ensure!(
        needs.glibc <= OLDEST,
        "{} needs glibc {}.{}, but must run with {}.{}",
        path.display(),
        needs.glibc.0,
        needs.glibc.1,
        OLDEST.0,
        OLDEST.1
    );
    const ALWAYS: [&str; 8] = [
        "ld-linux-x86-64.so.2",
        "libc.so.6",
        "libdl.so.2",
        "libgcc_s.so.1",
        "libm.so.6",
        "libpthread.so.0",
        "librt.so.1",
        "libutil.so.1",
    ];
    for library in &needs.libraries {
        let known = ALWAYS.contains(&library.as_str()) || others.contains(&library.as_str());
        ensure!(known, "{} needs {library}, which some systems do not have", path.display());
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("GLIBC_2.2.5"), Some((2, 2)));
        assert!(version("GLIBC_2.4") < version("GLIBC_2.31"));
        assert_eq!(version("GCC_3.0"), None);
        assert_eq!(version("GLIBC_PRIVATE"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_program_needs_no_newer_glibc_than_the_system_has() {
        let program = needs(&std::env::current_exe().unwrap()).unwrap();
        assert!(program.libraries.iter().any(|name| name == "libc.so.6"), "{program:?}");
        assert!(program.glibc >= (2, 14) && program.glibc < (3, 0), "{program:?}");
    }
}
