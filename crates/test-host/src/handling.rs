//! `host hand`: operates the built plugin's editor by mouse and keyboard. Turns a knob, turns it finely, types a value
//! and resets it; drags a take onto another window and compares the file that arrives with what was played; continues,
//! freezes and stops with keys. Checks which keys reach the host and which the window uses, and whether the window can
//! show Chinese characters.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use test_host::screen::{Picture, Screen};

use test_host::{Blocks, Event, Pace, Performer, Plugin, SortedOutput, Timed, Timeline};

use crate::phrase::Phrase;
use crate::target::Target;

/// Samples per second.
const RATE: f64 = 48_000.0;
/// Samples per block.
const BLOCK: u32 = 512;
/// The transport's tempo, in quarter notes per minute.
const TEMPO: f64 = 96.0;
/// Length of a tick in the MIDI file, in seconds.
const TICK_S: f64 = 60.0 / TEMPO / 960.0;
/// Time for which Antiphon plays before the player enters again, in seconds.
const TAKE_S: f64 = 6.0;
/// The editor's size, and positions in it: the picture of the latest take, a knob, and the value below the knob.
const SIZE: (u32, u32) = (900, 600);
const PICTURE: (i16, i16) = (760, 131);
const KNOB: (i16, i16) = (546, 517);
const VALUE: (i16, i16) = (546, 548);
/// Id of the knob's parameter.
const TURNED: &str = "temp";
/// Distance that the knob is dragged, in pixels.
const WAY: i16 = 40;
/// X11 keysyms.
const SHIFT: u32 = 0xffe1;
const ENTER: u32 = 0xff0d;
const ESCAPE: u32 = 0xff1b;
const LEFT: u32 = 0xff51;
const UP: u32 = 0xff52;
/// The window that the take is dropped on, beside the editor: x, y, side length.
const BESIDE: (i16, i16, u16) = (1_000, 50, 200);
/// Time for which the pointer stays over the window before the drop.
const STAYS: Duration = Duration::from_secs(1);
/// Time for a key press to take effect.
const SEES: Duration = Duration::from_millis(500);
/// Time limit for the drop.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Turn, type and reset a knob of the built plugin's editor, drag out a take, and compare the dropped file with what
/// was played. Needs an X11 screen; leaves the file in `$HOME/Music/Antiphon`.
#[derive(Args)]
pub struct Options {}

/// Runs the test and prints the results.
pub fn run(_: &Options) -> Result<()> {
    let screen = Screen::open()?;
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    plugin.edit_state(&[("editor", "{\"takes\":true}")])?;
    plugin.set_offline(true)?;
    plugin.activate(RATE, BLOCK)?;
    let phrase = Phrase::load(None, RATE)?;
    let entry = phrase.end + (TAKE_S * RATE) as u64;
    let mut events = phrase.events;
    events.push(Timed { at: entry, event: Event::note_on(0, 60, 80) });
    events.push(Timed { at: entry + 9_600, event: Event::note_off(0, 60) });
    let outputs = plugin.run(|audio| {
        let rolling = Some(Timeline::rolling(TEMPO));
        let mut performer = Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, rolling);
        performer.play_until(audio, entry + 19_200, |_| ())?;
        Ok(audio.take_outputs())
    })?;
    let played = SortedOutput::of(&events, &outputs).notes;
    ensure!(played.len() > 4, "nothing was played");

    let frame = screen.frame(SIZE.0, SIZE.1)?;
    plugin.open_editor(frame.id, 1.0)?;
    plugin.idle(Duration::from_secs(1));
    turn(&mut plugin, &screen)?;
    let (x, y, side) = BESIDE;
    let mut target = Target::open(x, y, side)?;
    let (there, dropped) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| target.wait(TIMEOUT));
        let dragged = screen.drag(PICTURE, (x + side as i16 / 2, y + side as i16 / 2), STAYS);
        (dragged, waiting.join().expect("it does not panic"))
    });
    there?;
    let dropped = dropped?;
    freeze(&mut plugin, &screen)?;
    keys(&mut plugin, &screen)?;
    plugin.close_editor()?;
    screen.close(frame)?;
    names(&screen)?;

    let path = path(dropped.trim_end()).with_context(|| format!("`{dropped}` is not a file URL"))?;
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file = midi::read(&bytes).with_context(|| format!("{} is not a MIDI file", path.display()))?.notes;
    println!("dropped             {}", path.display());
    println!("notes               {} played, {} in the file", played.len(), file.len());
    ensure!(file.len() == played.len(), "the file does not have as many notes as were played");
    // The notes of a chord keep their own onsets in the file; notes within one tick may be in a different order.
    let ticks = |seconds: f64| (seconds / TICK_S).round() as i64;
    let since = |at: u64| (at - played[0].on) as f64 / RATE;
    let first_s = file.iter().map(|note| note.onset).fold(f64::INFINITY, f64::min);
    let mut worst = 0;
    for note in &played {
        let (onset, length) = (ticks(since(note.on)), ticks((note.off - note.on) as f64 / RATE));
        let off = |other: &notes::Note| {
            (ticks(other.onset - first_s) - onset).abs().max((ticks(other.duration) - length).abs())
        };
        let same = file.iter().filter(|other| (other.pitch, other.velocity) == (note.key, note.velocity));
        worst = worst.max(same.map(off).min().unwrap_or(i64::MAX));
    }
    println!("off by              {worst} ticks of 960 a beat at most");
    ensure!(worst <= 1, "the file's notes differ from those played");
    Ok(())
}

