//! RTM_GETLINK: the interfaces.
//!
//! A question in, interfaces out with all that Linux 6.18 tells of them. Always true: their counters are zero, because
//! what a host sends to itself is not counted; settings are those that Linux begins with.

use shim_abi::Errno;

use super::message::{Message, Writer, flag};
use super::request::{List, NEW_LINK, Question};
use crate::memory::u32_at;
use crate::net::interfaces::Interface;

/// Bytes of a `struct ifinfomsg`.
const BYTES: usize = 16;
/// `IFLA_*`.
const ADDRESS: u16 = 1;
const BROADCAST: u16 = 2;
const NAME: u16 = 3;
const MTU: u16 = 4;
const QUEUE: u16 = 6;
const COUNTERS: u16 = 7;
const MASTER: u16 = 10;
const PROTOCOL_INFO: u16 = 12;
const QUEUE_LENGTH: u16 = 13;
const MAP: u16 = 14;
const STATE: u16 = 16;
const MODE: u16 = 17;
const LINK_INFO: u16 = 18;
const COUNTERS_64: u16 = 23;
const OF_FAMILIES: u16 = 26;
const GROUP: u16 = 27;
const MASK: u16 = 29;
const PROMISCUITY: u16 = 30;
const SEND_QUEUES: u16 = 31;
const RECEIVE_QUEUES: u16 = 32;
const CARRIER: u16 = 33;
const CARRIER_CHANGES: u16 = 35;
const IS_HELD_DOWN: u16 = 39;
const GSO_MAX_SEGMENTS: u16 = 40;
const GSO_MAX_BYTES: u16 = 41;
const XDP: u16 = 43;
const CARRIER_UPS: u16 = 47;
const CARRIER_DOWNS: u16 = 48;
const MIN_MTU: u16 = 50;
const MAX_MTU: u16 = 51;
const OTHER_NAME: u16 = 53;
const GRO_MAX_BYTES: u16 = 58;
const TSO_MAX_BYTES: u16 = 59;
const TSO_MAX_SEGMENTS: u16 = 60;
const ALL_MULTICAST: u16 = 61;
const DEVLINK_PORT: u16 = 62;
const GSO_V4_MAX_BYTES: u16 = 63;
const GRO_V4_MAX_BYTES: u16 = 64;
const CLOCK_PIN: u16 = 65;
const PACING: u16 = 66;
const IS_OF_NAMESPACE: u16 = 67;
const HEAD_ROOM: u16 = 68;
const TAIL_ROOM: u16 = 69;
/// RTEXT_FILTER_SKIP_STATS.
const WITHOUT_COUNTERS: u32 = 8;
/// IF_OPER_UP; the loopback interface does not say.
const UP: u8 = 6;
const LINK_QUEUE_LENGTH: u32 = 1000;
/// Words of `struct rtnl_link_stats`, and of that with 64 bits.
const COUNTER_COUNT: usize = 24;
const COUNTER_64_COUNT: usize = 25;

/// `IPV4_DEVCONF_*`, from 1.
const V4_SETTINGS: [u32; 33] = [
    0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10_000, 1_000, 0,
    0, 0, 0, 1,
];
/// Where among them that stands which differs: no policies for the loopback interface.
const V4_NO_POLICY: core::ops::Range<usize> = 14..16;
/// `DEVCONF_*`.
const V6_SETTINGS: [u32; 60] = [
    0,
    64,
    0,
    1,
    1,
    1,
    1,
    u32::MAX,
    4_000,
    1_000,
    0,
    604_800,
    86_400,
    3,
    600,
    16,
    0,
    1,
    1,
    1,
    60_000,
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    0,
    0,
    10_000,
    1_000,
    1,
    0,
    0,
    1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    3_600_000,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    1_024,
    0,
    65_535,
    u32::MAX,
    1,
    0,
    0,
    0,
];
/// Where those stand that differ: the MTU, temporary addresses, and looking for others with the same.
const V6_MTU: usize = 2;
const V6_NEVER: [usize; 2] = [10, 27];

