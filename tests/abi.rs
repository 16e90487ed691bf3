//! That next year's `libshim.so.1` runs today's programs, and that a mistake which breaks this is found.
//!
//! Builds of the guest library in; differences from the recorded interface (`tests/abi/`) out. Always
//! true: each check stands beside a mistake that it must find, made in a copy of the sources and refused
//! for its own reason. Run with `SHIM_BLESS=1` to record the interface anew. The rules are in
//! `docs/abi-policy.md`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use shim_testkit::built::{root, target_dir};
use shim_testkit::{Folder, Run, Status};

const RECORDED: &str = "tests/abi/libshim.so.1.abi";

/// Cargo's answer to building the guest of `tree`; no other build runs meanwhile, because they share a
/// folder, and what is built is copied out of it before the next one begins.
fn build(tree: &Path, release: bool, environment: &[(&str, &str)]) -> Result<PathBuf, String> {
    static FOLDER: Mutex<u32> = Mutex::new(0);
    let mut number = FOLDER.lock().unwrap_or_else(PoisonError::into_inner);
    // Cargo tells sources apart by their times, not by where they lie: copies have a folder of their own.
    let folder = target_dir().join(if tree == root() { "abi" } else { "abi-mistakes" });
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--locked", "-p", "shim", "--target-dir"])
        .arg(&folder)
        .args(release.then_some("--release"))
        .current_dir(tree)
        // Types are compared by what the compiler tells debuggers.
        .env("CARGO_PROFILE_RELEASE_DEBUG", "2")
        .env("CARGO_PROFILE_DEV_DEBUG", "2")
        .env_remove("SHIM_TEST_SYMVER")
        .envs(environment.iter().copied())
        .output()
        .expect("cargo can be started");
    if !output.status.success() {
        return Err(text(&output));
    }
    *number += 1;
    let kept = folder.join("kept").join(number.to_string());
    std::fs::create_dir_all(&kept).expect("the target directory can be written");
    let profile = if release { "release" } else { "debug" };
    std::fs::copy(folder.join(profile).join("libshim.so"), kept.join("libshim.so.1"))
        .expect("cargo has built it");
    Ok(kept.join("libshim.so.1"))
}

fn text(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr].map(|part| String::from_utf8_lossy(part));
    parts.concat()
}

fn tool(program: &str, arguments: &[OsString]) -> Output {
    Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"))
}

/// What is different from the recorded interface, as abidiff tells it.
fn difference(library: &Path) -> String {
    let recorded = root().join(RECORDED);
    text(&tool("abidiff", &[recorded.into(), library.into()]))
}

/// The exported symbols: name, `@` or `@@`, version.
fn exports(library: &Path) -> Vec<String> {
    let output = tool("nm", &["-D".into(), "--defined-only".into(), library.into()]);
    let lines = text(&output);
    let words = lines.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words[1] != "A").map(|words| words[2].to_owned()).collect()
}

fn unversioned(library: &Path) -> Vec<String> {
    exports(library).into_iter().filter(|symbol| !symbol.contains('@')).collect()
}

