//! Where the network runs, from outside. Needs the bundle, as `bundle.rs` does. One test, since it sets a variable of the
//! environment.

use std::path::Path;

use anyhow::{Result, ensure};
use test_host::{Account, Audio, Blocks, Event, Pace, Performer, Plugin, Status, Timed};

const RATE: f64 = 48_000.0;
const BLOCK: u32 = 512;

/// Nothing below this path knows CUDA's libraries by name: so nothing is linked, and nothing can be loaded. Returns how many
/// files there are.
fn knows_nothing_of_cuda(path: &Path) -> Result<usize> {
    if path.is_dir() {
        return std::fs::read_dir(path)?.map(|entry| knows_nothing_of_cuda(&entry?.path())).sum();
    }
    let bytes = std::fs::read(path)?;
    for name in ["libcuda", "nvcuda", "cudart", "cublas", "nvrtc"] {
        let knows = bytes.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()));
        ensure!(!knows, "{name} in {}", path.display());
    }
    Ok(1)
}

/// When a note begins and ends, its key and velocity.
type Played = (u64, u64, u8, u8);

/// The notes of a take on this device, and what the plugin says of itself then.
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
    let notes = Account::of(&input, &output).notes;
    Ok((notes.iter().map(|note| (note.on, note.off, note.key, note.velocity)).collect(), plugin.status()?))
}

/// Whether there is another device here or not, and whichever is faster.
#[test]
fn the_notes_do_not_hang_on_the_device_and_cuda_is_not_there() {
    Status::request();
    assert!(knows_nothing_of_cuda(&test_host::find_bundle().unwrap()).unwrap() > 0);
    let (notes, status) = take("CPU").unwrap();
    assert!(notes.len() > 4, "{} notes", notes.len());
    assert!(!status.on_gpu);
    for device in ["auto", "GPU"] {
        let (others, status) = take(device).unwrap();
        assert_eq!(others, notes, "{device}");
        assert_eq!((status.gpu_failures, status.restarts, status.timeouts), (0, 0, 0));
        if cfg!(not(target_os = "macos")) {
            assert!(!status.on_gpu, "the default build has none");
        }
    }
}
