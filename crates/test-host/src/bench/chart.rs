//! Draws the benchmark as a picture: the time per note of each engine as bars, the rest as text.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value};

use super::rounded;
use crate::canvas::{Align, Canvas, Color};

const PAPER: Color = [252, 252, 250];
const INK: Color = [40, 44, 52];
const OURS: Color = [232, 126, 36];
const OTHERS: Color = [120, 144, 176];
const WIDTH: u32 = 900;
const ROW: f32 = 26.0;
/// Left edge of the bars and length of the longest, in pixels.
const BARS: f32 = 190.0;
const LONGEST: f32 = 520.0;

/// Draws the medians of `step`, fastest first, and saves the picture as a PNG.
pub fn save(figures: &Map<String, Value>, path: &Path) -> Result<()> {
    let median = |row: &Value| row.get("median_us").and_then(Value::as_f64);
    let rows = figures.get("step").and_then(Value::as_object).into_iter().flatten();
    let mut rows: Vec<(&String, f64, f64)> =
        rows.filter_map(|(name, row)| Some((name, median(row)?, row.get("p99_us").and_then(Value::as_f64)?))).collect();
    rows.sort_by(|a, b| a.1.total_cmp(&b.1));
    let lines = ["process_block", "instances", "load"].into_iter().flat_map(|part| lines(part, figures.get(part)));
    let lines: Vec<String> = lines.collect();
    let height = 80.0 + ROW * (rows.len() + lines.len()) as f32;
    let mut canvas = Canvas::new(WIDTH, height as u32, PAPER)?;
    canvas.text(
        "A note, in microseconds of processor time: median and 99th percentile",
        [20.0, 32.0],
        17.0,
        Align::Left,
        INK,
    );
    let longest = rows.iter().fold(1.0, |longest: f64, row| longest.max(row.1));
    let mut y = 56.0;
    for (name, median, p99) in rows {
        let color = if matches!(name.as_str(), "default" | "f32" | "f16" | "int8" | "int4") { OURS } else { OTHERS };
        let length = (median / longest) as f32 * LONGEST;
        canvas.rect([BARS, y, length.max(1.0), ROW - 8.0], 3.0, color, 1.0);
        canvas.text(name, [BARS - 10.0, y + 14.0], 14.0, Align::Right, INK);
        canvas.text(&format!("{median:.0} / {p99:.0}"), [BARS + length + 8.0, y + 14.0], 14.0, Align::Left, INK);
        y += ROW;
    }
    for line in lines {
        canvas.text(&line, [20.0, y + 20.0], 13.0, Align::Left, INK);
        y += ROW;
    }
    canvas.save(path)
}

/// The rows of one part of the figures, as text.
fn lines(part: &str, figures: Option<&Value>) -> Vec<String> {
    let cells = |row: &Map<String, Value>| {
        let numbers = row.iter().filter_map(|(name, value)| Some(format!("{name} {}", rounded(value.as_f64()?))));
        numbers.collect::<Vec<_>>().join("   ")
    };
    let Some(rows) = figures.and_then(Value::as_object) else { return Vec::new() };
    if rows.values().any(|row| !row.is_object()) {
        return vec![format!("{part}:   {}", cells(rows))];
    }
    rows.iter().filter_map(|(name, row)| Some(format!("{part} {name}:   {}", cells(row.as_object()?)))).collect()
}
