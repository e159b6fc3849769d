//! For tests, and for the host that plays to the built plugin: what a piece of code asks of the heap ([`heap`]), what
//! the process uses ([`usage`]), and files spoiled in every way that comes to mind ([`spoil`]).

pub mod heap;
pub mod spoil;
pub mod usage;