pub(super) fn list(question: &Question<'_>) -> Result<List, Errno> {
    question.check_size(BYTES)?;
    let message = &question.message;
    let family = message.family();
    if family == libc::AF_BRIDGE {
        // Nothing is bridged.
        return Ok(List { is_whole: true, ..List::default() });
    }
    if question.is_strict && message.body().get(..BYTES).is_some_and(|it| u32_at(it, 4) != 0) {
        return Err(Errno::EINVAL);
    }
    let has_master = message.number(BYTES, MASTER).is_some_and(|master| master != 0);
    let is_filtered = has_master || message.attribute(BYTES, LINK_INFO).is_some();
    let mut list = List { is_filtered, ..List::default() };
    if is_filtered {
        // No interface has a master or says of what kind it is.
        return Ok(list);
    }
    for interface in question.network.interfaces() {
        if family == libc::AF_INET6 {
            write_v6(question, &mut list.writer, &interface);
        } else {
            write(question, &mut list.writer, flag::MULTI, &interface);
        }
    }
    Ok(list)
}

/// An interface by its number or its name.
pub(super) fn one(question: &Question<'_>) -> Result<Writer, Errno> {
    question.check_size(BYTES)?;
    let message = &question.message;
    let index = u32_at(message.body().get(..BYTES).ok_or(Errno::EINVAL)?, 4);
    let name = name_in(message);
    let interfaces = question.network.interfaces();
    let found = match (index, name) {
        (1.., _) => interfaces.iter().find(|it| it.index == index),
        (0, Some(name)) => interfaces.iter().find(|it| it.name.as_bytes() == name),
        (0, None) => return Err(Errno::EINVAL),
    };
    let mut writer = Writer::default();
    write(question, &mut writer, 0, found.ok_or(Errno::ENODEV)?);
    Ok(writer)
}

fn name_in<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    let data = message.attribute(BYTES, NAME).or_else(|| message.attribute(BYTES, OTHER_NAME))?;
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    data.get(..end)
}

fn fixed(writer: &mut Writer, family: i32, interface: &Interface) {
    writer.put(&[family as u8, 0]);
    writer.put(&interface.kind.to_le_bytes());
    writer.put(&interface.index.to_le_bytes());
    writer.put(&interface.flags.to_le_bytes());
    writer.put(&[0; 4]);
}

fn state_of(interface: &Interface) -> u8 {
    if interface.is_loopback() { 0 } else { UP }
}

fn write(question: &Question<'_>, writer: &mut Writer, flags: u16, interface: &Interface) {
    /// What one piece may have in it if it is cut up later.
    const MAX_BYTES: u32 = 65_536;
    const MAX_SEGMENTS: u32 = 65_535;
    const XDP_ATTACHED: u16 = 2;
    let mask = question.message.number(BYTES, MASK).unwrap_or(0);
    let is_loopback = interface.is_loopback();
    let (mtus, queue) =
        if is_loopback { ((0, 0), "noqueue") } else { ((68, 65_535), "pfifo_fast") };
    let cut_later_bytes = if is_loopback { 524_280 } else { MAX_BYTES };
    question.write(writer, NEW_LINK, flags, |writer| {
        fixed(writer, libc::AF_UNSPEC, interface);
        writer.text(NAME, interface.name);
        writer.number(QUEUE_LENGTH, LINK_QUEUE_LENGTH);
        writer.byte(STATE, state_of(interface));
        writer.byte(MODE, 0);
        writer.byte(IS_OF_NAMESPACE, is_loopback.into());
        writer.number(MTU, interface.mtu);
        writer.number(MIN_MTU, mtus.0);
        writer.number(MAX_MTU, mtus.1);
        writer.number(GROUP, 0);
        writer.number(PROMISCUITY, 0);
        writer.number(ALL_MULTICAST, 0);
        writer.number(SEND_QUEUES, 1);
        writer.number(GSO_MAX_SEGMENTS, MAX_SEGMENTS);
        writer.number(GSO_MAX_BYTES, MAX_BYTES);
        writer.number(GRO_MAX_BYTES, MAX_BYTES);
        writer.number(GSO_V4_MAX_BYTES, MAX_BYTES);
        writer.number(GRO_V4_MAX_BYTES, MAX_BYTES);
        writer.number(TSO_MAX_BYTES, cut_later_bytes);
        writer.number(TSO_MAX_SEGMENTS, MAX_SEGMENTS);
        writer.number(PACING, 0);
        writer.number(RECEIVE_QUEUES, 1);
        writer.byte(CARRIER, 1);
        for kind in [CARRIER_CHANGES, CARRIER_UPS, CARRIER_DOWNS] {
            writer.number(kind, 0);
        }
        writer.attribute(HEAD_ROOM, &[0; 2]);
        writer.attribute(TAIL_ROOM, &[0; 2]);
        writer.byte(IS_HELD_DOWN, 0);
        writer.attribute(ADDRESS, &interface.hardware);
        writer.attribute(BROADCAST, &interface.hardware_broadcast);
        if mask & WITHOUT_COUNTERS == 0 {
            writer.attribute(COUNTERS_64, &[0; 8 * COUNTER_64_COUNT]);
            writer.attribute(COUNTERS, &[0; 4 * COUNTER_COUNT]);
        }
        writer.nested(XDP, |writer| writer.byte(XDP_ATTACHED, 0));
        writer.text(QUEUE, queue);
        writer.nested(OF_FAMILIES, |writer| families(writer, interface, mask));
        writer.attribute(MAP, &[0; 32]);
        writer.empty(DEVLINK_PORT);
        writer.empty(CLOCK_PIN);
    });
}

