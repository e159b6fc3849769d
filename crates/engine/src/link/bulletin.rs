//! What the window shows of the network: which one plays, where, and what is wrong with it. Told by the generator, read
//! by the window through a triple buffer.

use triple_buffer::{Input, Output, triple_buffer};

use crate::generator::device::Place;

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub struct Bulletin {
    /// Name of the weights in use.
    pub weights: String,
    /// Their licence.
    pub licence: String,
    /// Where they run.
    pub place: Place,
    /// The file that they were found in, if it is not the one that the project says.
    pub found: Option<String>,
    /// Why the weights that are chosen do not play, and the built-in ones do: sentences that say what to do.
    pub missing: Option<String>,
    /// What else went wrong, if something did, likewise.
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
    /// Tells what has changed.
    pub fn tell(&mut self, change: impl FnOnce(&mut Bulletin)) {
        change(&mut self.said);
        self.out.write(self.said.clone());
    }
}
