//! `shim report`: a page about a run that is over.
//!
//! Options in, an exit status out. Always true: a file that is there already is not overwritten, and none is left that is not whole;
//! what could not be read is told on standard error, one line each. What the page shows is `shim_sim::report`'s.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use shim_sim::report::page;

use crate::message::message;
use crate::options::report::Report;
use crate::run::{REFUSED, UNEXPECTED, print};

/// Run the command; its exit status.
pub fn run(options: &Report) -> u8 {
    match try_run(options) {
        Ok(status) => status,
        Err(text) => {
            message(text);
            REFUSED
        }
    }
}

fn try_run(options: &Report) -> Result<u8, String> {
    let directory = &options.directory;
    let output = options.output.clone().unwrap_or_else(|| beside(directory));
    if output != Path::new("-") && output.symlink_metadata().is_ok() {
        return Err(exists(&output));
    }
    if let Err(error) = fs::read_dir(directory) {
        return Err(format!("cannot read {}: {error}", directory.display()));
    }
    let page = page(directory).ok_or_else(|| {
        format!(
            "{} is not the data directory of a run: it has neither sim-stats.json nor processed-config.yaml",
            directory.display()
        )
    })?;
    page.troubles.iter().for_each(message);
    if output == Path::new("-") {
        print(&page.html);
    } else {
        write(&output, &page.html)?;
        print(&format!("{}\n", output.display()));
    }
    Ok(if page.troubles.is_empty() { 0 } else { UNEXPECTED })
}

/// Where the page goes if nobody says: not into the directory, which holds what the run has written.
fn beside(directory: &Path) -> PathBuf {
    let named = directory.components().as_path();
    let name = named.file_name().map_or_else(|| OsString::from("report"), OsString::from);
    let mut file = name;
    file.push(".html");
    named.with_file_name(file)
}

fn exists(output: &Path) -> String {
    format!("{} exists already: remove it, or name another file with --output", output.display())
}

fn write(output: &Path, html: &str) -> Result<(), String> {
    let failure = |error| format!("cannot write {}: {error}", output.display());
    let mut file = match File::create_new(output) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(output)),
        Err(error) => return Err(failure(error)),
    };
    file.write_all(html.as_bytes()).map_err(|error| {
        // Half a page is worse than none.
        let _ = fs::remove_file(output);
        failure(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_stands_beside_the_directory() {
        for (directory, file) in [
            ("shim.data", "shim.data.html"),
            ("a/shim.data/", "a/shim.data.html"),
            ("/x/y/.", "/x/y.html"),
            ("..", "report.html"),
        ] {
            let beside = beside(Path::new(directory));
            assert!(beside.ends_with(file), "{directory}: {beside:?}");
        }
    }
}