/// Functions of the boundary that the map does not name: they would be declared and not exported.
fn unmapped(tree: &Path) -> Vec<String> {
    let map = std::fs::read_to_string(tree.join("src/shim.map")).expect("it is there");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(tree.join("src/capi")).expect("it is there") {
        let text = std::fs::read_to_string(entry.expect("it can be read").path());
        for after in text.expect("sources are UTF-8").split("extern \"C\" fn ").skip(1) {
            let name = after.split('(').next().unwrap_or_default().to_owned();
            if !map.contains(&format!(" {name};\n")) {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn the_interface_is_the_recorded_one() {
    let library = build(root(), true, &[]).expect("the guest can be built");
    if std::env::var_os("SHIM_BLESS").is_some() {
        let plain = ["--no-comp-dir-path", "--no-show-locs", "--no-corpus-path", "--out-file"];
        let mut arguments: Vec<OsString> = plain.map(OsString::from).to_vec();
        arguments.extend([root().join(RECORDED).into(), library.clone().into()]);
        let output = tool("abidw", &arguments);
        assert!(output.status.success(), "{}", text(&output));
        without_places(&root().join(RECORDED));
    }
    let words = difference(&library);
    assert!(words.is_empty(), "see docs/abi-policy.md, then record with SHIM_BLESS=1:\n{words}");
    assert_eq!(unversioned(&library), [""; 0]);
    assert_eq!(unmapped(root()), [""; 0]);
}

/// The recorded interface without the places where the sources lay.
fn without_places(recorded: &Path) {
    let text = std::fs::read_to_string(recorded).expect("it was written");
    // Of cargo's registry, `path='.../registry/src/<index>/libc-0.2.1/...'`.
    let lines = text.lines().map(|line| {
        let parts = line.split_once(" path='").and_then(|(before, path)| {
            let (_, inside) = path.split_once("/registry/src/")?;
            Some(format!("{before} path='{}\n", inside.split_once('/')?.1))
        });
        parts.unwrap_or_else(|| format!("{line}\n"))
    });
    std::fs::write(recorded, lines.collect::<String>()).expect("it can be written");
}

/// Every release's file of constants and types keeps compiling.
#[test]
fn frozen_files_compile() {
    let mut count = 0;
    for entry in std::fs::read_dir(root().join("tests/abi")).expect("it is there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_none_or(|extension| extension != "c") {
            continue;
        }
        count += 1;
        for compiler in [
            &["gcc", "-std=c11"][..],
            &["clang", "-std=c2x"],
            &["g++", "-std=c++11", "-x", "c++"],
            &["clang++", "-std=c++20", "-x", "c++"],
        ] {
            assert_eq!(complaint(compiler, &path, &root().join("include")), "", "{compiler:?}");
        }
    }
    assert!(count > 0, "no release is frozen");
}

fn complaint(compiler: &[&str], source: &Path, include: &Path) -> String {
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I"];
    let mut arguments: Vec<OsString> = compiler[1..].iter().map(OsString::from).collect();
    arguments.extend(strict.map(OsString::from));
    arguments.extend([include.into(), source.into()]);
    text(&tool(compiler[0], &arguments))
}

/// A changed constant and a changed type are found by the frozen file.
#[test]
fn a_changed_header_is_found() {
    let (guests, simulators) = ("frozen-0.1.c", "frozen-supervisor-0.1.c");
    for (frozen, header, old, new, reason) in [
        (
            guests,
            "log.h",
            "#define SHIM_LOG_WARNING 2",
            "#define SHIM_LOG_WARNING 3",
            "SHIM_LOG_WARNING == 2",
        ),
        (guests, "log.h", "int shim_log(int32_t level", "int shim_log(int64_t level", "shim_log"),
        (
            guests,
            "api.h",
            "uint64_t shim_simtime_ns(void)",
            "int64_t shim_simtime_ns(void)",
            "shim_simtime_ns",
        ),
        (
            simulators,
            "host.h",
            "#define SHIMHOST_KILLED 2",
            "#define SHIMHOST_KILLED 3",
            "SHIMHOST_KILLED == 2",
        ),
        (
            simulators,
            "host.h",
            "int shimhost_process_count(const struct shimhost *host)",
            "int shimhost_process_count(struct shimhost *host)",
            "shimhost_process_count",
        ),
    ] {
        let folder = Folder::new();
        let include = folder.path().join("shim");
        copy(&root().join("include/shim"), &include);
        edit(&include.join(header), old, new);
        let says =
            complaint(&["gcc", "-std=c11"], &root().join("tests/abi").join(frozen), folder.path());
        assert!(says.contains(reason), "{new}: {says}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a fresh folder can be written");
    for entry in std::fs::read_dir(from).expect("it can be read") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it has one").is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("it can be copied");
        }
    }
}

fn edit(path: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(path).expect("it is there");
    assert!(text.contains(old), "{} has no {old}", path.display());
    std::fs::write(path, text.replacen(old, new, 1)).expect("a copy can be written");
}

/// A copy of the sources that a build of the guest needs.
fn tree() -> Folder {
    let folder = Folder::new();
    for name in ["src", "build", "crates", "include"] {
        copy(&root().join(name), &folder.path().join(name));
    }
    for name in ["Cargo.toml", "Cargo.lock", "build.rs"] {
        std::fs::copy(root().join(name), folder.path().join(name)).expect("it can be copied");
    }
    folder
}

/// Each mistake: the file, what stands there, what stands there afterwards; and what must be said.
#[test]
fn mistakes_are_found() {
    let tree = tree();
    let build = || build(tree.path(), false, &[]);
    let made = |edits: &[(&str, &str, &str)], outcome: &dyn Fn() -> String, reason: &str| {
        let before: Vec<_> = edits
            .iter()
            .map(|(path, ..)| std::fs::read(tree.path().join(path)).expect("it is there"))
            .collect();
        for (path, old, new) in edits {
            edit(&tree.path().join(path), old, new);
        }
        let says = outcome();
        assert!(says.contains(reason), "{edits:?}: expected \"{reason}\":\n{says}");
        for ((path, ..), bytes) in edits.iter().zip(before).rev() {
            std::fs::write(tree.path().join(path), bytes).expect("a copy can be written");
        }
    };
    let compared = || difference(&build().expect("it can be built"));
    let refused = || build().expect_err("it cannot be linked");

    // The copy itself is without a mistake.
    let clean = build().expect("a copy can be built");
    assert_eq!(difference(&clean), "");
    assert_eq!(unversioned(&clean), [""; 0]);

    let shmem = "src/capi/shmem.rs";
    let version = "src/capi/version.rs";
    let map = "src/shim.map";
    let field = (
        "pub struct ShimShmemHost {\n    _opaque: ()",
        "pub struct ShimShmemHost {\n    _opaque: u64",
    );
    made(&[(shmem, field.0, field.1)], &compared, "type size changed from 0 to 64");

    let parameter = "extern \"C\" fn shim_log(level: i32, text: *const c_char) -> c_int {\n    crate::capi_impl::embed::shim_log(level";
    let widened = parameter
        .replace("level: i32", "level: i64")
        .replace("shim_log(level", "shim_log(level as i32");
    let widened = widened.replace("fn shim_log(level as i32:", "fn shim_log(level:");
    made(
        &[("src/capi/log.rs", parameter, &widened)],
        &compared,
        "parameter 1 of type 'i32' changed",
    );

    let function = "#[unsafe(no_mangle)]\npub unsafe extern \"C\" fn shim_log(";
    let gone = "#[allow(dead_code)]\npub unsafe extern \"C\" fn shim_log(";
    let line = "    shim_log;\n";
    made(&[("src/capi/log.rs", function, gone), (map, line, "")], &compared, "1 Removed");

    // A field of shared memory: the protocol's own record finds it.
    let field = [("crates/shim-abi/src/host.rs", "pub cpu_count: u32", "pub cpu_count: u64")];
    made(&field, &|| layout_test(tree.path()), "the layout is another one than that of protocol");

    // In the map and not in the code; in the code and not in the map.
    made(&[(map, line, "    shim_log;\n    shim_bogus;\n")], &refused, "shim_bogus");
    let stray = "#[unsafe(no_mangle)]\npub extern \"C\" fn shim_stray() -> u32 { 1 }\n\n/// Version of the library";
    let stray = [(version, "/// Version of the library", stray)];
    made(&stray, &|| format!("{:?}", unmapped(tree.path())), "shim_stray");

    // Without `local: *`, what the map does not name is exported without a version. What is of Rust stays out of that: of a
    // dependency's functions nothing but what is called can be linked.
    let open = [stray[0], (map, "  local:\n    *;\n", "  local:\n    _ZN*;\n    _R*;\n")];
    let leaked = || format!("{:?}", unversioned(&build().expect("it can be built")));
    made(&open, &leaked, "\"shim_stray\"");

    // The C library, and the wrapper that keeps the version script.
    let libc = "unsafe extern \"C\" {\n    fn getenv(name: *const u8) -> *const u8;\n}\n\
                pub(crate) fn calls_libc() -> bool {\n    // SAFETY: it is a text.\n    \
                unsafe { getenv(c\"A\".as_ptr().cast()).is_null() }\n}\n\n/// Version of the library";
    let call = (
        "crate::capi_impl::shim_version()",
        "crate::capi_impl::shim_version() + u32::from(calls_libc())",
    );
    let calls = [(version, "/// Version of the library", libc), (version, call.0, call.1)];
    made(&calls, &refused, "undefined reference to `getenv'");
    let wrapper = "        format!(\"-B{}\", wrapper_dir.display()),\n";
    made(&[("build/linker.rs", wrapper, "")], &refused, "anonymous version tag cannot be combined");

    // What precompiled `core` and `alloc` name, in a build that optimizes nothing away.
    let rt = std::fs::read_to_string(tree.path().join("src/rt.rs")).expect("it is there");
    let start = rt.find("core::arch::global_asm!(\n    \".macro SHIM_NEVER_CALLED");
    let personality = &rt[start.expect("it is there")..];
    let personality = &personality[..personality.find(");\n").expect("it ends") + 3];
    made(&[("src/rt.rs", personality, "")], &refused, "rust_eh_personality");
}

/// What the test of the protocol's layouts says.
fn layout_test(tree: &Path) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["test", "--locked", "-p", "shim-abi", "--test", "layout", "--target-dir"])
        .arg(target_dir().join("abi-mistakes"))
        .current_dir(tree)
        .env_remove("SHIM_BLESS")
        .output()
        .expect("cargo can be started");
    text(&output)
}

