//! Keeps the graphics driver loaded on Linux.
//!
//! baseview 0.4.2 loads the driver for each window and unloads it with the window (`wrappers/glx.rs`,
//! `wrappers/egl.rs`), but Mesa (22.3) does not free everything: each time 10 MiB of address space stay mapped, partly
//! in use. So the driver is never unloaded, just as in a host that uses the same driver itself.
//!
//! Remove this when `cargo xtask editor --times 1000` finds no memory growth without [`keep`].

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::sync::Once;

/// Pins the graphics libraries that are loaded now. Call it while a window is able to draw.
pub fn keep() {
    static KEPT: Once = Once::new();
    KEPT.call_once(|| {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        for path in drivers(&maps) {
            let Ok(path) = CString::new(path) else { continue };
            // SAFETY: with `RTLD_NOLOAD` this loads and runs nothing.
            unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE) };
        }
    });
}

/// The paths of graphics driver libraries in the text of `/proc/self/maps`.
fn drivers(maps: &str) -> BTreeSet<&str> {
    let paths = maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths
        .filter(|path| {
            path.contains("/dri/")
                || path.contains("/libgallium")
                || path.contains("/libGL")
                || path.contains("/libEGL")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_known_by_their_names() {
        let maps = "\
            7f84d9000000-7f84d9a00000 rwxp 00000000 00:00 0 \n\
            7f84da200000-7f84da300000 r--p 00000000 fe:00 9 /usr/lib/x86_64-linux-gnu/dri/swrast_dri.so\n\
            7f84da300000-7f84da400000 r-xp 00100000 fe:00 9 /usr/lib/x86_64-linux-gnu/dri/swrast_dri.so\n\
            7f84dc000000-7f84dc100000 r-xp 00000000 fe:00 8 /usr/lib/x86_64-linux-gnu/libEGL_mesa.so.0.0.0\n\
            7f84dd000000-7f84dd100000 r-xp 00000000 fe:00 7 /usr/lib/libGLX_nvidia.so.570.1\n\
            7f84de000000-7f84de100000 r-xp 00000000 fe:00 6 /usr/lib/x86_64-linux-gnu/libc.so.6\n";
        let expected = [
            "/usr/lib/libGLX_nvidia.so.570.1",
            "/usr/lib/x86_64-linux-gnu/dri/swrast_dri.so",
            "/usr/lib/x86_64-linux-gnu/libEGL_mesa.so.0.0.0",
        ];
        assert_eq!(drivers(maps).into_iter().collect::<Vec<_>>(), expected);
    }
}
