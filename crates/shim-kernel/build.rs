//! How the kernel's state is laid out, as a number.
//!
//! The sources of the kernel and of what its state is made of in, `SHIM_KERNEL_LAYOUT` out, for [`env!`]. Always true:
//! two builds with the same number come from the same sources by the same compiler, so that each understands the
//! state that the other left. Changes that do not touch a type change the number, too: harmless, because what belongs
//! together is built together.

use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// FNV-1a: the same on every machine, unlike the standard library's hashers.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    let compiler = env::var_os("RUSTC").unwrap();
    let version =
        Command::new(compiler).arg("-vV").output().expect("the compiler tells its version");
    hasher.write(&version.stdout);
    for folder in ["src", "../shim-abi/src", "../shim-arena/src"] {
        let folder = root.join(folder);
        println!("cargo:rerun-if-changed={}", folder.display());
        add(&folder, &mut hasher);
    }
    // Versions of crates from outside, of which the allocator is one.
    let lock = root.join("../../Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    hasher.write(&fs::read(lock).unwrap_or_default());
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=SHIM_KERNEL_LAYOUT={}", hasher.finish() | 1);
}

/// Add all files of a folder, by name.
fn add(folder: &Path, hasher: &mut Fnv) {
    let entries = fs::read_dir(folder).expect("the sources can be read");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add(&path, hasher);
        } else {
            hasher.write(path.file_name().unwrap_or_default().as_encoded_bytes());
            hasher.write(&fs::read(&path).expect("the sources can be read"));
        }
    }
}
