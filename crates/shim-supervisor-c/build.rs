//! How `libshim-supervisor.so` is linked: its symbols have versions, and nothing else is exported.
//!
//! The map of symbols in, linker arguments out. Always true: unlike the libraries for guests this one has Rust's
//! standard library in it and needs the C library. In cargo's folder it gets a link with its soname, because the
//! loader looks for that.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "../../build/linker.rs"]
mod linker;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let map = here.join("src/supervisor.map");
    for file in [&map, &here.join("build.rs"), &here.join("../../build/linker.rs")] {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    let mut arguments = linker::arguments(&out, "libshim-supervisor.so.1", &map, true);
    // It has threads of its own and thread-local storage: once loaded it stays.
    arguments.extend(["-Wl,-z,nodelete", "-Wl,-Bsymbolic"].map(str::to_owned));
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }

    // <folder>/build/shim-supervisor-c-<hash>/out
    let folder = out.ancestors().nth(3).expect("cargo laid it out");
    let link = folder.join("libshim-supervisor.so.1");
    let file = Path::new("libshim_supervisor_c.so");
    if !fs::read_link(&link).is_ok_and(|target| target == file) {
        _ = fs::remove_file(&link);
        symlink(file, &link).unwrap();
    }
}
