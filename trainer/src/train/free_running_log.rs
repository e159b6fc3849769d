//! Reports on free running during a run: a table on the terminal, `free_running.csv` and `free_running.png`.

use crate::files::{replace, write_atomic};
use crate::measures::free_running::{FreeRunningStats, WATCHED};
use crate::pictures::install_font;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};
use std::{fmt::Write, path::Path};

/// Size of a panel, in pixels.
const PANEL: (u32, u32) = (360, 240);
/// Number of panels in a row.
const COLUMNS: usize = 3;
/// Colors for the sets, distinguishable for color-blind people (Okabe and Ito).
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Results of free running at one validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Number of steps so far.
    pub step: u64,
    /// Number of training notes so far.
    pub notes: u64,
    /// Number of passes over the training split so far.
    pub epoch: f64,
    /// Results for each set.
    pub sets: Vec<FreeRunningStats>,
}

/// The results as a table for the terminal.
pub fn describe(line: &Line) -> String {
    let width = line.sets.iter().map(|stats| stats.set.len()).max().unwrap_or(0).max(8);
    let mut table = format!("  {:width$} {:7}", "plays on", "");
    for name in WATCHED {
        write!(table, "  {}", short(name)).expect("a String takes everything");
    }
    for stats in &line.sets {
        for (who, values) in [("truth", &stats.truth), ("network", &stats.network)] {
            let set = if who == "truth" { &stats.set[..] } else { "" };
            write!(table, "\n  {set:width$} {who:7}").expect("a String takes everything");
            for (name, value) in WATCHED.iter().zip(values) {
                let width = short(name).len();
                write!(table, "  {value:>width$.*}", if *value < 10.0 { 2 } else { 1 })
                    .expect("a String takes everything");
            }
        }
    }
    table
}

/// A feature's name without the part in parentheses.
fn short(name: &str) -> &str {
    name.split(" (").next().unwrap_or(name)
}

/// Writes `free_running.csv` and `free_running.png` into `folder`; nothing if there are no results.
pub fn write(folder: &Path, log: &[Line]) -> anyhow::Result<()> {
    if log.is_empty() {
        return Ok(());
    }
    let mut csv = "step,notes,epoch,set,prompts".to_owned();
    for name in WATCHED {
        let name = short(name).replace(' ', "_");
        write!(csv, ",{name}_truth,{name}_network")?;
    }
    csv.push('\n');
    for line in log {
        for stats in &line.sets {
            let set = stats.set.replace('"', "\"\"");
            write!(csv, "{},{},{:.4},\"{set}\",{}", line.step, line.notes, line.epoch, stats.prompts)?;
            for (truth, network) in stats.truth.iter().zip(&stats.network) {
                write!(csv, ",{truth:.4},{network:.4}")?;
            }
            csv.push('\n');
        }
    }
    write_atomic(&folder.join("free_running.csv"), csv.as_bytes())?;
    if log.len() > 1 {
        picture(&folder.join("free_running.png"), log)?;
    }
    Ok(())
}

/// Draws one panel per feature, over the number of training notes: each set's curve, and a thin line for the true
/// continuations.
fn picture(path: &Path, log: &[Line]) -> anyhow::Result<()> {
    install_font()?;
    let rows = WATCHED.len().div_ceil(COLUMNS);
    let size = (PANEL.0 * COLUMNS as u32, PANEL.1 * rows as u32 + 24);
    let millions = |line: &Line| line.notes as f64 / 1e6;
    let last = log.last().map_or(1.0, millions).max(1e-9);
    let sets: Vec<&str> = log[0].sets.iter().map(|stats| &stats.set[..]).collect();
    replace(path, |path| {
        let root = BitMapBackend::new(path, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (legend, panels) = root.split_vertically(24);
        for (index, set) in sets.iter().enumerate() {
            let style = ("sans-serif", 16).into_font().color(&COLORS[index % COLORS.len()]);
            legend.draw(&Text::new((*set).to_owned(), (12 + index as i32 * 150, 6), style))?;
        }
        for (feature, panel) in panels.split_evenly((rows, COLUMNS)).iter().enumerate().take(WATCHED.len()) {
            let values = log.iter().flat_map(|line| &line.sets);
            let values = values.flat_map(|stats| [stats.truth[feature], stats.network[feature]]);
            let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
            let margin = ((high - low) * 0.1).max(1e-3);
            let mut chart = ChartBuilder::on(panel)
                .margin(8)
                .caption(WATCHED[feature], ("sans-serif", 16))
                .x_label_area_size(24)
                .y_label_area_size(44)
                .build_cartesian_2d(0.0..last, low - margin..high + margin)?;
            chart.configure_mesh().disable_mesh().x_labels(5).y_labels(5).draw()?;
            for (index, set) in sets.iter().enumerate() {
                let of_set = || {
                    log.iter().filter_map(|line| {
                        line.sets.iter().find(|stats| stats.set == *set).map(|stats| (millions(line), stats))
                    })
                };
                let color = COLORS[index % COLORS.len()];
                let truth = of_set().map(|(notes, stats)| (notes, stats.truth[feature]));
                chart.draw_series(LineSeries::new(truth, color.mix(0.5).stroke_width(1)))?;
                let network = of_set().map(|(notes, stats)| (notes, stats.network[feature]));
                chart.draw_series(LineSeries::new(network, color.stroke_width(2)))?;
            }
        }
        Ok(root.present()?)
    })
}
