//! How `libshim.so` is linked: its symbols have versions, it has no dependencies, and a link that
//! would lose either fails.
//!
//! The map of symbols in, linker arguments out. Always true: what every library for guests has is in
//! `build/linker.rs`; here is what only this one has.

use std::env;
use std::path::PathBuf;

#[path = "build/linker.rs"]
mod linker;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let map = root.join("src/shim.map");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/linker.rs");
    println!("cargo:rerun-if-changed={}", map.display());

    // The library's major version is that of its C interface, not of the package.
    let mut arguments = linker::arguments(&out, "libshim.so.1", &map);
    arguments.extend(["-Wl,-z,nodelete", "-Wl,-z,initfirst", "-Wl,-Bsymbolic"].map(str::to_owned));
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
