//! SHA-256, as `sha256sum` writes it.

use sha2::{Digest, Sha256};

/// The digest of `bytes`, in lowercase hexadecimal.
pub fn of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