/// Checks the knob: dragged, dragged finely with Shift, set by typing, and reset by a double click.
fn turn(plugin: &mut Plugin, screen: &Screen) -> Result<()> {
    let value = |plugin: &mut Plugin| value(plugin, TURNED);
    let (up, instantly) = ((KNOB.0, KNOB.1 - WAY), Duration::ZERO);
    let default = value(plugin)?;
    screen.drag(KNOB, up, instantly)?;
    let turned = value(plugin)?;
    screen.press(SHIFT)?;
    screen.drag(KNOB, up, instantly)?;
    screen.release(SHIFT)?;
    let finer = value(plugin)?;
    screen.click(VALUE.0, VALUE.1, 1, 1)?;
    for key in b"0.5" {
        screen.key((*key).into())?;
    }
    screen.key(ENTER)?;
    let typed = value(plugin)?;
    let shown = plugin.text(TURNED)?;
    screen.click(KNOB.0, KNOB.1, 1, 2)?;
    let reset = value(plugin)?;
    println!(
        "a knob              at {default:.2}, turned to {turned:.2}, finer to {finer:.2}, typed {typed:.2}, reset to {reset:.2}"
    );
    let (coarse, fine) = (turned - default, finer - turned);
    ensure!(coarse > 0.1, "dragging does not turn the knob");
    ensure!(fine > 0.0 && fine < 0.25 * coarse, "Shift does not make dragging finer");
    ensure!(shown == "0.50", "0.5 was typed, but the value is {shown}");
    ensure!(reset == default, "a double click does not reset the knob");
    Ok(())
}

/// Starts Antiphon, freezes and stops it by keyboard, and checks that stopping turns the freeze switch off.
fn freeze(plugin: &mut Plugin, screen: &Screen) -> Result<()> {
    // Keys go to the window under the pointer.
    screen.click(KNOB.0, KNOB.1, 1, 1)?;
    let done = AtomicBool::new(false);
    let mut keys = b"gfg".iter();
    let mut since = Instant::now();
    let mut states = Vec::new();
    plugin.run_beside(
        |audio| {
            let mut performer = Performer::new(&[], Blocks::Of(BLOCK), Pace::RealTime, None);
            while !done.load(Ordering::Relaxed) {
                performer.play_until(audio, audio.now() + u64::from(BLOCK), |_| ())?;
            }
            Ok(())
        },
        |plugin| {
            // Time for the key to reach the parameter, and for the window to show whose turn it is.
            if since.elapsed() < SEES {
                return Ok(());
            }
            since = Instant::now();
            let pressed = plugin.get("freeze").and_then(|state| {
                states.push(state);
                keys.next().map_or(Ok(false), |key| screen.key((*key).into()).map(|()| true))
            });
            done.store(!matches!(pressed, Ok(true)), Ordering::Relaxed);
            pressed.map(|_| ())
        },
    )?;
    println!("freeze              before, playing, frozen, stopped: {states:?}");
    ensure!(states == [0.0, 0.0, 1.0, 0.0], "stopping a frozen loop leaves Freeze on");
    Ok(())
}

