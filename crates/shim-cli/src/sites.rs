//! `shim sites`: what of a file's code is rewritten before guests run it, and why some of it is not.
//!
//! A file in, a line for each system call and each reading of the processor's clock or name out, then the sums.
//! Always true: what is printed is the plan that guests run by, from the same cache. What the ways and reasons
//! mean is `shim_patch::plan`'s.

use std::collections::BTreeMap;
use std::io::{self, Write};

use shim_abi::calls;
use shim_patch::cache::Cache;
use shim_patch::elf::Elf;
use shim_patch::plan::{Site, Way};
use shim_patch::scan::Kind;

use crate::message::message;
use crate::options;

/// Run the command; its exit status.
pub fn run(options: &options::Sites) -> u8 {
    let bytes = match std::fs::read(&options.file) {
        Ok(bytes) => bytes,
        Err(error) => return refuse(options, &error),
    };
    let elf = match Elf::parse(&bytes) {
        Ok(elf) => elf,
        Err(error) => return refuse(options, &error),
    };
    let (plan, _) = Cache::of_user().plan(&elf);
    // A reader that has seen enough (head) is no error.
    let _ = print(&elf, &plan.sites, options.left);
    0
}

fn refuse(options: &options::Sites, error: &dyn std::error::Error) -> u8 {
    message(format_args!("{}: {error}", options.file.display()));
    1
}

fn print(elf: &Elf<'_>, sites: &[Site], left_only: bool) -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut sums = BTreeMap::<_, [usize; 3]>::new();
    for site in sites {
        let outcome = outcome(site);
        sums.entry(site.kind).or_default()[outcome as usize] += 1;
        if left_only && outcome == Outcome::Jumps {
            continue;
        }
        let place = elf.name_of(site.address).map_or_else(String::new, |(name, offset)| {
            let name = name.split('@').next().unwrap_or_default();
            format!("{name}+{offset:#x}")
        });
        let (address, what) = (site.address, what(site));
        writeln!(out, "{address:#010x}  {what:<24}  {place:<32}  {}", way(site))?;
    }
    for (kind, [jump, trap, left]) in sums {
        let all = jump + trap + left;
        write!(out, "{}: {all}, of which {jump} jump", name(kind))?;
        match kind {
            Kind::Syscall => writeln!(out, " and {left} trap")?,
            _ => writeln!(out, ", {trap} trap and {left} stay as they are")?,
        }
    }
    if sites.is_empty() {
        writeln!(out, "no system calls, nor readings of the processor's clock or name")?;
    }
    out.flush()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Jumps,
    Traps,
    Stays,
}

fn outcome(site: &Site) -> Outcome {
    match site.way {
        Way::Before(_) | Way::Hop(_) => Outcome::Jumps,
        Way::Trap => Outcome::Traps,
        Way::Left(_) => Outcome::Stays,
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Syscall => "syscall",
        Kind::Rdtsc => "rdtsc",
        Kind::Rdtscp => "rdtscp",
        Kind::Cpuid => "cpuid",
    }
}

/// The instruction, with the call that it makes if that is seen.
fn what(site: &Site) -> String {
    let call = site.number.map(|number| {
        calls::lookup(number.into()).map_or_else(|| number.to_string(), |call| call.name.to_owned())
    });
    match call {
        Some(call) => format!("{} {call}", name(site.kind)),
        None => name(site.kind).to_owned(),
    }
}

fn way(site: &Site) -> String {
    match site.way {
        Way::Before(first) => format!("jump at {first:#x}"),
        Way::Hop(landing) => format!("jump by way of {landing:#x}"),
        Way::Trap => "trap: no room before it and no padding near it".to_owned(),
        Way::Left(reason) => format!("left: {reason}"),
    }
}
