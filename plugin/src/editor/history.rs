//! The list of takes: play, keep, save, copy, delete.

use std::sync::Arc;

use egui::{Button, CornerRadius, CursorIcon, Frame, Margin, Response, RichText, ScrollArea, Sense, Ui, pos2, vec2};
use engine::link::takes::{Request, TakeRecord, Takes};

use super::control::UiContext;
use super::drag;
use super::files::Files;
use super::theme::{BODY, SMALL, mix};
use crate::export;

/// Height of a take's thumbnail, in points.
const PICTURE: f32 = 34.0;

/// The list of takes, as the window shows it.
pub struct History {
    takes: Takes,
    /// The list as of `version`.
    list: Vec<Arc<TakeRecord>>,
    version: Option<u64>,
    /// The id of the take that was deleted last: it can be restored.
    deleted: Option<u64>,
}

impl History {
    /// A list of the takes in this log.
    pub fn new(takes: Takes) -> Self {
        Self { takes, list: Vec::new(), version: None, deleted: None }
    }

    /// The number of takes.
    pub fn len(&mut self) -> usize {
        self.update();
        self.list.len()
    }

    /// The latest take.
    pub fn latest(&self) -> Option<Arc<TakeRecord>> {
        self.list.last().cloned()
    }

    fn update(&mut self) {
        let version = self.takes.version();
        if self.version != Some(version) {
            self.version = Some(version);
            self.list = self.takes.list();
        }
    }

    /// Draws the list, with the latest take on top.
    pub fn show(&mut self, ui: &mut Ui, ui_context: &UiContext, files: &mut Files) {
        self.update();
        ui.label(RichText::new("Takes").size(BODY + 1.0).strong());
        if let Some(id) = self.deleted {
            ui.horizontal(|ui| {
                ui.label(
                    RichText::new(format!("Take {id} deleted.")).color(ui_context.palette.quiet).size(SMALL + 0.5),
                );
                if ui.button(RichText::new("Undo").size(SMALL + 0.5)).on_hover_text("Restore this take").clicked() {
                    self.takes.request(Request::Restore(id));
                    self.deleted = None;
                }
            });
        } else if self.list.is_empty() {
            ui.add_space(8.0);
            let text = "Takes appear here when they end: play, keep or save them.";
            ui.label(RichText::new(text).color(ui_context.palette.quiet).size(SMALL + 0.5));
        }
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            for record in self.list.clone().iter().rev() {
                self.take(ui, ui_context, record, files);
            }
        });
    }

    fn take(&mut self, ui: &mut Ui, ui_context: &UiContext, record: &Arc<TakeRecord>, files: &mut Files) {
        let palette = ui_context.palette;
        let frame = Frame::new().fill(palette.grip).corner_radius(6).inner_margin(Margin::same(8));
        frame.show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.label(RichText::new(format!("Take {}", record.id)).strong());
                let count = record.notes.len();
                let TakeRecord { seed, number, lasted_s, .. } = **record;
                let text = format!("seed {seed}, no. {number}  ·  {count} notes  ·  {lasted_s:.1} s");
                let hint = "The same seed and number after the same phrase give the same notes";
                ui.label(RichText::new(text).color(palette.quiet).size(SMALL)).on_hover_text(hint);
            });
            let picture = picture(ui, ui_context, record);
            if drag::POSSIBLE {
                let hint = "Drag this take into the host or a folder, as a MIDI file; with Shift, include the phrase";
                let picture = picture.on_hover_cursor(CursorIcon::Grab).on_hover_text(hint);
                if picture.dragged() {
                    ui.ctx().set_cursor_icon(CursorIcon::Grabbing);
                }
                if picture.drag_started() {
                    let (name, bytes) = file(ui, record);
                    files.drag_out(&name, &bytes);
                }
            }
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                ui.spacing_mut().button_padding = vec2(7.0, 3.0);
                let small = |text: &str| RichText::new(text).size(SMALL + 0.5);
                let quiet = |text: &str| Button::new(small(text)).fill(palette.held);
                if ui.add(quiet("Play")).on_hover_text("Play this take again, note for note").clicked() {
                    self.takes.request(Request::Replay(record.id));
                }
                let keep = quiet("Keep").selected(record.kept);
                let hint = "Keep this take in the list until Antiphon is closed. To keep it for good, save it.";
                if ui.add(keep).on_hover_text(hint).clicked() {
                    self.takes.request(Request::Keep(record.id, !record.kept));
                }
                let save = ui.add(quiet("Save")).on_hover_text("Save as a MIDI file; with Shift, include the phrase");
                if save.clicked() {
                    let (name, bytes) = file(ui, record);
                    files.save_as(&name, bytes);
                }
                let copy = ui.add(quiet("Copy"));
                let hint = "Save a MIDI file in the folder for takes and copy its path; with Shift, include the phrase";
                if copy.on_hover_text(hint).clicked() {
                    let (name, bytes) = file(ui, record);
                    files.copy(ui, &name, &bytes);
                }
                if ui.add(quiet("Delete")).clicked() && self.takes.request(Request::Delete(record.id)) {
                    self.deleted = Some(record.id);
                }
            });
        });
    }
}

/// The file name and the MIDI bytes of a take; while Shift is down, including its phrase.
fn file(ui: &Ui, record: &TakeRecord) -> (String, Vec<u8>) {
    let with_phrase = ui.input(|input| input.modifiers.shift);
    (export::name(record, with_phrase), export::take(record, with_phrase))
}

/// Draws a thumbnail of a take after its phrase, both in their colors. Returns the response, which senses drags.
fn picture(ui: &mut Ui, ui_context: &UiContext, record: &TakeRecord) -> Response {
    let palette = ui_context.palette;
    let (room, response) = ui.allocate_exact_size(vec2(ui.available_width(), PICTURE), Sense::drag());
    let painter = ui.painter_at(room);
    painter.rect_filled(room, CornerRadius::same(3), palette.paper);
    let all = || record.phrase.iter().chain(&record.notes);
    let start = all().map(notes::Note::struck).fold(0.0, f64::min);
    let end = all().map(notes::Note::end).fold(0.1, f64::max);
    let lowest = f32::from(all().map(|note| note.pitch).min().unwrap_or(60));
    let highest = f32::from(all().map(|note| note.pitch).max().unwrap_or(60));
    let x = |time: f64| room.left() + 2.0 + (room.width() - 4.0) * ((time - start) / (end - start)) as f32;
    let row = (room.height() - 6.0) / (highest - lowest + 1.0).max(12.0);
    for (notes, color) in [(&record.phrase, palette.player), (&record.notes, palette.antiphon)] {
        for note in notes {
            let y = room.bottom() - 3.0 - row * (f32::from(note.pitch) - lowest + 1.0);
            let (left, right) = (x(note.struck()), x(note.end()));
            let place = egui::Rect::from_min_max(pos2(left, y), pos2(right.max(left + 1.0), y + row.max(1.5)));
            let strength = 0.4 + 0.6 * f32::from(note.velocity) / 110.0;
            painter.rect_filled(place, 0.0, mix(palette.paper, color, strength));
        }
    }
    response
}
