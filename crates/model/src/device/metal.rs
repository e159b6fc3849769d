//! The trunk on a Mac's graphics processor. The system compiles the kernel when it is opened. A step is one
//! command buffer with a dispatch per layer, in memory that both processors share.

use std::ffi::c_void;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use objc2::rc::{Retained, autoreleasepool};
use objc2::runtime::ProtocolObject;
use objc2_foundation::{NSError, NSString};
use objc2_metal::{
    MTLBuffer, MTLCommandBuffer, MTLCommandBufferStatus, MTLCommandEncoder, MTLCommandQueue, MTLCompileOptions,
    MTLComputeCommandEncoder, MTLComputePipelineState, MTLCreateSystemDefaultDevice, MTLDevice, MTLLibrary,
    MTLResourceOptions, MTLSize,
};

use super::{DeviceError, LAUNCH, Layer, SOURCE, STATE, Trunk};
use crate::{network::Network, shapes::HIDDEN};

// The default device is there only for programs that link to it.
#[link(name = "CoreGraphics", kind = "framework")]
unsafe extern "C" {}

/// Bytes of a number.
const NUMBER: usize = size_of::<f32>();

type Object<T> = Retained<ProtocolObject<T>>;

/// What all minds with one network share.
struct Shared {
    name: String,
    device: Object<dyn MTLDevice>,
    kernel: Object<dyn MTLComputePipelineState>,
    layers: Vec<Weights>,
}

/// A [`Layer`] where the device reads it.
struct Weights {
    columns: i32,
    words: Buffer,
    numbers: Buffer,
}

/// Memory that both processors see.
struct Buffer(Object<dyn MTLBuffer>);

// SAFETY: Metal's objects may be used from any thread; what a buffer holds is touched through `&mut` only, or
// never again after it was made.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

/// One mind's place on the device.
struct Metal {
    shared: Arc<Shared>,
    queue: Object<dyn MTLCommandQueue>,
    /// Input and state: `[HIDDEN + STATE]`; the input may be shorter.
    before: Buffer,
    /// `[STATE]`
    after: Buffer,
}

/// The system's default device, with these weights.
pub fn open(network: &Network) -> Result<Box<dyn Trunk>, DeviceError> {
    autoreleasepool(|_| {
        let device = MTLCreateSystemDefaultDevice().ok_or(DeviceError::Missing)?;
        let options = MTLCompileOptions::new();
        #[expect(deprecated, reason = "its successor is not there before macOS 15")]
        options.setFastMathEnabled(false);
        let library = device.newLibraryWithSource_options_error(&NSString::from_str(SOURCE), Some(&options));
        let library = library.map_err(|error| failed(&error))?;
        let function = library.newFunctionWithName(&NSString::from_str("lstm")).ok_or_else(refused)?;
        let kernel = device.newComputePipelineStateWithFunction_error(&function).map_err(|error| failed(&error))?;
        if kernel.maxTotalThreadsPerThreadgroup() < LAUNCH[1] {
            return Err(DeviceError::Failed("its groups are too small".to_owned()));
        }
        let weights = |layer: &Layer| {
            let numbers = Buffer::new(&device, layer.numbers.len())?.with(&layer.numbers);
            let words = Buffer::new(&device, layer.words.len())?.with(&layer.words);
            Ok(Weights { columns: layer.columns as i32, words, numbers })
        };
        let layers = Layer::of(network)?.iter().map(weights).collect::<Result<_, _>>()?;
        let shared = Shared { name: device.name().to_string(), device, kernel, layers };
        Ok(Box::new(Metal::new(Arc::new(shared))?) as Box<dyn Trunk>)
    })
}

fn failed(error: &NSError) -> DeviceError {
    DeviceError::Failed(error.localizedDescription().to_string())
}

fn refused() -> DeviceError {
    DeviceError::Failed("it has no room".to_owned())
}