/// Checks that each key either reaches the host or acts in the window, never both.
fn keys(plugin: &mut Plugin, screen: &Screen) -> Result<()> {
    screen.move_to(KNOB.0, KNOB.1)?;
    screen.keys()?;
    let mut strike = |symbols: &[u32]| {
        for symbol in symbols {
            screen.key(*symbol)?;
            plugin.idle(SEES);
        }
        // On a busy machine, a key can be held for so long that it repeats.
        let mut came = screen.keys()?;
        came.dedup();
        Ok::<_, anyhow::Error>(came)
    };
    let hosts = [u32::from(b' '), LEFT, UP, u32::from(b's'), ENTER, ESCAPE];
    let windows = [u32::from(b'n'), u32::from(b'2'), ESCAPE];
    let (came, acted) = (strike(&hosts)?, strike(&windows)?);
    // While a value is being typed, the window uses all keys.
    screen.click(VALUE.0, VALUE.1, 1, 1)?;
    std::thread::sleep(SEES);
    let typed = strike(&[u32::from(b'1'), u32::from(b' '), LEFT, ENTER])?;
    let after = strike(&[u32::from(b' ')])?;
    println!("keys                {} of {} reached the host", came.len(), hosts.len());
    ensure!(came == hosts, "of {hosts:x?}, the host got {came:x?}");
    ensure!(acted.is_empty(), "keys used by the window reached the host: {acted:x?}");
    ensure!(typed.is_empty(), "typed text reached the host: {typed:x?}");
    ensure!(after == [u32::from(b' ')], "after typing, the host got {after:x?}");
    Ok(())
}

/// Checks that the window can show Chinese: it reports the name of a missing weights file, and two different names must
/// look different. Characters missing from the font would all look alike.
fn names(screen: &Screen) -> Result<()> {
    let show = |name: &str| -> Result<Picture> {
        let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
        plugin.edit_state(&[("weights", &format!("\"/gone/{name}.safetensors\""))])?;
        plugin.set_offline(true)?;
        plugin.activate(RATE, BLOCK)?;
        let frame = screen.frame(SIZE.0, SIZE.1)?;
        plugin.open_editor(frame.id, 1.0)?;
        screen.move_to(1, 1)?;
        let picture = screen.picture_at_rest(frame, SEES, |time| plugin.idle(time))?;
        plugin.close_editor()?;
        screen.close(frame)?;
        Ok(picture)
    };
    let [one, again, other] = [show("重重重重")?, show("重重重重")?, show("没没没没")?];
    let (same, differ) = (one.differs(&again), one.differs(&other));
    println!("file names          two in Chinese differ in {differ} pixels, the same one in {same}");
    ensure!(same == 0 && differ > 20, "the window does not show Chinese");
    Ok(())
}

/// A parameter's value, after processing a few blocks so that the editor's change has reached it.
fn value(plugin: &mut Plugin, id: &str) -> Result<f64> {
    plugin.run(|audio| {
        let end = audio.now() + 4 * u64::from(BLOCK);
        Performer::new(&[], Blocks::Of(BLOCK), Pace::Offline, None).play_until(audio, end, |_| ())
    })?;
    plugin.get(id)
}

/// The path that a `file://` URL stands for.
fn path(address: &str) -> Option<PathBuf> {
    let spelt = address.strip_prefix("file://")?;
    let mut bytes = Vec::new();
    let mut rest = spelt.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: u8| char::from(byte).to_digit(16);
        bytes.push(match byte {
            b'%' => (hex(rest.next()?)? * 16 + hex(rest.next()?)?) as u8,
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}
