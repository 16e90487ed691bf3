//! What ICMP says of packets that sockets have sent.
//!
//! Complaints in; errors, details for MSG_ERRQUEUE and ends of connections out. Always true: only a connected socket, or
//! one that has asked for details (IP_RECVERR), hears of datagrams, and without having asked only of what is final; a
//! connection that is there goes on and remembers what it was told. What an error means is in `net::icmp`.

use alloc::vec::Vec;
use core::net::IpAddr;

use shim_abi::{Errno, SimTime};

use super::address;
use crate::context::Context;
use crate::file::{Progress, ready};
use crate::kernel::Kernel;
use crate::net::icmp::{self, Complaint, Quote};
use crate::net::tcp::{Sequence, State};
use crate::net::{Endpoint, Owner, Packet, Rules};
use crate::socket::SocketId;
use crate::socket::exchange::{Exchange, Note};

/// No more failures wait to be asked for.
const MAX_FAILURES: usize = 256;
/// The header of UDP, which is no part of the message; that of ICMP is.
const UDP_HEADER_BYTES: usize = 8;
/// What headers of IP and TCP take, and the least that a way carries.
const V4_HEADERS_BYTES: usize = 40;
const V6_HEADERS_BYTES: usize = 60;
const V4_MIN_MTU: u32 = 552;
const V6_MIN_MTU: u32 = 1280;

/// A datagram that did not get where it should, and who said so.
#[derive(Debug)]
pub(super) struct Failure {
    /// What is known of the message.
    bytes: Vec<u8>,
    /// To whom it was sent, and from which address.
    target: Endpoint,
    source: IpAddr,
    errno: Errno,
    /// Nobody, if the host itself has not sent it.
    offender: Option<IpAddr>,
    kind: u8,
    code: u8,
    info: u32,
    /// How the complaint came, and when.
    marks: (u8, u8),
    arrived: SimTime,
}

impl Context<'_> {
    /// MSG_ERRQUEUE: a datagram of the socket's own that did not arrive, and who said so.
    pub(super) fn receive_failure(&mut self, call: &mut Exchange) -> Progress {
        const ORIGIN_LOCAL: u8 = 1;
        const ORIGIN_ICMP: u8 = 2;
        const ORIGIN_ICMP6: u8 = 3;
        let socket = self.kernel.sockets.get_mut(call.socket)?;
        let inet = socket.family.inet_mut()?;
        let failures = &mut inet.datagrams_mut()?.failures;
        let failure = failures.pop_front().ok_or(Errno::EAGAIN)?;
        // What went wrong is told by this.
        socket.error = failures.front().map(|next| next.errno);
        let network = &self.kernel.sockets.network;
        let interface = network.interface_from(failure.offender.unwrap_or(failure.source));
        let inet = self.kernel.sockets.inet(call.socket)?;
        let (length, left) = (failure.bytes.len(), call.transfer.left());
        let size = length.min(left);
        call.shown |= libc::MSG_ERRQUEUE as u32;
        if size < length {
            call.shown |= libc::MSG_TRUNC as u32;
        }
        let origin = match failure.offender {
            None => ORIGIN_LOCAL,
            Some(_) if failure.target.ip.is_ipv4() => ORIGIN_ICMP,
            Some(_) => ORIGIN_ICMP6,
        };
        let mut data = failure.errno.number().to_le_bytes().to_vec();
        data.extend([origin, failure.kind, failure.code, 0]);
        data.extend(failure.info.to_le_bytes());
        data.extend([0; 4]);
        let offender = address::write(failure.offender, 0, inet.is_v6, inet.reach);
        match failure.offender {
            Some(_) => data.extend(offender),
            None => data.resize(data.len() + offender.len(), 0),
        }
        let (level, kind) = match inet.is_v6 {
            true => (libc::IPPROTO_IPV6, super::option::IPV6_RECVERR),
            false => (libc::IPPROTO_IP, libc::IP_RECVERR),
        };
        let details = Note { level, kind, data };
        let notes = inet.options.notes_of(inet, (interface, failure.source), failure.marks);
        call.source = inet.name_of(failure.target);
        let stamps = self.stamps_of(call.socket, failure.arrived)?;
        call.baggage.notes = stamps.into_iter().chain(notes).chain([details]).collect();
        call.transfer.store(self.guest, failure.bytes.get(..size).unwrap_or_default())?;
        Ok(Some(size as u64))
    }
}

impl Kernel {
    /// Somebody says that a packet did not get where it should.
    pub(crate) fn hear_complaint(&mut self, now: SimTime, packet: &Packet, complaint: &Complaint) {
        let Some(quote) = complaint.quote() else { return };
        match quote.protocol {
            libc::IPPROTO_UDP => {
                self.fail_datagram(now, Rules::Datagram, packet, complaint, &quote)
            }
            libc::IPPROTO_UDPLITE => {
                self.fail_datagram(now, Rules::Lite, packet, complaint, &quote)
            }
            libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6 => {
                self.fail_datagram(now, Rules::Echo, packet, complaint, &quote);
            }
            libc::IPPROTO_TCP => self.fail_segment(now, complaint, &quote),
            _ => {}
        }
    }

