//! The weights in use: built-in, or from a file. All instances in the process that use the same weights share one
//! network.
//!
//! Used on the generator thread (loading) and the host's main thread (state), never on the audio thread.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::{Duration, SystemTime};

use engine::generator::networks::{self, NetworkSource};
use model::{Network, WeightsError};
use nice_plug::params::persist::PersistentField;

use self::search::Digest;

mod pages;
mod search;

/// The default weights.
static ANTIPHON: &[u8] = include_bytes!("../../../weights/antiphon.safetensors");
/// The network that the project started from, available by the name [`SEED_NAME`].
static SEED: &[u8] = include_bytes!("../../../weights/seed.safetensors");
/// Stands for the built-in seed weights in place of a path.
pub const SEED_NAME: &str = "seed";
/// Overrides every choice; for tests and the demo.
const VARIABLE: &str = "ANTIPHON_WEIGHTS";
/// The largest weights file, in bytes: a wrong path must not fill the memory.
const LARGEST: u64 = 512 << 20;
/// Bytes read from a file between two checks whether it is still wanted.
const PIECE: usize = 4 << 20;
/// How often to check whether another instance has finished loading.
const POLL: Duration = Duration::from_millis(1);

/// The project's choice of weights: a path, `seed`, or empty for the built-in ones. Clones share the same choice.
#[derive(Clone, Debug, Default)]
pub struct WeightsChoice(Arc<Choice>);

#[derive(Debug, Default)]
struct Choice {
    path: Mutex<String>,
    /// The [`Digest`] of the file when it was last loaded, a space, and its path.
    digest: Mutex<String>,
    /// Raised by every choice, so that the generator thread can check for changes without locking.
    version: AtomicU32,
}

