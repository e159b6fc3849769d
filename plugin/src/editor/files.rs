//! Files: MIDI files out, weights in. Dialogs and drags have threads of their own, and so does the reading of
//! weights: the window never waits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use disk::write_whole;
use egui::Ui;
use engine::link::viewer::Viewer;
use model::Network;

use super::drag::{self, Outcome};
use crate::weights::{self, WeightsChoice};

/// How long a message stays.
const MESSAGE: Duration = Duration::from_secs(12);

/// Nobody looks at a dialog and closes it in less.
const AT_ONCE: Duration = Duration::from_millis(300);

/// What a thread of ours has to say.
enum News {
    /// Something went well, or did not.
    Said { text: String, bad: bool },
    /// These weights can be played. The network comes along, so that nobody has to read it again.
    Weights(PathBuf, Arc<Network>),
}

/// See the [module](self).
pub struct Files {
    viewer: Viewer,
    news: Receiver<News>,
    teller: Sender<News>,
    message: Option<(String, bool, Instant)>,
    /// Holds the network that was read until the inference thread has taken it over.
    network: Option<Arc<Network>>,
}

impl Files {
    /// Files for this window.
    pub fn new(viewer: Viewer) -> Self {
        let (teller, news) = unbounded();
        Self { viewer, news, teller, message: None, network: None }
    }

    /// Takes in what the threads have to say.
    pub fn look(&mut self, choice: &WeightsChoice) {
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Said { text, bad } => self.say(&text, bad),
                News::Weights(path, network) => {
                    self.say(&format!("Model {} loaded.", network.card().name), false);
                    self.network = Some(network);
                    choice.choose(path.display().to_string());
                }
            }
        }
        if self.message.as_ref().is_some_and(|(.., since)| since.elapsed() > MESSAGE) {
            self.message = None;
        }
    }

    /// Says something in the window.
    pub fn say(&mut self, text: &str, bad: bool) {
        self.message = Some((text.to_owned(), bad, Instant::now()));
    }

    /// What is to be said, and whether it is bad news.
    pub fn message(&self) -> Option<(&str, bool)> {
        self.message.as_ref().map(|(text, bad, _)| (text.as_str(), *bad))
    }

    /// Asks where to save a MIDI file, and saves it there.
    pub fn save_as(&self, name: &str, bytes: Vec<u8>) {
        let dialog = rfd::AsyncFileDialog::new().set_title("Save MIDI").add_filter("MIDI", &["mid"]);
        let dialog = dialog.set_file_name(name).set_directory(folder().unwrap_or_default());
        let chosen = dialog.save_file();
        let name = name.to_owned();
        self.aside(move || {
            let (path, trouble) = match ask(chosen) {
                Ok(path) => (path?, None),
                // It is better off there than nowhere.
                Err(trouble) => (place(&folder()?, &name, &bytes), Some(trouble)),
            };
            Some(match write_whole(&path, &bytes) {
                Ok(()) => {
                    let trouble = trouble.map_or(String::new(), |trouble| format!("{trouble} "));
                    News::Said { text: format!("{trouble}Saved {}.", path.display()), bad: false }
                }
                Err(error) => News::Said { text: format!("Cannot save {}: {error}.", path.display()), bad: true },
            })
        });
    }

    /// Saves a MIDI file in the folder for takes without asking, and copies its path.
    pub fn copy(&mut self, ui: &Ui, name: &str, bytes: &[u8]) {
        if let Some(path) = self.keep(name, bytes) {
            let path = path.display().to_string();
            self.say(&format!("Saved, and copied its path: {path}"), false);
            ui.ctx().copy_text(path);
        }
    }

    /// Saves a MIDI file in the folder for takes, and lets the mouse, whose button is down, carry it out of the
    /// window.
    pub fn carry(&mut self, name: &str, bytes: &[u8]) {
        let Some(path) = self.keep(name, bytes) else {
            return;
        };
        self.aside(move || {
            let (text, bad) = match drag::carry(&path) {
                Some(Outcome::Taken) => (format!("Dropped {}.", path.display()), false),
                Some(Outcome::Refused) => {
                    (format!("The drop was not accepted. The take is saved as {}.", path.display()), false)
                }
                None => ("Dragging does not work on this screen: use Save or Copy.".to_owned(), true),
            };
            Some(News::Said { text, bad })
        });
    }

    /// Saves a MIDI file in the folder for takes. Where that fails, it says so.
    fn keep(&mut self, name: &str, bytes: &[u8]) -> Option<PathBuf> {
        let saved = folder().ok_or_else(|| "There is no home folder to save in.".to_owned()).and_then(|folder| {
            let path = place(&folder, name, bytes);
            write_whole(&path, bytes).map_err(|error| format!("Cannot save {}: {error}.", path.display()))?;
            Ok(path)
        });
        saved.map_err(|trouble| self.say(&trouble, true)).ok()
    }

    /// Asks for a weights file and reads it; the running weights stay until it has proved good.
    pub fn choose_weights(&self) {
        let dialog =
            rfd::AsyncFileDialog::new().set_title("Choose a model").add_filter("safetensors", &["safetensors"]);
        let chosen = dialog.pick_file();
        self.aside(move || {
            Some(match ask(chosen) {
                Ok(path) => read_weights(&path?),
                Err(trouble) => News::Said { text: format!("{trouble} Install one and try again."), bad: true },
            })
        });
    }

    /// Does something that takes time on a thread of its own; what comes of it is told in the window.
    fn aside(&self, work: impl FnOnce() -> Option<News> + Send + 'static) {
        let (teller, viewer) = (self.teller.clone(), self.viewer.clone());
        let failed = teller.clone();
        let thread = std::thread::Builder::new().name("antiphon files".to_owned()).spawn(move || {
            if let Some(news) = work() {
                // Nobody listens any more where the instance is gone.
                let _ = teller.send(news);
                viewer.repaint();
            }
        });
        if let Err(error) = thread {
            let _ = failed.send(News::Said { text: format!("Could not start a thread: {error}."), bad: true });
        }
    }
}

