//! AF_NETLINK: what programs ask the kernel about its network: see netlink(7), rtnetlink(7).
//!
//! Calls in, the same out. Rooms: `message` (as they are laid out), `request` (what a message asks for, and whether it may),
//! `link`, `address`, `route`, `rule`, `diag` with `condition` (the answers), `option`. Always true: an answer is ready when the call returns that
//! asked; of a list that has several parts the next one comes when one is taken, as on Linux; port numbers belong to one
//! socket each. What there is to tell is in `net::interfaces`; nothing changes, so nobody is told of changes. Not offered: changing
//! anything, and protocols other than NETLINK_ROUTE and NETLINK_SOCK_DIAG.

mod address;
mod condition;
mod diag;
mod link;
mod message;
mod option;
mod request;
mod route;
mod rule;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use shim_abi::calls::SENT_REFUSED;
use shim_abi::{Errno, SimTime};

use super::connect::{Attempt, Connecting};
use super::exchange::{Exchange, Note};
use super::name::family_of;
use super::unix::Credentials;
use super::{Kind, SocketId, Sockets};
use crate::context::{Answer, Context, done};
use crate::file::{Progress, ready};
use crate::kernel::Kernel;
use crate::memory::u32_at;
use option::{PACKET_INFO, Settings};

/// Bytes of a `struct sockaddr_nl`.
const ADDRESS_BYTES: usize = 12;
const SOL_NETLINK: i32 = 270;
/// The protocol that tells of sockets.
const SOCK_DIAG: i32 = libc::NETLINK_SOCK_DIAG;
/// What Linux takes off the room for sending.
const SEND_OVERHEAD_BYTES: usize = 32;
/// Port numbers that Linux gives who has more sockets than one: below this.
const LAST_RANDOM_PORT: i32 = -4097;
/// The kernel, whose messages these are.
const KERNEL: Credentials = Credentials { pid: 0, uid: 0, gid: 0 };

/// A message that has come, and from which port.
#[derive(Debug)]
struct Arrived {
    bytes: Vec<u8>,
    sender: u32,
}

/// What is AF_NETLINK's of a socket.
#[derive(Debug)]
pub(crate) struct Netlink {
    /// SOCK_RAW or SOCK_DGRAM, between which nothing differs.
    kind: i32,
    /// `NETLINK_*`.
    protocol: i32,
    /// Its port, once it has one.
    port: Option<u32>,
    /// To whom it sends if a call does not say: port and groups.
    peer: [u32; 2],
    /// Whether it hears nobody else.
    is_connected: bool,
    queue: VecDeque<Arrived>,
    /// Further parts of a list.
    later: VecDeque<Vec<u8>>,
    settings: Settings,
}

/// What is made for a type and protocol.
pub(super) fn new_netlink(kind: u32, protocol: i32) -> Result<(Kind, Netlink), Errno> {
    /// Linux has numbers for so many.
    const PROTOCOLS: i32 = 32;
    let kind = kind as i32;
    if !matches!(kind, libc::SOCK_RAW | libc::SOCK_DGRAM) {
        return Err(Errno::ESOCKTNOSUPPORT);
    }
    if !(0..PROTOCOLS).contains(&protocol) || !matches!(protocol, libc::NETLINK_ROUTE | SOCK_DIAG) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let (queue, later) = (VecDeque::new(), VecDeque::new());
    let settings = Settings::default();
    let (port, peer, is_connected) = (None, [0; 2], false);
    let netlink = Netlink { kind, protocol, port, peer, is_connected, queue, later, settings };
    Ok((Kind::Datagram, netlink))
}

/// Port and groups of an address: EINVAL.
fn read_address(address: &[u8]) -> Result<[u32; 2], Errno> {
    if address.len() < ADDRESS_BYTES || family_of(address) != libc::AF_NETLINK {
        return Err(Errno::EINVAL);
    }
    Ok([u32_at(address, 4), u32_at(address, 8)])
}

fn write_address([port, groups]: [u32; 2]) -> Vec<u8> {
    let mut bytes = (libc::AF_NETLINK as u32).to_le_bytes().to_vec();
    bytes.extend(port.to_le_bytes());
    bytes.extend(groups.to_le_bytes());
    bytes
}

impl Netlink {
    /// `SOCK_*`.
    pub(super) fn type_number(&self) -> i32 {
        self.kind
    }
    /// Its own address, as it is shown.
    pub(super) fn name(&self) -> Vec<u8> {
        write_address([self.port.unwrap_or(0), self.settings.first_groups()])
    }
    /// `NETLINK_*`.
    pub(super) fn protocol(&self) -> i32 {
        self.protocol
    }
    pub(super) fn peer_name(&self) -> Vec<u8> {
        write_address(self.peer)
    }
    pub(super) fn readiness(&self) -> u32 {
        let input = if self.queue.is_empty() { 0 } else { ready::READ };
        input | ready::WRITE | ready::WRITE_BAND
    }
}

