//! What many hosts cost: wall time and memory of scenarios with hundreds of hosts.
//!
//! Words come in by the command line: only tables whose name (`sleep`, `fetch`) is one of them are made, and `clients=N` and `times=N`
//! make the second one smaller; tables go to standard output. Always true: no figure makes the run fail, but a process that does not
//! end as expected does; wall time is that of the whole command. `docs/performance.md` explains how to read them. What single
//! operations cost is `benches/costs/`.
//!
//! 1. `sleeping`: hosts that only sleep;
//! 2. `fetching`: servers and clients on a network;
//! 3. `memory`: what all processes of a run weigh.

mod fetching;
mod memory;
mod sleeping;

use shim_testkit::built::built;

fn main() {
    // What begins with a dash is cargo's.
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let number = |key: &str, otherwise| {
        let word = words.iter().find_map(|word| word.strip_prefix(key));
        word.map_or(otherwise, |word| word.parse().expect("there is a number behind ="))
    };
    let names: Vec<&String> = words.iter().filter(|word| !word.contains('=')).collect();
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|word| *word == name);
    built();
    if is_wanted("sleep") {
        sleeping::table();
        println!();
    }
    if is_wanted("fetch") {
        fetching::table(number("clients=", 900), number("times=", 10));
    }
}
