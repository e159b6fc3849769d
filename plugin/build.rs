//! On Linux the library is never unloaded. A host may unload it when its last instance is gone, but threads that have
//! called into it live on, and each of them runs destructors of Rust's standard library when it ends
//! (`pthread_key_create`): those would then be in unmapped code.

#![allow(clippy::disallowed_macros, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
