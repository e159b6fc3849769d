//! The trunk on a GPU through wgpu: Vulkan, Metal or DX12, loaded at run time. The kernel is `lstm.wgsl`.
//!
//! A step is one submission (upload, one dispatch per layer, download) and one wait, with buffers that are created
//! once.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use wgpu::{
    Backends, BindGroup, BindGroupDescriptor, BindGroupEntry, Buffer, BufferDescriptor, BufferUsages,
    CommandEncoderDescriptor, ComputePassDescriptor, ComputePipeline, ComputePipelineDescriptor, Device,
    DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, InstanceFlags, MapMode, MemoryHints,
    PipelineCompilationOptions, PollError, PollType, PowerPreference, Queue, RequestAdapterOptions,
    ShaderModuleDescriptor, ShaderSource,
};

use super::{Batch, DeviceError, TrunkDevice, batch::STATE_WORDS};
use crate::{fixed::Layer, network::Network, shapes::HIDDEN};

/// The kernel source, without the constants that [`Shared::pipelines`] prepends.
const SOURCE: &str = include_str!("lstm.wgsl");
/// Hidden units per workgroup.
const UNITS: usize = 4;
/// Maximum number of takes per workgroup, which share one pass over the weights.
const TAKES: usize = 8;
/// How long a step may take before it counts as hung: less than the look-ahead covers.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout for the first step of a session, in which drivers compile, and for every step of a software driver, which
/// only gets the cores that are left.
const LONG_TIMEOUT: Duration = Duration::from_secs(60);

/// What all sessions with one network share.
struct Shared {
    name: String,
    software: bool,
    device: Device,
    queue: Queue,
    /// Weights and numbers (biases, multipliers, shifts) of each layer.
    layers: Vec<[Buffer; 2]>,
    /// Widths of the layers' inputs.
    widths: Vec<usize>,
    /// The kernel of each layer, by number of takes per workgroup: compiled when first needed.
    pipelines: Mutex<BTreeMap<usize, Vec<ComputePipeline>>>,
    /// The first error reported by the device.
    trouble: Arc<OnceLock<String>>,
}

/// One session on the device.
struct Gpu {
    shared: Arc<Shared>,
    capacity: usize,
    /// Takes per workgroup.
    tile: usize,
    layers: Vec<(ComputePipeline, BindGroup)>,
    /// Staging buffers for upload (`sent`) and download (`received`), and the buffers on the device.
    sent: Buffer,
    before: Buffer,
    after: Buffer,
    received: Buffer,
    timeout: Duration,
}

/// Opens the fastest adapter that the system offers and uploads a network's weights.
pub fn open(network: &Network) -> Result<Box<dyn TrunkDevice>, DeviceError> {
    Ok(Box::new(start(network)?))
}

