//! `bind`: giving a socket an address.
//!
//! A socket and an address in. Always true: a socket is bound once; a path is the shim's to make, which comes back with
//! the inode ([`bind_path`]) and removes it again if that fails; a name without a path is anybody's until somebody has
//! it. A socket that wants to know its partners gets a name of its own accord.

use shim_abi::Errno;
use shim_abi::calls::BIND_NEEDS_PATH;

use super::name::{FAMILY_BYTES, Key, Name, check_address, path_of};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::socket::name::{family_of, read_address};
use crate::socket::{SocketId, Sockets};

/// The shim's own call: a socket has made the inode at the path in its address.
pub(crate) fn bind_path(
    context: &mut Context<'_>,
    fd: u32,
    at: GuestAddr,
    bytes: i32,
    device: u64,
    inode: u64,
) -> Answer {
    let id = context.socket(fd)?;
    let address = read_address(context.guest, at, bytes)?;
    check_address(&address)?;
    let path = path_of(&address).ok_or(Errno::EINVAL)?;
    let bytes = [path, &[0]].concat();
    context.kernel.sockets.check_unnamed(id)?;
    // Whoever had this inode before has lost it, or it would not be new.
    context.kernel.sockets.give_name(id, Name { bytes, key: Key::Inode(device, inode) })?;
    done(0)
}

impl Sockets {
    /// EINVAL if a socket has an address.
    fn check_unnamed(&self, id: SocketId) -> Result<(), Errno> {
        if self.unix(id)?.name.is_none() { Ok(()) } else { Err(Errno::EINVAL) }
    }

    fn give_name(&mut self, id: SocketId, name: Name) -> Result<(), Errno> {
        self.unix_names.insert(name.key.clone(), id);
        self.unix_mut(id)?.name = Some(name);
        Ok(())
    }
}

impl Context<'_> {
    pub(in crate::socket) fn bind_unix(&mut self, id: SocketId, address: &[u8]) -> Answer {
        if address.len() == FAMILY_BYTES && family_of(address) == libc::AF_UNIX {
            self.bind_to_any(id)?;
            return done(0);
        }
        check_address(address)?;
        if path_of(address).is_some() {
            return done(BIND_NEEDS_PATH);
        }
        let sockets = &mut self.kernel.sockets;
        sockets.check_unnamed(id)?;
        let bytes = address.get(FAMILY_BYTES..).unwrap_or_default().to_vec();
        let key = Key::Abstract(sockets.get(id)?.kind, bytes.clone());
        if sockets.unix_names.find(&key).is_some() {
            return Err(Errno::EADDRINUSE);
        }
        sockets.give_name(id, Name { bytes, key })?;
        done(0)
    }

    /// Give a socket an address if it has none.
    fn bind_to_any(&mut self, id: SocketId) -> Result<(), Errno> {
        let sockets = &mut self.kernel.sockets;
        if sockets.check_unnamed(id).is_err() {
            return Ok(());
        }
        let kind = sockets.get(id)?.kind;
        let bytes = sockets.unix_names.unused(kind).ok_or(Errno::ENOSPC)?;
        let key = Key::Abstract(kind, bytes.clone());
        sockets.give_name(id, Name { bytes, key })
    }

    /// Who wants to know its partners is known to them.
    pub(super) fn bind_if_asking(&mut self, id: SocketId) -> Result<(), Errno> {
        if self.kernel.sockets.get(id)?.options.passes_credentials {
            self.bind_to_any(id)?;
        }
        Ok(())
    }
}
