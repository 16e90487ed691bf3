//! Finds the installed libshim.
//!
//! The answer of pkg-config in, arguments for the linker out. Always true: without the library the build
//! fails, and says where it looked.

fn main() {
    if let Err(error) = pkg_config::Config::new().atleast_version("0.1").probe("shim") {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