/// What IPv4 and IPv6 have to say.
fn families(writer: &mut Writer, interface: &Interface, mask: u32) {
    const V4_CONFIGURATION: u16 = 1;
    writer.nested(libc::AF_INET as u16, |writer| {
        let mut settings = V4_SETTINGS;
        if interface.is_loopback() {
            settings[V4_NO_POLICY].fill(1);
        }
        writer.nested(V4_CONFIGURATION, |writer| words(writer, &settings));
    });
    if interface.v6.is_some() {
        writer.nested(libc::AF_INET6 as u16, |writer| v6(writer, interface, mask));
    }
}

fn words(writer: &mut Writer, words: &[u32]) {
    for word in words {
        writer.put(&word.to_le_bytes());
    }
}

fn v6(writer: &mut Writer, interface: &Interface, mask: u32) {
    /// `IFLA_INET6_*`.
    const FLAGS: u16 = 1;
    const CONFIGURATION: u16 = 2;
    const IP_COUNTERS: u16 = 3;
    const CACHE_INFO: u16 = 5;
    const ICMP_COUNTERS: u16 = 6;
    const TOKEN: u16 = 7;
    const GENERATION: u16 = 8;
    /// IF_READY.
    const READY: u32 = 0x8000_0000;
    /// Longest packet that is put together; when it was made; times of looking for neighbours, in milliseconds.
    const CACHE: [u32; 4] = [65_535, 0, 30_000, 1_000];
    const IP_COUNTER_COUNT: usize = 38;
    const ICMP_COUNTER_COUNT: usize = 7;
    writer.number(FLAGS, READY);
    writer.nested(CACHE_INFO, |writer| words(writer, &CACHE));
    let mut settings = V6_SETTINGS;
    settings[V6_MTU] = interface.mtu;
    if interface.is_loopback() {
        for at in V6_NEVER {
            settings[at] = u32::MAX;
        }
    }
    writer.nested(CONFIGURATION, |writer| words(writer, &settings));
    if mask & WITHOUT_COUNTERS == 0 {
        counters(writer, IP_COUNTERS, IP_COUNTER_COUNT);
        counters(writer, ICMP_COUNTERS, ICMP_COUNTER_COUNT);
    }
    writer.attribute(TOKEN, &[0; 16]);
    writer.byte(GENERATION, 0);
}

/// Counters of 64 bits, of which the first is their number.
fn counters(writer: &mut Writer, kind: u16, count: usize) {
    writer.nested(kind, |writer| {
        writer.put(&(count as u64).to_le_bytes());
        for _ in 1..count {
            writer.put(&[0; 8]);
        }
    });
}

/// An interface as IPv6 shows it.
fn write_v6(question: &Question<'_>, writer: &mut Writer, interface: &Interface) {
    if interface.v6.is_none() {
        return;
    }
    question.write(writer, NEW_LINK, flag::MULTI, |writer| {
        fixed(writer, libc::AF_INET6, interface);
        writer.text(NAME, interface.name);
        writer.attribute(ADDRESS, &interface.hardware);
        writer.number(MTU, interface.mtu);
        writer.byte(STATE, state_of(interface));
        writer.nested(PROTOCOL_INFO, |writer| v6(writer, interface, 0));
    });
}