impl Sockets {
    fn netlink(&self, id: SocketId) -> Result<&Netlink, Errno> {
        self.get(id)?.family.netlink()
    }
    fn netlink_mut(&mut self, id: SocketId) -> Result<&mut Netlink, Errno> {
        self.get_mut(id)?.family.netlink_mut()
    }
}

impl Kernel {
    pub(super) fn close_netlink(&mut self, netlink: &Netlink) {
        if let Some(port) = netlink.port {
            self.sockets.netlink_ports.remove(&(netlink.protocol, port));
        }
    }

    /// A message for a socket, or none: what does not fit is lost.
    fn deliver_netlink(&mut self, now: SimTime, id: SocketId, bytes: Vec<u8>, sender: u32) {
        let Ok(socket) = self.sockets.get_mut(id) else { return };
        let limit = socket.options.receive_bytes;
        let Ok(netlink) = socket.family.netlink_mut() else { return };
        let used: usize = netlink.queue.iter().map(|message| message.bytes.len()).sum();
        if used > 0 && used + bytes.len() > limit {
            if !netlink.settings.is_on(option::NO_BUFFER_ERRORS) {
                socket.error = Some(Errno::ENOBUFS);
                self.notify_socket(now, id, ready::ERR);
            }
            return;
        }
        netlink.queue.push_back(Arrived { bytes, sender });
        self.notify_socket(now, id, ready::INPUT);
    }
}

