//! UDP and echoes: messages that are sent, and that come.
//!
//! Exchanges and packets in, the same out. Always true: a message is kept whole or not at all; what a queue may hold is
//! counted as Linux 6.18 counts it on x86-64, because programs see how much fits; who sends what nobody wants is told so.
//! What becomes of that is in `failure`.

use alloc::vec::Vec;
use core::net::IpAddr;

use shim_abi::{Errno, SimTime};

use super::cork::Corked;
use super::said::said_of;
use super::{Inet, Reach, Role, address};
use crate::context::Context;
use crate::file::{IoReason, Progress, ready};
use crate::kernel::Kernel;
use crate::net::icmp::{self, Trouble};
use crate::net::{Body, Endpoint, Packet, RESOLVER, Rules, is_for_many};
use crate::socket::exchange::{Exchange, Note};
use crate::socket::name::family_of;
use crate::socket::{SocketId, Sockets};

/// The most that a length in a header says.
pub(super) const MAX_BYTES: usize = 65_535;
/// Headers of UDP and IPv4, and of UDP alone, which is what IPv6 counts.
pub(super) const V4_HEADERS_BYTES: usize = 28;
pub(super) const V6_HEADERS_BYTES: usize = 8;

/// A message that has come.
#[derive(Debug)]
pub(in crate::socket) struct Message {
    pub(super) bytes: Vec<u8>,
    pub(super) source: Endpoint,
    /// To which of the socket's addresses.
    pub(super) target: IpAddr,
    pub(super) hops: u8,
    pub(super) class: u8,
    arrived: SimTime,
    charge_bytes: usize,
    /// How many had found no room by then, if that was to be counted.
    lost: u32,
}

/// What a message costs: a buffer, notes at its end, and what describes it.
pub(super) fn charge(bytes: usize) -> usize {
    /// Room for the headers, what describes a buffer, notes, and the buffers that are always there.
    const HEADERS_BYTES: usize = 59;
    const HEAD_BYTES: usize = 256;
    const NOTES_BYTES: usize = 320;
    const SMALL_BYTES: usize = 576;
    let buffer = (bytes + HEADERS_BYTES).next_multiple_of(64) + NOTES_BYTES;
    HEAD_BYTES + if buffer <= SMALL_BYTES { SMALL_BYTES } else { buffer.next_power_of_two() }
}

