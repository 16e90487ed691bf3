//! Files of `/etc` that say how names are found.
//!
//! The names of the simulation in, text out. Always true: `hosts` lists the names that getaddrinfo and the resolver know, of more hosts than
//! fit into a file the first ones; `resolv.conf` names the host's own resolver, and `nsswitch.conf` has the C library ask one
//! after the other. See hosts(5), resolv.conf(5), nsswitch.conf(5), host.conf(5), gai.conf(5).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

use shim_abi::names::{EVERY_HOST, NameEntry, Names};

use crate::net::RESOLVER;

/// What a file may hold.
const MAX_BYTES: usize = 200_000;

pub(super) const NAME_SWITCH: &str = "\
passwd:         files
group:          files
shadow:         files
gshadow:        files

hosts:          files dns
networks:       files

protocols:      db files
services:       db files
ethers:         db files
rpc:            db files
";
pub(super) const HOST_CONF: &str = "multi on\n";
pub(super) const ADDRESS_ORDER: &str = "# Addresses are sorted as the C library does by itself.\n";

pub(super) fn resolver() -> String {
    format!("nameserver {}\noptions edns0\n", RESOLVER.ip)
}

fn text_of(entry: &NameEntry) -> &str {
    core::str::from_utf8(entry.name.as_bytes()).unwrap_or_default()
}

pub(super) fn hosts(names: Names<'_>) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n\n");
    let of_hosts = || names.entries().iter().filter(|entry| entry.host_id != EVERY_HOST);
    let mut aliases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in of_hosts() {
        let (name, canonical) = (text_of(entry), text_of(names.canonical(entry)));
        let known = aliases.entry(canonical).or_default();
        if name != canonical && !known.contains(&name) {
            known.push(name);
        }
    }
    for entry in of_hosts() {
        let name = text_of(entry);
        let Some(others) = aliases.get(name) else { continue };
        let all: String = others.iter().map(|other| format!(" {other}")).collect();
        let v4 = Ipv4Addr::from(entry.ipv4.to_ne_bytes());
        let line = if entry.ipv4 == 0 { String::new() } else { format!("{v4}\t{name}{all}\n") };
        let v6 = Ipv6Addr::from(entry.ipv6);
        let line6 = if entry.has_ipv6() { format!("{v6}\t{name}{all}\n") } else { String::new() };
        if text.len() + line.len() + line6.len() > MAX_BYTES {
            break;
        }
        text += &line;
        text += &line6;
    }
    text
}
