//! The rows of hosts and their processes: who ran when, and how it ended.
//!
//! A [`Run`] in, rows of a page out. Always true: a row that is not as expected is shown whatever the number of hosts; of the others
//! those that did the same are one row when there are many, so there are never more than [`MOST_ROWS`] or so. The axis above
//! the rows is `drawing`'s.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::drawing::{Axis, line, number};
use super::run::{Host, Run};
use super::series::{BINS, Series, x_of};
use super::units::{count, duration, shown, things};
use crate::engine::{Outcome, ProcessReport};
use crate::summary::state_words;

/// There are about as many rows at most.
const MOST_ROWS: usize = 300;
/// Hosts are shown one by one up to this number.
const MOST_HOSTS: usize = 40;
/// So many rows has one host.
const ROWS_OF_HOST: usize = 12;

/// So many starts of a process are shown.
pub(super) const MOST_LIVES: usize = 100;

/// What became of a process, in words.
pub(super) fn end_words(process: &ProcessReport) -> String {
    match &process.outcome {
        Outcome::NotStarted(reason) => format!("not started: {}", shown(reason)),
        outcome => state_words(&outcome.to_string()),
    }
}

/// The class of what became of a process: as expected, by a fault, or neither.
pub(super) fn class(process: &ProcessReport) -> &'static str {
    match (process.is_expected(), process.is_by_fault, &process.outcome) {
        (false, ..) => "bad",
        (true, true, _) => "struck",
        (true, false, Outcome::Running) => "runs",
        (true, false, _) => "good",
    }
}

/// All rows.
pub(super) fn rows(run: &Run, axis: &Axis<'_>) -> Markup {
    let (single, groups) = arrange(&run.hosts);
    html! {
        @for index in single { (host(run, index, axis)) }
        @for members in groups { (group(run, &members, axis)) }
    }
}

