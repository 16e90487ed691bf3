//! `cargo run -p shim-gen`: write every made file anew.
//!
//! Nothing comes in but the sources; the names of the files that changed go to standard output. Always
//! true: a file that is current is not touched. What is made, and of what, is in the library beside.

use std::process::ExitCode;

fn main() -> ExitCode {
    match shim_gen::files::write_all() {
        Ok(changed) => {
            for path in &changed {
                println!("wrote {path}");
            }
            if changed.is_empty() {
                println!("everything is current");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("shim-gen: {error}");
            ExitCode::FAILURE
        }
    }
}
