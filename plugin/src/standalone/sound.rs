//! An audio device that drives the blocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Device, ErrorKind, FromSample, I24, SampleFormat, SizedSample, StreamConfig, SupportedBufferSize,
    SupportedStreamConfigRange,
};

use super::host::CHANNELS;
use super::native::SharedBlockRunner;

/// The most samples that are rendered at a time, whatever the device asks for.
const BLOCK: usize = 1_024;
/// How ALSA describes its null device.
const NULL: &str = "Discard all samples";

/// An open audio device; dropping it closes it.
pub struct Sound {
    _stream: cpal::Stream,
    lost: Arc<AtomicBool>,
}

/// The names of the audio devices, the default one, and its sample rate.
pub fn find() -> (Vec<String>, Option<String>, Option<u32>) {
    let host = cpal::default_host();
    let is_heard = |name: &String| !name.starts_with(NULL);
    let devices =
        host.output_devices().map_or_else(|_| Vec::new(), |devices| devices.filter_map(|d| name(&d)).collect());
    let default = host.default_output_device();
    let rate = default.as_ref().and_then(|device| device.default_output_config().ok());
    let devices: Vec<String> = devices.into_iter().filter(is_heard).collect();
    (devices, default.as_ref().and_then(name), rate.map(|config| config.sample_rate()))
}

/// Whether this device is available; `None`: whether there is a default device.
pub fn is_there(wanted: Option<&str>) -> bool {
    device(wanted).is_some()
}

fn name(device: &Device) -> Option<String> {
    device.description().ok().map(|about| about.name().to_owned())
}

fn device(wanted: Option<&str>) -> Option<Device> {
    let host = cpal::default_host();
    match wanted {
        None => host.default_output_device(),
        Some(wanted) => host.output_devices().ok()?.find(|device| name(device).as_deref() == Some(wanted)),
    }
}

impl Sound {
    /// Opens a device; `None`: the system's default. An error says what to do.
    pub fn open(runner: &SharedBlockRunner, wanted: Option<&str>, period: u32) -> Result<Self, String> {
        let meanwhile = "MIDI works without it; Antiphon opens it when it is available.";
        let Some(device) = device(wanted) else {
            return Err(match wanted {
                Some(wanted) => format!("The audio output `{wanted}` is missing. {meanwhile}"),
                None => format!("There is no audio output, so nothing can be heard. {meanwhile}"),
            });
        };
        let name = name(&device).unwrap_or_default();
        let failed = |why: String| format!("The audio output `{name}` cannot be opened ({why}). {meanwhile}");
        let (config, format) = config(&device, period).map_err(failed)?;
        runner.lock().unwrap_or_else(PoisonError::into_inner).start(config.sample_rate.into());
        let lost = Arc::new(AtomicBool::new(false));
        let open = match format {
            SampleFormat::I8 => open::<i8>,
            SampleFormat::I16 => open::<i16>,
            SampleFormat::I24 => open::<I24>,
            SampleFormat::I32 => open::<i32>,
            SampleFormat::U8 => open::<u8>,
            SampleFormat::U16 => open::<u16>,
            SampleFormat::U32 => open::<u32>,
            SampleFormat::F32 => open::<f32>,
            SampleFormat::F64 => open::<f64>,
            other => return Err(failed(format!("unsupported sample format {other}"))),
        };
        let stream = open(&device, config, runner.clone(), lost.clone()).map_err(|error| failed(error.to_string()))?;
        Ok(Self { _stream: stream, lost })
    }

    /// Whether the device has gone.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

/// The configuration for a device: its own sample rate; if possible, the piano's number of channels, f32 samples, and
/// this block size.
fn config(device: &Device, period: u32) -> Result<(StreamConfig, SampleFormat), String> {
    let default = device.default_output_config().map_err(|error| error.to_string())?;
    let rate = default.sample_rate();
    let can = |range: &SupportedStreamConfigRange| (range.min_sample_rate()..=range.max_sample_rate()).contains(&rate);
    let ranges = device.supported_output_configs().map_err(|error| error.to_string())?;
    let away = |range: &SupportedStreamConfigRange| {
        let channels = usize::from(range.channels());
        (channels < CHANNELS, channels.abs_diff(CHANNELS), range.sample_format() != SampleFormat::F32)
    };
    let best = ranges.filter(can).min_by_key(away);
    let (channels, format, sizes) = match &best {
        Some(range) => (range.channels(), range.sample_format(), *range.buffer_size()),
        None => (default.channels(), default.sample_format(), *default.buffer_size()),
    };
    let buffer_size = match sizes {
        SupportedBufferSize::Range { min, max } if (min..=max).contains(&period) => BufferSize::Fixed(period),
        _ => BufferSize::Default,
    };
    Ok((StreamConfig { channels, sample_rate: rate, buffer_size }, format))
}

/// Starts a stream with one sample format.
fn open<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    runner: SharedBlockRunner,
    lost: Arc<AtomicBool>,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = usize::from(config.channels).max(1);
    let mut audio = [(); CHANNELS].map(|()| vec![0.0_f32; BLOCK]);
    let play = move |data: &mut [T], _: &cpal::OutputCallbackInfo| {
        for data in data.chunks_mut(BLOCK * channels) {
            let frames = data.len() / channels;
            let [left, right] = &mut audio;
            match runner.try_lock() {
                Ok(mut runner) => runner.block(Instant::now(), [&mut left[..frames], &mut right[..frames]]),
                // The lock is only taken while another device is opened: this one is about to close.
                Err(_) => [&mut *left, right].into_iter().for_each(|channel| channel.fill(0.0)),
            }
            for (frame, place) in data.chunks_mut(channels).zip(0..) {
                // Mono gets the mix of both; channels beyond two are silent.
                let sample = |channel: usize| match (channels, audio.get(channel)) {
                    (1, _) => 0.5 * (audio[0][place] + audio[1][place]),
                    (_, Some(samples)) => samples[place],
                    (_, None) => 0.0,
                };
                for (channel, out) in frame.iter_mut().enumerate() {
                    *out = T::from_sample(sample(channel));
                }
            }
        }
    };
    let fails = move |error: cpal::Error| {
        let passes = matches!(error.kind(), ErrorKind::DeviceChanged | ErrorKind::Xrun | ErrorKind::RealtimeDenied);
        if !passes {
            lost.store(true, Ordering::Relaxed);
        }
    };
    let stream = device.build_output_stream(config, play, fails, None)?;
    match stream.play() {
        Err(error) if error.kind() != ErrorKind::RealtimeDenied => Err(error),
        _ => Ok(stream),
    }
}
