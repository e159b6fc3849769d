//! Failures, full disks, and kills at any moment.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use disk::{replace, write_atomic};
use rand::{Rng, SeedableRng};

/// The file to write: if set, this process is the child that writes it.
const CHILD: &str = "ANTIPHON_TEST_FILE";
const SIZE: usize = 1 << 20;

#[test]
fn what_fails_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/take.mid");
    write_atomic(&path, b"old").unwrap();
    write_atomic(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    let half = |beside: &Path| fs::write(beside, b"half").and(Err(std::io::ErrorKind::StorageFull.into()));
    assert!(replace(&path, half).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"new");
    // A folder is in the way, so the last step fails.
    let blocked = folder.path().join("deep/blocked.mid");
    fs::create_dir_all(blocked.join("full")).unwrap();
    assert!(write_atomic(&blocked, b"new").is_err());
    assert!(blocked.join("full").is_dir());
    assert!(write_atomic(Path::new("/"), b"new").is_err());
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&path, b"old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    symlink("real", &link).unwrap();
    write_atomic(&link, b"new").unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

/// The child process of the two tests below: writes the file over and over, or says why it cannot.
#[test]
fn child() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    for byte in (0..=255).cycle() {
        if let Err(error) = write_atomic(Path::new(&path), &vec![byte; SIZE]) {
            panic!("{error}");
        }
    }
}

fn is_whole(path: &Path) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len(), SIZE);
    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
}

#[test]
fn a_kill_at_any_moment_leaves_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    write_atomic(&path, &vec![7; SIZE]).unwrap();
    let mut rng = rand_pcg::Pcg32::seed_from_u64(1);
    let mut replaced = 0;
    for _ in 0..40 {
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "child"]).env(CHILD, &path).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        // Starting up takes as long as it takes; once the child writes, the kill comes at a random moment.
        while fs::metadata(&path).unwrap().modified().unwrap() == before {
            assert!(child.try_wait().unwrap().is_none(), "it must not end by itself");
            sleep(Duration::from_millis(1));
        }
        replaced += 1;
        sleep(Duration::from_micros(rng.random_range(0..8_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        is_whole(&path);
    }
    assert_eq!(replaced, 40);
}

/// A file size limit stands in for a full disk: writing stops in the middle.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    write_atomic(&path, &vec![7; SIZE]).unwrap();
    let program = std::env::current_exe().unwrap();
    let script = "trap '' XFSZ; ulimit -f 100; exec \"$0\" --exact child";
    let output = Command::new("sh").args(["-c", script]).arg(program).env(CHILD, &path).output().unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("large"), "it says why: {text}");
    is_whole(&path);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
