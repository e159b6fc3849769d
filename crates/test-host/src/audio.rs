//! The audio thread: processes one block after another.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clack_host::events::UnknownEvent;
use clack_host::events::io::{OutputEventBuffer, TryPushError};
use clack_host::prelude::*;

use crate::event::{Event, Output, Timed};
use crate::handlers::{Handlers, mark_audio_thread};
use crate::transport::Timeline;
use probe::{heap, usage};

/// Initial capacity of the input queue, in events.
const INPUT_EVENTS: usize = 4096;

/// Decides whether the host's output queue refuses an event (`true`), as a full queue would.
pub(crate) type Refuse = Box<dyn FnMut(&Output) -> bool + Send>;

/// Buffers that outlive a single [`Audio`]: created on the main thread at activation, lent to each audio thread.
pub(crate) struct Buffers {
    sample_rate: f64,
    max_frames: u32,
    /// Samples processed since activation.
    now: u64,
    input: EventBuffer,
    output: Collector,
    /// Audio buffers of each port: input ports, output ports.
    ports: [Vec<Port>; 2],
    lists: [AudioPorts; 2],
}

/// One audio port's channels, each `max_frames` long.
type Port = Vec<Vec<f32>>;

impl Buffers {
    /// `channels`: the number of channels of each port, for inputs and for outputs.
    pub(crate) fn new(sample_rate: f64, max_frames: u32, channels: &[Vec<u32>; 2]) -> Self {
        let port = |count: &u32| vec![vec![0.0; max_frames as usize]; *count as usize];
        let ports = [0, 1].map(|side: usize| channels[side].iter().map(port).collect::<Vec<_>>());
        let lists = [0, 1].map(|side: usize| {
            let total: u32 = channels[side].iter().sum();
            AudioPorts::with_capacity(total as usize, channels[side].len())
        });
        Self {
            sample_rate,
            max_frames,
            now: 0,
            input: EventBuffer::with_capacity(INPUT_EVENTS),
            output: Collector::default(),
            ports,
            lists,
        }
    }
}

/// The host's output queue: collects events, checks their order and can refuse them.
#[derive(Default)]
struct Collector {
    taken: Vec<Output>,
    refuse: Option<Refuse>,
    refused: u64,
    violations: Vec<String>,
    /// Start of the current block in samples; below, its length in samples and its number.
    start: u64,
    frames: u32,
    block: u64,
    /// Offset in samples of the block's latest event.
    last: u32,
}

impl OutputEventBuffer for Collector {
    fn try_push(&mut self, raw: &UnknownEvent) -> Result<(), TryPushError> {
        heap::unwatched(|| self.take(raw))
    }
}

impl Collector {
    fn take(&mut self, raw: &UnknownEvent) -> Result<(), TryPushError> {
        let offset = raw.header().time();
        let output = Output { at: self.start + u64::from(offset), block: self.block, event: Event::read(raw) };
        // A flush (0 frames) may have events at offset 0 only.
        if offset >= self.frames.max(1) {
            self.violations.push(format!(
                "block {}: an event at sample {offset} of a block of {}: {:?}",
                self.block, self.frames, output.event
            ));
        }
        if offset < self.last {
            self.violations.push(format!(
                "block {}: an event at sample {offset} after one at {}: {:?}",
                self.block, self.last, output.event
            ));
        }
        if let Some(refuse) = &mut self.refuse
            && refuse(&output)
        {
            self.refused += 1;
            return Err(TryPushError::new());
        }
        self.last = offset;
        self.taken.push(output);
        Ok(())
    }
}

/// A started plugin, for the audio thread. Lent by [`crate::Plugin::run`].
pub struct Audio {
    processor: PluginAudioProcessor<Handlers>,
    buffers: Buffers,
    cost: Duration,
    cpu_cost: Duration,
    heap_calls: u64,
}

impl Audio {
    pub(crate) fn start(processor: StoppedPluginAudioProcessor<Handlers>, buffers: Buffers) -> Result<Self> {
        let processor = processor
            .start_processing()
            .map_err(|e| anyhow::anyhow!("the plugin refused to start processing: {e:?}"))?;
        Ok(Self { processor: processor.into(), buffers, cost: Duration::ZERO, cpu_cost: Duration::ZERO, heap_calls: 0 })
    }

    pub(crate) fn stop(self) -> (StoppedPluginAudioProcessor<Handlers>, Buffers) {
        (self.processor.into_stopped(), self.buffers)
    }

