//! The main thread: loads, sets up, activates and runs a plugin.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags, PluginParams};
use clack_extensions::remote_controls::{PluginRemoteControls, RemoteControlsPageBuffer};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::events::io::EventBuffer;
use clack_host::extensions::Extension;
use clack_host::prelude::*;

use crate::audio::{Audio, Buffers};
use crate::event::Event;
use crate::handlers::{Handlers, MainThread, Shared, mark_audio_thread};

/// Antiphon's CLAP id.
const ANTIPHON: &CStr = c"dev.antiphon.antiphon";
/// Time between two checks for the plugin's main-thread requests.
const MAIN_LOOP: Duration = Duration::from_millis(1);

/// The CLAP id of a parameter of the plugin, from its permanent text id.
pub fn param_id(id: &str) -> u32 {
    // nice-plug derives the number from the text in this way; the top bit is reserved for VST3 hosts.
    let hash = |hash: u32, byte: u8| hash.wrapping_mul(31).wrapping_add(byte.into());
    id.bytes().fold(0, hash) & !(1 << 31)
}

/// A parameter as the plugin describes it.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// CLAP id.
    pub id: u32,
    /// The name that a host shows.
    pub name: String,
    /// Smallest value, in CLAP's own range.
    pub min: f64,
    /// Largest value, in CLAP's own range.
    pub max: f64,
    /// Value of a new instance, in CLAP's own range.
    pub default: f64,
    /// Whether the host may set it.
    pub writable: bool,
    /// Whether it may be automated.
    pub automatable: bool,
    /// Whether only whole numbers are valid values.
    pub stepped: bool,
    /// Whether it is the plugin's bypass switch.
    pub bypass: bool,
}

/// A page of remote controls: the parameters of a controller's eight knobs.
#[derive(Clone, Debug)]
pub struct Page {
    /// The name that a host shows.
    pub name: String,
    /// CLAP ids of the parameters; `None` for a knob without one.
    pub parameters: [Option<u32>; 8],
}

/// One instance of the plugin, on the main thread.
pub struct Plugin {
    instance: PluginInstance<Handlers>,
    active: Option<(StoppedPluginAudioProcessor<Handlers>, Buffers)>,
}

impl Plugin {
    /// Loads the `.clap` at `path` and creates an instance of Antiphon. The calling thread becomes the instance's main
    /// thread.
    pub fn load(path: &Path) -> Result<Self> {
        // SAFETY: loading a library runs its code; this one was built in this workspace or named by the user.
        let entry = unsafe { PluginEntry::load(path) }.map_err(|e| anyhow!("cannot load {}: {e}", path.display()))?;
        let info = HostInfo::new("Antiphon test host", "Antiphon", "", "1")?;
        let instance = PluginInstance::<Handlers>::new(|_| Shared::new(), |_| MainThread, &entry, ANTIPHON, &info)
            .map_err(|e| anyhow!("{} does not contain a usable Antiphon: {e}", path.display()))?;
        Ok(Self { instance, active: None })
    }

    /// Every parameter, in the plugin's order.
    pub fn parameters(&mut self) -> Result<Vec<Parameter>> {
        let params: PluginParams = self.extension("params")?;
        let handle = self.instance.plugin_handle();
        let mut buffer = ParamInfoBuffer::new();
        let all = (0..params.count(&handle)).filter_map(|index| {
            let info = params.get_info(&handle, index, &mut buffer)?;
            Some(Parameter {
                id: info.id.get(),
                name: String::from_utf8_lossy(info.name).into_owned(),
                min: info.min_value,
                max: info.max_value,
                default: info.default_value,
                writable: !info.flags.contains(ParamInfoFlags::IS_READONLY),
                automatable: info.flags.contains(ParamInfoFlags::IS_AUTOMATABLE),
                stepped: info.flags.contains(ParamInfoFlags::IS_STEPPED),
                bypass: info.flags.contains(ParamInfoFlags::IS_BYPASS),
            })
        });
        Ok(all.collect())
    }

    /// The pages of remote controls, most important first.
    pub fn remote_controls(&mut self) -> Result<Vec<Page>> {
        let controls: PluginRemoteControls = self.extension("remote-controls")?;
        let handle = self.instance.plugin_handle();
        let mut buffer = RemoteControlsPageBuffer::new();
        let all = (0..controls.count(&handle)).filter_map(|index| {
            let page = controls.get(&handle, index, &mut buffer)?;
            Some(Page {
                name: String::from_utf8_lossy(page.page_name).into_owned(),
                parameters: page.param_ids.map(|id| id.map(ClapId::get)),
            })
        });
        Ok(all.collect())
    }

    /// A parameter's current value, in CLAP's own range.
    pub fn get(&mut self, id: &str) -> Result<f64> {
        self.value(param_id(id)).with_context(|| format!("the plugin has no parameter `{id}`"))
    }

