//! Which weights play: the built-in ones, or a file. One network per process and file, however many
//! instances play with it.
//!
//! Used on the inference thread (loading) and the host's main thread (state); never on the audio thread.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::{Duration, SystemTime};

use model::fnv::{BASIS, fnv1a};
use model::{Network, WeightsError};
use nice_plug::params::persist::PersistentField;

mod pages;

/// The weights that ship.
static ANTIPHON: &[u8] = include_bytes!("../../../weights/antiphon.safetensors");
/// The network that the project comes from; its weights can be chosen by the name [`SEED_NAME`].
static SEED: &[u8] = include_bytes!("../../../weights/seed.safetensors");
/// Stands for the built-in seed weights where a path is expected.
pub const SEED_NAME: &str = "seed";
/// Overrides every other choice; for tests and the demo.
const VARIABLE: &str = "ANTIPHON_WEIGHTS";
/// No weights file is larger, in bytes; a wrong path must not fill the memory.
const LARGEST: u64 = 512 << 20;
/// Bytes that are read of a file between two questions whether it is still wanted.
const PIECE: usize = 4 << 20;
/// Between two looks whether another instance has done loading.
const POLL: Duration = Duration::from_millis(1);

/// The project's choice of weights: a path, `seed`, or nothing for the built-in ones. Copies are
/// the same choice.
#[derive(Clone, Debug, Default)]
pub struct WeightsChoice(Arc<Choice>);

#[derive(Debug, Default)]
struct Choice {
    path: Mutex<String>,
    /// The digest of the file as it was found last, a space, and its path.
    digest: Mutex<String>,
    /// Raised by every choice, so that the inference thread need not take the lock to look.
    version: AtomicU32,
}

impl WeightsChoice {
    /// The file to load; `None`: the built-in weights.
    pub fn path(&self) -> Option<PathBuf> {
        let chosen = match std::env::var_os(VARIABLE) {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(&*self.0.path.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        (!chosen.as_os_str().is_empty()).then_some(chosen)
    }

    /// Somebody chooses: a path, `seed`, or nothing for the built-in weights. The same once more is loaded once
    /// more, as its file may be another by now; that is meant, so nobody is told.
    pub fn choose(&self, path: String) {
        *self.0.path.lock().unwrap_or_else(PoisonError::into_inner) = path;
        self.0.digest.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.try_again();
    }

    /// Loads what is chosen once more.
    pub fn try_again(&self) {
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Changes whenever something is to be loaded.
    pub fn version(&self) -> u32 {
        self.0.version.load(Ordering::Acquire)
    }

    /// The file of this choice was found with this digest; the project remembers it. `true`: the project was
    /// saved with another file of that name.
    pub fn found(&self, path: &Path, digest: &str) -> bool {
        let found = format!("{digest} {}", path.display());
        let mut mine = self.0.digest.lock().unwrap_or_else(PoisonError::into_inner);
        let other = mine.split_once(' ').is_some_and(|(was, of)| of == path.display().to_string() && was != digest);
        *mine = found;
        other
    }

    /// What the project remembers of the file's contents.
    pub fn digest(&self) -> WeightsDigest {
        WeightsDigest(self.0.clone())
    }
}

impl PersistentField<'_, String> for WeightsChoice {
    fn set(&self, path: String) {
        let mut mine = self.0.path.lock().unwrap_or_else(PoisonError::into_inner);
        if *mine != path {
            *mine = path;
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

/// What a project remembers of its weights file's contents, beside the path.
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

/// A network, and where it comes from.
#[derive(Clone)]
pub struct Loaded {
    /// Shared by all instances that play with it.
    pub network: Arc<Network>,
    /// Of the file's bytes; nothing for what is built in.
    pub digest: String,
}

/// What a network is known by in this process: its file, the file's size and time of change.
type Key = (PathBuf, u64, Option<SystemTime>);
/// A network for as long as somebody plays with it, and its file's digest.
type Known = (Weak<Network>, String);

/// The network for this choice, shared with every other instance that made the same.
pub fn load(choice: Option<&Path>) -> Result<Loaded, String> {
    load_while(choice, &|| true)
}

/// The same in small pieces; an error comes soon after it is no longer `wanted`.
pub fn load_while(choice: Option<&Path>, wanted: &dyn Fn() -> bool) -> Result<Loaded, String> {
    let key = match choice {
        None => (PathBuf::new(), 0, None),
        Some(path) if built_in(path).is_some() => (path.to_owned(), 0, None),
        Some(path) => {
            let about = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
            // A device or a pipe could go on for ever, or never begin.
            if !about.is_file() {
                return Err(format!("{} is no file. Choose a weights file.", path.display()));
            }
            if about.len() > LARGEST {
                return Err(format!("{} is too large to be a weights file.", path.display()));
            }
            (path.to_owned(), about.len(), about.modified().ok())
        }
    };
    // Held while loading: of many instances that open at once, one does the work.
    let mut loaded = registry(wanted).ok_or_else(|| WeightsError::GivenUp.to_string())?;
    loaded.retain(|_, (network, _)| network.strong_count() > 0);
    if let Some((network, digest)) = loaded.get(&key)
        && let Some(network) = network.upgrade()
    {
        return Ok(Loaded { network, digest: digest.clone() });
    }
    let read_built_in = |name: &str, bytes: &'static [u8]| {
        let network = read(name, bytes, wanted)?;
        pages::release(bytes);
        Ok::<_, String>((network, String::new()))
    };
    let (network, digest) = match choice {
        None => read_built_in("The built-in weights", ANTIPHON)?,
        Some(path) => {
            let name = path.display().to_string();
            match built_in(path) {
                Some(bytes) => read_built_in(&name, bytes)?,
                None => {
                    let bytes = read_file(path, wanted).map_err(|error| unreadable(path, &error))?;
                    (read(&name, &bytes, wanted)?, digest(&bytes))
                }
            }
        }
    };
    loaded.insert(key, (Arc::downgrade(&network), digest.clone()));
    Ok(Loaded { network, digest })
}

/// What is known to all instances, when nobody else is at it.
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

/// Why there is nothing to read, and what to do.
fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("The weights file {path} is not there any more. Put it back, or choose another.")
        }
        _ => format!("Cannot read the weights file {path}: {error}."),
    }
}

/// A file's contents as a number in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    format!("{:016x}", fnv1a(BASIS, bytes.iter().copied()))
}

