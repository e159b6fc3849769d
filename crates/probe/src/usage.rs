//! What this process uses of the system. CPU time, unlike wall-clock time, does not include what other programs on the
//! same core use.

use std::time::Duration;

#[cfg(unix)]
use rustix::time::ClockId;

/// CPU time of the calling thread.
pub fn thread_cpu() -> Duration {
    #[cfg(unix)]
    return clock(ClockId::ThreadCPUTime);
    #[cfg(not(unix))]
    return elapsed();
}

/// CPU time of all threads of this process.
pub fn process_cpu() -> Duration {
    #[cfg(unix)]
    return clock(ClockId::ProcessCPUTime);
    #[cfg(not(unix))]
    return elapsed();
}

/// CPU time of this process's threads whose names begin with `name`; `None` if the system does not report it.
pub fn threads_cpu(name: &str) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let folder = thread.ok()?.path();
        // The thread may have ended in the meantime.
        let Ok(found) = std::fs::read_to_string(folder.join("comm")) else { continue };
        if found.starts_with(name) {
            let times = std::fs::read_to_string(folder.join("schedstat")).ok()?;
            sum += Duration::from_nanos(times.split_whitespace().next()?.parse().ok()?);
        }
    }
    Some(sum)
}

/// Number of threads of this process; `None` if the system does not report it.
pub fn threads() -> Option<u64> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count() as u64)
}

/// Number of files that this process has open; `None` if the system does not report it.
pub fn files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

/// Resident memory in bytes; `None` if the system does not report it.
pub fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(unix)]
fn clock(which: ClockId) -> Duration {
    let time = rustix::time::clock_gettime(which);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// For systems without such clocks here: wall-clock time since the first call.
#[cfg(not(unix))]
fn elapsed() -> Duration {
    static BEGIN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGIN.elapsed()
}
