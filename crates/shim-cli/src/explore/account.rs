//! What a person is told of an exploration.
//!
//! Outcomes in the order of seeds in, words out. Always true: findings and their sum are the only things on standard
//! output, and nothing there depends on real time; the first of a kind is told in full as soon as all seeds before it are
//! over, the others are counted and listed at the end. When an outcome comes is `explore`'s.

use std::io::IsTerminal;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::attempt::{Outcome, Plan};
use super::finding::Finding;
use super::seeds::list;
use crate::message::message;
use crate::options::scenario::Explore;
use crate::run::print;

/// The runs so far.
pub struct Account<'a> {
    plan: &'a Plan,
    began: Instant,
    total: u64,
    most_findings: u64,
    is_quiet: bool,
    bar: Option<ProgressBar>,
    runs: u64,
    findings: u64,
    /// Each with its seeds.
    kinds: Vec<(String, Vec<u64>)>,
}

impl<'a> Account<'a> {
    /// Nothing has been run yet.
    pub fn new(options: &Explore, plan: &'a Plan) -> Account<'a> {
        let total = options.seeds.count();
        let is_wanted = !options.quiet && std::io::stderr().is_terminal();
        let bar = is_wanted.then(|| {
            let style =
                ProgressStyle::with_template("{wide_bar} {pos} of {len} seeds{msg} {elapsed}");
            let bar = ProgressBar::new(total);
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Account {
            plan,
            began: Instant::now(),
            total,
            most_findings: options.stop_after.unwrap_or(u64::MAX),
            is_quiet: options.quiet,
            bar,
            runs: 0,
            findings: 0,
            kinds: Vec::new(),
        }
    }

    /// One more run is over, whichever.
    pub fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Whether nothing that comes would be told.
    pub fn is_complete(&self) -> bool {
        self.findings >= self.most_findings || self.runs == self.total
    }

    /// Whether there are any.
    pub fn has_findings(&self) -> bool {
        self.findings > 0
    }

    /// The run with the next seed is over. Whether that counts: it does not if enough is known, or if it was cut
    /// short.
    pub fn take(&mut self, seed: u64, outcome: Outcome) -> bool {
        if self.is_complete() || outcome == Outcome::Cut {
            return false;
        }
        self.runs += 1;
        if let Outcome::Found(finding) = outcome {
            self.findings += 1;
            self.tell(seed, finding);
        }
        true
    }

    fn tell(&mut self, seed: u64, finding: Finding) {
        match self.kinds.iter_mut().find(|(kind, _)| *kind == finding.kind) {
            Some((_, seeds)) => seeds.push(seed),
            None => {
                let text = in_full(self.plan, seed, &finding);
                match &self.bar {
                    Some(bar) => bar.suspend(|| print(&text)),
                    None => print(&text),
                }
                self.kinds.push((finding.kind, vec![seed]));
            }
        }
        if let Some(bar) = &self.bar {
            bar.set_message(format!(", {}", count(self.findings, "finding")));
        }
    }

    /// Tell the sum.
    pub fn finish(&self, is_interrupted: bool, jobs: u32) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let mut text = String::new();
        for (kind, seeds) in self.kinds.iter().filter(|(_, seeds)| seeds.len() > 1) {
            text.push_str(&format!("{}: {kind}\n  seeds: {}\n", seeds.len(), list(seeds)));
        }
        let kinds = match self.kinds.len() as u64 {
            0 => String::new(),
            kinds => format!(" of {}", count(kinds, "kind")),
        };
        let seeds = count(self.runs, "seed");
        text.push_str(&format!("{seeds}, {}{kinds}\n", count(self.findings, "finding")));
        print(&text);
        if is_interrupted {
            message(format_args!("interrupted: {} of {} seeds were run", self.runs, self.total));
        }
        if !self.is_quiet {
            let wall = self.began.elapsed().as_secs_f64();
            message(format_args!(
                "{} in {wall:.1} s, {:.1} per second, {jobs} at a time",
                count(self.runs, "run"),
                self.runs as f64 / wall.max(1e-9)
            ));
        }
    }
}

fn in_full(plan: &Plan, seed: u64, finding: &Finding) -> String {
    let mut text = format!("seed {seed}: {}\n", finding.kind);
    for detail in &finding.details {
        text.push_str(&format!("  {detail}\n"));
    }
    let kept = plan.kept(seed);
    if kept.is_dir() {
        text.push_str(&format!("  kept in {}\n", kept.display()));
    }
    text.push_str(&format!("  $ {}\n", command_line(plan, seed)));
    text
}

/// The command that runs this seed again, for a shell.
fn command_line(plan: &Plan, seed: u64) -> String {
    let shim = std::env::args_os().next().unwrap_or_else(|| "shim".into());
    let words = std::iter::once(shim).chain(plan.words(seed));
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word of a command line for a shell.
fn quoted(word: &str) -> String {
    // It has no zero in it, which is all that cannot be quoted.
    let quote = |text| shlex::try_quote(text).map_or_else(|_| text.to_owned(), Into::into);
    match word.split_once('=') {
        Some((option, value)) if option.starts_with("--") => format!("{option}={}", quote(value)),
        _ => quote(word),
    }
}

/// A number of things.
fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_see_more_in_them() {
        for (word, expected) in [
            ("--seed=7", "--seed=7"),
            ("--stop-time=10 min", "--stop-time='10 min'"),
            ("--no-patch", "--no-patch"),
            ("a=b", "'a=b'"),
            ("it's here/shim.yaml", "\"it's here/shim.yaml\""),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
