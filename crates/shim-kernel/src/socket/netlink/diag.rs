//! NETLINK_SOCK_DIAG: the sockets of a host, as `ss` asks for them: see sock_diag(7).
//!
//! A question in, a message for each socket out. Always true: sockets stand in the order of `/proc/net`, which shows the
//! same; what a question leaves out is left out here, by states, ports and its program of conditions (`condition`). Not offered:
//! ending connections, and families beside AF_UNIX, AF_INET and AF_INET6, for which `ss` reads `/proc/net`; of what can be
//! told of a socket that which needs memory to be counted as Linux counts it.

use alloc::vec::Vec;
use core::net::IpAddr;

use shim_abi::{Errno, SimTime};

use super::condition;
use super::message::{DONE, Message, Writer, flag};
use crate::kernel::Kernel;
use crate::memory::u32_at;
use crate::socket::inet::{Line, List};
use crate::socket::unix::Shown;

/// SOCK_DIAG_BY_FAMILY.
pub(super) const BY_FAMILY: u16 = 20;
/// SOCK_DESTROY.
pub(super) const DESTROY: u16 = 21;
/// How older programs ask, first.
pub(super) const FIRST_COMPATIBLE: u16 = 18;
/// Bytes of a `struct inet_diag_req_v2`, and where its parts are.
const INET_BYTES: usize = 56;
const PROTOCOL_BYTE: usize = 1;
const DETAILS_BYTE: usize = 2;
const STATES: usize = 4;
const PORTS: usize = 8;
/// `INET_DIAG_*`.
const PROGRAM: u16 = 1;
const WIDE_PROTOCOL: u16 = 3;
const INFO: u16 = 2;
const CONGESTION: u16 = 4;
const SHUTDOWN: u16 = 8;
const ONLY_V6: u16 = 11;
/// Bytes of a `struct unix_diag_req`, and where its parts are.
const UNIX_BYTES: usize = 24;
const INODE: usize = 8;
const SHOWN: usize = 12;
/// `UNIX_DIAG_*`: attributes, and the bits that ask for them.
const NAME: u16 = 0;
const FILE: u16 = 1;
const PEER: u16 = 2;
const CONNECTIONS: u16 = 3;
const QUEUES: u16 = 4;
const UNIX_SHUTDOWN: u16 = 6;
const USER: u16 = 7;
const SHOW_USER: u32 = 1 << 6;
/// A part of a list is not much longer.
const PART_BYTES: usize = 16_384;
/// Linux has numbers for so many families.
const FAMILIES: i32 = 46;
const LISTENING: u8 = 10;
const CLOSED: u8 = 7;

/// A question, and who asks.
pub(super) struct Inquiry<'a> {
    pub(super) message: Message<'a>,
    pub(super) kernel: &'a Kernel,
    pub(super) now: SimTime,
    /// The port that asks.
    pub(super) port: u32,
}