    fn fail_datagram(
        &mut self,
        now: SimTime,
        rules: Rules,
        packet: &Packet,
        complaint: &Complaint,
        quote: &Quote<'_>,
    ) {
        let is_v4 = quote.source.is_ipv4();
        let is_echo = rules == Rules::Echo;
        if quote.body.len() < UDP_HEADER_BYTES
            || is_echo && quote.body.first() != Some(&icmp::echo(is_v4)[0])
        {
            return;
        }
        // Of an echo the identifier is the port, and the other side has none.
        let ports = match is_echo {
            true => quote.number(4).zip(Some(0)),
            false => quote.number(0).zip(quote.number(2)),
        };
        let Some((source_port, target_port)) = ports else { return };
        let local = Endpoint { ip: quote.source, port: source_port };
        let remote = Endpoint { ip: quote.target, port: target_port };
        let Some(id) = self.sockets.receiver_for(rules, local, remote) else { return };
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let Ok(inet) = socket.family.inet_mut() else { return };
        if complaint.mtu(is_v4).is_some() && !inet.options.learns_of_mtu(is_v4) {
            return;
        }
        let meaning = complaint.meaning(is_v4);
        let is_detailed = inet.options.wants_failures(is_v4);
        let is_told = is_detailed || meaning.is_final && inet.remote.is_some();
        if !is_told {
            return;
        }
        let skipped = if is_echo { 0 } else { UDP_HEADER_BYTES };
        if let Ok(datagrams) = inet.datagrams_mut()
            && is_detailed
            && datagrams.failures.len() < MAX_FAILURES
        {
            let Complaint { kind, code, info, .. } = *complaint;
            datagrams.failures.push_back(Failure {
                bytes: quote.body.get(skipped..).unwrap_or_default().to_vec(),
                target: remote,
                source: packet.target,
                errno: meaning.errno,
                offender: Some(packet.source),
                kind,
                code,
                info,
                marks: (packet.hops, packet.class),
                arrived: now,
            });
        }
        self.set_failed(now, id, meaning.errno);
    }

    /// A message is longer than the way carries at once, and may not be cut.
    pub(super) fn fail_at_once(
        &mut self,
        now: SimTime,
        id: SocketId,
        (source, target): (IpAddr, Endpoint),
        most_bytes: usize,
    ) -> Result<(), Errno> {
        let inet = self.sockets.inet_mut(id)?;
        let is_told = inet.options.wants_failures(target.ip.is_ipv4());
        let failures = &mut inet.datagrams_mut()?.failures;
        if is_told && failures.len() < MAX_FAILURES {
            failures.push_back(Failure {
                bytes: Vec::new(),
                target,
                source,
                errno: Errno::EMSGSIZE,
                offender: None,
                kind: 0,
                code: 0,
                info: most_bytes as u32,
                marks: (0, 0),
                arrived: now,
            });
            self.notify_socket(now, id, ready::ERR);
        }
        Ok(())
    }

    fn set_failed(&mut self, now: SimTime, id: SocketId, errno: Errno) {
        if let Ok(socket) = self.sockets.get_mut(id) {
            socket.error = Some(errno);
            self.notify_socket(now, id, ready::ERR);
        }
    }

    fn fail_segment(&mut self, now: SimTime, complaint: &Complaint, quote: &Quote<'_>) {
        let is_v4 = quote.source.is_ipv4();
        let numbers =
            quote.number(0).zip(quote.number(2)).zip(quote.number(4)).zip(quote.number(6));
        let Some((((source_port, target_port), high), low)) = numbers else { return };
        let sequence = Sequence(u32::from(high) << 16 | u32::from(low));
        let local = Endpoint { ip: quote.source, port: source_port };
        let remote = Endpoint { ip: quote.target, port: target_port };
        let network = &mut self.sockets.network;
        let found = network.find((local, remote));
        let Some((id, it)) = found.and_then(|id| Some((id, network.connection(id)?))) else {
            return;
        };
        if !it.tcp.has_under_way(sequence) {
            return;
        }
        let (owner, is_there) = (it.owner, it.tcp.is_synchronized());
        let was_asked = matches!(owner, Owner::Listener(_) | Owner::Resolver);
        if was_asked && it.tcp.state == State::SynReceived && !complaint.ends_request(is_v4) {
            return;
        }
        let Some(it) = network.connection_mut(id) else { return };
        if let Some(mtu) = complaint.mtu(is_v4) {
            let bytes = match is_v4 {
                true => mtu.max(V4_MIN_MTU) as usize - V4_HEADERS_BYTES,
                false => mtu.max(V6_MIN_MTU) as usize - V6_HEADERS_BYTES,
            };
            return it.tcp.narrow(now, bytes);
        }
        let errno = complaint.meaning(is_v4).errno;
        it.tcp.hear_failure(errno);
        if let Owner::Socket(socket) = owner
            && is_there
            && self.sockets.inet(socket).is_ok_and(|inet| inet.options.wants_failures(is_v4))
        {
            self.set_failed(now, socket, errno);
        }
    }
}

#[cfg(test)]
mod tests;
