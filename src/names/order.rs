//! Which address first: RFC 3484 (section 6), as glibc applies it.
//!
//! Addresses in, the same in the order in which a program had better try them. Always true: the order is
//! stable; the tables of labels and precedences are glibc's defaults. Rules about deprecated, home and
//! tunnelled addresses do not apply to simulated hosts. Where packets come from is `machine`.

use core::cmp::Ordering;

use super::machine::Machine;
use super::{Address, mapped};

/// What the rules ask about one destination.
struct Facts {
    source: Option<Source>,
    scope: u32,
    precedence: u32,
    is_v4: bool,
}

struct Source {
    /// Whether it has the destination's scope, its label.
    matches: (bool, bool),
    /// How many leading bits it has in common with the destination, as far as that counts.
    common_bits: u32,
}

/// Sort `addresses`.
pub fn sort(addresses: &mut [Address], machine: &Machine) {
    // Few: insertion keeps what is equal in its order, and needs no memory.
    for end in 1..addresses.len() {
        let mut at = end;
        while at > 0
            && compare(&facts(&addresses[at], machine), &facts(&addresses[at - 1], machine)).is_lt()
        {
            addresses.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn compare(a: &Facts, b: &Facts) -> Ordering {
    let is_reachable = b.source.is_some().cmp(&a.source.is_some());
    let sources = match (&a.source, &b.source) {
        (Some(a), Some(b)) => b.matches.cmp(&a.matches),
        _ => Ordering::Equal,
    };
    let bits = match (&a.source, &b.source) {
        (Some(of_a), Some(of_b)) if a.is_v4 == b.is_v4 => of_b.common_bits.cmp(&of_a.common_bits),
        _ => Ordering::Equal,
    };
    is_reachable // rule 1
        .then(sources) // rules 2 and 5
        .then(b.precedence.cmp(&a.precedence)) // rule 6
        .then(a.scope.cmp(&b.scope)) // rule 8
        .then(bits) // rule 9
}

fn facts(address: &Address, machine: &Machine) -> Facts {
    let source = machine.source(address).map(|(from, prefix_bits)| Source {
        matches: (scope(&from) == scope(address), label(&from) == label(address)),
        common_bits: common_bits(address, &from, prefix_bits),
    });
    Facts {
        source,
        scope: scope(address),
        precedence: precedence(address),
        is_v4: matches!(address, Address::V4(_)),
    }
}

fn octets(address: &Address) -> [u8; 16] {
    match *address {
        Address::V4(ipv4) => mapped(ipv4),
        Address::V6(ipv6, _) => ipv6,
    }
}

const LINK_LOCAL: u32 = 2;
const SITE_LOCAL: u32 = 5;
const GLOBAL: u32 = 14;

fn scope(address: &Address) -> u32 {
    match *address {
        Address::V4([127, ..] | [169, 254, ..]) => LINK_LOCAL,
        Address::V4(_) => GLOBAL,
        Address::V6([0xff, second, ..], _) => u32::from(second & 0x0f),
        Address::V6([0xfe, second, ..], _) if second & 0xc0 == 0x80 => LINK_LOCAL,
        Address::V6([0xfe, second, ..], _) if second & 0xc0 == 0xc0 => SITE_LOCAL,
        Address::V6(super::LOOPBACK_V6, _) => LINK_LOCAL,
        Address::V6(..) => GLOBAL,
    }
}

fn has_prefix(octets: &[u8; 16], prefix: &[u8], bits: u32) -> bool {
    let mut whole = [0; 16];
    whole[..prefix.len()].copy_from_slice(prefix);
    (u128::from_be_bytes(*octets) ^ u128::from_be_bytes(whole)).leading_zeros() >= bits
}

const MAPPED_PREFIX: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
/// Prefix, its bits, what it is given.
const LABELS: &[(&[u8], u32, u32)] = &[
    (&super::LOOPBACK_V6, 128, 0),
    (&[0x20, 0x02], 16, 2),
    (&[], 96, 3),
    (MAPPED_PREFIX, 96, 4),
    (&[0xfe, 0xc0], 10, 5),
    (&[0xfc], 7, 6),
    (&[0x20, 0x01, 0, 0], 32, 7),
    (&[], 0, 1),
];
const PRECEDENCES: &[(&[u8], u32, u32)] = &[
    (&super::LOOPBACK_V6, 128, 50),
    (&[0x20, 0x02], 16, 30),
    (&[], 96, 20),
    (MAPPED_PREFIX, 96, 10),
    (&[], 0, 40),
];

fn value(table: &[(&[u8], u32, u32)], address: &Address) -> u32 {
    let octets = octets(address);
    let line = table.iter().find(|(prefix, bits, _)| has_prefix(&octets, prefix, *bits));
    line.map_or(0, |(_, _, value)| *value)
}

fn label(address: &Address) -> u32 {
    value(LABELS, address)
}

fn precedence(address: &Address) -> u32 {
    value(PRECEDENCES, address)
}

fn common_bits(to: &Address, from: &Address, prefix_bits: u32) -> u32 {
    let bits =
        (u128::from_be_bytes(octets(to)) ^ u128::from_be_bytes(octets(from))).leading_zeros();
    match to {
        // Between networks, prefixes of IPv4 addresses mean nothing.
        Address::V4(_) => bits.saturating_sub(96).min(32) * u32::from(bits >= 96 + prefix_bits),
        Address::V6(..) => bits,
    }
}
