//! MIDI files to save, weights files to load. Dialogs, drags and loading run on threads of their own: the window never
//! blocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use disk::write_atomic;
use egui::Ui;
use engine::link::viewer::Viewer;
use model::Network;

use super::drag::{self, Outcome};
use crate::weights::{self, WeightsChoice};

/// How long a message is shown.
const MESSAGE: Duration = Duration::from_secs(12);

/// A dialog that returns faster than this was not closed by a user: it could not be opened.
const AT_ONCE: Duration = Duration::from_millis(300);

/// What a background thread reports.
enum FileEvent {
    /// A message, and whether it is about a failure.
    Said { text: String, bad: bool },
    /// These weights are valid. The network comes along, so that it need not be loaded a second time.
    Weights(PathBuf, Arc<Network>),
}

/// Background work on files, and the message that the window shows about it.
pub struct Files {
    viewer: Viewer,
    events: Receiver<FileEvent>,
    sender: Sender<FileEvent>,
    message: Option<(String, bool, Instant)>,
    /// Keeps the loaded network alive until the generator thread has taken it over.
    network: Option<Arc<Network>>,
}

impl Files {
    /// For the window of this viewer.
    pub fn new(viewer: Viewer) -> Self {
        let (sender, events) = unbounded();
        Self { viewer, events, sender, message: None, network: None }
    }

    /// Handles what the background threads have reported, and removes an old message.
    pub fn poll(&mut self, choice: &WeightsChoice) {
        while let Ok(event) = self.events.try_recv() {
            match event {
                FileEvent::Said { text, bad } => self.show_message(&text, bad),
                FileEvent::Weights(path, network) => {
                    self.show_message(&format!("Model {} loaded.", network.card().name), false);
                    self.network = Some(network);
                    choice.choose(path.display().to_string());
                }
            }
        }
        if self.message.as_ref().is_some_and(|(.., since)| since.elapsed() > MESSAGE) {
            self.message = None;
        }
    }

    /// Shows a message in the window.
    pub fn show_message(&mut self, text: &str, bad: bool) {
        self.message = Some((text.to_owned(), bad, Instant::now()));
    }

    /// The current message, and whether it is about a failure.
    pub fn message(&self) -> Option<(&str, bool)> {
        self.message.as_ref().map(|(text, bad, _)| (text.as_str(), *bad))
    }

    /// Opens a dialog to save a MIDI file.
    pub fn save_as(&self, name: &str, bytes: Vec<u8>) {
        let dialog = rfd::AsyncFileDialog::new().set_title("Save MIDI").add_filter("MIDI", &["mid"]);
        let dialog = dialog.set_file_name(name).set_directory(folder().unwrap_or_default());
        let chosen = dialog.save_file();
        let name = name.to_owned();
        self.spawn(move || {
            let (path, trouble) = match run_dialog(chosen) {
                Ok(path) => (path?, None),
                // No dialog: save it in the folder for takes.
                Err(trouble) => (free_path(&folder()?, &name, &bytes), Some(trouble)),
            };
            Some(match write_atomic(&path, &bytes) {
                Ok(()) => {
                    let trouble = trouble.map_or(String::new(), |trouble| format!("{trouble} "));
                    FileEvent::Said { text: format!("{trouble}Saved {}.", path.display()), bad: false }
                }
                Err(error) => FileEvent::Said { text: format!("Cannot save {}: {error}.", path.display()), bad: true },
            })
        });
    }

    /// Saves a MIDI file in the folder for takes without a dialog, and copies its path to the clipboard.
    pub fn copy(&mut self, ui: &Ui, name: &str, bytes: &[u8]) {
        if let Some(path) = self.save_in_folder(name, bytes) {
            let path = path.display().to_string();
            self.show_message(&format!("Saved, and copied its path: {path}"), false);
            ui.ctx().copy_text(path);
        }
    }

    /// Saves a MIDI file in the folder for takes and starts to drag it out of the window. The mouse button is down.
    pub fn drag_out(&mut self, name: &str, bytes: &[u8]) {
        let Some(path) = self.save_in_folder(name, bytes) else {
            return;
        };
        self.spawn(move || {
            let (text, bad) = match drag::drag_out(&path) {
                Some(Outcome::Taken) => (format!("Dropped {}.", path.display()), false),
                Some(Outcome::Refused) => {
                    (format!("The drop was not accepted. The take is saved as {}.", path.display()), false)
                }
                None => ("Dragging does not work on this screen: use Save or Copy.".to_owned(), true),
            };
            Some(FileEvent::Said { text, bad })
        });
    }

