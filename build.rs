//! How `libshim.so` is linked: its symbols have versions, it has no dependencies, and a link that
//! would lose either fails.
//!
//! rustc always passes a version script of its own, which GNU ld refuses to combine with ours and
//! other linkers silently prefer. So the final link is always GNU ld, through a wrapper in OUT_DIR
//! that drops rustc's script, and the `-l` flags by which the `libc` crate (used here for types only)
//! would bring in the C library. Without the wrapper the link fails; it never degrades.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::{env, fs};

fn main() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let map = root.join("src/shim.map");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={}", map.display());

    let compiler = cc::Build::new().get_compiler();
    let real = compiler.to_command().arg("-print-prog-name=ld.bfd").output().unwrap();
    let real = String::from_utf8(real.stdout).unwrap().trim().to_owned();

    let wrapper_dir = out.join("ldwrap");
    fs::create_dir_all(&wrapper_dir).unwrap();
    let wrapper = wrapper_dir.join("ld.bfd");
    let script = format!(
        r#"#!/bin/sh
n=$#
while [ $n -gt 0 ]; do
  a=$1; shift; n=$((n-1))
  case $a in
    --version-script=*/rustc*/list) ;;
    -lc|-lgcc_s|-lutil|-lrt|-lpthread|-lm|-ldl) ;;
    *) set -- "$@" "$a" ;;
  esac
done
exec {real} "$@"
"#
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();

    let arguments = [
        format!("-B{}", wrapper_dir.display()),
        "-fuse-ld=bfd".into(),
        "-nostartfiles".into(),
        // The library's major version is that of its C interface, not of the package.
        "-Wl,-soname,libshim.so.1".into(),
        format!("-Wl,--version-script={}", map.display()),
        "-Wl,-z,defs".into(),
        "-Wl,-z,relro".into(),
        "-Wl,-z,now".into(),
        "-Wl,-z,noexecstack".into(),
        "-Wl,-z,nodelete".into(),
        "-Wl,-z,initfirst".into(),
        "-Wl,-z,separate-code".into(),
        "-Wl,-Bsymbolic".into(),
        "-Wl,--build-id=sha1".into(),
    ];
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}
