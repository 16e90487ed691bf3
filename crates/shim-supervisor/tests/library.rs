//! Which files are accepted as the guest library, and what the refusals say.
//!
//! Small libraries built by the tests in, errors out. Preloading them is not tried here.

mod common;

use std::path::Path;

use common::{build_library, folder, library, note};
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};
use shim_supervisor::{Library, LibraryError};

fn refusal(path: impl AsRef<Path>) -> (LibraryError, String) {
    let error = Library::open(path).unwrap_err();
    let text = error.to_string();
    (error, text)
}

#[test]
fn the_right_version_is_accepted() {
    let library = library();
    assert!(library.path().is_absolute());
    assert_eq!(library.protocol(), (PROTOCOL_MAJOR, PROTOCOL_MINOR));
}

#[test]
fn another_version_is_refused_with_both_versions_and_files() {
    let path = build_library("libwrong", &note(PROTOCOL_MAJOR + 7, 31));
    let (error, text) = refusal(&path);
    assert!(matches!(error, LibraryError::Version { library: (_, 31), .. }), "{error:?}");
    for part in [
        path.to_str().unwrap(),
        std::env::current_exe().unwrap().to_str().unwrap(),
        &format!("{}.31", PROTOCOL_MAJOR + 7),
        &format!("{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"),
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn a_note_without_a_segment_is_found_by_its_section() {
    // Not allocated: no segment has it.
    let text = note(PROTOCOL_MAJOR, PROTOCOL_MINOR).replace("\"a\"", "\"\"");
    assert!(Library::open(build_library("libsection", &text)).is_ok());
}

#[test]
fn a_library_without_the_note_is_refused() {
    let path = build_library("libplain", ".section .note.GNU-stack,\"\",@progbits\n");
    assert!(matches!(refusal(path).0, LibraryError::NoNote { .. }));
    let short =
        ".section .note.shim,\"a\",@note\n.long 5, 4, 1\n.asciz \"shim\"\n.balign 4\n.long 0\n";
    assert!(matches!(refusal(build_library("libshort", short)).0, LibraryError::NoNote { .. }));
}

#[test]
fn the_library_beside_it_is_preloaded_too() {
    let beside = folder().join("beside");
    std::fs::create_dir_all(&beside).unwrap();
    let path = beside.join("libshim.so");
    std::fs::copy(library().path(), &path).unwrap();
    let interposer = beside.join("libshim-preload.so.1");
    _ = std::fs::remove_file(&interposer);
    assert_eq!(Library::open(&path).unwrap().preload_list(), path.as_os_str());
    // A link to nothing is not there.
    std::os::unix::fs::symlink("nowhere.so", &interposer).unwrap();
    assert_eq!(Library::open(&path).unwrap().preload_list(), path.as_os_str());
    std::fs::remove_file(&interposer).unwrap();
    std::fs::copy(&path, &interposer).unwrap();
    let both = format!("{}:{}", path.display(), interposer.display());
    assert_eq!(Library::open(&path).unwrap().preload_list(), both.as_str());
}

#[test]
fn what_is_no_library_is_refused() {
    let (error, text) = refusal(folder().join("nowhere.so"));
    assert!(matches!(error, LibraryError::Unreadable { .. }), "{error:?}");
    assert!(text.contains("nowhere.so") && text.contains("No such file"), "{text}");

    let script = folder().join("script.so");
    std::fs::write(&script, "#!/bin/sh\n").unwrap();
    let not_a_library = |path: &Path| matches!(refusal(path).0, LibraryError::NotALibrary { .. });
    assert!(not_a_library(&script));
    assert!(not_a_library(Path::new("/dev/zero")));
    assert!(not_a_library(folder()));
    // The right bytes, for another processor; and cut short.
    let mut bytes = std::fs::read(library().path()).unwrap();
    std::fs::write(&script, &bytes[..100]).unwrap();
    assert!(Library::open(&script).is_err());
    bytes[18] = 40;
    std::fs::write(&script, bytes).unwrap();
    assert!(not_a_library(&script));
}

#[test]
fn a_path_that_cannot_be_preloaded_is_refused() {
    for name in ["with space", "with:colon", "with\nline", "with$ORIGIN"] {
        let directory = folder().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("libshim.so");
        std::fs::copy(library().path(), &path).unwrap();
        let (error, text) = refusal(&path);
        assert!(matches!(error, LibraryError::Unpreloadable { .. }), "{error:?}");
        assert!(text.contains("symbolic link"), "{text}");
        // The advice works.
        let link = folder().join("link.so");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(Library::open(&link).is_ok());
    }
}
