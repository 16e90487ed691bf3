//! A page about a run that is over: one HTML file that needs nothing else.
//!
//! A data directory in, a [`Page`] out. Always true: nothing but the directory is looked at, so a page can be made years later on
//! another machine; what is damaged is told and the rest is shown; the page's length is bounded however long a run was and however many
//! hosts it had; and names that guests chose are words in it, never markup. Where the page is written is the command's.
//!
//! The rooms, in the order of a page's making: `run` reads the directory, with `capture` and `flows` for packets, `log`
//! and `traces`; `series` are amounts over time; `faults`, `drawing`, `timeline` and `plots` draw, `tables` and `sockets` list, in `units` that
//! suit; `page` puts them together.
//!
//! Why hand-made SVG: a library of charts draws words into its pictures, which a browser can neither stretch with the window nor keep
//! readable; here pictures hold shapes, and words are text beside them.

mod capture;
mod drawing;
mod faults;
mod flows;
mod log;
mod page;
mod plots;
mod run;
mod series;
mod sockets;
mod tables;
mod timeline;
mod traces;
mod units;

use std::path::Path;

/// What was made of a data directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The text of an HTML file.
    pub html: String,
    /// What could not be read, one line each; the page has it, too.
    pub troubles: Vec<String>,
}

/// The page about the run in `folder`; nothing if that is no data directory.
pub fn page(folder: &Path) -> Option<Page> {
    let run = run::Run::read(folder)?;
    let html = page::text(&run);
    Some(Page { html, troubles: run.troubles })
}
