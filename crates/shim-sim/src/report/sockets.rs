//! The table of sockets: which there were, and what each has carried.
//!
//! A [`Run`] in, a table out; nothing where nothing is known. Always true: rows are bounded, and what is left out is counted
//! and summed. What a run tells of its sockets is `output::sockets`'; flows between hosts as their packets show them are
//! `tables`'.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use maud::{Markup, html};
use serde_json::Value;

use super::run::Run;
use super::tables::{names, table};
use super::units::{bytes, count, duration, instant, shown, things};

/// The table has no more rows: those that carried most.
const MOST_ROWS: usize = 200;

/// What each socket has carried.
pub(super) fn sockets(run: &Run) -> Option<Markup> {
    let hosts = run.figures["sockets"].as_object()?;
    let mut all: Vec<(&str, &Value)> = Vec::new();
    let mut others = [0; 3];
    let mut sum = |value: &Value, sockets: u64| {
        for (place, more) in
            others.iter_mut().zip([sockets, both(value, ""), both(value, "_bytes")])
        {
            *place = u64::saturating_add(*place, more);
        }
    };
    for (host, sockets) in hosts {
        all.extend(sockets["list"].as_array().into_iter().flatten().map(|it| (host.as_str(), it)));
        if let Some(count) = sockets["others"]["sockets"].as_u64() {
            sum(&sockets["others"], count);
        }
    }
    // Equal ones stay in the order of hosts.
    all.sort_by_key(|(_, socket)| std::cmp::Reverse(both(socket, "_bytes")));
    all.iter().skip(MOST_ROWS).for_each(|(_, socket)| sum(socket, 1));
    if all.is_empty() {
        return None;
    }
    let names = names(run);
    let head = html! {
        th { "Host" } th { "Protocol" } th { "Own end" } th { "Other end" } th.num { "Opened, s" } th.num { "Closed, s" }
        th.num { "Out" } th.num { "Bytes out" } th.num { "In" } th.num { "Bytes in" }
        th.num { "Sent again" } th.num { "Dropped" } th.num { "Round trip" }
    };
    let rows =
        html! { @for (host, socket) in all.iter().take(MOST_ROWS) { (row(&names, host, socket)) } };
    let [more, datagrams, more_bytes] = others;
    Some(html! {
        (table(&head, &rows))
        @if more > 0 {
            p.faint {
                "and " (things(more, "more socket", "more sockets")) " with " (things(datagrams, "datagram or segment", "datagrams and segments"))
                " and " (bytes(more_bytes))
            }
        }
        p.faint {
            "Segments of TCP or datagrams, and their bytes without headers, those that were sent again among them. A datagram socket is opened when "
            "its first datagram goes or comes. Round trips are the least and the smoothed one at the end, as TCP measured them."
        }
    })
}

/// What went out and came in.
fn both(value: &Value, what: &str) -> u64 {
    let number = |way: &str| value[format!("{way}{what}")].as_u64().unwrap_or_default();
    number("sent").saturating_add(number("received"))
}

fn row(names: &BTreeMap<IpAddr, &str>, host: &str, socket: &Value) -> Markup {
    let number = |key: &str| socket[key].as_u64();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let round_trip = number("least_round_trip_ns").zip(number("smoothed_round_trip_ns"));
    let round_trip =
        round_trip.map(|(least, smoothed)| format!("{} / {}", duration(least), duration(smoothed)));
    html! {
        tr {
            td { (shown(host)) }
            td { (shown(socket["protocol"].as_str().unwrap_or_default())) }
            td { (end(names, &socket["local"])) } td { (end(names, &socket["remote"])) }
            td.num { (or_dash(number("opened_at_ns").map(instant))) }
            td.num { (or_dash(number("closed_at_ns").map(instant))) }
            @for way in ["sent", "received"] {
                td.num { (or_dash(number(way).map(count))) }
                td.num { (or_dash(number(&format!("{way}_bytes")).map(bytes))) }
            }
            td.num { (or_dash(number("resent").map(count))) }
            td.num { (or_dash(number("dropped").map(count))) }
            td.num { (or_dash(round_trip)) }
        }
    }
}

/// An end, by the name of its host where it has one.
fn end(names: &BTreeMap<IpAddr, &str>, value: &Value) -> Markup {
    let text = value.as_str().unwrap_or("–");
    let address = text.parse::<SocketAddr>().ok();
    let name = address.and_then(|it| Some((*names.get(&it.ip())?, it.port())));
    html! {
        @match name {
            Some((name, port)) => span title=(shown(text)) { (shown(name)) ":" (port) },
            None => (shown(text)),
        }
    }
}