impl Inquiry<'_> {
    /// The parts of an answer, and its end if it is a list: EINVAL, ENOENT.
    pub(super) fn parts(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let is_list = self.message.has(flag::DUMP);
        let mut parts = Vec::new();
        let mut writer = Writer::default();
        let told = match self.message.family() {
            libc::AF_UNIX => self.tell_unix(&mut parts, &mut writer),
            libc::AF_INET => self.tell_inet(&mut parts, &mut writer, false),
            libc::AF_INET6 => self.tell_inet(&mut parts, &mut writer, true),
            ..FAMILIES => return Err(Errno::ENOENT),
            _ => return Err(Errno::EINVAL),
        };
        if !is_list {
            told?;
            let is_found = !writer.is_empty();
            return if is_found { Ok([writer.into_bytes()].into()) } else { Err(Errno::ENOENT) };
        }
        if !writer.is_empty() {
            parts.push(core::mem::take(&mut writer).into_bytes());
        }
        let errno = told.err().map_or(0, |errno| -errno.number());
        self.write(&mut writer, DONE, |writer| writer.put(&errno.to_le_bytes()));
        parts.push(writer.into_bytes());
        Ok(parts)
    }

    fn write(&self, writer: &mut Writer, kind: u16, fill: impl FnOnce(&mut Writer)) {
        let flags = if self.message.has(flag::DUMP) { flag::MULTI } else { 0 };
        writer.message((kind, flags), self.message.sequence, self.port, fill);
    }

    /// Begin the next part if this one is long.
    fn cut(&self, parts: &mut Vec<Vec<u8>>, writer: &mut Writer) {
        if writer.len() >= PART_BYTES {
            parts.push(core::mem::take(writer).into_bytes());
        }
    }

    fn tell_inet(
        &self,
        parts: &mut Vec<Vec<u8>>,
        writer: &mut Writer,
        is_v6: bool,
    ) -> Result<(), Errno> {
        let request = self.message.body().get(..INET_BYTES).ok_or(Errno::EINVAL)?;
        // Some numbers of protocols do not fit into a byte.
        let wide = self.message.number(INET_BYTES, WIDE_PROTOCOL).map(|number| number as i32);
        let list = match wide.unwrap_or(request[PROTOCOL_BYTE].into()) {
            libc::IPPROTO_TCP => List::Tcp,
            libc::IPPROTO_UDP => List::Udp,
            libc::IPPROTO_UDPLITE => List::UdpLite,
            _ => return Err(Errno::ENOENT),
        };
        let is_list = self.message.has(flag::DUMP);
        let program = self.message.attribute(INET_BYTES, PROGRAM).filter(|_| is_list);
        let states = u32_at(request, STATES);
        let port = |at: usize| u16::from_be_bytes([request[at], request[at + 1]]);
        let ports = [port(PORTS), port(PORTS + 2)];
        let details = u16::from(request[DETAILS_BYTE]);
        for line in self.kernel.inet_lines(self.now, list, is_v6) {
            let own = [line.local.port, line.remote.port];
            let is_meant = match is_list {
                true => {
                    let is_port = |(&asked, own): (&u16, u16)| asked == 0 || asked == own;
                    states >> line.state & 1 != 0
                        && ports.iter().zip(own).all(is_port)
                        && program.is_none_or(|program| condition::holds(program, &line, is_v6))
                }
                // The two addresses stand behind the ports.
                false => identity(&line, is_v6)[..36] == request[PORTS..PORTS + 36],
            };
            if !is_meant {
                continue;
            }
            self.cut(parts, writer);
            self.write(writer, BY_FAMILY, |writer| {
                self.tell_line(writer, &line, is_v6, details);
            });
            if !is_list {
                break;
            }
        }
        Ok(())
    }

    /// A `struct inet_diag_msg`, and what was asked for behind it.
    fn tell_line(&self, writer: &mut Writer, line: &Line, is_v6: bool, details: u16) {
        /// Timers are told of in milliseconds, and kept in hundredths of a second.
        const TICK_MS: u64 = 10;
        let family = if is_v6 { libc::AF_INET6 } else { libc::AF_INET };
        let (timer, ticks) = line.timer;
        let expires = u32::try_from(ticks.saturating_mul(TICK_MS)).unwrap_or(u32::MAX);
        let [sent, received] = line.diagnosed_queues();
        writer.put(&[family as u8, line.state, timer, 0]);
        writer.put(&identity(line, is_v6));
        for number in [expires, received as u32, sent as u32, line.user, line.inode as u32] {
            writer.put(&number.to_le_bytes());
        }
        writer.byte(SHUTDOWN, line.shut);
        if is_v6 && matches!(line.state, LISTENING | CLOSED) {
            writer.byte(ONLY_V6, line.is_only_v6.into());
        }
        let wants = |detail: u16| details >> (detail - 1) & 1 != 0;
        if wants(INFO)
            && let Some(info) = self.kernel.info_of(self.now, line)
        {
            writer.attribute(INFO, &info);
        }
        if wants(CONGESTION)
            && let Some(name) = self.kernel.congestion_of(line)
        {
            writer.text(CONGESTION, &name);
        }
    }

    fn tell_unix(&self, parts: &mut Vec<Vec<u8>>, writer: &mut Writer) -> Result<(), Errno> {
        let request = self.message.body().get(..UNIX_BYTES).ok_or(Errno::EINVAL)?;
        let (states, wanted) = (u32_at(request, STATES), u32_at(request, SHOWN));
        let is_list = self.message.has(flag::DUMP);
        let inode = u32_at(request, INODE);
        for shown in self.kernel.unix_shown() {
            let is_meant = match is_list {
                true => states >> shown.diagnosed_state() & 1 != 0,
                false => inode != 0 && shown.inode as u32 == inode,
            };
            if !is_meant {
                continue;
            }
            self.cut(parts, writer);
            self.write(writer, BY_FAMILY, |writer| tell_shown(writer, &shown, wanted));
            if !is_list {
                break;
            }
        }
        Ok(())
    }
}

/// A `struct unix_diag_msg`, and what was asked for behind it.
fn tell_shown(writer: &mut Writer, shown: &Shown, wanted: u32) {
    let has = |attribute: u16| wanted >> attribute & 1 != 0;
    let number = |number: u32| number.to_le_bytes();
    writer.put(&[libc::AF_UNIX as u8, shown.kind as u8, shown.diagnosed_state(), 0]);
    writer.put(&number(shown.inode as u32));
    writer.put(&shown.cookie.to_le_bytes());
    if has(NAME)
        && let Some(name) = &shown.name
    {
        writer.attribute(NAME, name);
    }
    if has(FILE)
        && let Some((device, inode)) = shown.file
    {
        let both = [number(inode as u32), number(device as u32)].concat();
        writer.attribute(FILE, &both);
    }
    if has(PEER)
        && let Some(inode) = shown.peer_inode
    {
        writer.number(PEER, inode as u32);
    }
    if has(CONNECTIONS) && shown.is_listening {
        writer.attribute(CONNECTIONS, &number(0).repeat(shown.queues[0]));
    }
    if has(QUEUES) {
        let both = shown.queues.map(|count| number(count as u32)).concat();
        writer.attribute(QUEUES, &both);
    }
    writer.byte(UNIX_SHUTDOWN, shown.shut);
    if wanted & SHOW_USER != 0 {
        writer.number(USER, shown.user);
    }
}

/// An address as sixteen bytes: one of IPv4 comes first there, or is mapped.
pub(super) fn octets(ip: IpAddr, is_v6: bool) -> [u8; 16] {
    match ip {
        IpAddr::V6(ip) => ip.octets(),
        IpAddr::V4(ip) if is_v6 => ip.to_ipv6_mapped().octets(),
        IpAddr::V4(ip) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&ip.octets());
            bytes
        }
    }
}

/// A `struct inet_diag_sockid`.
fn identity(line: &Line, is_v6: bool) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..2].copy_from_slice(&line.local.port.to_be_bytes());
    bytes[2..4].copy_from_slice(&line.remote.port.to_be_bytes());
    bytes[4..20].copy_from_slice(&octets(line.local.ip, is_v6));
    bytes[20..36].copy_from_slice(&octets(line.remote.ip, is_v6));
    bytes[40..].copy_from_slice(&line.cookie.to_le_bytes());
    bytes
}
