//! Tests where the network runs (CPU or GPU), from outside. Needs the bundle, like `bundle.rs`. A single test, because
//! it sets an environment variable.

use std::io::Write;

use anyhow::Result;
use test_host::{Audio, Blocks, Event, Pace, Performer, Plugin, SortedOutput, Status, Timed};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 512;
/// Parts of the names of files that are loaded with a GPU driver. (`libvulkan.so.1` finds the driver.)
#[cfg(target_os = "linux")]
const DRIVERS: [&str; 3] = ["libvulkan", "libcuda", "libGLX_nvidia"];

/// Which of the drivers this process has loaded so far.
#[cfg(target_os = "linux")]
fn loaded() -> Vec<&'static str> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    DRIVERS.into_iter().filter(|name| maps.contains(name)).collect()
}

/// The libraries that the bundle is linked to, as printed by `ldd`.
#[cfg(target_os = "linux")]
fn linked() -> Result<String> {
    let output = std::process::Command::new("ldd").arg(test_host::find_bundle()?).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A note: note-on, note-off, key, velocity.
type Played = (u64, u64, u8, u8);

/// The notes of a take on this device, and the plugin's figures afterward.
fn take(device: &str) -> Result<(Vec<Played>, Status)> {
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    plugin.set("silence", "300")?;
    plugin.set("device", device)?;
    plugin.set_offline(true)?;
    plugin.activate(RATE, BLOCK)?;
    let keys = [60, 64, 67, 72].into_iter().zip(0..);
    let input: Vec<Timed> = keys
        .flat_map(|(key, number)| {
            let at = number * 9_600;
            [Timed { at, event: Event::note_on(0, key, 80) }, Timed { at: at + 8_000, event: Event::note_off(0, key) }]
        })
        .collect();
    let output = plugin.run(|audio: &mut Audio| {
        Performer::new(&input, Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, 480_000, |_| ())?;
        Ok(audio.take_outputs())
    })?;
    let notes = SortedOutput::of(&input, &output).notes;
    Ok((notes.iter().map(|note| (note.on, note.off, note.key, note.velocity)).collect(), plugin.status()?))
}

/// With or without a GPU, and whichever is faster, the notes are the same; no driver is loaded before one is requested.
#[test]
fn notes_do_not_depend_on_the_device() {
    Status::request();
    let (notes, status) = take("CPU").unwrap();
    assert!(notes.len() > 4, "{} notes", notes.len());
    assert!(!status.on_gpu);
    #[cfg(target_os = "linux")]
    {
        assert_eq!(loaded(), [""; 0]);
        let linked = linked().unwrap();
        assert!(linked.contains("libc.so") && !DRIVERS.iter().any(|name| linked.contains(name)), "{linked}");
    }
    for device in ["auto", "GPU"] {
        let (others, status) = take(device).unwrap();
        assert_eq!(others, notes, "{device}");
        assert_eq!((status.gpu_failures, status.restarts, status.timeouts), (0, 0, 0));
        let place = if status.on_gpu { "a GPU" } else { "the CPU" };
        // Written directly, so that the test harness does not capture it.
        writeln!(std::io::stderr(), "Device = {device}: played on {place}").unwrap();
        if device == "GPU" && std::env::var_os("ANTIPHON_GPU_TESTS").is_some() {
            assert!(status.on_gpu, "there is an adapter");
        }
    }
}