/// The bytes of a file, [`LARGEST`] of them at most, whatever its size was a moment ago.
fn read_file(path: &Path, wanted: &dyn Fn() -> bool) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = std::fs::File::open(path)?.take(LARGEST);
    while wanted() && file.by_ref().take(PIECE as u64).read_to_end(&mut bytes)? > 0 {}
    Ok(bytes)
}

/// The weights that are meant by a name instead of a path.
fn built_in(name: &Path) -> Option<&'static [u8]> {
    match name.to_str() {
        Some(SEED_NAME) => Some(SEED),
        #[cfg(test)]
        Some(crate::tests::LIVELY) => Some(crate::tests::lively()),
        _ => None,
    }
}

fn read(name: &str, bytes: &[u8], wanted: &dyn Fn() -> bool) -> Result<Arc<Network>, String> {
    Network::from_bytes_while(bytes, wanted).map(Arc::new).map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_a_network() {
        let one = load(Some(Path::new(SEED_NAME))).unwrap();
        let other = load(Some(Path::new(SEED_NAME))).unwrap();
        assert!(Arc::ptr_eq(&one.network, &other.network));
        assert_eq!(one.digest, "");
        assert!(load_while(Some(Path::new(SEED_NAME)), &|| false).is_err(), "nobody wants it");
    }

    #[test]
    fn a_bad_file_is_named() {
        let message = load(Some(Path::new("no/such/file.safetensors"))).err().unwrap();
        assert!(message.contains("no/such/file.safetensors is not there any more"), "{message}");
        for no_file in ["/dev/zero", "/"].into_iter().filter(|path| Path::new(path).exists()) {
            let message = load(Some(Path::new(no_file))).err().unwrap();
            assert!(message.contains("is no file"), "{message}");
        }
    }

    #[test]
    fn a_project_knows_its_weights_file_by_its_contents() {
        assert_eq!(digest(b"foobar"), "85944171f73967e8", "as its authors publish it");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.safetensors");
        std::fs::write(&path, SEED).unwrap();
        let first = load(Some(&path)).unwrap();
        assert_eq!(first.digest, digest(SEED));

        let saved = WeightsChoice::default();
        assert!(!saved.found(&path, &first.digest), "nothing was known of it");
        let opened = WeightsChoice::default();
        opened.digest().set(saved.digest().map(String::clone));
        assert!(!opened.found(&path, &first.digest), "it is the same");
        assert!(opened.found(&path, &digest(b"other")), "the file is another now");
        assert!(!opened.found(&path, &digest(b"other")), "that was said once");
        assert!(!opened.found(&folder.path().join("other.safetensors"), &first.digest), "another choice");

        let name = path.display().to_string();
        opened.choose(name.clone());
        let version = opened.version();
        opened.set(name.clone());
        assert_eq!(opened.version(), version, "a project that says the same changes nothing");
        assert!(!opened.found(&path, &first.digest));
        opened.choose(name);
        assert_ne!(opened.version(), version, "a hand that chooses it again does");
        assert!(!opened.found(&path, &digest(b"other")), "whoever chooses a file knows that it is another");
    }
}
