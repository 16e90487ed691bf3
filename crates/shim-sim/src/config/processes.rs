//! The processes of a host.
//!
//! The list `processes` of a host in, [`Process`]es out. Always true: what comes out can be executed: the
//! program exists, and no argument or variable holds a NUL or, in its name, a `=`. Lists that hosts share
//! by an anchor or a merge key are read once. What became of processes is compared elsewhere (the engine).
//!
//! Why `shlex`: it splits as a POSIX shell does, and as GLib's `g_shell_parse_argv`, which Shadow calls.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::str::FromStr;

use nix::sys::signal::Signal;
use shim_abi::SimTime;

use super::document::{Kind, Node, Scalar, Value};
use super::keys;
use super::problem::{Report, did_you_mean};
use super::programs::Surroundings;
use super::reader::{Mismatch, Reading, Section, describe, integer, list_of, nullable, text, time};
use super::scenario::{FinalState, Process};

/// Last signal of Linux (SIGRTMAX).
const LAST_SIGNAL: i128 = 64;

/// Reads the processes of all hosts.
pub(super) struct ProcessReader<'s> {
    surroundings: &'s mut Surroundings,
    stop_time: Option<SimTime>,
    known: BTreeMap<*const Node, Option<Rc<Vec<Process>>>>,
}

impl<'s> ProcessReader<'s> {
    /// For a simulation that ends at `stop_time`, if that is known.
    pub(super) fn new(
        surroundings: &'s mut Surroundings,
        stop_time: Option<SimTime>,
    ) -> ProcessReader<'s> {
        ProcessReader { surroundings, stop_time, known: BTreeMap::new() }
    }

    /// The processes of a host.
    pub(super) fn read(
        &mut self,
        host: &Section<'_>,
        report: &mut Report,
    ) -> Option<Rc<Vec<Process>>> {
        let path = host.name("processes");
        let Some(entry) = host.entry("processes") else {
            let message = format!("{path} is missing: write what the host runs, or []");
            report.problem(host.place(), message);
            return None;
        };
        if let Some(known) = self.known.get(&Rc::as_ptr(&entry.node)) {
            return known.clone();
        }
        let processes = self.read_list(&path, &entry.node, report).map(Rc::new);
        self.known.insert(Rc::as_ptr(&entry.node), processes.clone());
        processes
    }

    fn read_list(&mut self, path: &str, node: &Node, report: &mut Report) -> Option<Vec<Process>> {
        let Value::List(items) = &node.value else {
            let found = describe(node);
            report.problem(
                &node.place,
                format!("{path} is {found}, but must be a list: '- path: /bin/date'"),
            );
            return None;
        };
        let mut processes = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let section = Section::open(item, &item.place, &path, &keys::PROCESS, report);
            if let Some(process) = section.and_then(|section| self.read_one(&section, report)) {
                processes.push(process);
            }
        }
        Some(processes)
    }

    fn read_one(&mut self, section: &Section<'_>, report: &mut Report) -> Option<Process> {
        const PATH: &str = "the path or name of a program such as /usr/bin/curl or curl";
        let path = section.required("path", PATH, |node| text(node, PATH), report);
        let program = path.as_ref().and_then(|path| {
            let found = self.surroundings.program(path);
            let place = section.place_of("path");
            found.map_err(|reason| report.problem(&place, reason)).ok()
        });
        let args = section.optional("args", args, report);
        let environment = section.entry("environment").map_or_else(
            || Some(BTreeMap::new()),
            |entry| read_environment(&section.name("environment"), &entry.node, report),
        );
        let instant = |node: &Node| time(node).map(|after| SimTime::ZERO + after);
        let start_time = section.optional("start_time", instant, report).unwrap_or(SimTime::ZERO);
        let shutdown_time = section.optional("shutdown_time", nullable(instant), report).flatten();
        let shutdown_signal = section.optional("shutdown_signal", signal, report);
        let expected_final_state = match section.entry("expected_final_state") {
            None => Some(FinalState::Exited(0)),
            Some(entry) => {
                let name = section.name("expected_final_state");
                read_final_state(&name, &entry.node, report)
            }
        };
        self.check_times(section, start_time, shutdown_time, report);
        let expanded = self.surroundings.expand(&path?).ok()?;
        let first = expanded.into_os_string().into_string().ok()?;
        Some(Process {
            program: program?,
            args: std::iter::once(first).chain(args.unwrap_or_default()).collect(),
            environment: environment?,
            start_time,
            shutdown_time,
            shutdown_signal: shutdown_signal.unwrap_or(Signal::SIGTERM as i32),
            expected_final_state: expected_final_state?,
        })
    }

    fn check_times(
        &self,
        section: &Section<'_>,
        start_time: SimTime,
        shutdown_time: Option<SimTime>,
        report: &mut Report,
    ) {
        // A stop time of 0 has been complained about already.
        let stop_time = self.stop_time.filter(|stop| *stop != SimTime::ZERO);
        if stop_time.is_some_and(|stop| start_time >= stop) {
            let message =
                "the process starts when the simulation has ended already (general.stop_time)";
            report.problem(&section.place_of("start_time"), message);
        } else if shutdown_time.is_some_and(|shutdown| start_time >= shutdown) {
            let message = "the process is shut down before it starts";
            report.problem(&section.place_of("shutdown_time"), message);
        } else if let (Some(stop), Some(shutdown)) = (stop_time, shutdown_time)
            && shutdown >= stop
        {
            let message = "the process is shut down when the simulation has ended already (general.stop_time)";
            report.problem(&section.place_of("shutdown_time"), message);
        }
    }
}

