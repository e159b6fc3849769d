//! Blocks network access: opening a network socket, here or in the plugin, ends this process.

use anyhow::Result;

/// From now on, opening any socket except a Unix domain socket ends the process. Linux only; does nothing elsewhere.
#[cfg(target_os = "linux")]
pub fn deny_network() -> Result<()> {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    // Unix domain sockets lead to the window system and to JACK, not to the network.
    let no_unix = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
    let rules = [
        (libc::SYS_socket, vec![SeccompRule::new(vec![no_unix])?]),
        // With io_uring, a socket could be opened without that call.
        (libc::SYS_io_uring_setup, vec![]),
    ];
    let filter = SeccompFilter::new(
        rules.into(),
        SeccompAction::Allow,
        SeccompAction::KillProcess,
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)?;
    Ok(())
}

/// Does nothing: there is no filter for this system.
#[cfg(not(target_os = "linux"))]
pub fn deny_network() -> Result<()> {
    Ok(())
}
