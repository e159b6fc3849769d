//! The host's callbacks: what the plugin can request from it.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ThreadId;

use clack_extensions::gui::{GuiSize, HostGui, HostGuiImpl};
use clack_extensions::log::{HostLog, HostLogImpl, LogSeverity};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags,
};
use clack_extensions::state::{HostState, HostStateImpl};
use clack_extensions::thread_check::{HostThreadCheck, HostThreadCheckImpl};
use clack_host::prelude::*;
use clack_host::utils::ClapId;

thread_local! {
    /// Set on audio threads; see [`mark_audio_thread`].
    static IS_AUDIO_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Marks the calling thread as CLAP's audio thread.
pub(crate) fn mark_audio_thread() {
    IS_AUDIO_THREAD.set(true);
}

/// Names the three handler types that clack needs.
pub(crate) struct Handlers;

impl HostHandlers for Handlers {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _shared: &Shared) {
        builder.register::<HostGui>();
        builder.register::<HostLog>().register::<HostParams>().register::<HostState>().register::<HostThreadCheck>();
    }
}

/// Callbacks that the plugin may call from any thread.
pub(crate) struct Shared {
    main: ThreadId,
    callback: AtomicBool,
    log: Mutex<Vec<String>>,
    /// The size that the editor has requested, packed; 0 for none.
    size: AtomicU64,
}

impl Shared {
    /// Called on the main thread, whose id it stores.
    pub(crate) fn new() -> Self {
        Self {
            main: std::thread::current().id(),
            callback: AtomicBool::new(false),
            log: Mutex::new(Vec::new()),
            size: AtomicU64::new(0),
        }
    }

    /// Whether the plugin has requested a main-thread callback since the last call.
    pub(crate) fn take_callback_request(&self) -> bool {
        self.callback.swap(false, Ordering::AcqRel)
    }

    /// The size in pixels that the editor has requested since the last call.
    pub(crate) fn take_size_request(&self) -> Option<(u32, u32)> {
        let packed = self.size.swap(0, Ordering::AcqRel);
        let size = GuiSize::unpack_from_u64(packed);
        (packed != 0).then_some((size.width, size.height))
    }

    /// Messages that the plugin has logged with severity `Error` or above, which includes misbehavior.
    pub(crate) fn logged_errors(&self) -> Vec<String> {
        self.log.lock().expect("no logger panics").clone()
    }
}

impl<'a> SharedHandler<'a> for Shared {
    fn request_restart(&self) {}
    fn request_process(&self) {}
    fn request_callback(&self) {
        self.callback.store(true, Ordering::Release);
    }
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {}
}

impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}
    fn request_resize(&self, size: GuiSize) -> Result<(), HostError> {
        self.size.store(size.pack_to_u64(), Ordering::Release);
        Ok(())
    }
    fn request_show(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn request_hide(&self) -> Result<(), HostError> {
        Ok(())
    }
    fn closed(&self, _was_destroyed: bool) {}
}

impl HostLogImpl for Shared {
    fn log(&self, severity: LogSeverity, message: &str) {
        if severity >= LogSeverity::Error {
            let line = format!("{severity}: {message}");
            self.log.lock().expect("no logger panics").push(line);
        }
    }
}

impl HostThreadCheckImpl for Shared {
    fn is_main_thread(&self) -> bool {
        std::thread::current().id() == self.main
    }
    fn is_audio_thread(&self) -> bool {
        IS_AUDIO_THREAD.get()
    }
}

/// Callbacks for the main thread; this host ignores them all.
pub(crate) struct MainThread;

impl<'a> MainThreadHandler<'a> for MainThread {}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _flags: ParamRescanFlags) {}
    fn clear(&self, _id: ClapId, _flags: ParamClearFlags) {}
}

impl HostStateImpl for MainThread {
    fn mark_dirty(&self) {}
}