    /// Saves a MIDI file in the folder for takes. Shows a message if that fails.
    fn save_in_folder(&mut self, name: &str, bytes: &[u8]) -> Option<PathBuf> {
        let saved = folder().ok_or_else(|| "There is no home folder to save in.".to_owned()).and_then(|folder| {
            let path = free_path(&folder, name, bytes);
            write_atomic(&path, bytes).map_err(|error| format!("Cannot save {}: {error}.", path.display()))?;
            Ok(path)
        });
        saved.map_err(|trouble| self.show_message(&trouble, true)).ok()
    }

    /// Opens a dialog to choose a weights file and loads it. The current weights stay in use until the new ones have
    /// proved valid.
    pub fn choose_weights(&self) {
        let dialog =
            rfd::AsyncFileDialog::new().set_title("Choose a model").add_filter("safetensors", &["safetensors"]);
        let chosen = dialog.pick_file();
        self.spawn(move || {
            Some(match run_dialog(chosen) {
                Ok(path) => read_weights(&path?),
                Err(trouble) => FileEvent::Said { text: format!("{trouble} Install one and try again."), bad: true },
            })
        });
    }

    /// Runs slow work on a thread of its own; its result is shown in the window.
    fn spawn(&self, work: impl FnOnce() -> Option<FileEvent> + Send + 'static) {
        let (sender, viewer) = (self.sender.clone(), self.viewer.clone());
        let failed = sender.clone();
        let thread = std::thread::Builder::new().name("antiphon files".to_owned()).spawn(move || {
            if let Some(event) = work() {
                // The receiver is gone if the instance is.
                let _ = sender.send(event);
                viewer.repaint();
            }
        });
        if let Err(error) = thread {
            let _ = failed.send(FileEvent::Said { text: format!("Could not start a thread: {error}."), bad: true });
        }
    }
}

/// The file chosen in a dialog; `Ok(None)` if the dialog was canceled. An error if no dialog could be opened, which the
/// system reports as if it had been canceled.
fn run_dialog(dialog: impl Future<Output = Option<rfd::FileHandle>>) -> Result<Option<PathBuf>, &'static str> {
    let asked = Instant::now();
    let chosen = pollster::block_on(dialog).map(|file| file.path().to_owned());
    if cfg!(target_os = "linux") && chosen.is_none() && asked.elapsed() < AT_ONCE {
        return Err("No file dialog could be opened (xdg-desktop-portal or zenity is missing).");
    }
    Ok(chosen)
}

fn read_weights(path: &Path) -> FileEvent {
    if path.to_str().is_none() {
        let name = path.display();
        let text =
            format!("{name}: a project cannot store this path. Rename the file or its folder, then choose it again.");
        return FileEvent::Said { text, bad: true };
    }
    match weights::load(Some(path)) {
        Ok(loaded) => FileEvent::Weights(path.to_owned(), loaded.network),
        Err(trouble) => FileEvent::Said { text: format!("{trouble} The current model stays in use."), bad: true },
    }
}

/// A path in this folder for these bytes: an existing file of the same name but other contents is not overwritten.
fn free_path(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "mid"));
    let names = (2..).map(|number| format!("{stem} ({number}).{extension}"));
    let mut paths = std::iter::once(name.to_owned()).chain(names).map(|name| folder.join(name));
    let is_free = |path: &PathBuf| !path.exists() || std::fs::read(path).is_ok_and(|there| there == bytes);
    paths.find(is_free).expect("numbers do not end")
}

/// The folder for takes, in the user's music folder.
fn folder() -> Option<PathBuf> {
    // A Linux system without a desktop does not name a music folder.
    let music = dirs::audio_dir().or_else(|| Some(dirs::home_dir()?.join("Music")))?;
    Some(music.join("Antiphon"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_that_cannot_be_opened_is_told_from_one_that_is_closed() {
        assert_eq!(run_dialog(std::future::ready(None)).is_err(), cfg!(target_os = "linux"));
        let closed = run_dialog(async {
            std::thread::sleep(AT_ONCE);
            None
        });
        assert_eq!(closed, Ok(None));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_no_project_can_store_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(std::ffi::OsStr::from_bytes(b"weights-\xff.safetensors"));
        std::fs::write(&path, include_bytes!("../../../weights/seed.safetensors")).unwrap();
        assert!(matches!(read_weights(&path), FileEvent::Said { bad: true, text } if text.contains("Rename")));
    }

    #[test]
    fn a_take_of_the_same_name_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        for (bytes, name) in [("one", "a.mid"), ("two", "a (2).mid"), ("one", "a.mid"), ("three", "a (3).mid")] {
            let path = free_path(folder.path(), "a.mid", bytes.as_bytes());
            assert_eq!(path, folder.path().join(name));
            std::fs::write(path, bytes).unwrap();
        }
    }
}
