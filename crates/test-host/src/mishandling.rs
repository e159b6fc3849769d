//! Treats an editor as a badly behaved host would: sets invalid scales and sizes, and destroys instances while their
//! window is open. If that crashes the process, the program's output ends early.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use test_host::screen::{Frame, Screen};
use test_host::{Blocks, Pace, Performer, Plugin, Timeline};

/// The window's size in pixels.
const SIZE: (u32, u32) = (900, 600);
/// Position of a knob in it.
const KNOB: (i16, i16) = (546, 517);
/// Time for which the window is open before it is used.
const OPEN: Duration = Duration::from_millis(300);
/// Number of instances that are dropped.
const DROPS: u64 = 24;
/// Time limit for a window to draw, generous for a very busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Invalid scales of a screen.
const NO_SCALES: [f64; 9] =
    [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 1e-300, 1e300];

/// An instance that is playing, with its window open.
fn opened(screen: &Screen) -> Result<(Plugin, Frame)> {
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    plugin.activate(48_000.0, 512)?;
    let rolling = Some(Timeline::rolling(120.0));
    plugin
        .run(|audio| Performer::new(&[], Blocks::Of(512), Pace::Offline, rolling).play_until(audio, 4_096, |_| ()))?;
    let frame = screen.frame(SIZE.0, SIZE.1)?;
    plugin.open_editor(frame.id, 1.0)?;
    Ok((plugin, frame))
}

/// Waits until the window shows more than an empty background.
fn await_picture(plugin: &mut Plugin, screen: &Screen, frame: Frame) -> Result<()> {
    let began = Instant::now();
    while screen.picture(frame)?.colors() <= 8 {
        ensure!(began.elapsed() < TIMEOUT, "the window draws nothing");
        plugin.idle(Duration::from_millis(20));
    }
    Ok(())
}

/// Checks that invalid scales and sizes are refused and change nothing.
pub fn scales(screen: &Screen) -> Result<()> {
    let (mut plugin, frame) = opened(screen)?;
    await_picture(&mut plugin, screen, frame)?;
    let size = plugin.editor_size()?;
    for scale in NO_SCALES {
        ensure!(plugin.scale_editor(scale).is_err(), "a scale of {scale} was accepted");
    }
    for (width, height) in [(0, 0), (0, 100), (100, 0), (u32::MAX, u32::MAX)] {
        ensure!(plugin.force_editor(width, height).is_err(), "a size of {width} x {height} was accepted");
    }
    ensure!(plugin.editor_size()? == size, "a refused scale or size changed the editor's size");
    plugin.scale_editor(1.5)?;
    plugin.scale_editor(1.0)?;
    await_picture(&mut plugin, screen, frame)?;
    plugin.close_editor()?;
    screen.close(frame)?;
    println!("scales refused      {}, and sizes", NO_SCALES.len());
    Ok(())
}

/// Drops instances while their window is open and a knob in it is being dragged; for the second half, the host's own
/// window is closed first.
pub fn drops(screen: &Screen) -> Result<()> {
    for round in 0..DROPS {
        let host_first = round >= DROPS / 2;
        let (mut plugin, frame) = opened(screen)?;
        // Does not wait for a picture: after such a drop, Xvfb may not show the next window.
        plugin.idle(OPEN);
        thread::scope(|scope| -> Result<()> {
            let hand = scope.spawn(|| screen.drag(KNOB, (KNOB.0, KNOB.1 - 40), Duration::ZERO));
            plugin.idle(Duration::from_millis(60 + 31 * (round % (DROPS / 2))));
            if host_first {
                screen.close(frame)?;
            }
            drop(plugin);
            hand.join().expect("it does not panic")
        })?;
        if !host_first {
            screen.close(frame)?;
        }
    }
    println!("dropped while open  {DROPS} instances");
    Ok(())
}
