//! Takes the network from this process: whoever opens a socket, here or in the plugin, ends it.

use anyhow::Result;

/// From now on, opening any socket but a local one ends the process. Linux only; elsewhere it does
/// nothing.
#[cfg(target_os = "linux")]
pub fn deny_network() -> Result<()> {
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };

    // Local sockets lead to the window system and to JACK, not to the network.
    let no_unix = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, libc::AF_UNIX as u64)?;
    let rules = [
        (libc::SYS_socket, vec![SeccompRule::new(vec![no_unix])?]),
        // A ring could open a socket without that call.
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

/// See above.
#[cfg(not(target_os = "linux"))]
pub fn deny_network() -> Result<()> {
    Ok(())
}
