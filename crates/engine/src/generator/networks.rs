//! Where the generator gets its network from. This crate does not read files: its user chooses, reads and shares
//! networks.

use std::sync::Arc;

use model::Network;

/// The choice of a network. Called on the generator's thread only.
pub trait NetworkSource: Send + Sync {
    /// A number that changes whenever a network is to be loaded. Called often, so it must not block.
    fn version(&self) -> u32;

    /// Loads the chosen network, and gives up soon after it is no longer `wanted`.
    ///
    /// # Errors
    ///
    /// Full sentences that say what is wrong and what to do.
    fn load(&self, wanted: &dyn Fn() -> bool) -> Result<LoadedNetwork, String>;

    /// Loads the network that plays if the chosen one cannot be loaded.
    ///
    /// # Errors
    ///
    /// As for [`Self::load`].
    fn stand_in(&self, wanted: &dyn Fn() -> bool) -> Result<Arc<Network>, String>;
}

/// A network that is already loaded, with no other choice.
pub struct FixedNetwork(pub Arc<Network>);

impl NetworkSource for FixedNetwork {
    fn version(&self) -> u32 {
        0
    }

    fn load(&self, _: &dyn Fn() -> bool) -> Result<LoadedNetwork, String> {
        Ok(LoadedNetwork { network: self.0.clone(), found: None, trouble: None })
    }

    fn stand_in(&self, _: &dyn Fn() -> bool) -> Result<Arc<Network>, String> {
        Ok(self.0.clone())
    }
}

/// A loaded network.
pub struct LoadedNetwork {
    /// The network, which other instances may share.
    pub network: Arc<Network>,
    /// The file in which it was found, if that is not the chosen one.
    pub found: Option<String>,
    /// How the network differs from the choice, as a full sentence.
    pub trouble: Option<String>,
}