fn args(node: &Node) -> Reading<Vec<String>> {
    const EXPECTED: &str = "one text such as \"-n 5 'a b'\" or a list such as [-n, \"5\", a b]";
    let words = match &node.value {
        _ if node.is_null() => Vec::new(),
        Value::List(_) => list_of(node, EXPECTED, |item| text(item, "text"))?,
        _ => shlex::split(text(node, EXPECTED)?.trim()).ok_or_else(|| {
            Mismatch::because(
                EXPECTED,
                "a quotation mark in it is never closed, or a backslash ends it",
            )
        })?,
    };
    if words.iter().any(|word| word.contains('\0')) {
        return Err(Mismatch::because(EXPECTED, "an argument cannot contain the character NUL"));
    }
    Ok(words)
}

fn read_environment(
    path: &str,
    node: &Node,
    report: &mut Report,
) -> Option<BTreeMap<String, String>> {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        _ if node.is_null() => return Some(BTreeMap::new()),
        Value::Scalar(Scalar { text, kind: Kind::Text, .. }) if text.trim().is_empty() => {
            return Some(BTreeMap::new());
        }
        Value::Scalar(Scalar { text, kind: Kind::Text, .. }) if text.contains('=') => {
            report.problem(
                &node.place,
                format!(
                    "{path} is one text, as in older versions: write a mapping such as {}",
                    as_mapping(text)
                ),
            );
            return None;
        }
        _ => {
            let mismatch = Mismatch::new("a mapping such as {LANG: C, DEBUG: \"1\"}");
            mismatch.report(path, node, report);
            return None;
        }
    };
    let mut environment = BTreeMap::new();
    for entry in entries {
        let name = super::reader::shorten(&entry.key);
        if entry.key.is_empty() || entry.key.contains(['=', '\0']) {
            let message = format!("a variable cannot be named '{name}'");
            report.problem(&entry.place, message);
            continue;
        }
        match text(&entry.node, "text") {
            Ok(value) if value.contains('\0') => {
                let message = format!("{path}.{name} cannot contain the character NUL");
                report.problem(&entry.node.place, message);
            }
            Ok(value) => drop(environment.insert(entry.key.clone(), value)),
            Err(mismatch) => mismatch.report(&format!("{path}.{name}"), &entry.node, report),
        }
    }
    Some(environment)
}

/// The old form `A=1;B=2` in the new one.
fn as_mapping(text: &str) -> String {
    let pairs: Vec<String> = text
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| format!("{name}: \"{}\"", value.replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

/// A signal by its name or number.
pub(super) fn signal(node: &Node) -> Reading<i32> {
    const EXPECTED: &str = "a signal such as SIGTERM or 15";
    let Value::Scalar(scalar) = &node.value else { return Err(Mismatch::new(EXPECTED)) };
    match scalar.kind {
        Kind::Integer(number @ 1..=LAST_SIGNAL) => {
            i32::try_from(number).map_err(|_| Mismatch::new(EXPECTED))
        }
        Kind::Text => Signal::from_str(&scalar.text).map(|signal| signal as i32).map_err(|_| {
            let wanted = scalar.text.to_uppercase();
            let wanted = if wanted.starts_with("SIG") { wanted } else { format!("SIG{wanted}") };
            match did_you_mean(&wanted, Signal::iterator().map(Signal::as_str)) {
                guess if guess.is_empty() => Mismatch::new(EXPECTED),
                guess => Mismatch::because(EXPECTED, guess.trim_start_matches(", ")),
            }
        }),
        _ => Err(Mismatch::new(EXPECTED)),
    }
}

fn read_final_state(path: &str, node: &Node, report: &mut Report) -> Option<FinalState> {
    const EXPECTED: &str = "running, {exited: 0} or {signaled: SIGKILL}";
    match &node.value {
        Value::Scalar(scalar) if scalar.kind == Kind::Text && scalar.text == "running" => {
            return Some(FinalState::Running);
        }
        Value::Map(_) => {}
        _ => {
            Mismatch::new(EXPECTED).report(path, node, report);
            return None;
        }
    }
    let section = Section::open(node, &node.place, path, &keys::FINAL_STATE, report)?;
    match (section.entry("exited"), section.entry("signaled")) {
        (Some(_), None) => {
            let status = section.optional("exited", integer(0..=255), report)?;
            i32::try_from(status).ok().map(FinalState::Exited)
        }
        (None, Some(_)) => section.optional("signaled", signal, report).map(FinalState::Signaled),
        (Some(_), Some(_)) => {
            report.problem(&node.place, format!("{path} must be one of {EXPECTED}, not two"));
            None
        }
        // Any other key has been complained about already.
        (None, None) => {
            if matches!(&node.value, Value::Map(entries) if entries.is_empty()) {
                report.problem(&node.place, format!("{path} must be {EXPECTED}, not empty"));
            }
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_split_as_a_shell_does() {
        let split = |text: &str| shlex::split(text.trim());
        let table: [(&str, &[&str]); 9] = [
            ("", &[]),
            ("  a   b\tc\n", &["a", "b", "c"]),
            (
                "the \"jumped over\" the '\"lazy\"' dog",
                &["the", "jumped over", "the", "\"lazy\"", "dog"],
            ),
            (r"a\ b \'c\'", &["a b", "'c'"]),
            (r#""a \$b \n \"c\"""#, &[r#"a $b \n "c""#]),
            ("'it'\"'\"'s'", &["it's"]),
            ("a'b'\"c\"d", &["abcd"]),
            ("'' \"\"", &["", ""]),
            ("~/x $HOME *.c", &["~/x", "$HOME", "*.c"]),
        ];
        for (text, expected) in table {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        for text in ["hello \"world", "it's", "a \\"] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    #[test]
    fn old_environments_are_shown_in_the_new_form() {
        assert_eq!(as_mapping("A=1;B=x y"), "{A: \"1\", B: \"x y\"}");
    }
}
