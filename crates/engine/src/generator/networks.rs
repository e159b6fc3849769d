//! Where the generator gets its network from. Files are not this crate's business: whoever uses it chooses, reads and
//! shares.

use std::sync::Arc;

use model::Network;

/// The choice of a network. Asked on the generator's thread only, but for what is atomic in it.
pub trait Networks: Send + Sync {
    /// Changes whenever something is to be loaded. Asked for often: it must not block.
    fn version(&self) -> u32;

    /// Loads what is chosen, and gives up soon after it is no longer `wanted`.
    ///
    /// # Errors
    ///
    /// Sentences that say what is wrong and what to do.
    fn load(&self, wanted: &dyn Fn() -> bool) -> Result<Loaded, String>;

    /// Loads what plays in the place of a choice that cannot be loaded.
    ///
    /// # Errors
    ///
    /// Likewise.
    fn stand_in(&self, wanted: &dyn Fn() -> bool) -> Result<Arc<Network>, String>;
}

/// A network that is there already, and no choice.
pub struct Fixed(pub Arc<Network>);

impl Networks for Fixed {
    fn version(&self) -> u32 {
        0
    }

    fn load(&self, _: &dyn Fn() -> bool) -> Result<Loaded, String> {
        Ok(Loaded { network: self.0.clone(), found: None, trouble: None })
    }

    fn stand_in(&self, _: &dyn Fn() -> bool) -> Result<Arc<Network>, String> {
        Ok(self.0.clone())
    }
}

/// What a choice has come to.
pub struct Loaded {
    /// The network; others may play with it too.
    pub network: Arc<Network>,
    /// The file that it was found in, if that is not the one that was chosen.
    pub found: Option<String>,
    /// What is not as it was chosen: a sentence.
    pub trouble: Option<String>,
}