/// The file that is chosen in a dialog, if one is; an error where there was no dialog, which the system tells as if
/// it had been closed.
fn ask(dialog: impl Future<Output = Option<rfd::FileHandle>>) -> Result<Option<PathBuf>, &'static str> {
    let asked = Instant::now();
    let chosen = pollster::block_on(dialog).map(|file| file.path().to_owned());
    if cfg!(target_os = "linux") && chosen.is_none() && asked.elapsed() < AT_ONCE {
        return Err("No file dialog could be opened (xdg-desktop-portal or zenity is missing).");
    }
    Ok(chosen)
}

fn read_weights(path: &Path) -> News {
    match weights::load(Some(path)) {
        Ok(loaded) => News::Weights(path.to_owned(), loaded.network),
        Err(trouble) => News::Said { text: format!("{trouble} The model in use stays."), bad: true },
    }
}

/// The file in this folder for these bytes: another evening's of the same name stays.
fn place(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "mid"));
    let names = (2..).map(|number| format!("{stem} ({number}).{extension}"));
    let mut paths = std::iter::once(name.to_owned()).chain(names).map(|name| folder.join(name));
    let is_free = |path: &PathBuf| !path.exists() || std::fs::read(path).is_ok_and(|there| there == bytes);
    paths.find(is_free).expect("numbers do not end")
}

/// Where takes are kept: a folder in the user's music.
fn folder() -> Option<PathBuf> {
    // A Linux without a desktop names no folder for music.
    let music = dirs::audio_dir().or_else(|| Some(dirs::home_dir()?.join("Music")))?;
    Some(music.join("Antiphon"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_that_cannot_be_opened_is_told_from_one_that_is_closed() {
        assert_eq!(ask(std::future::ready(None)).is_err(), cfg!(target_os = "linux"));
        let closed = ask(async {
            std::thread::sleep(AT_ONCE);
            None
        });
        assert_eq!(closed, Ok(None));
    }

    #[test]
    fn a_take_of_the_same_name_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        for (bytes, name) in [("one", "a.mid"), ("two", "a (2).mid"), ("one", "a.mid"), ("three", "a (3).mid")] {
            let path = place(folder.path(), "a.mid", bytes.as_bytes());
            assert_eq!(path, folder.path().join(name));
            std::fs::write(path, bytes).unwrap();
        }
    }
}
