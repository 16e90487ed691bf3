//! The host's resolver: who answers questions about names at [`RESOLVER`], by UDP and TCP.
//!
//! Messages in, answers out by the way on which they came. Rooms: `answer` (what is said). Always true: nobody has to start it; a
//! question is answered in the call in which it arrives, or, if it arrives by itself, in the next one, because the names
//! are the guest's to show; a socket that is bound to the very address goes before. What `/etc/resolv.conf` says is `files`'.

mod answer;
#[cfg(test)]
mod fuzz;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use shim_abi::SimTime;
use shim_abi::names::Names;

use super::tcp::{Segment, Settings, State, Tcp};
use super::{Body, Claim, ConnectionId, Endpoint, Owner, Packet, Reach, Tuple};
use crate::context::Context;
use crate::kernel::Kernel;

/// Where it is: the address at which Linux distributions have theirs.
pub(crate) const RESOLVER: Endpoint =
    Endpoint { ip: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), port: 53 };
/// Hop limit and class of what it sends.
const MARKS: (u8, u8) = (64, 0);
/// Bytes of the length before a message by TCP.
const LENGTH_BYTES: usize = 2;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asker {
    Datagram(Endpoint),
    Connection(ConnectionId),
}

/// What it has been asked and has not answered.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    waiting: VecDeque<(Asker, Vec<u8>)>,
}

impl Kernel {
    /// A datagram for it has come.
    pub(crate) fn ask_by_datagram(&mut self, from: Endpoint, bytes: Vec<u8>) {
        self.sockets.network.questions.waiting.push_back((Asker::Datagram(from), bytes));
    }

    /// Somebody asks it for a connection.
    pub(crate) fn answer_request_of_asker(
        &mut self,
        now: SimTime,
        tuple: Tuple,
        segment: &Segment,
    ) {
        let network = &mut self.sockets.network;
        let way_segment_bytes = network.segment_bytes_to(tuple.1.ip);
        let settings = Settings { way_segment_bytes, ..Settings::default() };
        let claim = Claim {
            address: Some(tuple.0.ip),
            reach: Reach::V4,
            is_shared: true,
            group: None,
            is_listening: false,
            is_of_connection: true,
        };
        let tcp = Tcp::answer(now, settings, network.first_number(), segment);
        network.add_connection(tcp, tuple, Owner::Resolver, claim, MARKS);
    }

    /// Something has happened to a connection of its own.
    pub(crate) fn hear_asker(&mut self, now: SimTime, id: ConnectionId) {
        let Some(connection) = self.sockets.network.connection(id) else { return };
        let tcp = &connection.tcp;
        if tcp.state == State::Closed {
            return self.forget_connection(id);
        }
        let has_ended = tcp.has_peer_ended();
        let bytes = bytes_of(tcp);
        let mut rest = bytes.as_slice();
        let mut used = 0;
        while let Some((&length, behind)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let length = usize::from(u16::from_be_bytes(length));
            let Some(message) = behind.get(..length) else { break };
            let question = (Asker::Connection(id), message.to_vec());
            self.sockets.network.questions.waiting.push_back(question);
            used += LENGTH_BYTES + length;
            rest = behind.get(length..).unwrap_or_default();
        }
        let is_asked = |(asker, _): &(Asker, Vec<u8>)| *asker == Asker::Connection(id);
        let is_done = has_ended && !self.sockets.network.questions.waiting.iter().any(is_asked);
        if used == 0 && !is_done {
            return;
        }
        let Some(connection) = self.sockets.network.connection_mut(id) else { return };
        connection.tcp.consume(used);
        if is_done {
            connection.owner = Owner::Nobody;
            connection.tcp.finish(now);
            connection.tcp.release(now);
        }
    }
}

/// All that can be read.
fn bytes_of(tcp: &Tcp) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let piece = tcp.unread(bytes.len());
        if piece.is_empty() || bytes.len() >= tcp.unread_bytes() {
            return bytes;
        }
        bytes.extend_from_slice(piece);
    }
}

impl Context<'_> {
    /// Answer what has been asked.
    pub(crate) fn answer_questions(&mut self) {
        while let Some((asker, question)) =
            self.kernel.sockets.network.questions.waiting.pop_front()
        {
            let names = self.guest.names();
            self.kernel.answer_question(self.now, asker, &question, names);
        }
    }
}

impl Kernel {
    fn answer_question(&mut self, now: SimTime, asker: Asker, question: &[u8], names: Names<'_>) {
        let is_by_tcp = matches!(asker, Asker::Connection(_));
        let answer = answer::answer(question, names, is_by_tcp);
        let network = &mut self.sockets.network;
        match (asker, answer) {
            (Asker::Datagram(Endpoint { ip, port }), Some(bytes)) => {
                let (source_port, target_port) = (RESOLVER.port, port);
                let body = Body::Udp { source_port, target_port, is_lite: false, bytes };
                let (hops, class) = MARKS;
                network.send(Packet {
                    source: RESOLVER.ip,
                    target: ip,
                    hops,
                    class,
                    most_bytes: 0,
                    body,
                });
            }
            (Asker::Connection(id), answer) => {
                if let Some(connection) = network.connection_mut(id)
                    && let Some(bytes) = answer
                {
                    let mut message = (bytes.len() as u16).to_be_bytes().to_vec();
                    message.extend(bytes);
                    connection.tcp.write(now, &message, false, false);
                }
            }
            (Asker::Datagram(_), None) => {}
        }
        self.settle_network(now);
    }
}
