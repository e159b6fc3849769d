//! Where training runs: on the CPU, or on a GPU with CUDA (feature `cuda`).

use crate::error::BadInput;
use candle_core::Device;
use std::{fmt, str::FromStr};

/// A device as given on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The first GPU, if this program was built with CUDA and there is one; otherwise the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this index.
    Cuda(usize),
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected cpu, cuda, cuda:N or auto";
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            name => name.strip_prefix("cuda:").and_then(|n| n.parse().ok()).map(Self::Cuda).ok_or(EXPECTED),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl Choice {
    /// Opens the device.
    pub fn open(self) -> anyhow::Result<Device> {
        match self {
            Self::Auto => Ok(Device::new_cuda(0).unwrap_or(Device::Cpu)),
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(BadInput(
                "this trainer was built without CUDA; build it with --features cuda, or use --device cpu".into(),
            )
            .into()),
            Self::Cuda(number) => Device::new_cuda(number)
                .map_err(|error| BadInput(format!("cuda:{number} cannot be used: {error}")).into()),
        }
    }
}

/// The device's name in reports.
pub fn name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        let all: [Choice; 4] = ["auto", "cpu", "cuda", "cuda:1"].map(|name| name.parse().unwrap());
        assert_eq!(all, [Choice::Auto, Choice::Cpu, Choice::Cuda(0), Choice::Cuda(1)]);
        assert_eq!(all.map(|choice| choice.to_string()), ["auto", "cpu", "cuda:0", "cuda:1"]);
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }
}
