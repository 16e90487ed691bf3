//! `shim conformance`: which behaviours hold of a simulator, ours or anybody's.
//!
//! Options in, an exit status out. Always true: a simulator is known by its command alone; what is printed on standard output
//! follows from what it does; when this returns none of its processes is left. Rooms: [`behaviours`] (what is asserted, as
//! a table), [`mod@bench`] (runs of the simulator), [`words`] (what its guest says), [`verdict`] (what follows), [`family`]
//! (whom a run has started), [`account`] (what a person is told). The guest is `guest/*.c` of this crate.

mod account;
mod behaviours;
mod bench;
mod family;
mod verdict;
mod words;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::interrupt;
use crate::message::message;
use crate::options::conformance::Conformance;
use account::Account;
use behaviours::{BEHAVIOURS, Behaviour, MANAGED, STARTS};
use bench::{Bench, Failure};
use verdict::Verdict;

/// Exit status where something does not hold.
const FOUND: u8 = 1;
/// Exit status where nothing could be found out.
const REFUSED: u8 = 2;

const INTERRUPTED: &str = "somebody interrupted";
const NOT_STARTED: &str = "SIMULATOR does not start the program (hand-off/starts)";
const NOT_MANAGED: &str =
    "the program is no guest (hand-off/managed); --unmanaged goes on nevertheless";

/// Run the command; its exit status.
pub fn run(options: &Conformance) -> u8 {
    match try_run(options) {
        Ok(status) => status,
        Err(text) => {
            message(text);
            REFUSED
        }
    }
}

fn try_run(options: &Conformance) -> Result<u8, String> {
    let chosen = choose(&options.only)?;
    if options.list {
        say(&account::list(chosen.into_iter()));
        return Ok(0);
    }
    family::adopt().map_err(|error| format!("cannot watch over runs: {error}"))?;
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_interrupted);
    interrupt::watch_twice(move || flag.store(true, SeqCst))
        .map_err(|error| format!("cannot watch for signals: {error}"))?;
    let mut json = options.json.as_deref().map(open).transpose()?;
    let bench = Bench::new(
        &options.simulator,
        options.guest.as_deref(),
        options.timeout.0,
        Arc::clone(&is_interrupted),
    )?;

    let mut account = Account::default();
    let is_quiet = options.json.as_deref() == Some(Path::new("-"));
    let tell = |text: &str| {
        if !is_quiet {
            say(text);
        }
    };
    for behaviour in chosen {
        let obstacle = match is_interrupted.load(SeqCst) {
            true => Some(INTERRUPTED),
            false => obstacle(behaviour, &account, options.unmanaged),
        };
        let verdict = match obstacle {
            Some(reason) => Verdict::NotRun(reason),
            None => match bench.attempt(behaviour) {
                Ok(verdict) => verdict,
                Err(Failure::Interrupted) => Verdict::NotRun(INTERRUPTED),
                Err(Failure::Unable(text)) => return Err(text),
            },
        };
        tell(&account.take(behaviour, verdict));
    }
    tell(&account.summary());
    if let Some(file) = &mut json {
        let text = format!("{:#}\n", account.json(&options.simulator));
        file.write_all(text.as_bytes())
            .map_err(|error| format!("cannot write results: {error}"))?;
    }
    Ok(if account.conforms() && !account.was_not_run(INTERRUPTED) { 0 } else { FOUND })
}

/// Those that are meant, and before them the two on which all others depend.
fn choose(patterns: &[String]) -> Result<Vec<&'static Behaviour>, String> {
    let is_meant = |pattern: &String| BEHAVIOURS.iter().any(|one| one.is_meant_by(pattern));
    if let Some(pattern) = patterns.iter().find(|pattern| !is_meant(pattern)) {
        return Err(format!("--only {pattern}: no behaviour has such a name; --list shows all"));
    }
    let is_chosen = |one: &&Behaviour| {
        let is_first = matches!(one.name, STARTS | MANAGED);
        patterns.is_empty() || is_first || patterns.iter().any(|pattern| one.is_meant_by(pattern))
    };
    Ok(BEHAVIOURS.iter().filter(is_chosen).collect())
}

/// Why a behaviour need not be tried after what was found so far.
fn obstacle(behaviour: &Behaviour, account: &Account, goes_on: bool) -> Option<&'static str> {
    let is_bad = |name| account.verdict(name).is_some_and(|verdict| *verdict != Verdict::Holds);
    if is_bad(STARTS) {
        return Some(NOT_STARTED);
    }
    (is_bad(MANAGED) && !goes_on && behaviour.group() != "hand-off").then_some(NOT_MANAGED)
}

fn open(path: &Path) -> Result<Box<dyn Write>, String> {
    if path == "-" {
        return Ok(Box::new(io::stdout()));
    }
    match File::create(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(format!("cannot write {}: {error}", path.display())),
    }
}

/// A reader that has seen enough (head) is no error.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_first_are_always_among_the_chosen() {
        let chosen = choose(&["calls/large".to_owned()]).unwrap();
        let names: Vec<_> = chosen.iter().map(|one| one.name).collect();
        assert_eq!(names, [STARTS, MANAGED, "calls/large"]);
        assert_eq!(choose(&[]).unwrap().len(), BEHAVIOURS.len());
        assert!(choose(&["time".into(), "tme".into()]).unwrap_err().contains("--only tme"));
    }

    #[test]
    fn what_stands_in_the_way() {
        let fails = || Verdict::Fails { expected: String::new(), got: String::new() };
        let mut account = Account::default();
        let (starts, managed, blocks) = (&BEHAVIOURS[0], &BEHAVIOURS[1], &BEHAVIOURS[2]);
        let other = BEHAVIOURS.last().unwrap();
        assert_eq!(obstacle(starts, &account, false), None);
        account.take(starts, Verdict::Holds);
        account.take(managed, fails());
        assert_eq!(obstacle(blocks, &account, false), None);
        assert_eq!(obstacle(other, &account, false), Some(NOT_MANAGED));
        assert_eq!(obstacle(other, &account, true), None);
        let mut account = Account::default();
        account.take(starts, fails());
        assert_eq!(obstacle(blocks, &account, true), Some(NOT_STARTED));
    }
}