impl Buffer {
    /// For so many numbers of 32 bits.
    fn new(device: &ProtocolObject<dyn MTLDevice>, numbers: usize) -> Result<Self, DeviceError> {
        let options = MTLResourceOptions::StorageModeShared;
        device.newBufferWithLength_options(numbers * NUMBER, options).map(Self).ok_or_else(refused)
    }

    /// With these numbers of 32 bits.
    fn with<T: Copy>(mut self, values: &[T]) -> Self {
        self.write(0, values);
        self
    }

    /// Writes from this number on.
    fn write<T: Copy>(&mut self, from: usize, values: &[T]) {
        assert!(from * NUMBER + size_of_val(values) <= self.0.length());
        // SAFETY: the buffer is as long; nothing else uses it now: no command of ours is under way.
        unsafe {
            let to = self.0.contents().cast::<u8>().add(from * NUMBER);
            values.as_ptr().cast::<u8>().copy_to_nonoverlapping(to.as_ptr(), size_of_val(values));
        }
    }

    /// Reads from the beginning.
    fn read(&self, out: &mut [f32]) {
        assert!(size_of_val(out) <= self.0.length());
        // SAFETY: as above, and any bits are a number.
        unsafe { self.0.contents().cast::<f32>().as_ptr().copy_to_nonoverlapping(out.as_mut_ptr(), out.len()) }
    }
}

impl Metal {
    fn new(shared: Arc<Shared>) -> Result<Self, DeviceError> {
        let queue = shared.device.newCommandQueue().ok_or_else(refused)?;
        let [before, after] = [HIDDEN + STATE, STATE].map(|numbers| Buffer::new(&shared.device, numbers));
        Ok(Self { shared, queue, before: before?, after: after? })
    }

    fn run(&self) -> Result<(), DeviceError> {
        let Self { shared, queue, before, after } = self;
        let commands = queue.commandBuffer().ok_or_else(refused)?;
        let encoder = commands.computeCommandEncoder().ok_or_else(refused)?;
        encoder.setComputePipelineState(&shared.kernel);
        let [groups, threads] = LAUNCH.map(|width| MTLSize { width, height: 1, depth: 1 });
        for (n, layer) in shared.layers.iter().enumerate() {
            let (state, below) = (n * 2 * HIDDEN, n.saturating_sub(1) * 2 * HIDDEN);
            let (input, from) = if n == 0 { (before, 0) } else { (after, below) };
            let buffers = [(&layer.words, 0, 0), (&layer.numbers, 0, 1), (input, from, 3)];
            let buffers = buffers.into_iter().chain([(before, HIDDEN + state, 4), (after, state, 5)]);
            // SAFETY: the kernel takes these arguments, reads `columns` of the input and a layer's state, and writes
            // a layer's state; all are as long, and `Layer` made the weights for it.
            unsafe {
                for (buffer, numbers, place) in buffers {
                    encoder.setBuffer_offset_atIndex(Some(&buffer.0), numbers * NUMBER, place);
                }
                let columns = NonNull::from(&layer.columns).cast::<c_void>();
                encoder.setBytes_length_atIndex(columns, size_of::<i32>(), 2);
            }
            // One after another: a dispatch sees what the one before it wrote.
            encoder.dispatchThreadgroups_threadsPerThreadgroup(groups, threads);
        }
        encoder.endEncoding();
        commands.commit();
        commands.waitUntilCompleted();
        match commands.status() {
            MTLCommandBufferStatus::Completed => Ok(()),
            _ => Err(commands.error().map_or_else(refused, |error| failed(&error))),
        }
    }
}

impl Trunk for Metal {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn step(&mut self, input: &[f32], before: &[f32], after: &mut [f32]) -> Result<(), DeviceError> {
        self.before.write(0, input);
        self.before.write(HIDDEN, before);
        autoreleasepool(|_| self.run())?;
        self.after.read(after);
        Ok(())
    }

    fn twin(&self) -> Result<Box<dyn Trunk>, DeviceError> {
        Ok(Box::new(Self::new(self.shared.clone())?))
    }
}

impl fmt::Debug for Metal {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Metal").field(&self.shared.name).finish()
    }
}
