//! The tables of a page: flows, traffic, processes, what was lacking, log lines, system calls.
//!
//! A [`Run`] in, tables out; nothing where there is nothing to tell. Always true: rows are bounded, and what is left out is counted;
//! numbers stand below each other. What rows mean is told where they are read (`flows`, `log`, `traces`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use etherparse::IpNumber;
use maud::{Markup, html};
use serde_json::Value;

use super::faults::Mark;
use super::flows::{Amount, Endpoint, Flow, Key};
use super::run::Run;
use super::timeline::{MOST_LIVES, class, end_words};
use super::units::{bytes, count, duration, instant, shown, shown_up_to, things};
use crate::engine::ProcessReport;
use crate::summary::state_words;

/// No table has more rows.
const MOST_ROWS: usize = 500;
/// Of flows fewer are shown.
const MOST_FLOWS: usize = 200;
/// A command line is no longer.
const COMMAND: usize = 240;

/// A table that may be wider than the page.
pub(super) fn table(head: &Markup, rows: &Markup) -> Markup {
    html! { div.wide { table { thead { tr { (head) } } tbody { (rows) } } } }
}

/// What does not fit.
fn left_out(total: usize, most: usize) -> Markup {
    html! {
        @if total > most { p.faint { "and " (things((total - most) as u64, "more row", "more rows")) " that this page leaves out" } }
    }
}

/// Who talked to whom.
pub(super) fn flows(run: &Run) -> Option<Markup> {
    let flows = run.captures.flows.by_bytes();
    if flows.is_empty() {
        return None;
    }
    let names = names(run);
    let head = html! {
        th { "Protocol" } th { "From" } th { "To" }
        th.num { "Packets out" } th.num { "Bytes out" } th.num { "Packets back" } th.num { "Bytes back" }
        th.num { "First, s" } th.num { "Last, s" } th.num { "Sent again" } th.num { "Not arrived" } th.num { "Round trip" }
    };
    let rows = html! { @for (key, flow) in flows.iter().take(MOST_FLOWS) { (row_of(run, &names, key, flow)) } };
    let rest = flows.iter().skip(MOST_FLOWS).flat_map(|(_, flow)| &flow.ways);
    let rest = rest.fold(Amount::default(), |sum, way| Amount {
        packets: sum.packets + way.amount().packets,
        bytes: sum.bytes + way.amount().bytes,
    });
    let uncounted = run.captures.flows.uncounted();
    Some(html! {
        (table(&head, &rows))
        @if flows.len() > MOST_FLOWS {
            p.faint {
                "and " (things((flows.len() - MOST_FLOWS) as u64, "more flow", "more flows")) " with "
                (things(rest.packets, "packet", "packets")) " and " (bytes(rest.bytes))
            }
        }
        @if uncounted.packets > 0 {
            p.faint { "and " (things(uncounted.packets, "packet", "packets")) " of flows that were too many to count" }
        }
        p.faint {
            "“Out” is the way of the first packet. Bytes include the headers of IP. “Sent again” are segments of TCP whose bytes "
            "had all been sent before; “not arrived” are packets that one end sent and the other never saw, also those that were under way at the "
            "end. Round trips are the shortest and the mean."
        }
    })
}

fn row_of(run: &Run, names: &BTreeMap<IpAddr, &str>, key: &Key, flow: &Flow) -> Markup {
    let [out, back] = [flow.first_way, 1 - flow.first_way].map(|way| &flow.ways[way]);
    let [from, to] = [flow.first_way, 1 - flow.first_way].map(|end| key.ends[end]);
    let is_tcp = key.protocol == IpNumber::TCP.0;
    let resent = out.resent + back.resent;
    let missing = match (out.missing(), back.missing()) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or_default() + b.unwrap_or_default()),
    };
    let loopback =
        key.loopback_of.and_then(|host| run.hosts.get(host)).map(|host| host.name.as_str());
    html! {
        tr {
            td { (protocol(key.protocol)) @if let Some(host) = loopback { span.faint { " lo of " (shown(host)) } } }
            td { (endpoint(names, from)) } td { (endpoint(names, to)) }
            @for way in [out, back] {
                td.num { (count(way.amount().packets)) }
                td.num title=(count(way.amount().bytes)) { (bytes(way.amount().bytes)) }
            }
            td.num { (instant(flow.first_ns)) } td.num { (instant(flow.last_ns)) }
            td.num { @if is_tcp && loopback.is_none() { (count(resent)) } @else { "–" } }
            td.num { @match missing { Some(number) => (count(number)), None => "–" } }
            td.num {
                @match flow.trips.sum_ns.checked_div(flow.trips.count) {
                    Some(mean) => { (duration(flow.trips.least_ns)) " / " (duration(mean)) }
                    None => "–",
                }
            }
        }
    }
}