impl Context<'_> {
    pub(super) fn send_datagram(&mut self, call: &mut Exchange) -> Progress {
        self.kernel.need_port(call.socket)?;
        let bytes = call.transfer.left();
        if bytes > MAX_BYTES {
            return Err(Errno::EMSGSIZE);
        }
        if self.kernel.sockets.inet_mut(call.socket)?.datagrams_mut()?.corked.is_some() {
            return self.send_rest(call);
        }
        if call.has(libc::MSG_OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        let sockets = &self.kernel.sockets;
        let socket = sockets.get(call.socket)?;
        let inet = socket.family.inet()?;
        let target = inet.target_of(&call.address)?;
        let is_broadcast = matches!(target.ip, IpAddr::V4(ip) if ip.is_broadcast());
        if is_broadcast && !socket.options.has(libc::SO_BROADCAST) {
            return Err(Errno::EACCES);
        }
        let source = sockets.network.source_for(target.ip).ok_or(Errno::ENETUNREACH)?;
        let is_to_group = target.ip.is_multicast();
        let of_group = inet.options.group_source().filter(|_| is_to_group && target.ip.is_ipv4());
        let source = inet.local.filter(|ip| !is_for_many(*ip)).or(of_group).unwrap_or(source);
        // The loopback interface brings back what is sent, whatever a socket wants.
        let is_within = !is_to_group || source.is_loopback();
        let comes_back = is_within || inet.options.hears_itself(target.ip.is_ipv4());
        let is_v4 = target.ip.is_ipv4();
        if source.is_ipv4() != is_v4 {
            return Err(Errno::ENETUNREACH);
        }
        if inet.is_v6 && inet.is_echo() && is_v4 {
            return Err(Errno::EINVAL);
        }
        let headers = if is_v4 { V4_HEADERS_BYTES } else { V6_HEADERS_BYTES };
        if bytes > MAX_BYTES - headers {
            return Err(Errno::EMSGSIZE);
        }
        let (source_port, target_port) = (inet.port, target.port);
        let (marks, said) = (inet.options.marks_to(target.ip), said_of(&call.baggage.notes)?);
        let segment_bytes = said.segment_bytes.or(inet.options.segment_bytes());
        let (hops, class) = (said.hops.unwrap_or(marks.0), said.class.unwrap_or(marks.1));
        if said.source.is_some_and(|ip| !sockets.network.is_local(ip)) {
            return Err(Errno::EINVAL);
        }
        let source = said.source.filter(|ip| ip.is_ipv4() == is_v4).unwrap_or(source);
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        socket.check_error()?;
        if socket.is_mute {
            return Err(Errno::EPIPE);
        }
        let send_bytes = socket.options.send_bytes;
        if !socket.family.inet_mut()?.datagrams_mut()?.leaving.has_room(self.now, send_bytes) {
            return Ok(None);
        }
        let most = self.kernel.sockets.network.datagram_bytes_to(target.ip);
        let inet = self.kernel.sockets.inet(call.socket)?;
        let most_bytes = inet.options.most_bytes(is_v4);
        let most = if most_bytes > 0 { most.min(most_bytes.into()) } else { most };
        if segment_bytes.is_none()
            && inet.options.is_never_cut(is_v4)
            && bytes + inet.headers_bytes(is_v4) > most
        {
            self.kernel.fail_at_once(self.now, call.socket, (source, target), most)?;
            return Err(Errno::EMSGSIZE);
        }
        let rules = self.kernel.sockets.inet(call.socket)?.rules();
        let (is_echo, is_lite) = (rules == Rules::Echo, rules == Rules::Lite);
        let bytes = call.transfer.fetch(self.guest, bytes, bytes)?;
        let body = match is_echo {
            true => read_echo(&bytes, source_port, is_v4)?,
            false => Body::Udp { source_port, target_port, is_lite, bytes: bytes.into_vec() },
        };
        let packet = Packet { source, target: target.ip, hops, class, most_bytes, body };
        let whole = Corked { packet, segment_bytes, comes_back };
        let inet = self.kernel.sockets.inet_mut(call.socket)?;
        if !is_echo && (call.has(libc::MSG_MORE) || inet.options.is_datagram_corked()) {
            inet.datagrams_mut()?.corked = Some(whole);
        } else {
            self.send_whole(call.socket, whole)?;
        }
        Ok(Some(call.transfer.moved))
    }

    pub(super) fn receive_datagram(&mut self, call: &mut Exchange) -> Progress {
        if call.has(libc::MSG_ERRQUEUE) {
            return self.receive_failure(call);
        }
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        socket.check_error()?;
        let is_deaf = socket.is_deaf;
        let inet = socket.family.inet_mut()?;
        let Role::Datagram(datagrams) = &mut inet.role else { return Err(Errno::EOPNOTSUPP) };
        let is_peek = call.has(libc::MSG_PEEK);
        let mut skipped = socket.options.skipped_by(is_peek).unwrap_or(0);
        let mut is_skipped = |message: &&Message| {
            let length = message.bytes.len();
            let is_skipped = skipped > 0 && skipped >= length;
            skipped -= if is_skipped { length } else { 0 };
            is_skipped
        };
        let Some(message) = datagrams.queue.iter().find(|message| !is_skipped(message)) else {
            // Nothing will come: who does not wait is not told so.
            return Ok((is_deaf && !call.is_nonblocking()).then_some(0));
        };
        let length = message.bytes.len();
        let size = (length - skipped).min(call.transfer.left());
        if call.transfer.left() <= length - skipped && size < length {
            call.shown |= libc::MSG_TRUNC as u32;
        }
        let (source, target) = (message.source, message.target);
        let (marks, arrived, lost) = ((message.hops, message.class), message.arrived, message.lost);
        let piece = message.bytes.get(skipped..skipped + size).unwrap_or_default();
        let stored = call.transfer.store(self.guest, piece);
        let count = if call.has(libc::MSG_TRUNC) { length } else { size };
        if !is_peek {
            datagrams.charged_bytes -= message.charge_bytes;
            datagrams.queue.pop_front();
        }
        stored?;
        socket.options.move_peek_offset(count, is_peek);
        call.source = inet.name_of(source);
        let interface = self.kernel.sockets.network.interface_from(source.ip);
        let inet = self.kernel.sockets.inet(call.socket)?;
        let notes = inet.options.notes_of(inet, (interface, target), marks);
        call.baggage.notes = self.stamps_of(call.socket, arrived)?;
        if lost > 0 && self.kernel.sockets.get(call.socket)?.options.has(libc::SO_RXQ_OVFL) {
            let data = lost.to_le_bytes().to_vec();
            let note = Note { level: libc::SOL_SOCKET, kind: libc::SO_RXQ_OVFL, data };
            call.baggage.notes.push(note);
        }
        call.baggage.notes.extend(notes);
        Ok(Some(count as u64))
    }
}

