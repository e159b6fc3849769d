//! The trunk on NVIDIA's processors. All it needs is the driver, which is opened at run time; the kernel
//! comes compiled (`lstm.ptx`), for Maxwell and later. A step is one copy there, a launch per layer, one copy back.

use std::sync::Arc;

use cudarc::driver::{CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg};
use cudarc::nvrtc::Ptx;

use super::{DeviceError, LAUNCH, Layer, STATE, Trunk};
use crate::{network::Network, shapes::HIDDEN};

/// The kernel, from `lstm.cu` by `examples/ptx.rs`.
pub(super) const CODE: &str = include_str!("lstm.ptx");
/// The driver's library.
const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

impl From<DriverError> for DeviceError {
    fn from(error: DriverError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// What all minds with one network share.
#[derive(Debug)]
struct Shared {
    name: String,
    context: Arc<CudaContext>,
    kernel: CudaFunction,
    layers: Vec<Weights>,
}

/// A [`Layer`] on the device.
#[derive(Debug)]
struct Weights {
    columns: i32,
    words: CudaSlice<i32>,
    numbers: CudaSlice<f32>,
}

/// One mind's place on the device.
#[derive(Debug)]
struct Cuda {
    shared: Arc<Shared>,
    stream: Arc<CudaStream>,
    /// Input and state, here and there: `[HIDDEN + STATE]`; the input may be shorter.
    sent: Vec<f32>,
    before: CudaSlice<f32>,
    /// `[STATE]`
    after: CudaSlice<f32>,
}

/// The first device that the driver names, with these weights.
pub fn open(network: &Network) -> Result<Box<dyn Trunk>, DeviceError> {
    if !has_driver() || CudaContext::device_count()? == 0 {
        return Err(DeviceError::Missing);
    }
    let context = CudaContext::new(0)?;
    // SAFETY: every step waits for all that it has begun, so nothing is in use between two calls: neither when
    // memory is freed, nor when another stream reads the weights, which were there before it.
    unsafe { context.disable_event_tracking() };
    let stream = context.new_stream()?;
    let weights = |layer: &Layer| {
        Ok(Weights {
            columns: layer.columns as i32,
            words: stream.clone_htod(&layer.words)?,
            numbers: stream.clone_htod(&layer.numbers)?,
        })
    };
    let layers = Layer::of(network)?.iter().map(weights).collect::<Result<_, DriverError>>()?;
    stream.synchronize()?;
    let kernel = context.load_module(Ptx::from_src(CODE))?.load_function("lstm")?;
    Ok(Box::new(Cuda::new(Arc::new(Shared { name: context.name()?, context, kernel, layers }))?))
}

/// Whether there is a driver to ask.
fn has_driver() -> bool {
    // SAFETY: what the library does when it is opened is what every program that uses CUDA relies on.
    unsafe { libloading::Library::new(DRIVER) }.is_ok()
}

impl Cuda {
    fn new(shared: Arc<Shared>) -> Result<Self, DeviceError> {
        let stream = shared.context.new_stream()?;
        let before = stream.alloc_zeros(HIDDEN + STATE)?;
        let after = stream.alloc_zeros(STATE)?;
        stream.synchronize()?;
        Ok(Self { shared, stream, sent: vec![0.0; HIDDEN + STATE], before, after })
    }

    fn run(&mut self, after: &mut [f32]) -> Result<(), DriverError> {
        let Self { shared, stream, sent, before, after: there } = self;
        stream.memcpy_htod(&*sent, before)?;
        for (n, layer) in shared.layers.iter().enumerate() {
            let (below, mut above) = there.split_at_mut(n * 2 * HIDDEN);
            let input = if n == 0 { before.slice(..HIDDEN) } else { below.slice((n - 1) * 2 * HIDDEN..) };
            let state = before.slice(HIDDEN + n * 2 * HIDDEN..);
            let mut launch = stream.launch_builder(&shared.kernel);
            launch.arg(&layer.words).arg(&layer.numbers).arg(&layer.columns).arg(&input).arg(&state).arg(&mut above);
            let [groups, threads] = LAUNCH.map(|size| size as u32);
            let size = LaunchConfig { grid_dim: (groups, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 };
            // SAFETY: the kernel takes these arguments, reads `columns` of the input and a layer's state, and writes
            // a layer's state; all are as long, and `Layer` made the weights for it.
            unsafe { launch.launch(size) }?;
        }
        stream.memcpy_dtoh(there, after)?;
        stream.synchronize()
    }
}

impl Trunk for Cuda {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn step(&mut self, input: &[f32], before: &[f32], after: &mut [f32]) -> Result<(), DeviceError> {
        self.sent[..input.len()].copy_from_slice(input);
        self.sent[HIDDEN..].copy_from_slice(before);
        Ok(self.run(after)?)
    }

    fn twin(&self) -> Result<Box<dyn Trunk>, DeviceError> {
        Ok(Box::new(Self::new(self.shared.clone())?))
    }
}
