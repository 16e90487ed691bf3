//! How `libshim-preload.so` is linked: against `libshim.so.1`, which the loader finds beside it.
//!
//! The maps of both libraries in, linker arguments out. Always true: cargo cannot link a library of its
//! workspace, so what is linked is a stub that has the symbols and versions of `src/shim.map` and the
//! soname; names of the C library are exported without a version, so that they stand for all of them.
//! In cargo's folder the two libraries get links with their sonames, because the loader looks for these.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "../../build/linker.rs"]
mod linker;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let shim_map = here.join("../../src/shim.map");
    let map = here.join("src/preload.map");
    for file in [&shim_map, &map, &here.join("build.rs"), &here.join("../../build/linker.rs")] {
        println!("cargo:rerun-if-changed={}", file.display());
    }

    let mut arguments = linker::arguments(&out, "libshim-preload.so.1", &map, false);
    arguments.push("-Wl,--no-as-needed".into());
    arguments.push(stub(&out, &shim_map));
    arguments.push("-Wl,-rpath,$ORIGIN".into());
    arguments.push("-Wl,--enable-new-dtags".into());
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }

    // <folder>/build/shim-preload-<hash>/out
    let folder = out.ancestors().nth(3).expect("cargo laid it out");
    for (soname, file) in
        [("libshim.so.1", "libshim.so"), ("libshim-preload.so.1", "libshim_preload.so")]
    {
        let link = folder.join(soname);
        let is_there = fs::read_link(&link).is_ok_and(|target| target == Path::new(file));
        if !is_there {
            _ = fs::remove_file(&link);
            symlink(file, &link).unwrap();
        }
    }
}

/// A library with the symbols of the map; its path.
fn stub(out: &Path, map: &Path) -> String {
    let text = fs::read_to_string(map).unwrap();
    let source: String = text
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';'))
        .filter(|name| name.contains("shim_"))
        .map(|name| format!(".globl {name}\n.type {name},@function\n{name}:\n"))
        .collect();
    let (code, library) = (out.join("stub.s"), out.join("libshim-stub.so"));
    fs::write(&code, source + ".section .note.GNU-stack,\"\",%progbits\n").unwrap();
    let status = cc::Build::new()
        .get_compiler()
        .to_command()
        .args(["-shared", "-nostdlib", "-fuse-ld=bfd", "-Wl,-soname,libshim.so.1", "-o"])
        .arg(&library)
        .arg(format!("-Wl,--version-script={}", map.display()))
        .arg(&code)
        .status()
        .unwrap();
    assert!(status.success(), "the stub of libshim.so.1 cannot be linked");
    library.display().to_string()
}
