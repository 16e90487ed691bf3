//! What sockets have carried, as JSON: a part of `sim-stats.json`.
//!
//! A [`Report`] in, a value out. Always true: it follows from the scenario alone; hosts whose sockets carried nothing are left
//! out, and so is what a kind of socket does not have. Times are in nanoseconds. Which sockets these are is `engine::sockets`'.

use serde_json::{Map, Value, json};
use shim_abi::SimTime;
use shim_host::{Amount, SocketRecord, SocketSum, Transport};

use crate::engine::Report;

/// By host: a list of sockets, and the sum of those that are not in it, if there are any.
pub(super) fn sockets(report: &Report) -> Value {
    let hosts = report.sockets.iter().filter(|(_, sockets)| !sockets.is_empty());
    let hosts = hosts.map(|(host, sockets)| {
        let mut value = json!({ "list": sockets.records.iter().map(record).collect::<Vec<_>>() });
        if sockets.rest.sockets > 0 {
            value["others"] = others(&sockets.rest);
        }
        (host.clone(), value)
    });
    hosts.collect::<Map<_, _>>().into()
}

fn record(record: &SocketRecord) -> Value {
    let is_tcp = record.transport == Transport::Tcp;
    let mut value = json!({
        "protocol": protocol(record),
        "local": record.local.to_string(),
        "remote": record.remote.map(|remote| remote.to_string()),
        "opened_at_ns": record.opened_at.as_ns(),
        "closed_at_ns": record.closed_at.map(SimTime::as_ns),
    });
    amounts(&mut value, record.sent, record.received);
    if is_tcp {
        value["resent"] = record.resent.into();
        value["least_round_trip_ns"] = record.round_trip_ns.map(|(least_ns, _)| least_ns).into();
        value["smoothed_round_trip_ns"] =
            record.round_trip_ns.map(|(_, smoothed_ns)| smoothed_ns).into();
    } else {
        value["dropped"] = record.dropped.into();
    }
    value
}

fn others(sum: &SocketSum) -> Value {
    let mut value = json!({ "sockets": sum.sockets, "resent": sum.resent, "dropped": sum.dropped });
    amounts(&mut value, sum.sent, sum.received);
    value
}

fn amounts(value: &mut Value, sent: Amount, received: Amount) {
    value["sent"] = sent.datagrams.into();
    value["sent_bytes"] = sent.bytes.into();
    value["received"] = received.datagrams.into();
    value["received_bytes"] = received.bytes.into();
}

fn protocol(record: &SocketRecord) -> &'static str {
    match record.transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
        Transport::UdpLite => "UDP-Lite",
        Transport::Echo if record.local.is_ipv4() => "ICMP",
        Transport::Echo => "ICMPv6",
    }
}
