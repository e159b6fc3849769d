//! The entry point for CLAP hosts. Between the host and nice-plug (0.4.2) it works around these bugs:
//!
//! * `blocks`: transport events inside a block, and events beyond the end of their block.
//! * An instance destroyed while its window is open, which a host may do after losing its own window. nice-plug's
//!   `destroy` (`wrapper/clap/wrapper.rs`, line 1716) drops the instance first, and the window as one of its last
//!   parts. On Linux the window has its own thread: by then it may ask for the instance and panic because there is none
//!   (`wrapper/clap/context.rs`, lines 532 to 649), or have just taken a reference and drop the last one on the wrong
//!   thread. Either way the host is aborted. So the window is closed first.
//! * `texts`: names of choices, as a user types them.
//!
//! nice-plug's own entry point, `nice_export_clap!`, leaves no room for any of this.
//!
//! Remove the second one when `destroy` calls `ext_gui_destroy`, or holds the instance until the window's thread has
//! ended.

mod blocks;
mod texts;

use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::ptr::null;
use std::sync::{Arc, OnceLock};

use clap_sys::ext::gui::{CLAP_EXT_GUI, clap_plugin_gui};
use clap_sys::ext::params::{CLAP_EXT_PARAMS, clap_plugin_params};
use clap_sys::id::clap_id;
use clap_sys::process::{CLAP_PROCESS_ERROR, clap_process, clap_process_status};
use nice_plug::prelude::ClapPlugin;
use nice_plug::wrapper::clap::{
    CLAP_PLUGIN_FACTORY_ID, CLAP_VERSION, PluginDescriptor, Wrapper, clap_host, clap_plugin, clap_plugin_descriptor,
    clap_plugin_factory,
};
use nice_plug::wrapper::setup_logger;

pub use nice_plug::wrapper::clap::clap_plugin_entry;

/// Exports a plugin as the library's only CLAP plugin.
#[macro_export]
macro_rules! export_clap {
    ($plugin:ty) => {
        /// The library's CLAP entry point.
        #[unsafe(no_mangle)]
        #[used]
        pub static clap_entry: $crate::clap::clap_plugin_entry = $crate::clap::entry::<$plugin>();
    };
}

/// The entry point that [`export_clap!`](crate::export_clap) exports.
pub const fn entry<P: ClapPlugin>() -> clap_plugin_entry {
    const { assert!(P::AUDIO_IO_LAYOUTS.is_empty(), "blocks are cut without their audio") };
    clap_plugin_entry {
        clap_version: CLAP_VERSION,
        init: Some(init::<P>),
        deinit: Some(deinit),
        get_factory: Some(factory::<P>),
    }
}

unsafe extern "C" fn init<P: ClapPlugin>(_: *const c_char) -> bool {
    setup_logger::<P>();
    true
}

unsafe extern "C" fn deinit() {}

unsafe extern "C" fn factory<P: ClapPlugin>(id: *const c_char) -> *const c_void {
    // SAFETY: null or a C string from the host.
    if id.is_null() || unsafe { CStr::from_ptr(id) } != CLAP_PLUGIN_FACTORY_ID {
        return null();
    }
    (&raw const *Factory::<P>::FACTORY).cast()
}

/// The plugin factory.
struct Factory<P>(PhantomData<P>);

impl<P: ClapPlugin> Factory<P> {
    const FACTORY: &'static clap_plugin_factory = &clap_plugin_factory {
        get_plugin_count: Some(Self::count),
        get_plugin_descriptor: Some(Self::describe),
        create_plugin: Some(Self::create),
    };

    fn descriptor() -> &'static PluginDescriptor {
        static DESCRIPTOR: OnceLock<PluginDescriptor> = OnceLock::new();
        DESCRIPTOR.get_or_init(PluginDescriptor::for_plugin::<P>)
    }

    unsafe extern "C" fn count(_: *const clap_plugin_factory) -> u32 {
        1
    }

    unsafe extern "C" fn describe(_: *const clap_plugin_factory, index: u32) -> *const clap_plugin_descriptor {
        if index == 0 { Self::descriptor().clap_plugin_descriptor() } else { null() }
    }

    unsafe extern "C" fn create(
        _: *const clap_plugin_factory,
        host: *const clap_host,
        id: *const c_char,
    ) -> *const clap_plugin {
        // SAFETY: null or a C string from the host.
        if host.is_null() || id.is_null() || unsafe { CStr::from_ptr(id) } != Self::descriptor().clap_id() {
            return null();
        }
        // SAFETY: the host outlives its instances. The host owns the reference until it calls `destroy`.
        unsafe {
            let plugin = (*Arc::into_raw(Wrapper::<P>::new(host))).clap_plugin.as_ptr();
            fix(plugin);
            plugin
        }
    }
}

