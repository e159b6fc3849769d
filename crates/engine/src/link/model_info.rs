//! What the window shows about the network: which one plays, where, and what is wrong with it. Written by the
//! generator, read by the window, through a triple buffer.

use triple_buffer::{Input, Output, triple_buffer};

use crate::generator::device::DeviceInfo;

/// What the window shows about the network.
#[derive(Clone, Debug, Default)]
pub struct ModelInfo {
    /// Name of the weights in use.
    pub weights: String,
    /// Their license.
    pub license: String,
    /// Where they run.
    pub device: DeviceInfo,
    /// The file in which they were found, if it is not the one named in the project.
    pub found: Option<String>,
    /// Why the built-in weights play instead of the chosen ones: full sentences that also say what to do.
    pub missing: Option<String>,
    /// What else went wrong, in full sentences.
    pub trouble: Option<String>,
}

/// The generator's end.
pub struct ModelInfoWriter {
    out: Input<ModelInfo>,
    current: ModelInfo,
}

/// Both ends.
pub fn model_info_link() -> (ModelInfoWriter, Output<ModelInfo>) {
    let (out, seen) = triple_buffer(&ModelInfo::default());
    (ModelInfoWriter { out, current: ModelInfo::default() }, seen)
}

impl ModelInfoWriter {
    /// Changes the contents and publishes them.
    pub fn update(&mut self, change: impl FnOnce(&mut ModelInfo)) {
        change(&mut self.current);
        self.out.write(self.current.clone());
    }
}