const PROGRAM: &str = "int shim_test_depth(void);\nunsigned shim_version(void);\n\
    int main(void) { return shim_version() == 0 ? 99 : shim_test_depth(); }\n";

/// Old programs get the old behaviour of a newer library; newer programs are told that a library is older.
#[test]
fn a_symbol_keeps_its_old_version_beside_a_newer_one() {
    let old = build(root(), false, &[("SHIM_TEST_SYMVER", "1.0")]).expect("it can be built");
    let new = build(root(), false, &[("SHIM_TEST_SYMVER", "1.1")]).expect("it can be built");
    let depths = |library: &Path| -> Vec<String> {
        let mut found: Vec<String> =
            exports(library).into_iter().filter(|symbol| symbol.contains("depth")).collect();
        found.sort_by(|a, b| b.len().cmp(&a.len()).then(a.cmp(b)));
        found
    };
    assert_eq!(depths(&old), ["shim_test_depth@@SHIM_1.0"]);
    assert_eq!(depths(&new), ["shim_test_depth@@SHIM_1.1", "shim_test_depth@SHIM_1.0"]);
    assert_eq!(exports(&new).len(), exports(&old).len() + 1, "nothing else changes");

    let folder = Folder::with(&[("depth.c", PROGRAM.as_bytes())]);
    let program = |name: &str, library: &Path| {
        let path = folder.path().join(name);
        let source = folder.path().join("depth.c");
        let output =
            tool("gcc", &["-o".into(), path.clone().into(), source.into(), library.into()]);
        assert!(output.status.success(), "{}", text(&output));
        path
    };
    let (old_program, new_program) = (program("old", &old), program("new", &new));
    let run = |program: &Path, library: &Path| {
        let folder = library.parent().expect("it lies in a folder");
        Run::native(program).env("LD_LIBRARY_PATH", folder).finish()
    };
    assert_eq!(run(&old_program, &old).status, Status::Code(1));
    assert_eq!(run(&old_program, &new).status, Status::Code(1), "the old behaviour");
    assert_eq!(run(&new_program, &new).status, Status::Code(2));
    let refused = run(&new_program, &old);
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        refused.status == Status::Code(1) && says.contains("version `SHIM_1.1' not found"),
        "{says}"
    );
}
