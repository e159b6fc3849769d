//! Draws a piano roll of the phrase and the continuation, in two colors.

use std::path::Path;

use anyhow::Result;
use notes::Note;

use crate::canvas::{Align, Canvas, Color};

const WIDTH: u32 = 1600;
const HEIGHT: u32 = 760;
/// Margins around the roll's area, in pixels: left, top, right, bottom.
const MARGIN: [f32; 4] = [64.0, 84.0, 28.0, 56.0];

const PAPER: Color = [250, 250, 247];
const LANE: Color = [240, 240, 235];
const LINE: Color = [222, 222, 215];
const INK: Color = [45, 48, 56];
const FAINT: Color = [128, 132, 140];
const PLAYER: Color = [43, 108, 176];
const MODEL: Color = [221, 107, 32];

/// The contents of the picture.
pub struct Roll<'a> {
    /// Shown at the top.
    pub title: &'a str,
    /// The player's notes, in seconds.
    pub phrase: &'a [Note],
    /// The plugin's notes, in seconds.
    pub continuation: &'a [Note],
    /// Time of the hand-over, in seconds.
    pub hand_over: Option<f64>,
    /// Length of the picture in seconds.
    pub length: f64,
}

impl Roll<'_> {
    /// Draws the piano roll and saves it as a PNG.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut canvas = Canvas::new(WIDTH, HEIGHT, PAPER)?;
        let [left, top, right, bottom] = MARGIN;
        let (w, h) = (WIDTH as f32 - left - right, HEIGHT as f32 - top - bottom);

        let pitches = self.phrase.iter().chain(self.continuation).map(|n| n.pitch);
        let low = pitches.clone().min().unwrap_or(60).saturating_sub(3);
        let high = (pitches.max().unwrap_or(72) + 3).min(127);
        let lane = h / f32::from(high - low + 1);
        let x = |seconds: f64| left + w * (seconds / self.length).clamp(0.0, 1.0) as f32;
        let y = |pitch: u8| top + lane * f32::from(high - pitch);

        for pitch in low..=high {
            if matches!(pitch % 12, 1 | 3 | 6 | 8 | 10) {
                canvas.rect([left, y(pitch), w, lane], 0.0, LANE, 1.0);
            }
            if pitch % 12 == 0 {
                canvas.rect([left, y(pitch) + lane - 0.5, w, 1.0], 0.0, LINE, 1.0);
                let name = format!("C{}", i32::from(pitch / 12) - 1);
                let middle = y(pitch) + lane / 2.0 + 5.0;
                canvas.text(&name, [left - 10.0, middle], 16.0, Align::Right, FAINT);
            }
        }
        let every = [1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];
        let every = every.into_iter().find(|e| self.length / e <= 24.0).unwrap_or(600.0);
        let mut second = 0.0;
        while second <= self.length {
            canvas.rect([x(second), top, 1.0, h], 0.0, LINE, 1.0);
            let place = [x(second), top + h + 24.0];
            canvas.text(&format!("{second:.0} s"), place, 16.0, Align::Center, FAINT);
            second += every;
        }

        for (notes, color) in [(self.phrase, PLAYER), (self.continuation, MODEL)] {
            for note in notes {
                let (start, end) = (x(note.struck()), x(note.end()));
                let height = (lane - 1.0).clamp(3.0, 16.0);
                let y = y(note.pitch) + (lane - height) / 2.0;
                // Soft notes are paler; the start of each note is always dark.
                let loud = 0.35 + 0.55 * f32::from(note.velocity) / 127.0;
                let width = (end - start - 1.0).max(2.5);
                canvas.rect([start, y, width, height], 3.0, color, loud);
                canvas.rect([start, y, 2.5, height], 1.0, color, 1.0);
            }
        }
        if let Some(hand_over) = self.hand_over {
            let at = x(hand_over);
            let mut dash = top - 6.0;
            while dash < top + h {
                canvas.rect([at - 1.0, dash, 2.0, 7.0_f32.min(top + h - dash)], 0.0, INK, 0.8);
                dash += 12.0;
            }
            let text = format!("hand-over, {hand_over:.2} s");
            canvas.text(&text, [at, top - 12.0], 17.0, Align::Center, INK);
        }
        canvas.rect([left, top + h, w, 1.0], 0.0, FAINT, 1.0);

        canvas.text(self.title, [left, 36.0], 24.0, Align::Left, INK);
        let legend = [
            (format!("you: {} notes", self.phrase.len()), PLAYER, 330.0),
            (format!("Antiphon: {} notes", self.continuation.len()), MODEL, 170.0),
        ];
        for (text, color, back) in legend {
            let start = WIDTH as f32 - right - back;
            canvas.rect([start, 22.0, 22.0, 14.0], 3.0, color, 0.9);
            canvas.text(&text, [start + 30.0, 35.0], 18.0, Align::Left, INK);
        }
        canvas.save(path)
    }
}
