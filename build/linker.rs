//! The final link of our shared libraries: always GNU ld, with our version script and nothing else.
//!
//! A build script's output folder in, arguments for the linker out. Always true: rustc's own version
//! script, which GNU ld refuses to combine with ours and other linkers silently prefer, is dropped by a
//! wrapper, and so are, for what is loaded into guests, the `-l` flags by which a crate of types would bring in the C
//! library; without the wrapper the link fails, it never degrades. What is particular to one library stands in its
//! build script.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Write the wrapper into `out`; the arguments that every library has. `has_libc`: it is no guest's, and needs the C
/// library.
pub fn arguments(out: &Path, soname: &str, map: &Path, has_libc: bool) -> Vec<String> {
    let dropped =
        if has_libc { "" } else { "    -lc|-lgcc_s|-lutil|-lrt|-lpthread|-lm|-ldl) ;;\n" };
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
{dropped}    *) set -- "$@" "$a" ;;
  esac
done
exec {real} "$@"
"#
    );
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();

    let mut arguments = vec![
        format!("-B{}", wrapper_dir.display()),
        "-fuse-ld=bfd".into(),
        format!("-Wl,-soname,{soname}"),
        format!("-Wl,--version-script={}", map.display()),
        "-Wl,-z,defs".into(),
        "-Wl,-z,relro".into(),
        "-Wl,-z,now".into(),
        "-Wl,-z,noexecstack".into(),
        "-Wl,-z,separate-code".into(),
        "-Wl,--build-id=sha1".into(),
    ];
    if !has_libc {
        arguments.push("-nostartfiles".into());
    }
    arguments
}