impl Context<'_> {
    pub(super) fn bind_netlink(&mut self, id: SocketId, address: &[u8]) -> Answer {
        let [port, groups] = read_address(address)?;
        let own = self.kernel.sockets.netlink(id)?.port;
        match own {
            Some(own) if own != port => return Err(Errno::EINVAL),
            Some(_) => {}
            None if port == 0 => self.take_any_port(id)?,
            None => self.take_netlink_port(id, port)?,
        }
        self.kernel.sockets.netlink_mut(id)?.settings.set_first_groups(groups);
        done(0)
    }

    fn take_netlink_port(&mut self, id: SocketId, port: u32) -> Result<(), Errno> {
        let sockets = &mut self.kernel.sockets;
        let protocol = sockets.netlink(id)?.protocol;
        if sockets.netlink_ports.contains_key(&(protocol, port)) {
            return Err(Errno::EADDRINUSE);
        }
        sockets.netlink_ports.insert((protocol, port), id);
        sockets.netlink_mut(id)?.port = Some(port);
        Ok(())
    }

    /// The process's number, or if that is taken any negative one.
    fn take_any_port(&mut self, id: SocketId) -> Result<(), Errno> {
        if self.take_netlink_port(id, self.pid.0).is_ok() {
            return Ok(());
        }
        loop {
            let span = u64::from(LAST_RANDOM_PORT.abs_diff(i32::MIN));
            let offset = self.kernel.sockets.network.draw() % span;
            let port = i32::MIN.wrapping_add(offset as i32) as u32;
            if self.take_netlink_port(id, port) != Err(Errno::EADDRINUSE) {
                return Ok(());
            }
        }
    }

    pub(super) fn connect_netlink(&mut self, call: &Connecting) -> Result<Attempt, Errno> {
        let (id, address) = (call.socket, call.address.as_slice());
        if address.len() < 2 {
            return Err(Errno::EINVAL);
        }
        if family_of(address) == libc::AF_UNSPEC {
            let netlink = self.kernel.sockets.netlink_mut(id)?;
            (netlink.peer, netlink.is_connected) = ([0; 2], false);
            return Ok(Attempt::Connected);
        }
        let peer = read_address(address)?;
        self.check_peer(peer)?;
        if self.kernel.sockets.netlink(id)?.port.is_none() {
            self.take_any_port(id)?;
        }
        let netlink = self.kernel.sockets.netlink_mut(id)?;
        (netlink.peer, netlink.is_connected) = (peer, true);
        Ok(Attempt::Connected)
    }

    /// Only who may do anything speaks to others than the kernel.
    fn check_peer(&self, peer: [u32; 2]) -> Result<(), Errno> {
        let is_allowed = peer == [0; 2] || self.guest.user_ids()[1] == 0;
        if is_allowed { Ok(()) } else { Err(Errno::EPERM) }
    }

    pub(super) fn exchange_netlink(&mut self, call: &mut Exchange) -> Progress {
        if call.has(libc::MSG_OOB) {
            return Err(Errno::EOPNOTSUPP);
        }
        if call.is_reading() { self.receive_netlink(call) } else { self.send_netlink(call) }
    }

    fn send_netlink(&mut self, call: &mut Exchange) -> Progress {
        let (id, bytes) = (call.socket, call.transfer.left());
        if bytes == 0 {
            return Err(Errno::ENODATA);
        }
        let named = if call.address.is_empty() { None } else { Some(read_address(&call.address)?) };
        let [port, groups] = named.unwrap_or(self.kernel.sockets.netlink(id)?.peer);
        self.check_peer([port, groups])?;
        if self.kernel.sockets.netlink(id)?.port.is_none() {
            self.take_any_port(id)?;
        }
        let room = self.kernel.sockets.get(id)?.options.send_bytes;
        if bytes > room.saturating_sub(SEND_OVERHEAD_BYTES) {
            return Err(Errno::EMSGSIZE);
        }
        let message = call.transfer.fetch(self.guest, bytes, bytes)?.into_vec();
        let own = self.kernel.sockets.netlink(id)?.port.unwrap_or(0);
        if port != 0 {
            let protocol = self.kernel.sockets.netlink(id)?.protocol;
            let target = self.kernel.sockets.netlink_ports.get(&(protocol, port)).copied();
            let target = target.ok_or(Errno::ECONNREFUSED)?;
            let other = self.kernel.sockets.netlink(target)?;
            if other.is_connected && other.peer[0] != own {
                return Err(Errno::ECONNREFUSED);
            }
            self.kernel.deliver_netlink(self.now, target, message, own);
            return Ok(Some(bytes as u64));
        }
        let refused = self.ask(id, own, &message)?;
        Ok(Some(bytes as u64 | refused.map_or(0, |kind| SENT_REFUSED | u64::from(kind) << 32)))
    }

    fn receive_netlink(&mut self, call: &mut Exchange) -> Progress {
        let id = call.socket;
        if call.has(libc::MSG_ERRQUEUE) {
            return Err(Errno::EOPNOTSUPP);
        }
        let socket = self.kernel.sockets.get_mut(id)?;
        socket.check_error()?;
        let netlink = socket.family.netlink_mut()?;
        let Some(message) = netlink.queue.front() else { return Ok(None) };
        let (length, sender) = (message.bytes.len(), message.sender);
        let size = length.min(call.transfer.left());
        if size < length {
            call.shown |= libc::MSG_TRUNC as u32;
        }
        let stored = call.transfer.store(self.guest, message.bytes.get(..size).unwrap_or_default());
        if !call.has(libc::MSG_PEEK) {
            netlink.queue.pop_front();
        }
        stored?;
        call.source = write_address([sender, 0]);
        call.baggage.credentials = Some(KERNEL);
        if netlink.settings.is_on(PACKET_INFO) {
            let (level, kind, data) = (SOL_NETLINK, PACKET_INFO as i32, [0; 4].into());
            call.baggage.notes.push(Note { level, kind, data });
        }
        if let Some(bytes) = netlink.later.pop_front() {
            netlink.queue.push_back(Arrived { bytes, sender: 0 });
            self.kernel.notify_socket(self.now, id, ready::INPUT);
        }
        Ok(Some(if call.has(libc::MSG_TRUNC) { length } else { size } as u64))
    }
}

impl Kernel {
    /// `/proc/net/netlink`: the kernel's own sockets first.
    pub(crate) fn netlink_sockets_text(&self) -> String {
        let mut text = String::from(
            "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n",
        );
        let mut add = |protocol: i32, port: u32, groups: u32, bytes: usize, (is_listing, inode)| {
            let (dump, inode): (u8, u64) = (u8::from(is_listing), inode);
            text += &format!(
                "{:016} {protocol:<3} {port:<10} {groups:08x} {bytes:<8} 0        {dump:<5} 2        0        {inode:<8}\n",
                0
            );
        };
        add(libc::NETLINK_ROUTE, 0, 0, 0, (false, 0));
        add(SOCK_DIAG, 0, 0, 0, (false, 0));
        for socket in self.sockets.sockets.values() {
            let Ok(netlink) = socket.family.netlink() else { continue };
            let bytes = netlink.queue.iter().map(|message| message.bytes.len()).sum();
            let inode = self.files.get(socket.file).map_or(0, |file| file.inode);
            let groups = netlink.settings.first_groups();
            let (port, is_listing) = (netlink.port.unwrap_or(0), !netlink.later.is_empty());
            add(netlink.protocol, port, groups, bytes, (is_listing, inode));
        }
        text
    }
}