    /// The current value of the parameter with this CLAP id, in CLAP's own range.
    pub fn value(&mut self, number: u32) -> Result<f64> {
        let params: PluginParams = self.extension("params")?;
        params.get_value(&self.instance.plugin_handle(), ClapId::new(number)).context("there is no such parameter")
    }

    /// A parameter's current value, as the plugin displays it.
    pub fn text(&mut self, id: &str) -> Result<String> {
        let value = self.get(id)?;
        self.text_of(param_id(id), value).with_context(|| format!("in parameter `{id}`"))
    }

    /// A value of the parameter with this CLAP id, given in CLAP's own range, as the plugin displays it.
    pub fn text_of(&mut self, number: u32, value: f64) -> Result<String> {
        let params: PluginParams = self.extension("params")?;
        let mut buffer = [0; 256];
        let text = params
            .value_to_text(&self.instance.plugin_handle(), ClapId::new(number), value, &mut buffer)
            .map_err(|_| anyhow!("the plugin cannot show {value}"))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// The number in a parameter's displayed value, without its unit.
    pub fn number(&mut self, id: &str) -> Result<f64> {
        let text = self.text(id)?;
        let digits = text.split_whitespace().next().unwrap_or_default();
        digits.parse().with_context(|| format!("the plugin's parameter `{id}` is `{text}`, not a number"))
    }

    /// The value, in CLAP's own range, that the plugin parses from `text` (such as `"300 ms"`).
    pub fn value_of(&mut self, id: &str, text: &str) -> Result<f64> {
        self.value_read(param_id(id), text).with_context(|| format!("in parameter `{id}`"))
    }

    /// Same as [`Self::value_of`], for the parameter with this CLAP id.
    pub fn value_read(&mut self, number: u32, text: &str) -> Result<f64> {
        let params: PluginParams = self.extension("params")?;
        params
            .text_to_value(&self.instance.plugin_handle(), ClapId::new(number), &CString::new(text)?)
            .with_context(|| format!("the plugin cannot read `{text}`"))
    }

    /// An event that sets parameter `id` to the value that the plugin parses from `text`.
    pub fn param_event(&mut self, id: &str, text: &str) -> Result<Event> {
        Ok(Event::Param { id: param_id(id), value: self.value_of(id, text)? })
    }

    /// Sets a parameter while the instance is inactive. While it is active, send [`Self::param_event`] with a block
    /// instead.
    pub fn set(&mut self, id: &str, text: &str) -> Result<()> {
        let params: PluginParams = self.extension("params")?;
        let event = self.param_event(id, text)?;
        let mut queue = EventBuffer::with_capacity(1);
        event.push_to(&mut queue, 0);
        let mut handle =
            self.instance.inactive_plugin_handle().context("parameters of an active plugin must be set with events")?;
        params.flush(&mut handle, &InputEvents::from_buffer(&queue), &mut OutputEvents::void());
        Ok(())
    }

    /// The plugin's state, as a host stores it in a project file.
    pub fn save_state(&mut self) -> Result<Vec<u8>> {
        let state: PluginState = self.extension("state")?;
        let mut bytes = Vec::new();
        state.save(&self.instance.plugin_handle(), &mut bytes)?;
        Ok(bytes)
    }

    /// Restores a stored state.
    pub fn load_state(&mut self, bytes: &[u8]) -> Result<()> {
        let state: PluginState = self.extension("state")?;
        state.load(&self.instance.plugin_handle(), &mut &bytes[..])?;
        Ok(())
    }

    /// Switches to offline rendering (`true`) or real time (`false`, the initial mode).
    pub fn set_offline(&mut self, offline: bool) -> Result<()> {
        let render: PluginRender = self.extension("render")?;
        let mode = if offline { RenderMode::Offline } else { RenderMode::Realtime };
        Ok(render.set(&self.instance.plugin_handle(), mode)?)
    }

    /// Activates the plugin for blocks of 1 to `max_frames` samples; the sample position starts at 0.
    pub fn activate(&mut self, sample_rate: f64, max_frames: u32) -> Result<()> {
        if self.active.is_some() {
            bail!("the plugin is already active");
        }
        let channels = self.channels();
        let configuration = PluginAudioConfiguration { sample_rate, min_frames_count: 1, max_frames_count: max_frames };
        let processor = self
            .instance
            .activate(|_, _| (), configuration)
            .map_err(|e| anyhow!("the plugin refused to activate: {e}"))?;
        let buffers = Buffers::new(sample_rate, max_frames, &channels);
        self.active = Some((processor, buffers));
        Ok(())
    }

    /// Deactivates the plugin; does nothing if it is inactive.
    pub fn deactivate(&mut self) {
        if let Some((processor, _)) = self.active.take() {
            self.instance.deactivate(processor);
        }
    }

    /// Runs `play` on a new audio thread and handles the plugin's main-thread requests until it returns. May be called
    /// repeatedly while the plugin is active.
    pub fn run<R: Send>(&mut self, play: impl FnOnce(&mut Audio) -> Result<R> + Send) -> Result<R> {
        self.run_beside(play, |_| Ok(()))
    }

    /// Like [`Self::run`], and also calls `main` about once a millisecond on the main thread: for parameters, state and
    /// so on while blocks are being processed.
    pub fn run_beside<R: Send>(
        &mut self,
        play: impl FnOnce(&mut Audio) -> Result<R> + Send,
        mut main: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<R> {
        let plugins = std::slice::from_mut(self);
        Self::run_all(plugins, |audios| play(&mut audios[0]), |plugins| main(&mut plugins[0]))
    }

    /// Like [`Self::run`], on one audio thread for all of these instances.
    pub fn run_together<R: Send>(
        plugins: &mut [Self],
        play: impl FnOnce(&mut [Audio]) -> Result<R> + Send,
    ) -> Result<R> {
        Self::run_all(plugins, play, |_| Ok(()))
    }

    fn run_all<R: Send>(
        plugins: &mut [Self],
        play: impl FnOnce(&mut [Audio]) -> Result<R> + Send,
        mut main: impl FnMut(&mut [Self]) -> Result<()>,
    ) -> Result<R> {
        ensure!(plugins.iter().all(|plugin| plugin.active.is_some()), "the plugin is not active");
        let lent: Vec<_> = plugins.iter_mut().filter_map(|plugin| plugin.active.take()).collect();
        let (result, served, active) = std::thread::scope(|scope| {
            let main_thread = std::thread::current();
            let audio = std::thread::Builder::new().name("audio".to_owned()).spawn_scoped(scope, move || {
                mark_audio_thread();
                let start = |(processor, buffers)| Audio::start(processor, buffers);
                let outcome = lent.into_iter().map(start).collect::<Result<Vec<_>>>().map(|mut audios| {
                    let result = play(&mut audios);
                    (result, audios.into_iter().map(Audio::stop).collect::<Vec<_>>())
                });
                main_thread.unpark();
                outcome
            })?;
            let mut served = Ok(());
            while !audio.is_finished() {
                plugins.iter_mut().for_each(Self::serve);
                if served.is_ok() {
                    served = main(plugins);
                }
                std::thread::park_timeout(MAIN_LOOP);
            }
            plugins.iter_mut().for_each(Self::serve);
            match audio.join() {
                Ok(Ok((result, active))) => anyhow::Ok((result, served, active)),
                Ok(Err(error)) => Err(error),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        for (plugin, active) in plugins.iter_mut().zip(active) {
            plugin.active = Some(active);
        }
        served?;
        result
    }

    /// Handles the plugin's main-thread requests for this long, while no audio is running.
    pub fn idle(&mut self, time: Duration) {
        let began = std::time::Instant::now();
        while began.elapsed() < time {
            self.serve();
            std::thread::sleep(MAIN_LOOP);
        }
    }

    /// Errors that the plugin has logged so far.
    pub fn logged_errors(&self) -> Vec<String> {
        self.instance.access_shared_handler(Shared::logged_errors)
    }

    /// Makes the main-thread callback if the plugin has requested one.
    fn serve(&mut self) {
        if self.instance.access_shared_handler(Shared::take_callback_request) {
            self.instance.call_on_main_thread_callback();
        }
    }

    /// Number of channels of each audio port: input ports, output ports.
    fn channels(&mut self) -> [Vec<u32>; 2] {
        let handle = self.instance.plugin_handle();
        let Some(ports) = handle.get_extension::<PluginAudioPorts>() else {
            return Default::default();
        };
        [true, false].map(|is_input| {
            let mut buffer = AudioPortInfoBuffer::new();
            (0..ports.count(&handle, is_input))
                .filter_map(|index| {
                    let port = ports.get(&handle, index, is_input, &mut buffer)?;
                    Some(port.channel_count)
                })
                .collect()
        })
    }

    /// The plugin's handle, for calls to its extensions.
    pub(crate) fn handle(&mut self) -> PluginMainThreadHandle<'_> {
        self.instance.plugin_handle()
    }

    /// Calls `look` with the state of the host's callbacks.
    pub(crate) fn shared<R>(&self, look: impl FnOnce(&Shared) -> R) -> R {
        self.instance.access_shared_handler(look)
    }

    pub(crate) fn extension<E>(&mut self, name: &str) -> Result<E>
    where
        E: Extension<ExtensionSide = clack_host::extensions::PluginExtensionSide>,
    {
        self.instance
            .plugin_handle()
            .get_extension()
            .with_context(|| format!("the plugin lacks CLAP's {name} extension"))
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        self.deactivate();
    }
}
