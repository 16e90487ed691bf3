//! What is installed, and everybody who can use it: each compiler, build system and language.
//!
//! `make install` into a scratch prefix in; the example of `examples/c`, built in each way and run natively
//! and as a guest, out. Always true: a consumer knows the prefix and nothing else of this repository; a
//! static program runs natively only. The functions themselves are tested in `sdk.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use shim_testkit::built::{root, supervisor, target_dir};
use shim_testkit::installed::{make, pkg_config, prefix, release, with_library};
use shim_testkit::{Folder, Outcome, Run, Status};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn example() -> PathBuf {
    root().join("examples/c/hello.c")
}

/// Run a tool that builds something.
#[track_caller]
fn build(command: &mut Command) {
    let shown = format!("{command:?}");
    let output = command
        .env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"))
        .output()
        .unwrap_or_else(|error| panic!("{shown} cannot be started: {error}"));
    assert!(
        output.status.success(),
        "{shown}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[track_caller]
fn assert_prints(outcome: &Outcome, text: &str) {
    assert_eq!((outcome.status, outcome.text().as_str()), (Status::Code(0), text), "{outcome:?}");
}

/// The example prints what it shall, natively and as a guest of the installed command.
#[track_caller]
fn assert_works(program: &Path) {
    let native = with_library(Run::native(program)).finish();
    assert_prints(&native, &format!("libshim {VERSION}: running natively\n"));
    let shim = prefix().join("bin/shim");
    let arguments = ["exec", "--quiet", "--hostname", "alpha", "--"];
    let guest = with_library(Run::native(shim)).args(arguments).args([program]).finish();
    assert_prints(
        &guest,
        &format!("libshim {VERSION}: running on alpha, 3600 s after the start\n"),
    );
}

/// All files below a folder, as paths from there.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).expect("it can be read") {
            let entry = entry.expect("it can be read");
            if entry.file_type().expect("it has one").is_dir() {
                waiting.push(entry.path());
            } else {
                let path = entry.path();
                let path = path.strip_prefix(folder).expect("it is below");
                found.insert(path.to_string_lossy().into_owned());
            }
        }
    }
    found
}

#[test]
fn everything_is_installed_and_removed_again() {
    let folder = Folder::new();
    let (stage, lib) = (folder.path().display().to_string(), "/usr/lib64");
    let variables = [format!("DESTDIR={stage}"), "PREFIX=/usr".into(), format!("LIBDIR={lib}")];
    let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
    make(&["archive"], &[]);
    supervisor();
    make(&["install"], &variables);
    let installed = files(folder.path());
    for path in [
        &format!("usr/lib64/libshim.so.{VERSION}"),
        "usr/lib64/libshim.so.1",
        "usr/lib64/libshim.so",
        "usr/lib64/libshim.a",
        &format!("usr/lib64/libshim-preload.so.{VERSION}"),
        "usr/lib64/libshim-preload.so.1",
        &format!("usr/lib64/libshim-supervisor.so.{VERSION}"),
        "usr/lib64/libshim-supervisor.so.1",
        "usr/lib64/libshim-supervisor.so",
        "usr/lib64/pkgconfig/shim.pc",
        "usr/lib64/pkgconfig/shim-supervisor.pc",
        "usr/lib64/cmake/shim-supervisor/shim-supervisor-config.cmake",
        "usr/lib64/cmake/shim/shim-config.cmake",
        "usr/lib64/cmake/shim/shim-config-version.cmake",
        "usr/include/shim/shim.h",
        "usr/include/shim/host.h",
        "usr/bin/shim",
        "usr/share/man/man1/shim.1",
        "usr/share/man/man3/shim_log.3",
        "usr/share/man/man3/shimhost_step.3",
        "usr/share/man/man7/shim.7",
        "usr/share/man/man7/shim-supervisor.7",
        "usr/share/bash-completion/completions/shim",
    ] {
        assert!(installed.contains(path), "{path} is not installed: {installed:#?}");
    }
    let text = std::fs::read_to_string(folder.path().join("usr/lib64/pkgconfig/shim.pc"));
    let text = text.expect("it was installed");
    assert!(!text.contains(&stage) && text.contains("libdir=/usr/lib64"), "{text}");
    make(&["uninstall"], &variables);
    assert!(files(folder.path()).is_empty(), "{:?}", files(folder.path()));
    assert!(!folder.path().join("usr/include/shim").exists(), "a folder of its own is left");
}

