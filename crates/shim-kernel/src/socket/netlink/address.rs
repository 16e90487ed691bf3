//! RTM_GETADDR: the addresses of interfaces.
//!
//! A question in, addresses out. Always true: they stay for ever, and were there since the machine was booted.

use core::net::IpAddr;

use shim_abi::Errno;

use super::message::{Writer, flag};
use super::request::{List, Question};
use crate::memory::u32_at;
use crate::net::interfaces::Interface;

const NEW_ADDRESS: u16 = 20;
/// Bytes of a `struct ifaddrmsg`.
const BYTES: usize = 8;
/// `IFA_*`.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;
const LABEL: u16 = 3;
const BROADCAST: u16 = 4;
const CACHE_INFO: u16 = 6;
const FLAGS: u16 = 8;
const PROTOCOL: u16 = 11;
/// IFA_F_PERMANENT.
const PERMANENT: u8 = 0x80;
/// IFAPROT_KERNEL_LO.
const OF_LOOPBACK: u8 = 1;
/// `RT_SCOPE_*`.
const UNIVERSE: u8 = 0;
const HOST: u8 = 254;

pub(super) fn list(question: &Question<'_>) -> Result<List, Errno> {
    question.check_size(BYTES)?;
    let message = question.message;
    let asked = message.family();
    let interfaces = question.network.interfaces();
    let index = match message.body().get(..BYTES) {
        Some(fixed) if question.is_strict => u32_at(fixed, 4),
        _ => 0,
    };
    let is_filtered = index != 0;
    if is_filtered && !interfaces.iter().any(|it| it.index == index) {
        return Ok(List::failed(Errno::ENODEV, is_filtered));
    }
    let flags = if is_filtered { flag::DUMP_FILTERED } else { 0 };
    let mut list = List { is_whole: asked == libc::AF_INET6, is_filtered, ..List::default() };
    let chosen = || interfaces.iter().filter(|it| index == 0 || it.index == index);
    if asked != libc::AF_INET6 {
        for interface in chosen() {
            if let Some((ip, bits)) = interface.v4 {
                write(question, &mut list.writer, flag::MULTI | flags, interface, ip.into(), bits);
            }
        }
    }
    if asked != libc::AF_INET {
        for interface in chosen() {
            if let Some((ip, bits)) = interface.v6 {
                write(question, &mut list.writer, flag::MULTI | flags, interface, ip.into(), bits);
            }
        }
    }
    Ok(list)
}

/// One address: of IPv6, Linux answers this for no other.
pub(super) fn one(question: &Question<'_>) -> Result<Writer, Errno> {
    question.check_size(BYTES)?;
    let message = question.message;
    if message.family() != libc::AF_INET6 {
        return Err(Errno::EOPNOTSUPP);
    }
    let data = message.attribute(BYTES, ADDRESS).or_else(|| message.attribute(BYTES, LOCAL));
    let asked: [u8; 16] = data.and_then(|data| data.try_into().ok()).ok_or(Errno::EINVAL)?;
    for interface in question.network.interfaces() {
        if let Some((ip, bits)) = interface.v6.filter(|(ip, _)| ip.octets() == asked) {
            let mut writer = Writer::default();
            write(question, &mut writer, 0, &interface, ip.into(), bits);
            return Ok(writer);
        }
    }
    Err(Errno::EADDRNOTAVAIL)
}

fn write(
    question: &Question<'_>,
    writer: &mut Writer,
    flags: u16,
    interface: &Interface,
    ip: IpAddr,
    bits: u8,
) {
    let scope = if interface.is_loopback() { HOST } else { UNIVERSE };
    let family = if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 } as u8;
    // How long it is preferred and valid: for ever. When it was made and changed.
    let mut cache = [0xff; 16];
    cache[8..].fill(0);
    question.write(writer, NEW_ADDRESS, flags, |writer| {
        writer.put(&[family, bits, PERMANENT, scope]);
        writer.put(&interface.index.to_le_bytes());
        match ip {
            IpAddr::V4(ip) => {
                writer.attribute(ADDRESS, &ip.octets());
                writer.attribute(LOCAL, &ip.octets());
                if let Some(all) = interface.broadcast().filter(|_| !interface.is_loopback()) {
                    writer.attribute(BROADCAST, &all.octets());
                }
                writer.text(LABEL, interface.name);
                writer.number(FLAGS, PERMANENT.into());
                writer.attribute(CACHE_INFO, &cache);
            }
            IpAddr::V6(ip) => {
                writer.attribute(ADDRESS, &ip.octets());
                writer.attribute(CACHE_INFO, &cache);
                writer.number(FLAGS, PERMANENT.into());
                if interface.is_loopback() {
                    writer.byte(PROTOCOL, OF_LOOPBACK);
                }
            }
        }
    });
}