/// Whose an address is.
pub(super) fn names(run: &Run) -> BTreeMap<IpAddr, &str> {
    let hosts = run.scenario.iter().flat_map(|scenario| &scenario.hosts);
    hosts
        .flat_map(|host| {
            [(IpAddr::V4(host.ipv4), host.name.as_str()), (IpAddr::V6(host.ipv6), &host.name)]
        })
        .collect()
}

fn endpoint(names: &BTreeMap<IpAddr, &str>, (address, port): Endpoint) -> Markup {
    let name = match names.get(&address) {
        Some(name) => shown(name),
        None if address.is_ipv6() && port != 0 => format!("[{address}]"),
        None => address.to_string(),
    };
    html! { span title=(address) { (name) @if port != 0 { ":" (port) } } }
}

fn protocol(number: u8) -> String {
    match IpNumber(number) {
        IpNumber::TCP => "TCP".to_owned(),
        IpNumber::UDP => "UDP".to_owned(),
        IpNumber::ICMP => "ICMP".to_owned(),
        IpNumber::IPV6_ICMP => "ICMPv6".to_owned(),
        IpNumber(other) => format!("protocol {other}"),
    }
}

/// What became of each host's datagrams.
pub(super) fn traffic(run: &Run) -> Option<Markup> {
    const KEYS: [(&str, &str); 7] = [
        ("sent", "Sent"),
        ("sent_bytes", "Bytes"),
        ("received", "Received"),
        ("received_bytes", "Bytes"),
        ("lost", "Lost on the way"),
        ("refused", "Refused"),
        ("dropped", "Dropped at the link"),
    ];
    let figures = run.figures["traffic"].as_object()?;
    let value = |it: &Value, key: &str| it[key].as_u64().unwrap_or_default();
    let mut hosts: Vec<_> =
        figures.iter().filter(|(_, it)| KEYS.iter().any(|(key, _)| value(it, key) > 0)).collect();
    if hosts.is_empty() {
        return None;
    }
    let total = hosts.len();
    let sums = KEYS
        .map(|(key, _)| hosts.iter().map(|(_, it)| value(it, key)).fold(0, u64::saturating_add));
    hosts.sort_by_key(|(name, it)| {
        (
            std::cmp::Reverse(value(it, "sent_bytes").saturating_add(value(it, "received_bytes"))),
            *name,
        )
    });
    let cell = |key: &str, number: u64| {
        html! {
            @if key.ends_with("bytes") { td.num title=(count(number)) { (bytes(number)) } } @else { td.num { (count(number)) } }
        }
    };
    let head = html! { th { "Host" } @for (_, words) in KEYS { th.num { (words) } } };
    let rows = html! {
        @for (name, it) in hosts.iter().take(MOST_ROWS) {
            tr { td { (shown(name)) } @for (key, _) in KEYS { (cell(key, value(it, key))) } }
        }
        @if total > 1 {
            tr.sum { td { "all" } @for ((key, _), sum) in KEYS.iter().zip(sums) { (cell(key, sum)) } }
        }
    };
    Some(html! { (table(&head, &rows)) (left_out(total, MOST_ROWS)) })
}

/// All processes, those first that did not end as expected.
pub(super) fn processes(run: &Run) -> Option<Markup> {
    let mut all: Vec<(&ProcessReport, Option<String>)> = Vec::new();
    for host in &run.hosts {
        let planned = run.planned(&host.name).map_or(&[][..], |host| &host.processes);
        // Those of sim-stats.json are in the order of the scenario.
        let is_complete = run.ended.is_some() && planned.len() == host.processes.len();
        for (index, process) in host.processes.iter().enumerate() {
            let words = is_complete.then(|| {
                let words: Vec<_> = planned[index].args.iter().map(String::as_str).collect();
                words.join(" ")
            });
            all.push((process, words));
        }
    }
    if all.is_empty() {
        return None;
    }
    all.sort_by_key(|(process, _)| process.is_expected());
    let head = html! {
        th { "Host" } th { "Program" } th.num { "Process" } th.num { "Start, s" } th.num { "End, s" } th { "Ended as" } th { "Expected" } th { "Command" }
    };
    let time =
        |at: Option<shim_abi::SimTime>| at.map_or_else(|| "–".to_owned(), |at| instant(at.as_ns()));
    let rows = html! {
        @for (process, words) in all.iter().take(MOST_ROWS) {
            tr class=(class(process)) {
                td { (shown(&process.host)) } td { (shown(&process.program)) }
                td.num { @match process.pid { Some(pid) => (pid), None => "–" } }
                td.num { (time(process.started_at)) } td.num { (time(process.ended_at)) }
                td { span class={ "end " (class(process)) } { (end_words(process)) } @if process.is_by_fault { " (a fault)" } }
                td { @if process.is_expected() { "yes" } @else { "no: " (state_words(&process.expected.to_string())) } }
                td.command { @if let Some(words) = words { code { (shown_up_to(words, COMMAND)) } } }
            }
            @for life in process.earlier.iter().rev().take(MOST_LIVES).rev() {
                tr.faint {
                    td { (shown(&process.host)) } td { (shown(&process.program)) " (earlier)" } td.num { (life.pid) }
                    td.num { (instant(life.started_at.as_ns())) } td.num { (time(life.ended_at)) }
                    td { (state_words(&life.outcome.to_string())) } td {} td {}
                }
            }
        }
    };
    Some(html! { (table(&head, &rows)) (left_out(all.len(), MOST_ROWS)) })
}

