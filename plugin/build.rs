//! On Linux the library stays in the process once it is loaded. A host may unload it when its last instance is gone, but
//! the threads that called into it live on, and each has a destructor of Rust's standard library's to run when it ends
//! (`pthread_key_create`): in code that would not be there any more.

#![allow(clippy::disallowed_macros, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
