//! Compiles the guest of `shim conformance`, which the command carries within itself.
//!
//! The C files of `guest/` in, one program in cargo's output folder out, for `src/conformance/bench.rs`. Always true: the
//! program is linked with the C library alone; it finds `libshim.so.1` in its process, or not. Everything else of this
//! crate is built by cargo alone.

use std::path::PathBuf;

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap());
    let include = here.join("../../include");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=guest");
    println!("cargo:rerun-if-changed={}", include.display());
    let mut sources: Vec<PathBuf> = std::fs::read_dir(here.join("guest"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    // The same in every profile: what a guest does is no matter of how the command was built.
    let compiler = cc::Build::new().opt_level(1).debug(false).warnings(true).get_compiler();
    let status = compiler
        .to_command()
        .args(["-std=gnu11", "-pthread", "-fPIE", "-pie", "-s", "-I"])
        .arg(include)
        .args(sources)
        .arg("-o")
        .arg(out.join("conformance-guest"))
        .arg("-ldl")
        .status()
        .expect("the C compiler can be started");
    assert!(status.success(), "the guest of shim conformance cannot be compiled: {status}");
}
