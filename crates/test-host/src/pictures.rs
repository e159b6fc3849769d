//! `host pictures`: opens the built plugin's editor, plays to it, and keeps what it shows. Nothing in
//! the pictures is arranged but the window's size and which parts of it are open.

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
/// The end is played in real time, in seconds: so the model is ahead of it, as it is in a concert.
const REAL_TIME_S: f64 = 1.5;
/// Between two looks at a picture.
const LOOK: Duration = Duration::from_millis(250);

/// Open the built plugin's editor, play to it, and keep pictures of it. Needs an X11 screen, such as
/// Xvfb with a depth of 24.
#[derive(Args)]
pub struct Options {
    /// Where to leave the pictures.
    #[arg(long, value_name = "DIR", default_value = "docs/pictures")]
    out: PathBuf,
    /// Only the pictures whose names contain this.
    #[arg(long, value_name = "PART", default_value = "")]
    only: String,
}

/// One picture.
struct Scene {
    /// Its file's name.
    name: &'static str,
    /// The window's size at 100 %; `None`: as the editor opens.
    size: Option<(u32, u32)>,
    /// The host's zoom.
    scale: f64,
    /// Parameters that are set before: text id and text.
    set: &'static [(&'static str, &'static str)],
    /// Changes in the stored project: field and JSON.
    fields: &'static [(&'static str, &'static str)],
    /// Keys that are struck once the window is open.
    keys: &'static str,
    /// When the picture is taken, in seconds after the first note.
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

/// Takes the pictures.
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
    // Where it is in nobody's way.
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

/// The phrase, and some times again after some time for an answer.
fn repeated(phrase: &Phrase) -> Vec<Timed> {
    let again = phrase.end + (7.0 * RATE) as u64;
    let turns = (0..4).flat_map(|turn| {
        phrase.events.iter().map(move |timed| Timed { at: timed.at + turn * again, event: timed.event })
    });
    turns.collect()
}