/// Which hosts have rows of their own, and which share some.
fn arrange(hosts: &[Host]) -> (Vec<usize>, Vec<Vec<usize>>) {
    let rows: usize = hosts.iter().map(|host| host.processes.len().clamp(1, ROWS_OF_HOST)).sum();
    if hosts.len() <= MOST_HOSTS && rows <= MOST_ROWS {
        return ((0..hosts.len()).collect(), Vec::new());
    }
    let is_bad = |host: &Host| host.processes.iter().any(|process| !process.is_expected());
    let mut single = Vec::new();
    let mut alike: BTreeMap<Vec<(&str, String)>, Vec<usize>> = BTreeMap::new();
    for (index, host) in hosts.iter().enumerate() {
        if is_bad(host) && single.len() < MOST_HOSTS / 2 {
            single.push(index);
            continue;
        }
        let mut kind: Vec<_> =
            host.processes.iter().map(|it| (it.program.as_str(), end_words(it))).collect();
        kind.sort();
        alike.entry(kind).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = alike.into_values().collect();
    groups.sort_by_key(|members| members[0]);
    // Hosts that all differ are one group in the end.
    let rest: Vec<usize> = match groups.len() > MOST_HOSTS {
        true => {
            groups.sort_by_key(|members| std::cmp::Reverse(members.len()));
            groups.drain(MOST_HOSTS..).flatten().collect()
        }
        false => Vec::new(),
    };
    groups.extend((!rest.is_empty()).then_some(rest));
    groups.retain(|members| match members[..] {
        [only] => {
            single.push(only);
            false
        }
        _ => true,
    });
    single.sort_unstable();
    (single, groups)
}

fn host(run: &Run, index: usize, axis: &Axis<'_>) -> Markup {
    let it = &run.hosts[index];
    let name = it.name.as_str();
    let address = run.planned(name).map(|host| host.ipv4.to_string());
    let (own, more) = it.processes.split_at(it.processes.len().min(ROWS_OF_HOST));
    html! {
        div.host {
            div.row.head {
                div.label { b { (shown(name)) } @if let Some(address) = address { " " span.faint { (address) } } }
                @if own.is_empty() { div.plot { (axis.drawing(Some((index, name)), &html! {})) } div.end.faint { "no processes" } }
            }
            @for process in own {
                div.row {
                    div.label title=(shown(&process.program)) {
                        (shown(&process.program))
                        @if let Some(pid) = process.pid { " " span.faint { (pid) } }
                    }
                    div.plot { (axis.drawing(Some((index, name)), &bars(process, axis.span_ns))) }
                    div class={ "end " (class(process)) } { (end_words(process)) }
                }
            }
            @if !more.is_empty() {
                (shared(axis, &things(more.len() as u64, "more", "more"), &more.iter().collect::<Vec<_>>()))
            }
        }
    }
}

fn group(run: &Run, members: &[usize], axis: &Axis<'_>) -> Markup {
    let names: Vec<&str> = members.iter().map(|index| run.hosts[*index].name.as_str()).collect();
    let [first, .., last] = names[..] else { return html! {} };
    let mut programs: BTreeMap<&str, Vec<&ProcessReport>> = BTreeMap::new();
    for process in members.iter().flat_map(|index| &run.hosts[*index].processes) {
        programs.entry(&process.program).or_default().push(process);
    }
    html! {
        div.host {
            div.row.head {
                div.label title={ (shown(first)) " … " (shown(last)) } {
                    b { (things(names.len() as u64, "host", "hosts")) } " " span.faint { (shown(first)) " … " (shown(last)) }
                }
                @if programs.is_empty() { div.plot { (axis.drawing(None, &html! {})) } div.end.faint { "no processes" } }
            }
            @for (program, processes) in programs.iter().take(ROWS_OF_HOST) {
                (shared(axis, &format!("{} × {}", count(processes.len() as u64), shown(program)), processes))
            }
        }
    }
}

/// One row for many processes: how many of them ran.
fn shared(axis: &Axis<'_>, label: &str, processes: &[&ProcessReport]) -> Markup {
    let span = axis.span_ns;
    let mut running = Series::new(span);
    for process in processes {
        for (from, until) in lives(process, span) {
            // Who runs for an instant only is seen, too.
            let until = until.max(from.saturating_add(span / BINS as u64));
            running.spread(from, until, (until.min(span).saturating_sub(from)) as f64 / 1e9);
        }
    }
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for process in processes {
        *ends.entry(end_words(process)).or_default() += 1;
    }
    let bad = processes.iter().filter(|process| !process.is_expected()).count();
    let words = match ends.len() {
        1 => ends.into_keys().next().unwrap_or_default(),
        kinds => format!("{kinds} kinds of ends"),
    };
    let shapes = html! {
        path class={ "many " (if bad > 0 { "bad" } else { "good" }) } d=(running.area(running.peak_per_second(), 94.0, -80.0)) {}
    };
    html! {
        div.row {
            div.label title=(label) { (label) }
            div.plot { (axis.drawing(None, &shapes)) }
            div class={ "end " (if bad > 0 { "bad" } else { "good" }) } {
                @if bad > 0 { (count(bad as u64)) " unexpected" } @else { (words) }
            }
        }
    }
}

/// From when until when a process ran, each time; the last one is the one that its end is about.
fn lives(process: &ProcessReport, span_ns: u64) -> Vec<(u64, u64)> {
    let earlier = process
        .earlier
        .iter()
        .map(|life| (life.started_at.as_ns(), life.ended_at.map_or(span_ns, |at| at.as_ns())));
    let last = process
        .started_at
        .map(|from| (from.as_ns(), process.ended_at.map_or(span_ns, |at| at.as_ns())));
    earlier.chain(last).collect()
}

fn bars(process: &ProcessReport, span_ns: u64) -> Markup {
    let lives = lives(process, span_ns);
    let earlier = process.earlier.len();
    let left_out = lives.len().saturating_sub(MOST_LIVES);
    let lives = lives.into_iter().enumerate().skip(left_out);
    let words = |index: usize, (from, until): (u64, u64)| {
        let end = match process.earlier.get(index) {
            Some(life) => state_words(&life.outcome.to_string()),
            None => end_words(process),
        };
        let (from_words, long) = (duration(from), duration(until.saturating_sub(from)));
        format!("{}: from {from_words}, for {long}; {end}", shown(&process.program))
    };
    html! {
        @for (index, life) in lives {
            @let (from, until) = (x_of(life.0, span_ns), x_of(life.1, span_ns));
            g class={ "life " (if index < earlier { "struck" } else { class(process) }) } {
                title { (words(index, life)) }
                rect x=(number(from)) y="18" width=(number((until - from).max(0.0))) height="64" {}
                path.edge d={ "M" (number(from)) " 12V88" } {}
                @if until < x_of(span_ns, span_ns) { path.edge d={ "M" (number(until)) " 12V88" } {} }
            }
        }
        @if let (Some(at), None) = (process.ended_at, process.started_at) {
            g class={ "life " (class(process)) } { title { (end_words(process)) } path.edge d=(line(x_of(at.as_ns(), span_ns))) {} }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::scenario::FinalState;
    use crate::engine::Life;
    use shim_abi::SimTime;

    fn process(program: &str, status: i32) -> ProcessReport {
        ProcessReport {
            host: "h".into(),
            program: program.into(),
            pid: Some(1000),
            outcome: Outcome::Exited(status),
            expected: FinalState::Exited(0),
            started_at: Some(SimTime::from_ns(10)),
            ended_at: Some(SimTime::from_ns(20)),
            earlier: Vec::new(),
            is_by_fault: false,
        }
    }

    fn hosts(count: usize, made: impl Fn(usize) -> Vec<ProcessReport>) -> Vec<Host> {
        let host = |n| Host { name: format!("h{n:04}"), processes: made(n), traffic: None };
        (0..count).map(host).collect()
    }

    #[test]
    fn few_hosts_have_rows_of_their_own() {
        let (single, groups) = arrange(&hosts(40, |_| vec![process("p", 0)]));
        assert_eq!((single.len(), groups.len()), (40, 0));
    }

    #[test]
    fn of_many_hosts_those_that_differ_are_seen() {
        let made = |n: usize| vec![process(if n == 7 { "q" } else { "p" }, i32::from(n == 500))];
        let (single, groups) = arrange(&hosts(1000, made));
        assert_eq!((single, groups.len(), groups[0].len()), (vec![7, 500], 1, 998));
        // Nobody is like another.
        let (single, groups) = arrange(&hosts(1000, |n| vec![process(&format!("p{n}"), 1)]));
        assert!(single.len() <= 2 * MOST_HOSTS && groups.len() <= MOST_HOSTS + 1);
        assert_eq!(single.len() + groups.iter().map(Vec::len).sum::<usize>(), 1000);
    }

    #[test]
    fn each_life_is_a_bar() {
        let mut it = process("<p>", 0);
        it.earlier.push(Life {
            pid: 999,
            started_at: SimTime::ZERO,
            ended_at: Some(SimTime::from_ns(5)),
            outcome: Outcome::Signaled(9),
        });
        let text = bars(&it, 100).into_string();
        assert_eq!(text.matches("<rect").count(), 2);
        assert!(text.contains("&lt;p&gt;: from 0 ns, for 5 ns; signaled: SIGKILL"), "{text}");
        assert!(text.contains("x=\"100\"") && text.contains("life good"), "{text}");
    }
}
