//! What a person is told: a line for each behaviour, the sum at the end, the same as JSON.
//!
//! Verdicts in, text out. Always true: text follows from the verdicts alone, in the order of the behaviours; whether a simulator
//! conforms is decided here and nowhere else: all that is required holds, and nothing fails. What a verdict
//! is made from is `verdict`'s.

use std::ffi::OsString;
use std::fmt::Write;

use serde_json::{Value, json};

use super::behaviours::Behaviour;
use super::verdict::Verdict;

/// Results, in the order in which they came.
#[derive(Default)]
pub struct Account {
    results: Vec<(Behaviour, Verdict)>,
}

/// Width of the longest word of a verdict.
const WORD: usize = "not supported".len();

impl Account {
    /// Add one; what is to be said about it now.
    pub fn take(&mut self, behaviour: &Behaviour, verdict: Verdict) -> String {
        let is_new_group =
            self.results.last().is_none_or(|(last, _)| last.group() != behaviour.group());
        let mut text = String::new();
        if !matches!(verdict, Verdict::NotRun(_)) {
            if is_new_group {
                text = format!("{}\n", behaviour.group());
            }
            text += &lines(behaviour, &verdict);
        }
        self.results.push((*behaviour, verdict));
        text
    }

    /// What has become of a behaviour.
    pub fn verdict(&self, name: &str) -> Option<&Verdict> {
        self.results
            .iter()
            .find(|(behaviour, _)| behaviour.name == name)
            .map(|(_, verdict)| verdict)
    }

    /// Whether all that is required holds, and nothing fails.
    pub fn conforms(&self) -> bool {
        self.results.iter().all(|(behaviour, verdict)| !stands_against(behaviour, verdict))
    }

    /// Whether one was not tried for this reason.
    pub fn was_not_run(&self, reason: &'static str) -> bool {
        self.results.iter().any(|(_, verdict)| *verdict == Verdict::NotRun(reason))
    }

    fn count(&self, word: &str) -> usize {
        self.results.iter().filter(|(_, verdict)| verdict.word() == word).count()
    }

    /// The sum.
    pub fn summary(&self) -> String {
        let mut text = format!(
            "\n{} of {} behaviours hold, {} fail, {} are not supported, {} were not run\n",
            self.count("holds"),
            self.results.len(),
            self.count("fails"),
            self.count("not supported"),
            self.count("not run"),
        );
        let reason = self.results.iter().find_map(|(_, verdict)| match verdict {
            Verdict::NotRun(reason) => Some(*reason),
            _ => None,
        });
        if let Some(reason) = reason {
            let _ = writeln!(text, "not run: {reason}");
        }
        if self.conforms() {
            return text + "the simulator conforms\n";
        }
        let against: Vec<String> = self
            .results
            .iter()
            .filter(|(behaviour, verdict)| stands_against(behaviour, verdict))
            .filter(|(_, verdict)| !matches!(verdict, Verdict::NotRun(_)))
            .map(|(behaviour, _)| behaviour.name.to_owned())
            .collect();
        let against =
            if against.is_empty() { String::new() } else { format!(": {}", against.join(", ")) };
        text + &format!("the simulator does not conform{against}\n")
    }

    /// All of it.
    pub fn json(&self, simulator: &[OsString]) -> Value {
        let simulator: Vec<_> = simulator.iter().map(|word| word.to_string_lossy()).collect();
        let behaviours: Vec<_> =
            self.results.iter().map(|(one, verdict)| entry(one, verdict)).collect();
        json!({
            "simulator": simulator,
            "conforms": self.conforms(),
            "holds": self.count("holds"),
            "fails": self.count("fails"),
            "not_supported": self.count("not supported"),
            "not_run": self.count("not run"),
            "behaviours": behaviours,
        })
    }
}

/// Whether a simulator with this result does not conform.
fn stands_against(behaviour: &Behaviour, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Holds => false,
        Verdict::Fails { .. } => true,
        Verdict::NotSupported(_) | Verdict::NotRun(_) => behaviour.is_required,
    }
}