fn start(network: &Network) -> Result<Gpu, DeviceError> {
    let layers = network.trunk().integers().ok_or(DeviceError::Weights)?;
    // Ignores environment variables and validation layers: both are for developers.
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::PRIMARY,
        flags: InstanceFlags::empty(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let options = RequestAdapterOptions {
        power_preference: PowerPreference::HighPerformance,
        ..RequestAdapterOptions::default()
    };
    let adapter = pollster::block_on(instance.request_adapter(&options)).map_err(|_| DeviceError::Missing)?;
    let info = adapter.get_info();
    let descriptor = DeviceDescriptor { memory_hints: MemoryHints::MemoryUsage, ..DeviceDescriptor::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(failed)?;
    let trouble = Arc::new(OnceLock::new());
    let (errors, losses) = (trouble.clone(), trouble.clone());
    device.on_uncaptured_error(Arc::new(move |error| drop(errors.set(one_line(&error)))));
    device.set_device_lost_callback(move |_, why| drop(losses.set(format!("the device was lost: {why}"))));
    let widths: Vec<usize> = (0..layers.len()).map(|n| if n == 0 { network.input_width() } else { HIDDEN }).collect();
    let layers = layers.iter().zip(&widths).map(|(layer, &width)| upload(&device, layer, width)).collect();
    let software = info.device_type == DeviceType::Cpu;
    let shared =
        Shared { name: info.name, software, device, queue, layers, widths, pipelines: Mutex::default(), trouble };
    Gpu::new(Arc::new(shared), 1)
}

fn failed(error: impl fmt::Display) -> DeviceError {
    DeviceError::Failed(one_line(&error))
}

fn one_line(error: &impl fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Creates the buffers with a layer's weights and numbers, in the kernel's layout.
fn upload(device: &Device, layer: &Layer, width: usize) -> [Buffer; 2] {
    let bytes: Vec<u8> = layer.input.values(width).chain(layer.recurrent.values(HIDDEN)).map(|w| w as u8).collect();
    let [[input, shifts], [state, state_shifts]] = [layer.input.scales(), layer.recurrent.scales()];
    let numbers = [&layer.bias, input, shifts, state, state_shifts].concat();
    [&bytes, bytemuck::cast_slice(&numbers)].map(|contents: &[u8]| {
        let buffer = device.create_buffer(&BufferDescriptor {
            label: None,
            size: contents.len() as u64,
            usage: BufferUsages::STORAGE,
            mapped_at_creation: true,
        });
        if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
            view.copy_from_slice(contents);
        }
        buffer.unmap();
        buffer
    })
}

impl Shared {
    fn pipelines(&self, tile: usize) -> Vec<ComputePipeline> {
        let compile = |layer: usize| {
            let widths = &self.widths;
            let constants = [
                ("COLUMNS", widths[layer]),
                ("COLUMNS_OF_INPUT", widths[0]),
                ("LAYER", layer),
                ("BELOW", layer.saturating_sub(1)),
                ("STRIDE", Batch::stride(widths[0])),
                ("TAKES", tile),
            ];
            let constants = constants.map(|(name, value)| format!("const {name} = {value}u;\n")).concat();
            let source = ShaderSource::Wgsl((constants + SOURCE).into());
            self.device.create_compute_pipeline(&ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &self.device.create_shader_module(ShaderModuleDescriptor { label: None, source }),
                entry_point: None,
                compilation_options: PipelineCompilationOptions {
                    zero_initialize_workgroup_memory: false,
                    ..PipelineCompilationOptions::default()
                },
                cache: None,
            })
        };
        let mut known = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(tile).or_insert_with(|| (0..self.widths.len()).map(compile).collect()).clone()
    }
}

impl Gpu {
    fn new(shared: Arc<Shared>, capacity: usize) -> Result<Self, DeviceError> {
        let Shared { device, layers, widths, .. } = &*shared;
        let tile = capacity.next_power_of_two().min(TAKES);
        // Whole tiles: rows that were never written are computed, too, but not read.
        let (rows, stride) = (capacity.next_multiple_of(tile), Batch::stride(widths[0]));
        let buffer = |words: usize, usage: BufferUsages, mapped_at_creation| {
            let size = (rows * words * size_of::<u32>()) as u64;
            device.create_buffer(&BufferDescriptor { label: None, size, usage, mapped_at_creation })
        };
        let sent = buffer(stride, BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC, true);
        let before = buffer(stride, BufferUsages::STORAGE | BufferUsages::COPY_DST, false);
        let after = buffer(STATE_WORDS, BufferUsages::STORAGE | BufferUsages::COPY_SRC, false);
        let received = buffer(STATE_WORDS, BufferUsages::MAP_READ | BufferUsages::COPY_DST, false);
        let layers = shared.pipelines(tile).into_iter().zip(layers).map(|(pipeline, [weights, numbers])| {
            let buffers = [weights, numbers, &before, &after].into_iter().zip(0..);
            let entries: Vec<_> = buffers
                .map(|(buffer, binding)| BindGroupEntry { binding, resource: buffer.as_entire_binding() })
                .collect();
            let layout = &pipeline.get_bind_group_layout(0);
            let group = device.create_bind_group(&BindGroupDescriptor { label: None, layout, entries: &entries });
            (pipeline, group)
        });
        let layers = layers.collect();
        let timeout = LONG_TIMEOUT;
        let mut gpu = Self { layers, capacity, tile, sent, before, after, received, timeout, shared };
        gpu.step(&mut Batch::zeros(capacity, gpu.shared.widths[0]))?;
        if !gpu.shared.software {
            gpu.timeout = STEP_TIMEOUT;
        }
        Ok(gpu)
    }

    /// Fails if the device has reported an error.
    fn check(&self) -> Result<(), DeviceError> {
        self.shared.trouble.get().map_or(Ok(()), |trouble| Err(DeviceError::Failed(trouble.clone())))
    }

    fn run(&self, batch: &mut Batch) -> Result<(), DeviceError> {
        let Self { shared, sent, before, after, received, .. } = self;
        let size = size_of_val(batch.after_mut()) as u64;
        let there = bytemuck::cast_slice(batch.before());
        sent.get_mapped_range_mut(..there.len() as u64).map_err(failed)?.copy_from_slice(there);
        sent.unmap();
        let mut encoder = shared.device.create_command_encoder(&CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(sent, 0, before, 0, there.len() as u64);
        {
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            for (pipeline, group) in &self.layers {
                pass.set_pipeline(pipeline);
                pass.set_bind_group(0, group, &[]);
                pass.dispatch_workgroups((HIDDEN / UNITS) as u32, batch.takes().div_ceil(self.tile) as u32, 1);
            }
        }
        encoder.copy_buffer_to_buffer(after, 0, received, 0, size);
        let submission_index = Some(shared.queue.submit([encoder.finish()]));
        // A failed mapping shows up where the mapping is used.
        sent.map_async(MapMode::Write, .., drop);
        received.map_async(MapMode::Read, ..size, drop);
        match shared.device.poll(PollType::Wait { submission_index, timeout: Some(self.timeout) }) {
            Ok(_) => self.check()?,
            Err(PollError::Timeout) => return Err(DeviceError::Hung),
            Err(error) => return Err(failed(error)),
        }
        let view = received.get_mapped_range(..size).map_err(failed)?;
        bytemuck::cast_slice_mut(batch.after_mut()).copy_from_slice(&view);
        drop(view);
        received.unmap();
        Ok(())
    }
}

impl TrunkDevice for Gpu {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn is_software(&self) -> bool {
        self.shared.software
    }

    fn step(&mut self, batch: &mut Batch) -> Result<(), DeviceError> {
        assert!(batch.takes() <= self.capacity, "more takes than there is room for");
        self.check()?;
        let result = self.run(batch);
        if result == Err(DeviceError::Hung) {
            // Dropping the device would wait for the step to finish, which it may never do.
            mem::forget(self.shared.clone());
        }
        result
    }

    fn open_session(&self, takes: usize) -> Result<Box<dyn TrunkDevice>, DeviceError> {
        Ok(Box::new(Self::new(self.shared.clone(), takes)?))
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpu").field("name", &self.shared.name).field("takes", &self.capacity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchDecoder, Controls, Decoder, Kind, Precision, Weights, note_rng};

    /// The device is lost, or hangs, in mid-take: the CPU generates the note that failed and those after it.
    #[test]
    fn the_cpu_takes_over() {
        let network = Arc::new(Network::new(&Weights::random(Kind::Antiphon, 11), Precision::Int4));
        let gpu = match start(&network) {
            Ok(gpu) => gpu,
            Err(DeviceError::Missing) if std::env::var_os("ANTIPHON_GPU_TESTS").is_none() => return,
            Err(error) => panic!("{error}"),
        };
        let decoder = Decoder::new(network);
        let takes = 16;
        let play = |batch: &mut BatchDecoder, index| {
            let mut rngs: Vec<_> = (0..takes as u64).map(|take| note_rng(take, index)).collect();
            batch.play(&Controls::default(), 0.0, &mut rngs).to_vec()
        };
        // A lost device is lost for all sessions that share it, so that case comes last.
        for lost in [false, true] {
            let [mut cpu, mut batch] = [(); 2].map(|()| BatchDecoder::new(&decoder, takes));
            let mut session = Gpu::new(gpu.shared.clone(), takes).unwrap();
            if !lost {
                session.timeout = Duration::ZERO;
            }
            batch.run_on(Some(Box::new(session)));
            for index in 0..8 {
                if lost && index == 4 {
                    assert_eq!(batch.device(), Some(gpu.name()));
                    gpu.shared.device.destroy();
                }
                assert_eq!(play(&mut cpu, index), play(&mut batch, index), "note {index}");
                assert!((0..takes).all(|take| cpu.state(take) == batch.state(take)));
            }
            assert_eq!(batch.device(), None);
            let failure = batch.take_failure().unwrap();
            assert!(
                if lost { matches!(failure, DeviceError::Failed(_)) } else { failure == DeviceError::Hung },
                "{failure}"
            );
        }
        assert!(Gpu::new(gpu.shared.clone(), 1).is_err());
    }
}