/// The framework's own functions, which are the same for all instances.
struct Framework {
    process: blocks::Process,
    destroy: unsafe extern "C" fn(*const clap_plugin),
    get_extension: unsafe extern "C" fn(*const clap_plugin, *const c_char) -> *const c_void,
}

static FRAMEWORK: OnceLock<Framework> = OnceLock::new();

/// The functions of the params extension: with our fix, and the framework's own.
static PARAMS: OnceLock<(clap_plugin_params, clap_plugin_params)> = OnceLock::new();

/// Replaces an instance's functions with the fixed ones.
///
/// # Safety
/// One of the framework's instances, which nothing else has a pointer to yet.
unsafe fn fix(plugin: *mut clap_plugin) {
    // SAFETY: promised by the caller.
    let plugin = unsafe { &mut *plugin };
    let (Some(process), Some(destroy), Some(get_extension)) = (plugin.process, plugin.destroy, plugin.get_extension)
    else {
        return;
    };
    FRAMEWORK.get_or_init(|| Framework { process, destroy, get_extension });
    plugin.process = Some(self::process);
    plugin.destroy = Some(self::destroy);
    plugin.get_extension = Some(self::get_extension);
}

/// See [`blocks`].
unsafe extern "C" fn process(plugin: *const clap_plugin, block: *const clap_process) -> clap_process_status {
    // SAFETY: null or the host's block.
    let (Some(framework), Some(block)) = (FRAMEWORK.get(), unsafe { block.as_ref() }) else {
        return CLAP_PROCESS_ERROR;
    };
    // SAFETY: the host's arguments, unchanged.
    unsafe { blocks::process(framework.process, plugin, block) }
}

/// The framework's extensions; `params` is replaced by the fixed one.
unsafe extern "C" fn get_extension(plugin: *const clap_plugin, id: *const c_char) -> *const c_void {
    let Some(framework) = FRAMEWORK.get() else {
        return null();
    };
    // SAFETY: the host's arguments, unchanged; what is returned are functions, the same for all instances.
    unsafe {
        let theirs = (framework.get_extension)(plugin, id);
        if theirs.is_null() || CStr::from_ptr(id) != CLAP_EXT_PARAMS {
            return theirs;
        }
        let (fixed, _) = PARAMS.get_or_init(|| {
            let theirs = theirs.cast::<clap_plugin_params>().read();
            (clap_plugin_params { text_to_value: Some(text_to_value), ..theirs }, theirs)
        });
        (&raw const *fixed).cast()
    }
}

/// See [`texts`].
unsafe extern "C" fn text_to_value(
    plugin: *const clap_plugin,
    id: clap_id,
    text: *const c_char,
    value: *mut f64,
) -> bool {
    // SAFETY: the host's arguments, unchanged.
    PARAMS.get().is_some_and(|(_, framework)| unsafe { texts::read(framework, plugin, id, text, value) })
}

/// Closes the window before it destroys the instance.
unsafe extern "C" fn destroy(plugin: *const clap_plugin) {
    let Some(framework) = FRAMEWORK.get() else {
        return;
    };
    // SAFETY: one of the framework's instances, whose extensions live as long as it does.
    unsafe {
        let gui = (framework.get_extension)(plugin, CLAP_EXT_GUI.as_ptr()).cast::<clap_plugin_gui>();
        if let Some(close) = gui.as_ref().and_then(|gui| gui.destroy) {
            close(plugin);
        }
        (framework.destroy)(plugin);
    }
}
