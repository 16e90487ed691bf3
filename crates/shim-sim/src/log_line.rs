//! One line of text for each log record of a guest, of its host, or of the engine.
//!
//! A source, an instant, a level and a text in, a line out. Always true: control characters in a
//! guest's text are escaped, so a record is one line and cannot drive a terminal.

use shim_abi::SimTime;
use shim_host::Source;

/// `<time> <LEVEL> <host> <program>[<pid>/<tid>] <text>`.
pub fn log_line(source: &Source<'_>, time: SimTime, level: log::Level, text: &str) -> String {
    let line = format!(
        "{time} {level:<5} {} {}[{}/{}] ",
        source.host, source.program, source.pid, source.tid
    );
    with_text(line, text)
}

/// `<time> <LEVEL> <host> shim: <text>`: what the simulator itself says about a host, or with `-` about
/// all of them.
pub fn engine_line(time: SimTime, level: log::Level, host: &str, text: &str) -> String {
    with_text(format!("{time} {level:<5} {host} shim: "), text)
}

fn with_text(mut line: String, text: &str) -> String {
    for c in text.trim_end_matches('\n').chars() {
        if c.is_control() && c != '\t' { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let source = Source { host: "alice", program: "perl", pid: 1000, tid: 1001, root: 1000 };
        assert_eq!(
            log_line(&source, SimTime::from_ns(1_500_000_000), log::Level::Warn, "a\nb\x1b[0mé\n"),
            "1.500000000 WARN  alice perl[1000/1001] a\\nb\\u{1b}[0mé"
        );
    }
}
