//! Where each part is installed, according to the CLAP, VST3 and freedesktop.org specifications.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Part;

/// The icon: scalable, and in fixed sizes for desktops that do not render SVG.
const SVG: &[u8] = include_bytes!("../../../plugin/icon/antiphon.svg");
const PNGS: [(&str, &[u8]); 2] = [
    ("48x48", include_bytes!("../../../plugin/icon/antiphon-48.png")),
    ("256x256", include_bytes!("../../../plugin/icon/antiphon-256.png")),
];

/// The menu entry for a freedesktop.org desktop; `program` is the path of the app.
fn desktop_entry(program: &Path) -> String {
    // These four are special within quotes in `Exec`: with any of them in the path, rely on `PATH` instead.
    let quoted = program.to_string_lossy().replace(['\\', '"', '`', '$'], "_");
    let program = if program.to_string_lossy() == quoted { quoted } else { "antiphon".to_owned() };
    include_str!("antiphon.desktop").replace("Exec=antiphon", &format!("Exec=\"{program}\""))
}

/// What to copy: a built file or folder, or bytes made here.
pub enum Source {
    Built(PathBuf),
    Made(Vec<u8>),
}

/// A file to install.
pub struct Content {
    pub bytes: Vec<u8>,
    /// Whether it is executable, which only Unix has to be told.
    #[cfg_attr(not(unix), allow(dead_code))]
    pub is_program: bool,
}

impl Source {
    /// Adds every file of this source to `wanted`, with the path to install it at.
    pub fn collect(&self, target: &Path, wanted: &mut Vec<(Content, PathBuf)>) -> Result<()> {
        match self {
            Self::Made(bytes) => {
                wanted.push((Content { bytes: bytes.clone(), is_program: false }, target.to_owned()));
            }
            Self::Built(source) if source.is_dir() => {
                for entry in std::fs::read_dir(source)? {
                    let entry = entry?;
                    Self::Built(entry.path()).collect(&target.join(entry.file_name()), wanted)?;
                }
            }
            Self::Built(source) => {
                let bytes = std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
                wanted.push((Content { bytes, is_program: true }, target.to_owned()));
            }
        }
        Ok(())
    }
}

/// The folders of one user that parts are installed into.
#[derive(Clone, Debug)]
pub struct Places {
    pub clap: PathBuf,
    pub vst3: PathBuf,
    /// For the standalone app.
    programs: PathBuf,
    /// For menu entries and icons; `None` on systems that do not keep these as files.
    data: Option<PathBuf>,
    /// The file that lists what was installed.
    pub receipt: PathBuf,
}

impl Places {
    /// The folders of the current user.
    pub fn of_this_user() -> Result<Self> {
        let variable = |name: &str| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
            value.with_context(|| format!("the environment variable {name} is not set"))
        };
        if cfg!(target_os = "windows") {
            let local = variable("LOCALAPPDATA")?;
            let common = local.join("Programs").join("Common");
            return Ok(Self {
                clap: common.join("CLAP"),
                vst3: common.join("VST3"),
                programs: local.join("Programs").join("Antiphon"),
                data: None,
                receipt: local.join("Antiphon").join("installed.txt"),
            });
        }
        let mut places = Self::below(&variable("HOME")?);
        if let (Some(data), Ok(moved)) = (&mut places.data, variable("XDG_DATA_HOME")) {
            places.receipt = moved.join("antiphon").join("installed.txt");
            *data = moved;
        }
        Ok(places)
    }

    /// The folders below the home folder `home`, by the defaults of this system.
    pub fn below(home: &Path) -> Self {
        if cfg!(target_os = "macos") {
            let library = home.join("Library");
            let plug_ins = library.join("Audio/Plug-Ins");
            return Self {
                clap: plug_ins.join("CLAP"),
                vst3: plug_ins.join("VST3"),
                programs: home.join("Applications"),
                data: None,
                receipt: library.join("Application Support/Antiphon/installed.txt"),
            };
        }
        let data = home.join(".local/share");
        Self {
            clap: home.join(".clap"),
            vst3: home.join(".vst3"),
            programs: home.join(".local/bin"),
            receipt: data.join("antiphon").join("installed.txt"),
            data: Some(data),
        }
    }

    /// The files that a part consists of, and where each goes.
    pub fn of(&self, part: Part, bundled: &Path) -> Vec<(Source, PathBuf)> {
        let built = |name: &str, folder: &Path, to: &str| (Source::Built(bundled.join(name)), folder.join(to));
        match part {
            Part::Clap => vec![built("Antiphon.clap", &self.clap, "Antiphon.clap")],
            Part::Vst3 => vec![built("Antiphon.vst3", &self.vst3, "Antiphon.vst3")],
            Part::App if cfg!(windows) => vec![built("Antiphon.exe", &self.programs, "Antiphon.exe")],
            Part::App if cfg!(target_os = "macos") => vec![built("Antiphon.app", &self.programs, "Antiphon.app")],
            Part::App => {
                let mut files = vec![built("Antiphon", &self.programs, "antiphon")];
                if let Some(data) = &self.data {
                    let entry = desktop_entry(&self.programs.join("antiphon")).into_bytes();
                    let icons = data.join("icons/hicolor");
                    files.push((Source::Made(entry), data.join("applications/antiphon.desktop")));
                    files.push((Source::Made(SVG.to_vec()), icons.join("scalable/apps/antiphon.svg")));
                    files.extend(
                        PNGS.map(|(size, png)| {
                            (Source::Made(png.to_vec()), icons.join(size).join("apps/antiphon.png"))
                        }),
                    );
                }
                files
            }
        }
    }
}
