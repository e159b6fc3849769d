//! `test-host pictures`: opens the built plugin's editor, plays to it, and saves screenshots. What they show is real; only
//! the window's size, the open panels and a few settings are chosen.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use test_host::screen::{Picture, Screen};
use test_host::{Audio, Blocks, Pace, Performer, Plugin, Timed, Timeline};

use crate::phrase::Phrase;

/// Samples per second.
const RATE: f64 = 48_000.0;
/// Samples per block.
const BLOCK: u32 = 512;
/// The transport's tempo, in quarter notes per minute.
const TEMPO: f64 = 96.0;
/// The last part is played in real time, in seconds, so that the model is ahead by as much as in live use.
const REAL_TIME_S: f64 = 1.5;
/// Time between two screenshots when waiting until nothing changes.
const LOOK: Duration = Duration::from_millis(250);

/// Open the built plugin's editor, play to it and take screenshots. Needs an X11 screen with a depth of 24, such as
/// Xvfb.
#[derive(Args)]
pub struct Options {
    /// Directory for the screenshots.
    #[arg(long, value_name = "DIR", default_value = "docs/pictures")]
    out: PathBuf,
    /// Only take those whose names contain this text.
    #[arg(long, value_name = "PART", default_value = "")]
    only: String,
}

/// A screenshot to take.
struct Scene {
    /// Name of its file, without extension.
    name: &'static str,
    /// The window's size at 100 %; `None` for the size at which the editor opens.
    size: Option<(u32, u32)>,
    /// The host's zoom factor.
    scale: f64,
    /// Parameters to set first: (text id, value as text).
    set: &'static [(&'static str, &'static str)],
    /// Changes to the stored state: (field, JSON).
    fields: &'static [(&'static str, &'static str)],
    /// Keys to press once the window is open.
    keys: &'static str,
    /// Time of the screenshot, in seconds since the transport started.
    at: f64,
}

const PLAIN: Scene = Scene { name: "", size: None, scale: 1.0, set: &[], fields: &[], keys: "", at: 0.0 };

const SCENES: &[Scene] = &[
    Scene { name: "welcome", at: 0.4, ..PLAIN },
    Scene { name: "listening", at: 9.0, ..PLAIN },
    Scene { name: "playing", at: 18.0, ..PLAIN },
    Scene { name: "playing-200", scale: 2.0, at: 18.0, ..PLAIN },
    Scene { name: "takes", keys: "t", at: 58.5, ..PLAIN },
    Scene { name: "failed-weights", fields: &[("weights", "\"/home/me/my-weights.safetensors\"")], at: 4.0, ..PLAIN },
    Scene { name: "small", size: Some((640, 420)), at: 18.0, ..PLAIN },
    Scene { name: "large", size: Some((1400, 860)), keys: "t2", at: 58.5, ..PLAIN },
    Scene { name: "light", fields: &[("editor", "{\"theme\":\"light\"}")], keys: "1", at: 18.0, ..PLAIN },
];

/// Takes the screenshots.
pub fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.out).with_context(|| format!("cannot make {}", options.out.display()))?;
    let screen = Screen::open()?;
    for scene in SCENES.iter().filter(|scene| scene.name.contains(&options.only)) {
        let picture = take(scene, &screen).with_context(|| format!("no picture `{}`", scene.name))?;
        let path = options.out.join(scene.name).with_extension("png");
        picture.save(&path)?;
        println!("{}: {} x {}", path.display(), picture.width, picture.height);
    }
    Ok(())
}

fn take(scene: &Scene, screen: &Screen) -> Result<Picture> {
    let mut plugin = Plugin::load(&test_host::find_bundle()?)?;
    for (id, text) in scene.set {
        plugin.set(id, text)?;
    }
    if !scene.fields.is_empty() {
        plugin.edit_state(scene.fields)?;
    }
    plugin.set_offline(true)?;
    plugin.activate(RATE, BLOCK)?;

    let frame = screen.frame(64, 64)?;
    let (width, height) = plugin.open_editor(frame.id, scene.scale)?;
    screen.resize(frame, width, height)?;
    plugin.idle(LOOK);
    if let Some((width, height)) = scene.size {
        let (width, height) = plugin.resize_editor(width, height)?;
        screen.resize(frame, width, height)?;
        plugin.idle(LOOK);
    }
    screen.move_to(width as i16 / 2, height as i16 / 3)?;
    for key in scene.keys.bytes() {
        screen.key(key.into())?;
    }
    // Moved out of the way.
    screen.move_to(1, 1)?;

    let events = repeated(&Phrase::load(None, RATE)?);
    let mut performer = Performer::new(&events, Blocks::Of(BLOCK), Pace::Offline, Some(Timeline::rolling(TEMPO)));
    let end = (scene.at * RATE) as u64;
    plugin.run(|audio: &mut Audio| {
        performer.play_until(audio, end.saturating_sub((REAL_TIME_S * RATE) as u64), |_| ())?;
        performer.set_pace(Pace::RealTime);
        performer.play_until(audio, end.max(u64::from(BLOCK)), |_| ())
    })?;

    let picture = screen.picture_at_rest(frame, LOOK, |time| plugin.idle(time))?;
    plugin.close_editor()?;
    screen.close(frame)?;
    Ok(picture)
}

/// The phrase four times, with time for an answer after each.
fn repeated(phrase: &Phrase) -> Vec<Timed> {
    let again = phrase.end + (7.0 * RATE) as u64;
    let turns = (0..4).flat_map(|turn| {
        phrase.events.iter().map(move |timed| Timed { at: timed.at + turn * again, event: timed.event })
    });
    turns.collect()
}