impl WeightsChoice {
    /// The file to load; `None` for the built-in weights.
    pub fn path(&self) -> Option<PathBuf> {
        let chosen = match std::env::var_os(VARIABLE) {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(&*self.0.path.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        (!chosen.as_os_str().is_empty()).then_some(chosen)
    }

    /// Chooses weights: a path, `seed`, or empty for the built-in ones. Choosing the same file again reloads it, since
    /// it may have changed; that is intended, so there is no warning.
    pub fn choose(&self, path: String) {
        *self.0.path.lock().unwrap_or_else(PoisonError::into_inner) = path;
        self.0.digest.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.try_again();
    }

    /// Loads the current choice again.
    pub fn try_again(&self) {
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Loads the current choice; gives up when it is no longer `wanted`. A file that is missing, unreadable or changed
    /// is searched by its contents. An error is a message that says what to do.
    pub fn load_while(&self, wanted: &dyn Fn() -> bool) -> Result<Chosen, String> {
        self.load_from(search::folders, wanted)
    }

    /// Like [`load_while`](Self::load_while), with the folders to search for a file that is not at its path.
    fn load_from(&self, folders: impl Fn(&Path) -> Vec<PathBuf>, wanted: &dyn Fn() -> bool) -> Result<Chosen, String> {
        let path = self.path();
        let loaded = load_while(path.as_deref(), wanted);
        let Some(path) = path.filter(|path| built_in(path).is_none()) else {
            return Ok(Chosen { loaded: loaded?, elsewhere: None, trouble: None });
        };
        let known = self.known(&path);
        let is_known = |loaded: &Loaded| loaded.digest.zip(known).is_none_or(|(found, known)| found.matches(&known));
        if let Some(known) = known.filter(|_| !loaded.as_ref().is_ok_and(is_known))
            && let Some(file) = search::find(&known, &path, &folders(&path), wanted)
            && let Ok(loaded) = load_while(Some(&file), wanted)
        {
            return Ok(Chosen { loaded, elsewhere: Some(file), trouble: None });
        }
        let loaded = loaded?;
        let trouble = (!is_known(&loaded))
            .then(|| format!("The model file {} is not the one that this project was saved with.", path.display()));
        if let Some(digest) = loaded.digest {
            *self.0.digest.lock().unwrap_or_else(PoisonError::into_inner) = format!("{digest} {}", path.display());
        }
        Ok(Chosen { loaded, elsewhere: None, trouble })
    }

    /// The stored digest, if it is for this path.
    fn known(&self, path: &Path) -> Option<Digest> {
        let known = self.0.digest.lock().unwrap_or_else(PoisonError::into_inner);
        let (digest, of) = known.split_once(' ')?;
        Digest::read(digest).filter(|_| of == path.display().to_string())
    }

    /// The digest, for the project to store.
    pub fn digest(&self) -> WeightsDigest {
        WeightsDigest(self.0.clone())
    }
}

impl NetworkSource for WeightsChoice {
    fn version(&self) -> u32 {
        self.0.version.load(Ordering::Acquire)
    }

    fn load(&self, wanted: &dyn Fn() -> bool) -> Result<networks::LoadedNetwork, String> {
        let Chosen { loaded, elsewhere, trouble } = self.load_while(wanted)?;
        Ok(networks::LoadedNetwork {
            network: loaded.network,
            found: elsewhere.map(|file| file.display().to_string()),
            trouble,
        })
    }

    fn stand_in(&self, wanted: &dyn Fn() -> bool) -> Result<Arc<Network>, String> {
        load_while(None, wanted).map(|loaded| loaded.network)
    }
}

impl PersistentField<'_, String> for WeightsChoice {
    fn set(&self, path: String) {
        let mut current = self.0.path.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != path {
            *current = path;
            self.try_again();
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&String) -> R,
    {
        f(&self.0.path.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a project stores about its weights file besides the path: its digest.
#[derive(Clone, Debug)]
pub struct WeightsDigest(Arc<Choice>);

impl PersistentField<'_, String> for WeightsDigest {
    fn set(&self, digest: String) {
        *self.0.digest.lock().unwrap_or_else(PoisonError::into_inner) = digest;
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&String) -> R,
    {
        f(&self.0.digest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A network, and the digest of its file.
#[derive(Clone)]
pub struct Loaded {
    /// Shared by all instances that use the same weights.
    pub network: Arc<Network>,
    /// `None` for built-in weights.
    pub digest: Option<Digest>,
}

/// The result of loading a project's choice.
pub struct Chosen {
    /// The network that was loaded.
    pub loaded: Loaded,
    /// Where the file was found, if not at the project's path.
    pub elsewhere: Option<PathBuf>,
    /// What differs from the project, as a sentence.
    pub trouble: Option<String>,
}

/// Identifies a network in this process: its file's path, size and modification time.
type Key = (PathBuf, u64, Option<SystemTime>);
/// A network for as long as it is in use, and its file's digest.
type Known = (Weak<Network>, Option<Digest>);

/// Loads the weights of this choice; instances with the same choice share the network.
pub fn load(choice: Option<&Path>) -> Result<Loaded, String> {
    load_while(choice, &|| true)
}

/// Like [`load`], in small steps; returns an error soon after it is no longer `wanted`.
pub fn load_while(choice: Option<&Path>, wanted: &dyn Fn() -> bool) -> Result<Loaded, String> {
    let key = match choice {
        None => (PathBuf::new(), 0, None),
        Some(path) if built_in(path).is_some() => (path.to_owned(), 0, None),
        Some(path) => {
            let about = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            // Reading from a device or a pipe might never end, or never begin.
            if !about.is_file() {
                return Err(format!("{} is not a file. Choose a model file.", path.display()));
            }
            if about.len() > LARGEST {
                return Err(format!("{} is too large to be a model file. Choose another.", path.display()));
            }
            (path.to_owned(), about.len(), about.modified().ok())
        }
    };
    // Locked while loading: if many instances open at once, only one does the work.
    let mut loaded = registry(wanted).ok_or_else(|| WeightsError::Canceled.to_string())?;
    loaded.retain(|_, (network, _)| network.strong_count() > 0);
    if let Some((network, digest)) = loaded.get(&key)
        && let Some(network) = network.upgrade()
    {
        return Ok(Loaded { network, digest: *digest });
    }
    let read_built_in = |name: &str, bytes: &'static [u8]| {
        let network = read(name, bytes, wanted)?;
        pages::release(bytes);
        Ok::<_, String>((network, None))
    };
    let (network, digest) = match choice {
        None => read_built_in("The built-in model", ANTIPHON)?,
        Some(path) => {
            let name = path.display().to_string();
            match built_in(path) {
                Some(bytes) => read_built_in(&name, bytes)?,
                None => {
                    let bytes = read_file(path, wanted).map_err(|error| unreadable(path, &error))?;
                    (read(&format!("The model file {name}"), &bytes, wanted)?, Some(Digest::of(&bytes)))
                }
            }
        }
    };
    loaded.insert(key, (Arc::downgrade(&network), digest));
    Ok(Loaded { network, digest })
}

/// Locks the registry of loaded networks, which all instances share; `None` if it is no longer `wanted`.
fn registry(wanted: &dyn Fn() -> bool) -> Option<MutexGuard<'static, HashMap<Key, Known>>> {
    static LOADED: OnceLock<Mutex<HashMap<Key, Known>>> = OnceLock::new();
    while wanted() {
        match LOADED.get_or_init(Mutex::default).try_lock() {
            Ok(loaded) => return Some(loaded),
            Err(TryLockError::Poisoned(loaded)) => return Some(loaded.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
        }
    }
    None
}

/// The message for a file that cannot be read, with what to do about it.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("The model file {path} is missing. Put it back, or choose another.")
        }
        _ => format!("The model file {path} cannot be read: {error}. Choose another, or try again."),
    }
}

/// Reads a file, at most [`LARGEST`] bytes, whatever its size was when it was checked.
fn read_file(path: &Path, wanted: &dyn Fn() -> bool) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = std::fs::File::open(path)?.take(LARGEST);
    while wanted() && file.by_ref().take(PIECE as u64).read_to_end(&mut bytes)? > 0 {}
    Ok(bytes)
}

/// The built-in weights that have a name in place of a path.
fn built_in(name: &Path) -> Option<&'static [u8]> {
    match name.to_str() {
        Some(SEED_NAME) => Some(SEED),
        _ => None,
    }
}

fn read(name: &str, bytes: &[u8], wanted: &dyn Fn() -> bool) -> Result<Arc<Network>, String> {
    Network::from_bytes_cancelable(bytes, wanted)
        .map(Arc::new)
        .map_err(|error| format!("{name} cannot be used: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_a_network() {
        let one = load(Some(Path::new(SEED_NAME))).unwrap();
        let other = load(Some(Path::new(SEED_NAME))).unwrap();
        assert!(Arc::ptr_eq(&one.network, &other.network));
        assert_eq!(one.digest, None);
        assert!(load_while(Some(Path::new(SEED_NAME)), &|| false).is_err(), "nobody wants it");
    }

    /// Every message is a full sentence and names the file.
    #[test]
    fn a_bad_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("empty.safetensors"), b"").unwrap();
        std::fs::write(path("cut.safetensors"), &SEED[..SEED.len() / 2]).unwrap();
        std::fs::write(path("other.safetensors"), b"\x02\0\0\0\0\0\0\0{}").unwrap();
        let files = ["gone", "empty", "cut", "other"].map(|name| path(name).with_extension("safetensors"));
        let devices = ["/dev/zero", "/"].map(PathBuf::from).into_iter().filter(|path| path.exists());
        for file in files.into_iter().chain(devices) {
            let message = load(Some(&file)).err().unwrap();
            assert!(message.contains(&file.display().to_string()), "{message}");
            let rest = message.replace(&file.display().to_string(), "FILE");
            assert!(rest.starts_with(char::is_uppercase) && rest.ends_with('.'), "{message}");
            assert!(!rest.contains("..") && !rest.contains(" ."), "{message}");
        }
    }

    #[test]
    fn a_project_knows_its_weights_file_by_its_contents() {
        assert_eq!(Digest::of(b"foobar").to_string(), "85944171f73967e8-6", "the hash as its authors publish it");
        let [folder, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let path = folder.path().join("mine.safetensors");
        std::fs::write(&path, SEED).unwrap();
        let look = |choice: &WeightsChoice| choice.load_from(|_| vec![elsewhere.path().to_owned()], &|| true);
        let name = path.display().to_string();

        let saved = WeightsChoice::default();
        saved.set(name.clone());
        let chosen = look(&saved).unwrap();
        assert_eq!((chosen.loaded.digest, chosen.trouble), (Some(Digest::of(SEED)), None), "nothing was known of it");
        let open = || {
            let opened = WeightsChoice::default();
            opened.set(saved.map(String::clone));
            opened.digest().set(saved.digest().map(String::clone));
            opened
        };
        assert_eq!(look(&open()).unwrap().trouble, None, "it is the same");

        // The file has changed: one warning, after which the project refers to the new one.
        std::fs::write(&path, ANTIPHON).unwrap();
        let opened = open();
        assert!(look(&opened).unwrap().trouble.unwrap().contains(&name));
        assert_eq!(look(&opened).unwrap().trouble, None);

        // The original file is elsewhere, under another name.
        let moved = elsewhere.path().join("moved.safetensors");
        std::fs::write(&moved, SEED).unwrap();
        for breaks in [ANTIPHON, &SEED[..1_000], b""] {
            std::fs::write(&path, breaks).unwrap();
            let opened = open();
            let chosen = look(&opened).unwrap();
            assert_eq!((chosen.elsewhere.as_ref(), chosen.trouble), (Some(&moved), None));
            assert_eq!(opened.map(String::clone), name, "the project says what it has said");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(&open()).unwrap().elsewhere, Some(moved.clone()));
        std::fs::remove_file(&moved).unwrap();
        assert!(look(&open()).err().unwrap().contains("is missing"));

        std::fs::write(&path, ANTIPHON).unwrap();
        let opened = open();
        let version = opened.version();
        opened.set(name.clone());
        assert_eq!(opened.version(), version, "a project that says the same changes nothing");
        opened.choose(name);
        assert_ne!(opened.version(), version, "a hand that chooses it again does");
        assert_eq!(look(&opened).unwrap().trouble, None, "whoever chooses a file knows that it is another");
    }
}
