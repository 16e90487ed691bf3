//! What being a guest costs: each operation natively, at its floor, and as a guest, in one table.
//!
//! Words come in by the command line: only lines whose title has one of them are measured; a table goes to
//! standard output. Always true: all figures of a table are from one run on one machine, so the ratios carry
//! over where the figures do not, and no figure makes the run fail. `docs/performance.md` explains how to
//! read it. Many hosts are `benches/hosts/`.
//!
//! 1. `rows`: what is measured, and what was promised;
//! 2. `cell`: how a line is measured;
//! 3. `memory`: what a process weighs;
//! 4. `table`: how it is shown;
//! 5. `plot`: the lines about connections, as a picture.

mod cell;
mod memory;
mod plot;
mod rows;
mod table;

use std::fs;
use std::io::Write;

use shim_testkit::built::built;

use crate::rows::ROWS;

/// The machine, and whether others used it: as much as one has to know to compare two tables.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let count = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let load = read("/proc/loadavg");
    format!(
        "{count} x {}, Linux {}, load {} before the run",
        model.unwrap_or_default().trim_start_matches([' ', '\t', ':']),
        read("/proc/sys/kernel/osrelease").trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}

fn main() {
    // What begins with a dash is cargo's.
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |title: &str| words.is_empty() || words.iter().any(|word| title.contains(word));
    let rows: Vec<_> = ROWS.iter().filter(|row| is_wanted(row.title)).collect();
    if rows.is_empty() {
        let titles: Vec<_> = ROWS.iter().map(|row| row.title).collect();
        eprintln!("no line has one of these words; there are:\n{}", titles.join("\n"));
        std::process::exit(2);
    }
    built();
    println!("{}", machine());
    println!("Nanoseconds for one operation (memory: KiB), the fastest of many batches.\n");
    println!("{}", table::head());
    let mut points = Vec::new();
    for row in rows {
        let figures = cell::measure(row);
        println!("{}", table::line(row, &figures));
        std::io::stdout().flush().expect("standard output is there");
        points.extend(plot::point(row, &figures));
    }
    if let Some(file) = std::env::var_os(plot::VARIABLE) {
        plot::write(&points, file.as_ref()).expect("the picture can be drawn");
    }
    println!("\ndocs/performance.md says what the columns mean.");
}
