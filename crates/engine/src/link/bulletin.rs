//! What the window shows about the network: which one plays, where, and what is wrong with it. Written by the
//! generator, read by the window, through a triple buffer.

use triple_buffer::{Input, Output, triple_buffer};

use crate::generator::device::Place;

/// What the window shows about the network.
#[derive(Clone, Debug, Default)]
pub struct Bulletin {
    /// Name of the weights in use.
    pub weights: String,
    /// Their license.
    pub licence: String,
    /// Where they run.
    pub place: Place,
    /// The file in which they were found, if it is not the one named in the project.
    pub found: Option<String>,
    /// Why the built-in weights play instead of the chosen ones: full sentences that also say what to do.
    pub missing: Option<String>,
    /// What else went wrong, in full sentences.
    pub trouble: Option<String>,
}

/// The generator's end.
pub struct BulletinWriter {
    out: Input<Bulletin>,
    said: Bulletin,
}

/// Both ends.
pub fn bulletin() -> (BulletinWriter, Output<Bulletin>) {
    let (out, seen) = triple_buffer(&Bulletin::default());
    (BulletinWriter { out, said: Bulletin::default() }, seen)
}

impl BulletinWriter {
    /// Changes the contents and publishes them.
    pub fn tell(&mut self, change: impl FnOnce(&mut Bulletin)) {
        change(&mut self.said);
        self.out.write(self.said.clone());
    }
}
