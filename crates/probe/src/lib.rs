//! For tests and the test host: counts what code uses of the heap ([`heap`]), measures what the process uses of the
//! system ([`usage`]), and damages files in many ways ([`damage`]).

pub mod damage;
pub mod heap;
pub mod usage;
