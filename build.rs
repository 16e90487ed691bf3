//! How `libshim.so` is linked: its symbols have versions, it has no dependencies, and a link that
//! would lose either fails.
//!
//! The map of symbols in, linker arguments out. Always true: what every library for guests has is in
//! `build/linker.rs`; here is what only this one has.

use std::env;
use std::path::{Path, PathBuf};

#[path = "build/linker.rs"]
mod linker;

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let mut map = root.join("src/shim.map");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/linker.rs");
    println!("cargo:rerun-if-changed={}", map.display());
    println!("cargo:rerun-if-env-changed=SHIM_TEST_SYMVER");
    let mut objects = Vec::new();
    if let Ok(newest) = env::var("SHIM_TEST_SYMVER") {
        (map, objects) = test_symbol(&root, &out, &map, &newest);
    }

    // The library's major version is that of its C interface, not of the package.
    let mut arguments = linker::arguments(&out, "libshim.so.1", &map, false);
    arguments.extend(["-Wl,-z,nodelete", "-Wl,-z,initfirst", "-Wl,-Bsymbolic"].map(str::to_owned));
    arguments.extend(objects.iter().map(|object| object.display().to_string()));
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}

/// A symbol that only tests have, `shim_test_depth`, and the map that exports it: in SHIM_1.0 alone, or,
/// if `newest` says 1.1, in SHIM_1.1 with the old one kept beside it (`tests/abi.rs`).
fn test_symbol(root: &Path, out: &Path, map: &Path, newest: &str) -> (PathBuf, Vec<PathBuf>) {
    let text = std::fs::read_to_string(map).unwrap();
    let text = match newest {
        "1.0" => text.replacen("  local:", "    shim_test_depth;\n  local:", 1),
        // `local: *` would hide the old symbol if it stood in the old one's node.
        "1.1" => {
            text.replacen("  local:\n    *;\n", "", 1)
                + "\nSHIM_1.1 {\n  global:\n    shim_test_depth;\n  local:\n    *;\n} SHIM_1.0;\n"
        }
        _ => panic!("SHIM_TEST_SYMVER is 1.0 or 1.1, not {newest}"),
    };
    let made = out.join("test.map");
    std::fs::write(&made, text).unwrap();
    let source = root.join("tests/abi/depth.S");
    println!("cargo:rerun-if-changed={}", source.display());
    let mut build = cc::Build::new();
    build.file(source).cargo_metadata(false);
    if newest == "1.1" {
        build.define("HAS_1_1", None);
    }
    (made, build.compile_intermediates())
}
