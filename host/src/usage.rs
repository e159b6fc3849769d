//! What this process uses. Processor time is what another program on the same core does not add to.

use std::time::Duration;

/// Processor time of the calling thread.
pub fn thread_cpu() -> Duration {
    #[cfg(target_os = "linux")]
    return clock(libc::CLOCK_THREAD_CPUTIME_ID);
    #[cfg(not(target_os = "linux"))]
    return elapsed();
}

/// Processor time of all threads of this process.
pub fn process_cpu() -> Duration {
    #[cfg(target_os = "linux")]
    return clock(libc::CLOCK_PROCESS_CPUTIME_ID);
    #[cfg(not(target_os = "linux"))]
    return elapsed();
}

/// Resident memory in bytes. `None`: this system does not say.
pub fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(target_os = "linux")]
fn clock(which: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes into `time`; it can only fail for a clock that does not exist, and leaves 0 then.
    unsafe { libc::clock_gettime(which, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Where the system's own clocks are not at hand: time since the first call.
#[cfg(not(target_os = "linux"))]
fn elapsed() -> Duration {
    static BEGIN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    BEGIN.elapsed()
}
