//! Compiles the kernel for NVIDIA's processors, after a change of `lstm.cu`:
//!
//!     cargo run -p model --features device-cuda --example ptx > lstm.ptx
//!     mv lstm.ptx model/src/device/lstm.ptx
//!
//! It needs NVIDIA's compiler library (`libnvrtc`, of any toolkit, PyPI's wheels included) where the system looks for
//! libraries, but no graphics processor. An old toolkit is best: the code runs on its drivers and on all later ones.

use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts};
use model::device::{SOURCE, fingerprint};

fn main() {
    // Maxwell, of 2014, and what came after.
    let options = CompileOptions { arch: Some("compute_52"), fmad: Some(false), ..CompileOptions::default() };
    let code = compile_ptx_with_opts(SOURCE, options).expect("the kernel must compile");
    let code = code.to_src();
    println!("// lstm.cu {:016x}, compiled by examples/ptx.rs", fingerprint(SOURCE));
    println!("{}", code.trim_end_matches('\0').trim_end());
}
