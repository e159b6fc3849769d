//! The hash of Fowler, Noll and Vo (FNV-1a, 64 bits): the same on every machine and for ever, unlike the
//! standard library's. It tells things apart, and is no seal.

/// What hashing begins with.
pub const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// Goes on from `start` with bytes, as its authors do, or with longer words.
pub fn fnv1a<W: Into<u64>>(start: u64, words: impl IntoIterator<Item = W>) -> u64 {
    words.into_iter().fold(start, |hash, word| (hash ^ word.into()).wrapping_mul(0x0000_0100_0000_01b3))
}
