//! The FNV-1a hash (Fowler, Noll and Vo; 64 bits): identical on every machine and in every version, unlike the standard
//! library's hasher. For telling things apart; not cryptographic.

/// The initial hash value (FNV offset basis).
pub const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Continues the hash `start` over `words`: bytes, as FNV-1a defines it, or wider words, one per multiplication.
pub fn fnv1a<W: Into<u64>>(start: u64, words: impl IntoIterator<Item = W>) -> u64 {
    words.into_iter().fold(start, |hash, word| (hash ^ word.into()).wrapping_mul(0x0000_0100_0000_01b3))
}