    /// Processes one block of `frames` samples; 0 makes it a flush. `events` must be sorted and lie within the block;
    /// `transport` is `None` for a host without one. Returns the events that the plugin sent.
    pub fn block(&mut self, frames: u32, events: &[Timed], transport: Option<&Timeline>) -> Result<&[Output]> {
        let b = &mut self.buffers;
        ensure!(frames <= b.max_frames, "a block of {frames} frames, but at most {} were announced", b.max_frames);
        b.input.clear();
        for timed in events {
            let offset = timed.at.checked_sub(b.now).and_then(|o| o.try_into().ok());
            let offset: u32 = offset.context("an event lies before its block")?;
            ensure!(offset < frames.max(1), "an event lies after its block");
            timed.event.push_to(&mut b.input, offset);
        }
        b.output.start = b.now;
        b.output.frames = frames;
        b.output.last = 0;
        let before = b.output.taken.len();

        let n = frames as usize;
        let [in_ports, out_ports] = &mut b.ports;
        let [in_list, out_list] = &mut b.lists;
        // Without audio ports, clack cannot derive the block's length from the buffers.
        let inputs = if in_ports.is_empty() {
            // SAFETY: there are no buffers whose validity could matter.
            unsafe { InputAudioBuffers::from_raw_buffers(&[], frames) }
        } else {
            in_list.with_input_buffers(in_ports.iter_mut().map(|port| AudioPortBuffer {
                latency: 0,
                channels: AudioPortBufferType::f32_input_only(
                    port.iter_mut().map(|c| InputChannel::constant(&mut c[..n])),
                ),
            }))
        };
        let mut outputs = if out_ports.is_empty() {
            // SAFETY: as above.
            unsafe { OutputAudioBuffers::from_raw_buffers(&mut [], frames) }
        } else {
            out_list.with_output_buffers(out_ports.iter_mut().map(|port| AudioPortBuffer {
                latency: 0,
                channels: AudioPortBufferType::f32_output_only(port.iter_mut().map(|c| &mut c[..n])),
            }))
        };
        let transport = transport.map(|t| t.event(b.sample_rate));
        let processor = self.processor.as_started_mut()?;
        let (began, cpu) = (Instant::now(), usage::thread_cpu());
        let (result, heap_calls) = heap::watched(|| {
            processor.process(
                &inputs,
                &mut outputs,
                &InputEvents::from_buffer(&b.input),
                &mut OutputEvents::from_buffer(&mut b.output),
                Some(b.now),
                transport.as_ref(),
            )
        });
        self.cpu_cost = usage::thread_cpu() - cpu;
        self.cost = began.elapsed();
        self.heap_calls += heap_calls;
        result?;
        b.now += u64::from(frames);
        b.output.block += 1;
        Ok(&b.output.taken[before..])
    }

    /// Calls CLAP's `reset`, between two blocks.
    pub fn reset(&mut self) {
        self.processor.reset();
    }

    /// Stops processing and starts it again between two blocks, as hosts do to pause a plugin.
    pub fn restart(&mut self) -> Result<()> {
        self.processor.ensure_processing_stopped();
        self.processor.ensure_processing_started()?;
        Ok(())
    }

    /// Samples processed since activation: where the next block starts.
    pub fn now(&self) -> u64 {
        self.buffers.now
    }

    /// Number of the next block.
    pub fn block_number(&self) -> u64 {
        self.buffers.output.block
    }

    /// Samples per second.
    pub fn sample_rate(&self) -> f64 {
        self.buffers.sample_rate
    }

    /// The longest block that [`Self::block`] accepts, in samples.
    pub fn max_frames(&self) -> u32 {
        self.buffers.max_frames
    }

    /// Marks the calling thread as the audio thread, in place of the one that was.
    pub fn move_here(&mut self) {
        mark_audio_thread();
    }

    /// Number of heap calls by the plugin in [`Self::block`]; always 0 unless [`heap::CAN_WATCH`].
    pub fn heap_calls(&self) -> u64 {
        self.heap_calls
    }

    /// Wall-clock time of the last block's `process`.
    pub fn cost(&self) -> Duration {
        self.cost
    }

    /// CPU time of the last block's `process` on this thread.
    pub fn cpu_cost(&self) -> Duration {
        self.cpu_cost
    }

    /// Everything that the plugin has sent since activation or the last [`Self::take_outputs`].
    pub fn outputs(&self) -> &[Output] {
        &self.buffers.output.taken
    }

    /// Removes and returns the collected events.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.buffers.output.taken)
    }

    /// One line for each event sent out of order or outside its block.
    pub fn violations(&self) -> &[String] {
        &self.buffers.output.violations
    }

    /// Removes and returns the violations.
    pub fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.buffers.output.violations)
    }

    /// From now on, the output queue refuses each event for which `refuse` returns `true`.
    pub fn refuse_when(&mut self, refuse: impl FnMut(&Output) -> bool + Send + 'static) {
        self.buffers.output.refuse = Some(Box::new(refuse));
    }

    /// From now on, the output queue accepts everything.
    pub fn refuse_nothing(&mut self) {
        self.buffers.output.refuse = None;
    }

    /// Number of events that the output queue has refused.
    pub fn refused(&self) -> u64 {
        self.buffers.output.refused
    }
}
