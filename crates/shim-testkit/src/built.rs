//! The library and the command under test, built once.
//!
//! Nothing comes in but the environment; the paths of `libshim.so`, `shim` and `libshim-supervisor.so` go out. Always true: they
//! were built in release mode by cargo calls of their own (the guest's features must not mix with the
//! rest), or were named by `SHIM_BUILD_DIR`, and exist. Tests in other processes wait for cargo's
//! own lock. What is done with the files is not here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A directory with a ready `libshim.so` and `shim`, to be tested instead of building them.
pub const BUILD_DIR_VARIABLE: &str = "SHIM_BUILD_DIR";

/// The files under test.
#[derive(Clone, Debug)]
pub struct Built {
    /// `libshim.so`; beside it lies `libshim-preload.so.1`.
    pub library: PathBuf,
    /// The command `shim`.
    pub command: PathBuf,
}

/// The root of the repository.
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies in crates/ of the repository")
}

/// `libshim.so`; built by the first caller.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| product("shim", "libshim.so"))
}

/// Library and command; built by the first caller.
pub fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let interposer = product("shim-preload", "libshim_preload.so");
        // By this name the command finds it beside the library; its build has made the link.
        let link = interposer.with_file_name("libshim-preload.so.1");
        assert!(link.is_file(), "{} is not there", link.display());
        Built { library: library().to_path_buf(), command: product("shim-cli", "shim") }
    })
}

/// `libshim-supervisor.so`, by the name that cargo gives it; built by the first caller.
pub fn supervisor() -> &'static Path {
    static SUPERVISOR: OnceLock<PathBuf> = OnceLock::new();
    SUPERVISOR.get_or_init(|| product("shim-supervisor-c", "libshim_supervisor_c.so"))
}

/// Where cargo put the running test, which is where it shall put what the test needs.
pub fn target_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    // <target>/<profile>/deps/<test>
    test.ancestors().nth(3).expect("cargo laid the test out").to_path_buf()
}

fn product(package: &str, file: &str) -> PathBuf {
    let path = match std::env::var_os(BUILD_DIR_VARIABLE) {
        Some(directory) => root().join(directory).join(file),
        None => {
            build(package);
            target_dir().join("release").join(file)
        }
    };
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

fn build(package: &str) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "-p", package, "--target-dir"])
        .arg(target_dir())
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "building {package} failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
