//! The losses of a run, as CSV and as a picture.

use crate::files::write_whole;
use model::shapes::Attribute;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};
use std::{fmt::Write, path::Path};

/// One validation and the training since the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Steps taken.
    pub step: u64,
    /// Notes learnt from.
    pub notes: u64,
    /// Passes over the training split.
    pub epoch: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// Learning rate.
    pub rate: f64,
    /// Training losses by attribute, with dropout and variation.
    pub train: [f64; 5],
    /// Validation losses by attribute.
    pub validation: [f64; 5],
}

/// What one line says on the screen.
pub fn describe(line: &Line) -> String {
    let parts: Vec<String> = Attribute::ALL
        .iter()
        .zip(line.validation)
        .filter(|(_, v)| *v != 0.0)
        .map(|(a, v)| format!("{} {v:.3}", a.name()))
        .collect();
    let (train, validation): (f64, f64) = (line.train.iter().sum(), line.validation.iter().sum());
    format!(
        "step {:>6}  epoch {:>6.2}  rate {:.1e}  train {train:.3}  validation {validation:.3} ({})",
        line.step,
        line.epoch,
        line.rate,
        parts.join(", ")
    )
}

/// Writes `losses.csv` and `losses.png` into `folder`.
pub fn write(folder: &Path, log: &[Line]) -> anyhow::Result<()> {
    let mut csv = "step,notes,epoch,seconds,rate".to_owned();
    for set in ["train", "validation"] {
        for attribute in Attribute::ALL {
            write!(csv, ",{set}_{}", attribute.name())?;
        }
    }
    csv.push('\n');
    for line in log {
        write!(csv, "{},{},{:.4},{:.1},{:.3e}", line.step, line.notes, line.epoch, line.seconds, line.rate)?;
        for value in line.train.iter().chain(&line.validation) {
            write!(csv, ",{value:.5}")?;
        }
        csv.push('\n');
    }
    write_whole(&folder.join("losses.csv"), csv.as_bytes())?;
    if log.len() > 1 {
        picture(&folder.join("losses.png"), log)?;
    }
    Ok(())
}

/// Training and validation losses over epochs. Without fonts: the figures are in the CSV.
fn picture(path: &Path, log: &[Line]) -> anyhow::Result<()> {
    let sum = |values: &[f64; 5]| values.iter().sum::<f64>();
    let all = || log.iter().flat_map(|l| [sum(&l.train), sum(&l.validation)]);
    let (low, high) = all().fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    let last = log.last().map_or(1.0, |l| l.epoch);
    let partial = path.with_extension("tmp.png");
    {
        let root = BitMapBackend::new(&partial, (900, 500)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root).margin(20).build_cartesian_2d(0.0..last, low * 0.98..high * 1.02)?;
        chart.draw_series(LineSeries::new(log.iter().map(|l| (l.epoch, sum(&l.train))), RGBColor(230, 159, 0)))?;
        chart.draw_series(LineSeries::new(log.iter().map(|l| (l.epoch, sum(&l.validation))), RGBColor(0, 114, 178)))?;
        root.present()?;
    }
    Ok(std::fs::rename(partial, path)?)
}
