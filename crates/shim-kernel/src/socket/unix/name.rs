//! Addresses of AF_UNIX: who has which, and what is shown of whom.
//!
//! Addresses in, sockets out, and back. Always true: a path means the socket that was bound to its inode, whatever the
//! inode is called by now; a name without a path means one socket of each kind; a socket has one address at most, for
//! ever, and one that came with a connection shows its listener's without being found by it. Looking up paths is the
//! shim's.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use shim_abi::Errno;

use crate::context::Context;
use crate::socket::connect::Place;
use crate::socket::name::family_of;
use crate::socket::{Kind, SocketId, Sockets};

/// Bytes of the family in an address, and of the longest address.
pub(super) const FAMILY_BYTES: usize = 2;
const MAX_BYTES: usize = 110;

/// What is shown of a socket without an address.
const NO_NAME: [u8; FAMILY_BYTES] = (libc::AF_UNIX as u16).to_le_bytes();

/// What an address is looked up by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::socket) enum Key {
    /// The inode at a path.
    Inode(u64, u64),
    /// A name without a path.
    Abstract(Kind, Vec<u8>),
}

/// A socket's address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::socket) struct Name {
    /// What follows the family; a path with its NUL.
    pub(super) bytes: Vec<u8>,
    pub(super) key: Key,
}

/// EINVAL for what is no address.
pub(super) fn check_address(address: &[u8]) -> Result<(), Errno> {
    let is_one = (FAMILY_BYTES + 1..=MAX_BYTES).contains(&address.len());
    if is_one && family_of(address) == libc::AF_UNIX { Ok(()) } else { Err(Errno::EINVAL) }
}

/// What follows the family in an address; nothing if it has no path.
pub(super) fn path_of(address: &[u8]) -> Option<&[u8]> {
    let bytes = address.get(FAMILY_BYTES..).filter(|bytes| bytes.first() != Some(&0))?;
    bytes.split(|&byte| byte == 0).next()
}

/// An address as it is shown.
pub(super) fn shown(name: Option<&Name>) -> Vec<u8> {
    let mut address = NO_NAME.to_vec();
    address.extend(name.map_or(&[][..], |name| &name.bytes));
    address
}

/// What is left of a socket that is gone while something that it has sent is not read.
#[derive(Debug)]
struct Ghost {
    name: Name,
    charged_bytes: usize,
}

/// The addresses of a host's sockets.
#[derive(Debug, Default)]
pub(in crate::socket) struct Names {
    sockets: BTreeMap<Key, SocketId>,
    ghosts: BTreeMap<SocketId, Ghost>,
    /// The last name that was given to a socket that wanted any.
    last_given: u32,
}

impl Names {
    /// Who has an address.
    pub(super) fn find(&self, key: &Key) -> Option<SocketId> {
        self.sockets.get(key).copied()
    }
    /// From now on it is this socket that has an address.
    pub(super) fn insert(&mut self, key: Key, id: SocketId) {
        self.sockets.insert(key, id);
    }
    /// A name that nobody has.
    pub(super) fn unused(&mut self, kind: Kind) -> Option<Vec<u8>> {
        const COUNT: u32 = 1 << 20;
        (0..COUNT).find_map(|_| {
            self.last_given = (self.last_given + 1) % COUNT;
            let name = alloc::format!("\0{:05x}", self.last_given).into_bytes();
            let is_free = !self.sockets.contains_key(&Key::Abstract(kind, name.clone()));
            is_free.then_some(name)
        })
    }
    /// A socket is gone: nobody finds it, but what it has sent still shows its address.
    pub(super) fn close(&mut self, id: SocketId, name: Option<Name>, charged_bytes: usize) {
        let Some(name) = name else { return };
        if self.sockets.get(&name.key) == Some(&id) {
            self.sockets.remove(&name.key);
        }
        if charged_bytes > 0 {
            self.ghosts.insert(id, Ghost { name, charged_bytes });
        }
    }
    /// Something that a socket which is gone had sent was read.
    pub(super) fn uncharge_ghost(&mut self, id: SocketId, bytes: usize) {
        if let Some(ghost) = self.ghosts.get_mut(&id) {
            ghost.charged_bytes = ghost.charged_bytes.saturating_sub(bytes);
            if ghost.charged_bytes == 0 {
                self.ghosts.remove(&id);
            }
        }
    }
    /// What the sockets are that are gone and have something under way.
    #[cfg(test)]
    pub(in crate::socket) fn ghosts(&self) -> impl Iterator<Item = (SocketId, usize)> {
        self.ghosts.iter().map(|(&id, ghost)| (id, ghost.charged_bytes))
    }
    /// Who is found by an address.
    #[cfg(test)]
    pub(in crate::socket) fn found(&self) -> impl Iterator<Item = SocketId> {
        self.sockets.values().copied()
    }
}

impl Sockets {
    /// The address that a message of this sender shows; empty if it has none.
    pub(super) fn source_address(&self, sender: SocketId) -> Vec<u8> {
        let name = match self.unix(sender) {
            Ok(unix) => unix.name.as_ref(),
            Err(_) => self.unix_names.ghosts.get(&sender).map(|ghost| &ghost.name),
        };
        if name.is_some() { shown(name) } else { Vec::new() }
    }

    /// The other side's address: ENOTCONN.
    pub(in crate::socket) fn unix_peer_name(&self, id: SocketId) -> Result<Vec<u8>, Errno> {
        let unix = self.unix(id)?;
        let peer = unix.peer.ok_or(Errno::ENOTCONN)?;
        let name = self.unix(peer).map_or(&unix.peer_name, |other| &other.name);
        Ok(shown(name.as_ref()))
    }
}

impl Context<'_> {
    /// The socket of this kind that has an address, which was checked.
    pub(super) fn find_unix(
        &self,
        kind: Kind,
        address: &[u8],
        place: Place,
    ) -> Result<SocketId, Errno> {
        let key = if path_of(address).is_some() {
            place.check()?;
            Key::Inode(place.device, place.inode)
        } else {
            let name = address.get(FAMILY_BYTES..).unwrap_or_default();
            Key::Abstract(kind, name.to_vec())
        };
        let found = self.kernel.sockets.unix_names.find(&key).ok_or(Errno::ECONNREFUSED)?;
        let is_of_kind = self.kernel.sockets.get(found)?.kind == kind;
        if is_of_kind { Ok(found) } else { Err(Errno::EPROTOTYPE) }
    }
}
