//! The sockets of a host as `/proc/net/unix` shows them, and as `ss` asks for them.
//!
//! The kernel in, what is shown out, and text. Always true: a line a socket, in the order in which they were made; where
//! Linux shows an address in memory there are zeroes, as there for those who may not see it.

use alloc::format;
use alloc::vec::Vec;

use super::name::Key;
use crate::kernel::Kernel;
use crate::socket::{Kind, Socket, SocketId, Unix};

/// SO_ACCEPTCON among the flags that are shown.
const ACCEPTS: u32 = 1 << 16;
/// States of a socket that somebody has, and of one that nobody has taken.
const UNCONNECTED: u32 = 1;
const CONNECTING: u32 = 2;
const CONNECTED: u32 = 3;
/// The states of TCP that netlink shows.
const DIAGNOSED_CONNECTED: u8 = 1;
const DIAGNOSED_CLOSED: u8 = 7;
const DIAGNOSED_LISTENING: u8 = 10;
/// References to a socket beside those of its partners.
const OWN_REFERENCES: usize = 2;

/// What is shown of a socket.
pub(in crate::socket) struct Shown {
    references: usize,
    /// `SOCK_*`.
    pub(in crate::socket) kind: i32,
    state: u32,
    pub(in crate::socket) is_listening: bool,
    pub(in crate::socket) inode: u64,
    /// What follows the family in its address; a path with its NUL.
    pub(in crate::socket) name: Option<Vec<u8>>,
    /// Device and inode that it is bound to.
    pub(in crate::socket) file: Option<(u64, u64)>,
    pub(in crate::socket) peer_inode: Option<u64>,
    /// What can be read, and what the other side has not; of who listens how many wait, and may.
    pub(in crate::socket) queues: [usize; 2],
    /// Which directions are over: 1, receiving; 2, sending.
    pub(in crate::socket) shut: u8,
    pub(in crate::socket) user: u32,
    /// A number that nobody else has.
    pub(in crate::socket) cookie: u64,
}

impl Shown {
    /// Its state, as who asks for it by netlink is told.
    pub(in crate::socket) fn diagnosed_state(&self) -> u8 {
        match self.state {
            _ if self.is_listening => DIAGNOSED_LISTENING,
            UNCONNECTED => DIAGNOSED_CLOSED,
            _ => DIAGNOSED_CONNECTED,
        }
    }
}

impl Kernel {
    /// All sockets of the family.
    pub(in crate::socket) fn unix_shown(&self) -> impl Iterator<Item = Shown> + '_ {
        let sockets = self.sockets.sockets.iter();
        let of_family = |(&id, socket)| Some(self.shown_of(id, socket, Socket::unix(socket)?));
        sockets.filter_map(of_family)
    }

    fn shown_of(&self, id: SocketId, socket: &Socket, unix: &Unix) -> Shown {
        // To be connected makes a datagram socket connected, too.
        let is_called = socket.kind == Kind::Datagram && !unix.callers.is_empty();
        // What nobody has taken has no inode yet.
        let inode_of = |socket: &Socket, unix: &Unix| {
            let file = self.files.get(socket.file).ok().filter(|_| !unix.is_untaken);
            file.map_or(0, |file| file.inode)
        };
        let peer = unix.peer.and_then(|peer| self.sockets.get(peer).ok());
        let name = unix.name.as_ref();
        Shown {
            references: OWN_REFERENCES + unix.callers.len(),
            kind: match socket.kind {
                Kind::Stream => libc::SOCK_STREAM,
                Kind::Datagram => libc::SOCK_DGRAM,
                Kind::Packet => libc::SOCK_SEQPACKET,
            },
            state: match unix.peer.is_some() || is_called {
                _ if unix.is_untaken => CONNECTING,
                true => CONNECTED,
                false => UNCONNECTED,
            },
            is_listening: unix.listener.is_some(),
            inode: inode_of(socket, unix),
            name: name.map(|name| name.bytes.clone()),
            file: name.and_then(|name| match name.key {
                Key::Inode(device, inode) => Some((device, inode)),
                Key::Abstract(..) => None,
            }),
            peer_inode: peer.and_then(|peer| Some(inode_of(peer, peer.unix()?))),
            queues: match &unix.listener {
                Some(listener) => [listener.waiting.len(), listener.backlog],
                None => [unix.unread_bytes(socket.kind), unix.charged_bytes],
            },
            shut: socket.shut_directions(),
            user: socket.user,
            cookie: id.0.into(),
        }
    }

    /// The whole file.
    pub(crate) fn unix_sockets_text(&self) -> Vec<u8> {
        let mut text = b"Num       RefCount Protocol Flags    Type St Inode Path\n".to_vec();
        for shown in self.unix_shown() {
            let Shown { references, kind, state, is_listening, inode, .. } = shown;
            let flags = if is_listening { ACCEPTS } else { 0 };
            let line = format!(
                "{:016}: {references:08X} {:08X} {flags:08X} {kind:04X} {state:02X} {inode:5}",
                0, 0
            );
            text.extend(line.bytes());
            if let Some(name) = &shown.name {
                text.push(b' ');
                let (is_path, bytes) = match name.split_last() {
                    Some((0, path)) if name.first() != Some(&0) => (true, path),
                    _ => (false, name.as_slice()),
                };
                text.extend(bytes.iter().map(|&b| if b == 0 && !is_path { b'@' } else { b }));
            }
            text.push(b'\n');
        }
        text
    }
}

impl Socket {
    fn unix(&self) -> Option<&Unix> {
        self.family.unix().ok()
    }
}