/// What faults there were, with the numbers that drawings have.
pub(super) fn faults(marks: &[Mark]) -> Option<Markup> {
    if marks.is_empty() {
        return None;
    }
    let head = html! { th.num { "No." } th { "Kind" } th.num { "From, s" } th.num { "Until, s" } th { "What" } };
    let rows = html! {
        @for (index, mark) in marks.iter().take(MOST_ROWS).enumerate() {
            tr {
                td.num { (index + 1) } td { (mark.kind) } td.num { (instant(mark.at_ns)) }
                td.num { @match mark.until_ns { Some(at) => (instant(at)), None => "–" } } td { (shown(&mark.text)) }
            }
        }
    };
    Some(html! { (table(&head, &rows)) (left_out(marks.len(), MOST_ROWS)) })
}

/// What programs asked for and did not get.
pub(super) fn lacks(run: &Run) -> Option<Markup> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    let mut kinds: BTreeMap<(String, String), (u64, BTreeSet<String>)> = BTreeMap::new();
    for lack in run.figures["lacks"].as_array()? {
        let (Some(program), Some(what)) = (word(&lack["program"]), word(&lack["what"])) else {
            continue;
        };
        let (times, hosts) = kinds.entry((what, program)).or_default();
        *times = times.saturating_add(lack["count"].as_u64().unwrap_or_default());
        hosts.extend(word(&lack["host"]));
    }
    if kinds.is_empty() {
        return None;
    }
    let hosts_words = |hosts: &BTreeSet<String>| {
        let mut names = hosts.iter().take(3).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
        if hosts.len() > 3 {
            names += &format!(" and {} more", hosts.len() - 3);
        }
        names
    };
    let head = html! { th { "What" } th { "Program" } th.num { "Times" } th { "Hosts" } };
    let rows = html! {
        @for ((what, program), (times, hosts)) in kinds.iter().take(MOST_ROWS) {
            tr { td { (shown(what)) } td { (shown(program)) } td.num { (count(*times)) } td { (hosts_words(hosts)) } }
        }
    };
    Some(html! { (table(&head, &rows)) (left_out(kinds.len(), MOST_ROWS)) })
}

/// Warnings and errors.
pub(super) fn log(run: &Run) -> Option<Markup> {
    let log = run.log.as_ref().filter(|log| !log.shown.is_empty())?;
    let head = html! { th.num { "Time, s" } th { "Level" } th { "Host and text" } };
    let rows = html! {
        @for line in &log.shown {
            tr {
                td.num { (shown(&line.time)) }
                td { @if line.is_error { span.end.bad { "error" } } @else { span.end.struck { "warning" } } }
                td.command { code { (shown_up_to(&line.text, 2 * COMMAND)) } }
            }
        }
    };
    let total = usize::try_from(log.errors + log.warnings).unwrap_or(usize::MAX);
    Some(html! { (table(&head, &rows)) (left_out(total, log.shown.len())) })
}

/// Which system calls were made.
pub(super) fn calls(run: &Run) -> Option<Markup> {
    let calls = run.traces.by_times();
    if calls.is_empty() {
        return None;
    }
    let head = html! { th { "Call" } th.num { "Times" } th.num { "Failed" } };
    let rows = html! {
        @for (name, made) in &calls {
            tr { td { code { (name) } } td.num { (count(made.times)) } td.num { (count(made.failed)) } }
        }
    };
    Some(table(&head, &rows))
}
