//! The losses of a run, as CSV and as a plot.

use crate::files::{replace, write_atomic};
use model::shapes::Attribute;
use plotters::prelude::*;
use serde::{Deserialize, Serialize};
use std::{fmt::Write, path::Path};

/// A validation, with the training since the previous one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Number of steps so far.
    pub step: u64,
    /// Number of training notes so far.
    pub notes: u64,
    /// Number of passes over the training split so far.
    pub epoch: f64,
    /// Seconds of training so far.
    pub seconds: f64,
    /// Learning rate.
    pub rate: f64,
    /// Mean training losses by attribute, with dropout and augmentation.
    pub train: [f64; 5],
    /// Validation losses by attribute.
    pub validation: [f64; 5],
}

/// The losses as a line for the terminal.
pub fn describe(line: &Line) -> String {
    let sum = |losses: &[f64; 5]| match losses.iter().sum::<f64>() {
        0.0 => "-".to_owned(),
        loss => format!("{loss:.3}"),
    };
    format!(
        "step {:>6}  epoch {:>6.2}  rate {:.1e}  train {}  validation {} ({})",
        line.step,
        line.epoch,
        line.rate,
        sum(&line.train),
        sum(&line.validation),
        parts(&line.validation)
    )
}

/// Losses by attribute, for the attributes that the network has.
pub fn parts(losses: &[f64; 5]) -> String {
    let named = Attribute::ALL.iter().zip(losses).filter(|(_, loss)| **loss != 0.0);
    named.map(|(attribute, loss)| format!("{} {loss:.3}", attribute.name())).collect::<Vec<_>>().join(", ")
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
    write_atomic(&folder.join("losses.csv"), csv.as_bytes())?;
    if log.len() > 1 {
        picture(&folder.join("losses.png"), log)?;
    }
    Ok(())
}

/// Plots training and validation losses over epochs. Without labels: the numbers are in the CSV.
fn picture(path: &Path, log: &[Line]) -> anyhow::Result<()> {
    let sum = |values: &[f64; 5]| values.iter().sum::<f64>();
    // A loss of 0 was not measured, such as the training loss before the first step.
    let curve = |get: fn(&Line) -> &[f64; 5]| -> Vec<(f64, f64)> {
        log.iter().map(|line| (line.epoch, sum(get(line)))).filter(|(_, loss)| *loss != 0.0).collect()
    };
    let curves =
        [(curve(|line| &line.train), RGBColor(230, 159, 0)), (curve(|line| &line.validation), RGBColor(0, 114, 178))];
    let all = curves.iter().flat_map(|(curve, _)| curve).map(|(_, loss)| *loss);
    let (low, high) = all.fold((f64::INFINITY, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    let last = log.last().map_or(1.0, |l| l.epoch);
    replace(path, |path| {
        let root = BitMapBackend::new(path, (900, 500)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root).margin(20).build_cartesian_2d(0.0..last, low * 0.98..high * 1.02)?;
        for (curve, color) in curves {
            chart.draw_series(LineSeries::new(curve, color))?;
        }
        Ok(root.present()?)
    })
}
