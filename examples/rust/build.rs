//! Finds the installed libraries: libshim for a guest, libshim-supervisor for a simulator.
//!
//! The answers of pkg-config in, arguments for the linker out. Always true: each program is linked with the library that
//! it is about; without one the build fails, and says where it looked.

fn main() {
    let simulators = ["two_hosts", "simulator"].map(|program| ("shim-supervisor", program));
    for (library, program) in [("shim", "shim-example")].into_iter().chain(simulators) {
        let mut search = pkg_config::Config::new();
        let found = search.atleast_version("0.1").cargo_metadata(false).probe(library);
        let found = found.unwrap_or_else(|error| {
            eprintln!("{error}");
            std::process::exit(1);
        });
        let folders = found.link_paths.iter().map(|folder| format!("-L{}", folder.display()));
        let libraries = found.libs.iter().map(|name| format!("-l{name}"));
        for argument in folders.chain(libraries) {
            println!("cargo:rustc-link-arg-bin={program}={argument}");
        }
    }
}