#[test]
fn compilers_of_every_standard_build_the_example() {
    let folder = Folder::new();
    let flags = pkg_config(&["--cflags", "--libs"]);
    let c = ["-D_POSIX_C_SOURCE=200809L"];
    for (compiler, standards, arguments) in [
        ("gcc", &["c99", "c11", "c17", "c2x"][..], &c[..]),
        ("clang", &["c99", "c2x"], &c),
        ("musl-gcc", &["c11"], &c),
        ("g++", &["c++11", "c++20", "c++23"], &["-x", "c++"]),
        ("clang++", &["c++17"], &["-x", "c++"]),
    ] {
        for standard in standards {
            let program = folder.path().join(format!("{compiler}-{standard}"));
            let mut command = Command::new(compiler);
            command.arg(format!("-std={standard}")).args(arguments);
            command.args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"]).arg(&program);
            command.arg(example()).args(["-x", "none"]).args(flags.split(' '));
            build(&mut command);
            assert_works(&program);
        }
    }
}

/// A static program cannot be a guest: it runs natively, and the command says so.
#[test]
fn static_programs_of_both_libraries_run_natively() {
    let folder = Folder::new();
    let flags = pkg_config(&["--static", "--cflags", "--libs"]);
    for (compiler, mode) in [("gcc", "-static"), ("gcc", "-static-pie"), ("musl-gcc", "-static")] {
        let program = folder.path().join(format!("{compiler}{mode}"));
        let mut command = Command::new(compiler);
        command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Werror", mode]);
        command.args(["-Wl,--fatal-warnings", "-o"]).arg(&program).arg(example());
        build(command.args(flags.split(' ')));
        let native = format!("libshim {VERSION}: running natively\n");
        assert_prints(&Run::native(&program).finish(), &native);
        // What a simulator would set does not make it one either.
        assert_prints(&Run::native(&program).env("SHIM_HANDOFF_FD", "3").finish(), &native);
    }
}

#[test]
fn the_archive_defines_the_interface_and_nothing_else() {
    let archive = prefix().join("lib/libshim.a");
    let nm = Command::new("nm").arg(&archive).output().expect("nm can be started");
    let text = String::from_utf8_lossy(&nm.stdout).into_owned();
    let globals: BTreeSet<&str> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() == 3 && words[1].chars().all(char::is_uppercase))
        .map(|words| words[2])
        .collect();
    let map = std::fs::read_to_string(root().join("src/shim.map")).expect("it is there");
    let public = map.split("SHIM_PRIVATE {").next().unwrap_or_default();
    let names: BTreeSet<&str> = public
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';'))
        .filter(|name| name.starts_with("shim_"))
        .collect();
    assert_eq!(globals, names, "left: libshim.a, right: the public nodes of src/shim.map");
    let needed: Vec<&str> = text.lines().filter(|line| line.contains(" U ")).collect();
    assert!(needed.iter().all(|line| line.ends_with(" __errno_location")), "{needed:?}");
}

#[test]
fn projects_of_cmake_find_it_in_both_ways() {
    let folder = Folder::new();
    let sources = root().join("tests/consumers/cmake");
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(sources).arg("-B").arg(folder.path());
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix().display()));
    build(configure.arg(format!("-DEXAMPLE={}", example().display())));
    build(Command::new("cmake").arg("--build").arg(folder.path()));
    for program in ["by-package", "by-pkg-config"] {
        assert_works(&folder.path().join(program));
    }
    let outcome = Run::native(folder.path().join("static-program")).finish();
    assert_prints(&outcome, &format!("libshim {VERSION}: running natively\n"));
}

#[test]
fn a_project_of_meson_finds_it() {
    let folder = Folder::new();
    let build_file = root().join("tests/consumers/meson/meson.build");
    std::fs::copy(build_file, folder.path().join("meson.build")).expect("it can be copied");
    std::fs::copy(example(), folder.path().join("hello.c")).expect("it can be copied");
    let made = folder.path().join("made");
    build(Command::new("meson").arg("setup").arg(&made).arg(folder.path()));
    build(Command::new("meson").args(["compile", "-C"]).arg(&made));
    assert_works(&made.join("by-meson"));
}

