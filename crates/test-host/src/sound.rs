//! Renders notes with a piano sound and writes them as a WAV file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use notes::Note;
use rustysynth::{SoundFont, Synthesizer, SynthesizerSettings};

use crate::BadInput;
use crate::voice::{self, RATE, Strike};

/// Folders where systems keep soundfonts.
const FOLDERS: &[&str] = &["/usr/share/sounds/sf2", "/usr/share/soundfonts"];
/// Time for the last notes to ring, in seconds.
const TAIL_S: f64 = 2.0;
/// Level of the loudest sample, relative to full scale.
const PEAK: f32 = 0.89;

/// Writes the notes as a stereo WAV file. Returns the name of the sound used.
pub fn save(notes: &[&[Note]], font: Option<&Path>, path: &Path) -> Result<String> {
    let mut strikes: Vec<Strike> = notes
        .iter()
        .copied()
        .flatten()
        .map(|note| Strike { on: note.struck(), off: note.end(), key: note.pitch, velocity: note.velocity })
        .collect();
    strikes.sort_by(|a, b| a.on.total_cmp(&b.on));
    let seconds = strikes.iter().map(|s| s.off).fold(0.0, f64::max) + TAIL_S;
    let (channels, voice) = match find(font)? {
        Some((font, name)) => (sampled(&strikes, seconds, &font)?, name),
        None => (voice::render(&strikes, seconds), "the built-in voice (no soundfont found)".to_owned()),
    };
    write(&channels, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(voice)
}

/// The soundfont named by the user, which must be valid, or else the first usable one found on this system.
fn find(named: Option<&Path>) -> Result<Option<(Arc<SoundFont>, String)>> {
    if let Some(path) = named {
        let font = load(path).map_err(|e| BadInput(format!("{}: {e:#}", path.display())))?;
        return Ok(Some((font, path.display().to_string())));
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let own = home.map(|home| home.join(".local/share/soundfonts"));
    let folders = own.into_iter().chain(FOLDERS.iter().map(PathBuf::from));
    let mut paths: Vec<PathBuf> = folders
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("sf2")))
        .collect();
    paths.sort();
    let usable = |path: &PathBuf| Some((load(path).ok()?, path.display().to_string()));
    Ok(paths.iter().find_map(usable))
}

fn load(path: &Path) -> Result<Arc<SoundFont>> {
    let mut file = File::open(path)?;
    let font = SoundFont::new(&mut file).context("this is not a readable soundfont (.sf2)")?;
    Ok(Arc::new(font))
}

/// Renders through a soundfont, whose program 0 is a grand piano.
fn sampled(strikes: &[Strike], seconds: f64, font: &Arc<SoundFont>) -> Result<[Vec<f32>; 2]> {
    let settings = SynthesizerSettings::new(RATE as i32);
    let mut synth = Synthesizer::new(font, &settings)?;
    let sample = |time: f64| (time * f64::from(RATE)) as usize;
    // (sample, is note-on, key, velocity): at the same sample, note-offs sort first.
    let mut events: Vec<(usize, bool, i32, i32)> = Vec::with_capacity(strikes.len() * 2);
    for s in strikes {
        let (key, velocity) = (i32::from(s.key), i32::from(s.velocity));
        events.push((sample(s.on), true, key, velocity));
        events.push((sample(s.off), false, key, 0));
    }
    events.sort_unstable();
    let length = sample(seconds);
    let [mut left, mut right] = [vec![0.0; length], vec![0.0; length]];
    let mut now = 0;
    for (at, on, key, velocity) in events {
        let at = at.clamp(now, length);
        synth.render(&mut left[now..at], &mut right[now..at]);
        now = at;
        if on {
            synth.note_on(0, key, velocity);
        } else {
            synth.note_off(0, key);
        }
    }
    synth.render(&mut left[now..], &mut right[now..]);
    Ok([left, right])
}

fn write([left, right]: &[Vec<f32>; 2], path: &Path) -> Result<()> {
    let loudest = left.iter().chain(right).fold(0.0_f32, |m, s| m.max(s.abs()));
    let gain = if loudest > 0.0 { PEAK / loudest } else { 0.0 } * f32::from(i16::MAX);
    let spec =
        hound::WavSpec { channels: 2, sample_rate: RATE, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec)?;
    for (l, r) in left.iter().zip(right) {
        writer.write_sample((l * gain) as i16)?;
        writer.write_sample((r * gain) as i16)?;
    }
    Ok(writer.finalize()?)
}
