//! The page itself: a head that says how it ended, drawings, tables, how to repeat the run, and what is not there.
//!
//! A [`Run`] in, the text of an HTML file out. Always true: nothing is loaded from anywhere, and a browser is told to refuse it;
//! all words go through the template, which escapes them; the same directory gives the same bytes.
//!
//! Why maud: templates are checked by the compiler, have no files of their own, and escape by default.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::drawing::Axis;
use super::faults::marks;
use super::run::Run;
use super::series::WIDTH;
use super::units::{bytes, count, duration, shown, things};
use super::{plots, sockets, tables, timeline};
use crate::engine::ProcessReport;
use crate::output::directory::PROCESSED_CONFIG;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
/// So many troubles are named.
const MOST_TROUBLES: usize = 50;

/// The page about a run.
pub(super) fn text(run: &Run) -> String {
    let marks = run.scenario.as_ref().map(marks).unwrap_or_default();
    let axis = Axis { span_ns: run.span_ns(), marks: &marks };
    let title = run.folder.file_name().unwrap_or(run.folder.as_os_str()).to_string_lossy();
    let title = shown(&title);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – a simulation" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { p.faint { "A run of shim" } h1 { (title) } (verdict(run)) (figures(run)) (notices(run)) }
                main {
                    (over_time(run, &axis))
                    (section("Faults", tables::faults(&marks)))
                    (section("Conversations", tables::flows(run)))
                    (section("Sockets", sockets::sockets(run)))
                    (section("Traffic by host", tables::traffic(run)))
                    (section("Processes", tables::processes(run)))
                    (section("Asked for and not there", tables::lacks(run)))
                    (section("Warnings and errors", tables::log(run)))
                    (section("System calls", tables::calls(run)))
                    (section("How to repeat it", Some(repeat(run))))
                    (section("What is not in this page", missing(run)))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    let mut text = page.into_string();
    text.push('\n');
    text
}

fn section(title: &str, content: Option<Markup>) -> Markup {
    html! { @if let Some(content) = content { section { h2 { (title) } (content) } } }
}

fn processes(run: &Run) -> impl Iterator<Item = &ProcessReport> {
    run.hosts.iter().flat_map(|host| &host.processes)
}

/// How it ended, in one sentence.
fn verdict(run: &Run) -> Markup {
    let all = processes(run).count() as u64;
    let bad = processes(run).filter(|process| !process.is_expected()).count() as u64;
    let (class, words) = match &run.ended {
        None => {
            ("bad", "How the run ended is not known: sim-stats.json cannot be read.".to_owned())
        }
        Some(ended) if !ended.failures.is_empty() => {
            ("bad", "The simulator has failed for some hosts.".to_owned())
        }
        Some(_) if bad > 0 && all == 1 => {
            ("bad", "The only process did not end as expected.".to_owned())
        }
        Some(_) if all == 0 => ("good", "There were no processes.".to_owned()),
        Some(_) if bad > 0 => {
            let all = things(all, "process", "processes");
            ("bad", format!("{} of {all} did not end as expected.", count(bad)))
        }
        Some(ended) if ended.is_interrupted => {
            ("struck", "The run was interrupted before its stop time.".to_owned())
        }
        Some(_) if all == 1 => ("good", "The only process ended as expected.".to_owned()),
        Some(_) => ("good", format!("All {} processes ended as expected.", count(all))),
    };
    html! { p class={ "verdict " (class) } { (words) } }
}

/// The numbers that one wants first.
fn figures(run: &Run) -> Markup {
    let number = |key: &str| run.figures[key].as_u64();
    let sum = |key: &str| -> Option<u64> {
        let hosts = run.figures["traffic"].as_object()?.values();
        Some(hosts.filter_map(|it| it[key].as_u64()).fold(0, u64::saturating_add))
    };
    let wall = run.wall["wall_seconds"].as_f64().filter(|it| *it >= 0.0);
    let speed = run.wall["simulated_seconds_per_wall_second"].as_f64().filter(|it| *it >= 0.0);
    let mut figures: Vec<(&str, String, String)> = Vec::new();
    if let Some(ended) = &run.ended {
        figures.push(("simulated time", duration(ended.ended_at.as_ns()), String::new()));
    }
    if let Some(wall) = wall {
        let speed =
            speed.map(|it| format!("{} times as fast", speed_words(it))).unwrap_or_default();
        figures.push(("real time", duration((wall * 1e9) as u64), speed));
    }
    let planned = processes(run).count() as u64;
    figures.push(("hosts", count(run.hosts.len() as u64), things(planned, "process", "processes")));
    if let Some(guests) = number("guest_processes") {
        let threads = number("guest_threads").unwrap_or_default();
        figures.push(("guests", count(guests), things(threads, "thread", "threads")));
    }
    if let Some(sent) = sum("sent") {
        let gone =
            sum("lost").unwrap_or_default().saturating_add(sum("dropped").unwrap_or_default());
        let rest =
            format!("{}, {} lost", bytes(sum("sent_bytes").unwrap_or_default()), count(gone));
        figures.push(("datagrams", count(sent), rest));
    }
    if let Some(calls) = run.wall["system_calls"].as_u64() {
        figures.push(("system calls", count(calls), String::new()));
    }
    if let Some(seed) = number("seed") {
        let version = run.wall["shim_version"].as_str().map(|it| format!("shim {}", shown(it)));
        figures.push(("seed", seed.to_string(), version.unwrap_or_default()));
    }
    html! {
        dl.figures {
            @for (name, value, rest) in figures {
                div { dt { (name) } dd { (value) } dd.faint { (rest) } }
            }
        }
    }
}

fn speed_words(speed: f64) -> String {
    match speed {
        speed if speed >= 10.0 => count(speed as u64),
        speed => format!("{speed:.2}"),
    }
}

/// What should be known before anything else is believed.
fn notices(run: &Run) -> Markup {
    let mut notices: Vec<String> = Vec::new();
    if let Some(ended) = &run.ended {
        for (host, failure) in ended.failures.iter().take(MOST_TROUBLES) {
            let (host, program, text) =
                (shown(host), shown(&failure.program), shown(&failure.text));
            notices.push(format!("Failure on {host}, in {program} [{}]: {text}", failure.pid));
        }
        if ended.is_interrupted {
            let at = duration(ended.ended_at.as_ns());
            notices.push(format!("It was interrupted at {at}: another run may get further."));
        }
        if !ended.preempted.is_empty() {
            let names: Vec<String> = ended
                .preempted
                .iter()
                .take(5)
                .map(|(host, program)| format!("{} on {}", shown(program), shown(host)))
                .collect();
            notices.push(format!(
                "It does not repeat: a program computed for so long without a system call that it was preempted ({}).",
                names.join(", ")
            ));
        }
    }
    for file in run.figures["shared_files"].as_array().into_iter().flatten().take(5) {
        let path = file["path"].as_str().unwrap_or_default();
        notices.push(format!(
            "Several hosts opened {} for writing, which is one file for all of them.",
            shown(path)
        ));
    }
    let troubles =
        run.troubles.iter().take(MOST_TROUBLES).map(|it| format!("Not read: {}", shown(it)));
    notices.extend(troubles);
    html! { @if !notices.is_empty() { ul.notices { @for notice in notices { li { (notice) } } } } }
}

/// All that has an axis of time.
fn over_time(run: &Run, axis: &Axis<'_>) -> Markup {
    let names: Vec<&str> = run.hosts.iter().map(|host| host.name.as_str()).collect();
    let from_captures = run.captures.hosts.iter().flatten().next().is_some();
    html! {
        section.times data-span=(axis.span_ns) data-width=(WIDTH) {
            (axis.definitions(&names))
            div.row.axis {
                div.label { "simulated time" }
                div.plot { (axis.labels()) (axis.numbers()) }
                div.end.buttons hidden {
                    button type="button" data-zoom="in" title="closer" { "+" }
                    button type="button" data-zoom="out" title="farther" { "−" }
                    button type="button" data-zoom="left" title="earlier" { "←" }
                    button type="button" data-zoom="right" title="later" { "→" }
                    button type="button" data-zoom="all" title="the whole run" { "all" }
                }
            }
            h2 { "Hosts and processes" }
            p.faint.legend {
                span.key.good { "ended as expected" } span.key.runs { "runs at the end, as expected" } span.key.struck { "ended by a fault" }
                span.key.bad { "not as expected" } @if !axis.marks.is_empty() { span.key.fault { "faults, by their numbers" } }
            }
            (timeline::rows(run, axis))
            @if let Some(rows) = plots::rows(run, axis) {
                h2 { "Traffic" }
                p.faint.legend {
                    span.key.sent { "out" } span.key.received { "in" }
                    @if from_captures { span.key.trips { "round trip, mean of an interval" } }
                    span { "bits per second of IP datagrams" }
                }
                (rows)
            }
        }
    }
}

/// The commands that make the same run again.
fn repeat(run: &Run) -> Markup {
    let config = run.folder.join(PROCESSED_CONFIG);
    let config = config.to_string_lossy();
    // It has no zero in it, which is all that cannot be quoted.
    let config = shlex::try_quote(&config).map_or_else(|_| config.to_string(), Into::into);
    let seed = run.figures["seed"].as_u64().or(run.scenario.as_ref().map(|it| it.general.seed));
    html! {
        p { "The configuration as it was understood holds all that counts, with the seed" @if let Some(seed) = seed { " " b { (seed) } } ":" }
        pre { code { "shim run --data-directory=again " (config) } }
        p { "Whether two runs of it are the same, and which system call differs first if they are not:" }
        pre { code { "shim verify --data-directory=again " (config) } }
        p { "The same with other seeds, to see what depends on chance:" }
        pre { code { "shim explore --seeds=1..=100 --data-directory=again " (config) } }
    }
}

/// What was not recorded, with the keys that record it.
fn missing(run: &Run) -> Option<Markup> {
    let captured = run.captures.hosts.iter().flatten().count();
    let has_lines = !matches!(run.figures["traffic_over_time"], Value::Null);
    let left = run.troubles.len().saturating_sub(MOST_TROUBLES);
    let is_traced = run.traces.files > 0;
    if captured > 0 && captured == run.hosts.len() && is_traced && left == 0 {
        return None;
    }
    Some(html! {
        ul {
            @if captured < run.hosts.len() {
                li {
                    @if captured == 0 { "No host has a capture" } @else { (things((run.hosts.len() - captured) as u64, "host has", "hosts have")) " no capture" }
                    ": conversations, round trips" @if !has_lines { ", traffic over time" } " and packets that were sent again are known where packets are recorded. "
                    code { "host_option_defaults: {pcap_enabled: true}" } " (or " code { "--pcap-enabled=true" } ") records them."
                }
            }
            @if !is_traced {
                li {
                    "System calls were not recorded: " code { "experimental: {strace_logging_mode: deterministic}" } " (or "
                    code { "--strace-logging-mode=deterministic" } ") does."
                }
            }
            @if left > 0 { li { (things(left as u64, "more file", "more files")) " could not be read." } }
        }
    })
}