/// Type, code, checksum, identifier, number.
pub(super) const ECHO_HEADER_BYTES: usize = 8;

/// A message that asks for an echo: EINVAL if it is another.
fn read_echo(bytes: &[u8], identifier: u16, is_v4: bool) -> Result<Body, Errno> {
    let [asked, _] = icmp::echo(is_v4);
    let (header, rest) = bytes.split_at_checked(ECHO_HEADER_BYTES).ok_or(Errno::EINVAL)?;
    if header[..2] != [asked, 0] {
        return Err(Errno::EINVAL);
    }
    let sequence = u16::from_be_bytes([header[6], header[7]]);
    Ok(Body::Echo { is_reply: false, identifier, sequence, bytes: rest.to_vec() })
}

/// An echo as a message.
fn write_echo(identifier: u16, sequence: u16, bytes: &[u8], is_v4: bool) -> Vec<u8> {
    let [_, reply] = icmp::echo(is_v4);
    let mut message = alloc::vec![reply, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend(bytes);
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // That of ICMPv6 is the network's: no program sees it.
    if is_v4 {
        message[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
    message
}

impl Inet {
    /// What headers add to a message; one that asks for an echo has its own.
    fn headers_bytes(&self, is_v4: bool) -> usize {
        let of_ip = if is_v4 { 20 } else { 40 };
        if self.is_echo() { of_ip } else { of_ip + 8 }
    }

    /// To whom a message goes.
    fn target_of(&self, name: &[u8]) -> Result<Endpoint, Errno> {
        let is_to_v4 = self.is_v6 && name.len() >= 16 && family_of(name) == libc::AF_INET;
        let is_unnamed = address::is_unspecified(name);
        let target = match name {
            [] => return self.remote.ok_or(Errno::EDESTADDRREQ),
            [_] => return Err(Errno::EINVAL),
            _ if is_to_v4 => address::read(name, false)?,
            _ if is_unnamed && self.is_v6 => return self.remote.ok_or(Errno::EDESTADDRREQ),
            // What 4.2BSD understood.
            _ if is_unnamed => {
                address::read_v4(name).filter(|_| name.len() >= 16).ok_or(Errno::EINVAL)?
            }
            _ => address::read(name, self.is_v6)?,
        };
        if target.port == 0 && !self.is_echo() {
            return Err(Errno::EINVAL);
        }
        let target = self.reachable(target);
        let is_mapped = self.is_v6 && target.ip.is_ipv4();
        if is_mapped && self.reach == Reach::V6
            || self.is_v6 && !is_mapped && self.reach == Reach::V4
        {
            return Err(Errno::ENETUNREACH);
        }
        Ok(target)
    }

    /// How well a socket fits a datagram; nothing if it does not get it.
    fn fit(&self, local: Endpoint, remote: Endpoint) -> Option<u32> {
        let mut score = 1;
        match self.local {
            Some(ip) if ip != local.ip => return None,
            Some(_) => score += 4,
            None if !self.reaches(local.ip.is_ipv4()) => return None,
            None => {}
        }
        match self.remote {
            Some(other) if self.is_echo() && other.ip == remote.ip => score += 8,
            Some(other) if other != remote => return None,
            Some(_) => score += 8,
            None => {}
        }
        Some(score + u32::from(self.is_v6 != local.ip.is_ipv4()))
    }
}

impl Sockets {
    /// Which socket gets a datagram.
    pub(super) fn receiver_for(
        &self,
        rules: Rules,
        local: Endpoint,
        remote: Endpoint,
    ) -> Option<SocketId> {
        let receivers = self.network.receivers(rules, local.port);
        let fit = |id: &SocketId| self.inet(*id).ok()?.fit(local, remote);
        let best = receivers.iter().filter_map(fit).max()?;
        let equal = receivers.iter().copied().filter(|id| fit(id) == Some(best));
        let is_group = equal.clone().all(|id| self.is_in_port_group(id));
        self.network.pick((local, remote), equal, is_group)
    }

    /// All sockets that get a datagram for many.
    fn receivers_for(&self, rules: Rules, local: Endpoint, remote: Endpoint) -> Vec<SocketId> {
        let receivers = self.network.receivers(rules, local.port).iter().copied();
        let fits = |id: &SocketId| {
            let inet = self.inet(*id).ok();
            inet.is_some_and(|inet| {
                inet.fit(local, remote).is_some() && inet.options.has_joined(local.ip)
            })
        };
        receivers.filter(fits).collect()
    }
}

impl Kernel {
    /// A datagram has come.
    pub(crate) fn arrive_at_datagrams(
        &mut self,
        now: SimTime,
        local: Endpoint,
        remote: Endpoint,
        packet: Packet,
    ) {
        let marks = (packet.hops, packet.class);
        let (bytes, source_port, target_port, is_lite) = match packet.body {
            Body::Udp { bytes, source_port, target_port, is_lite } => {
                (bytes, source_port, target_port, is_lite)
            }
            Body::Echo { identifier, sequence, bytes, .. } => {
                let message = write_echo(identifier, sequence, &bytes, local.ip.is_ipv4());
                if let Some(id) = self.sockets.receiver_for(Rules::Echo, local, remote) {
                    self.take_datagram(now, id, local.ip, remote, message, marks);
                }
                return;
            }
            Body::Tcp { .. } | Body::Error(_) => return,
        };
        let rules = if is_lite { Rules::Lite } else { Rules::Datagram };
        if is_for_many(local.ip) {
            for id in self.sockets.receivers_for(rules, local, remote) {
                self.take_datagram(now, id, local.ip, remote, bytes.clone(), marks);
            }
            return;
        }
        let receiver = self.sockets.receiver_for(rules, local, remote);
        let is_for_resolver = rules == Rules::Datagram && local == RESOLVER;
        match receiver {
            _ if is_for_resolver
                && !receiver.is_some_and(|id| self.sockets.is_bound_to(id, local.ip)) =>
            {
                self.ask_by_datagram(remote, bytes);
            }
            Some(id) => self.take_datagram(now, id, local.ip, remote, bytes, marks),
            None => {
                let body = Body::Udp { source_port, target_port, is_lite, bytes };
                let lost = Packet { body, ..packet };
                let refusal = icmp::error_about_packet(&lost, Trouble::PortUnreachable, local.ip);
                refusal.into_iter().for_each(|packet| self.sockets.network.send(packet));
            }
        }
    }

    fn take_datagram(
        &mut self,
        now: SimTime,
        id: SocketId,
        target: IpAddr,
        source: Endpoint,
        bytes: Vec<u8>,
        (hops, class): (u8, u8),
    ) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let limit = socket.options.receive_bytes;
        let is_counted = socket.options.has(libc::SO_RXQ_OVFL);
        let Ok(datagrams) = socket.family.inet_mut().and_then(Inet::datagrams_mut) else { return };
        let charge_bytes = charge(bytes.len());
        if datagrams.charged_bytes > 0 && datagrams.charged_bytes + charge_bytes > limit {
            datagrams.lost = datagrams.lost.wrapping_add(1);
            datagrams.tally.note_received(now, None);
            return;
        }
        datagrams.tally.note_received(now, Some(bytes.len()));
        datagrams.charged_bytes += charge_bytes;
        let (arrived, lost) = (now, if is_counted { datagrams.lost } else { 0 });
        let message = Message { bytes, source, target, hops, class, arrived, charge_bytes, lost };
        datagrams.queue.push_back(message);
        self.notify_socket(now, id, ready::INPUT);
        self.signal_owner(now, id, IoReason::Input);
    }
}