#[test]
fn a_crate_of_rust_finds_it() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = target_dir().join("example-rust");
    let mut command = Command::new(cargo);
    command.args(["build", "--locked", "--target-dir"]).arg(&target);
    build(command.current_dir(root().join("examples/rust")));
    let program = target.join("debug/shim-example");
    assert_prints(&with_library(Run::native(&program)).finish(), "running natively\n");
    let guest = with_library(Run::native(&program)).as_guest(["--quiet", "--hostname", "alpha"]);
    assert_prints(&guest.finish(), "running on alpha, 3600 s after the start\n");
}

#[test]
fn python_finds_it_preloaded_and_by_its_name() {
    let library = prefix().join("lib/libshim.so.1");
    let script = "import ctypes, sys\n\
                  shim = ctypes.CDLL(sys.argv[1] or None)\n\
                  shim.shim_simtime_ns.restype = ctypes.c_uint64\n\
                  print(shim.shim_version(), shim.shim_is_managed(), shim.shim_simtime_ns() > 0)";
    let version =
        VERSION.split('.').fold(0, |all, part| all * 256 + part.parse::<u32>().expect("a number"));
    let python = |name: &str| Run::native("/usr/bin/python3").args(["-c", script, name]);
    let native = format!("{version} 0 False\n");
    assert_prints(&python("").env("LD_PRELOAD", &library).finish(), &native);
    assert_prints(&python(&library.display().to_string()).finish(), &native);
    assert_prints(&with_library(python("libshim.so.1")).finish(), &native);
    // As a guest it is there already, whatever name it is asked for by.
    let guest = python("").as_guest(["--quiet"]).finish();
    assert_prints(&guest, &format!("{version} 1 True\n"));
}

#[test]
fn debian_packages_are_made_and_complete() {
    let out = target_dir().join("deb");
    _ = std::fs::remove_dir_all(&out);
    make(&["archive"], &[]);
    supervisor();
    make(&["deb"], &[]);
    let mut all = BTreeSet::new();
    for package in ["libshim1", "libshim-supervisor1", "libshim-dev", "libshim-tools"] {
        let path = out.join(format!("{package}_{VERSION}_amd64.deb"));
        let output = Command::new("dpkg-deb").arg("-c").arg(&path).output();
        let text = String::from_utf8(output.expect("dpkg-deb can be started").stdout);
        for line in text.expect("names are ASCII").lines().filter(|line| !line.starts_with('d')) {
            let name = line.split_whitespace().nth(5).expect("a name").to_owned();
            assert!(all.insert(name.clone()), "{name} is in two packages");
        }
    }
    let lib = "./usr/lib/x86_64-linux-gnu";
    let libraries = ["libshim.so.1", "libshim-preload.so.1", "libshim-supervisor.so.1"];
    for path in libraries.into_iter().chain(["libshim.so", "libshim.a", "libshim-supervisor.so"]) {
        assert!(all.contains(&format!("{lib}/{path}")), "{path}: {all:#?}");
    }
    for path in ["./usr/bin/shim", "./usr/include/shim/shim.h", "./usr/share/man/man7/shim.7.gz"] {
        assert!(all.contains(path), "{path}: {all:#?}");
    }
    // Unpacked, and stripped as they are, they work.
    let unpacked = Folder::new();
    for package in ["libshim1", "libshim-tools"] {
        let path = out.join(format!("{package}_{VERSION}_amd64.deb"));
        build(Command::new("dpkg-deb").arg("-x").arg(path).arg(unpacked.path()));
    }
    let shim = Run::native(unpacked.path().join("usr/bin/shim"));
    let outcome = shim.args(["exec", "--quiet", "--", "date", "-u", "+%Y"]).finish();
    assert_prints(&outcome, "2000\n");
    // A symbol that the recorded list has and the library has not is an error.
    let gone = std::fs::read_to_string(root().join("build/debian/libshim1.symbols"));
    let gone = gone.expect("it is checked in") + " shim_gone@SHIM_1.0 0.1.0\n";
    let folder = Folder::with(&[("symbols", gone.as_bytes())]);
    let control = "Source: libshim\n\nPackage: libshim1\nArchitecture: any\n";
    std::fs::create_dir(folder.path().join("debian")).expect("a fresh folder can be written");
    std::fs::write(folder.path().join("debian/control"), control).expect("as above");
    let output = Command::new("dpkg-gensymbols")
        .args(["-plibshim1", "-v1", "-Isymbols", "-c4", "-Oout"])
        .arg(format!("-e{}", release().join("libshim.so").display()))
        .current_dir(folder.path())
        .output()
        .expect("dpkg-gensymbols can be started");
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && says.contains("disappeared"), "{says}");
}
