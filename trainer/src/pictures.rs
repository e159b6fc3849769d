//! Pictures for the report: distributions of the takes over those of real pieces, and a piano roll.

use crate::dataset::{Dataset, Split};
use crate::files::replace;
use crate::measures::histogram::Histograms;
use notes::Note;
use plotters::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::sync::Once;

/// Size of most pictures, in pixels.
const SIZE: (u32, u32) = (900, 420);
/// Colors for real music and takes, distinguishable for color-blind people (Okabe and Ito).
const REAL: RGBColor = RGBColor(0, 114, 178);
const TAKES: RGBColor = RGBColor(230, 159, 0);
/// Length of the take shown in the piano roll, in seconds.
const ROLL_S: f64 = 60.0;
/// Length of a piece that is compared with another version, in seconds.
const COMPARED_S: f64 = 12.0;
/// Size of such a picture, in pixels.
const COMPARED: (u32, u32) = (1500, 900);
/// Range of the time axes, in seconds.
const TIMES_S: f64 = 2.0;
/// Width of a column of the time axes, in seconds.
const TIME_COLUMN_S: f64 = 0.02;

/// Writes pitch.png, step.png, duration.png and take.png into `folder`; nothing if there are no takes.
pub fn write(folder: &Path, data: &Dataset, split: Split, takes: &[Vec<Note>]) -> anyhow::Result<()> {
    let Some(longest) = takes.iter().max_by_key(|notes| notes.len()) else { return Ok(()) };
    install_font()?;
    let real: Vec<&[Note]> = data.split(split).map(|piece| piece.notes.as_slice()).collect();
    let takes: Vec<&[Note]> = takes.iter().map(Vec::as_slice).collect();
    let keys = |pieces: &[&[Note]]| {
        let counts = Histograms::of(pieces.iter().copied()).pitch;
        shares(counts.into_iter().map(|count| count as f64).collect())
    };
    let steps = |pieces: &[&[Note]]| {
        let steps = pieces.iter().flat_map(|notes| notes.windows(2).map(|pair| pair[1].onset - pair[0].onset));
        columns(steps)
    };
    let durations =
        |pieces: &[&[Note]]| columns(pieces.iter().flat_map(|notes| notes.iter().map(|note| note.duration)));
    let picture = |name: &str, what: &str, range: Range<f64>, real: Vec<f64>, takes: Vec<f64>| {
        draw(&folder.join(name), SIZE, |area| bars(area, what, range.clone(), &real, &takes))
    };
    picture("pitch.png", "MIDI key", 0.0..128.0, keys(&real), keys(&takes))?;
    picture("step.png", "step, seconds", 0.0..TIMES_S, steps(&real), steps(&takes))?;
    picture("duration.png", "duration, seconds", 0.0..TIMES_S, durations(&real), durations(&takes))?;
    draw(&folder.join("take.png"), SIZE, |area| roll(area, longest, ROLL_S, TAKES))
}

/// Writes a picture of the start of two versions of a piece, one above the other; both with the same number of notes.
pub fn compare(path: &Path, versions: [(&str, &[Note]); 2]) -> anyhow::Result<()> {
    install_font()?;
    let most = versions[0].1.partition_point(|note| note.onset < COMPARED_S);
    draw(path, COMPARED, |area| {
        for ((area, color), (name, notes)) in area.split_evenly((2, 1)).iter().zip([REAL, TAKES]).zip(versions) {
            let notes = &notes[..most.min(notes.len())];
            let end = notes.iter().map(Note::end).fold(1.0, f64::max);
            roll(&area.titled(name, ("sans-serif", 14))?, notes, end, color)?;
        }
        Ok(())
    })
}

/// Registers a font: otherwise plotters looks for fonts on the system, and pictures would depend on it.
pub(crate) fn install_font() -> anyhow::Result<()> {
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        result = plotters::style::register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
    result.map_err(|_| anyhow::anyhow!("the built-in font cannot be read"))
}

fn columns(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut counts = vec![0.0; (TIMES_S / TIME_COLUMN_S) as usize];
    for time in times {
        if let Some(count) = counts.get_mut((time / TIME_COLUMN_S) as usize) {
            *count += 1.0;
        }
    }
    shares(counts)
}

fn shares(counts: Vec<f64>) -> Vec<f64> {
    let total = counts.iter().sum::<f64>().max(1.0);
    counts.into_iter().map(|count| count / total).collect()
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;

/// Draws a picture and writes it atomically.
fn draw(path: &Path, size: (u32, u32), paint: impl Fn(&Area) -> anyhow::Result<()>) -> anyhow::Result<()> {
    replace(path, |path| {
        let area = BitMapBackend::new(path, size).into_drawing_area();
        area.fill(&WHITE)?;
        paint(&area)?;
        Ok(area.present()?)
    })
}

fn bars(area: &Area, what: &str, range: Range<f64>, real: &[f64], takes: &[f64]) -> anyhow::Result<()> {
    let highest = real.iter().chain(takes).copied().fold(1e-9, f64::max) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(range.clone(), 0.0..highest)?;
    chart.configure_mesh().x_desc(what).y_desc("share of notes").disable_x_mesh().draw()?;
    let width = (range.end - range.start) / real.len() as f64;
    let filled = real.iter().enumerate().map(|(index, &share)| {
        let left = range.start + index as f64 * width;
        Rectangle::new([(left, 0.0), (left + width, share)], REAL.mix(0.45).filled())
    });
    chart
        .draw_series(filled)?
        .label("real pieces")
        .legend(|(x, y)| Rectangle::new([(x, y - 4), (x + 16, y + 4)], REAL.mix(0.45).filled()));
    let outline = takes.iter().enumerate().flat_map(|(index, &share)| {
        let left = range.start + index as f64 * width;
        [(left, share), (left + width, share)]
    });
    chart
        .draw_series(LineSeries::new(outline, TAKES.stroke_width(2)))?
        .label("takes")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], TAKES.stroke_width(2)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .draw()?;
    Ok(())
}

fn roll(area: &Area, notes: &[Note], seconds: f64, color: RGBColor) -> anyhow::Result<()> {
    let keys = || notes.iter().map(|note| f64::from(note.pitch));
    let (lowest, highest) = (keys().fold(40.0, f64::min) - 2.0, keys().fold(80.0, f64::max) + 3.0);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..seconds, lowest..highest)?;
    chart.configure_mesh().x_desc("seconds").y_desc("MIDI key").disable_mesh().draw()?;
    chart.draw_series(notes.iter().filter(|note| note.onset < seconds).map(|note| {
        let key = f64::from(note.pitch);
        let strength = 0.15 + 0.85 * f64::from(note.velocity) / 127.0;
        Rectangle::new([(note.struck(), key), (note.end().min(seconds), key + 1.0)], color.mix(strength).filled())
    }))?;
    Ok(())
}