fn lines(behaviour: &Behaviour, verdict: &Verdict) -> String {
    let first =
        format!("  {:<WORD$}  {}: {}", verdict.word(), behaviour.short_name(), behaviour.asserts);
    let more = |key: &str, text: &str| format!("  {:<WORD$}    {key}: {text}\n", "");
    match verdict {
        Verdict::Holds | Verdict::NotRun(_) => format!("{first}\n"),
        Verdict::NotSupported(reason) => {
            format!("{first} ({})\n{}", behaviour.grade(), more("reason", reason))
        }
        Verdict::Fails { expected, got } => format!(
            "{first} ({})\n{}{}{}",
            behaviour.grade(),
            more("expected", expected),
            more("got", got),
            more("see", behaviour.source),
        ),
    }
}

fn entry(behaviour: &Behaviour, verdict: &Verdict) -> Value {
    let mut entry = json!({
        "name": behaviour.name,
        "required": behaviour.is_required,
        "asserts": behaviour.asserts,
        "source": behaviour.source,
        "result": verdict.word(),
    });
    match verdict {
        Verdict::Holds => {}
        Verdict::Fails { expected, got } => {
            entry["expected"] = json!(expected);
            entry["got"] = json!(got);
        }
        Verdict::NotSupported(reason) => entry["reason"] = json!(reason),
        Verdict::NotRun(reason) => entry["reason"] = json!(reason),
    }
    entry
}

/// The lines of `--list`.
pub fn list<'a>(behaviours: impl Iterator<Item = &'a Behaviour>) -> String {
    let line = |one: &Behaviour| {
        format!("{:<27} {}  {} [{}]\n", one.name, one.grade(), one.asserts, one.source)
    };
    behaviours.map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::behaviours::Trial;
    use super::*;

    const NEEDED: Behaviour = Behaviour {
        name: "time/sleep",
        is_required: true,
        asserts: "sleeping takes no time",
        source: "sleep(3)",
        trial: Trial::Told,
    };
    const NICE: Behaviour = Behaviour { name: "threads/order", is_required: false, ..NEEDED };

    fn bad() -> Verdict {
        Verdict::Fails { expected: "one".into(), got: "two".into() }
    }

    fn lacking() -> Verdict {
        Verdict::NotSupported("clone: ENOSYS".into())
    }

    fn account(results: &[(Behaviour, Verdict)]) -> (Account, String) {
        let mut account = Account::default();
        let text =
            results.iter().map(|(one, verdict)| account.take(one, verdict.clone())).collect();
        (account, text)
    }

    #[test]
    fn who_conforms() {
        let conforms = |needed, nice| account(&[(NEEDED, needed), (NICE, nice)]).0.conforms();
        assert!(conforms(Verdict::Holds, Verdict::Holds));
        assert!(conforms(Verdict::Holds, lacking()));
        assert!(conforms(Verdict::Holds, Verdict::NotRun("x")));
        assert!(!conforms(Verdict::Holds, bad()));
        assert!(!conforms(bad(), Verdict::Holds));
        assert!(!conforms(lacking(), Verdict::Holds));
        assert!(!conforms(Verdict::NotRun("x"), Verdict::Holds));
    }

    #[test]
    fn a_person_is_told_what_was_expected_and_where_that_is_written() {
        let (all, text) = account(&[(NEEDED, bad()), (NICE, lacking())]);
        let expected = "\
time
  fails          sleep: sleeping takes no time (required)
                   expected: one
                   got: two
                   see: sleep(3)
threads
  not supported  order: sleeping takes no time (optional)
                   reason: clone: ENOSYS
";
        assert_eq!(text, expected);
        assert_eq!(
            all.summary(),
            "\n0 of 2 behaviours hold, 1 fail, 1 are not supported, 0 were not run\n\
             the simulator does not conform: time/sleep\n"
        );
        let json = all.json(&["sim".into()]);
        assert_eq!(json["conforms"], false);
        assert_eq!(json["behaviours"][0]["got"], "two");
        assert_eq!(json["behaviours"][1]["reason"], "clone: ENOSYS");
    }

    #[test]
    fn what_was_not_run_is_told_once() {
        let not_run = || Verdict::NotRun("no guest");
        let (all, text) = account(&[(NEEDED, bad()), (NEEDED, not_run()), (NICE, not_run())]);
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(all.summary().contains("2 were not run\nnot run: no guest\n"), "{}", all.summary());
        assert!(all.summary().ends_with("does not conform: time/sleep\n"), "{}", all.summary());
    }
}
