//! Making sockets: `socket`, and `socketpair`, whose two are connected with each other and with nobody else.
//!
//! A family, a type and numbers in. Always true: the numbers are the shim's, which for a pair has stored them for the
//! guest before; what Linux has no sockets or pairs of is refused as there, and so is a family that is not here.

use shim_abi::Errno;

use super::family::new_family;
use super::unix::{self, Credentials, Unix};
use super::{Family, Kind, Socket, SocketId};
use crate::context::{Answer, Context, done};
use crate::file::{FileId, Object, check_number};

/// Families and types have numbers below these.
const FAMILIES: i32 = 46;
const TYPES: u32 = 11;
/// Where a type ends and flags begin.
const TYPE_MASK: u32 = 0xf;
const CLOEXEC: u32 = libc::SOCK_CLOEXEC as u32;
const NONBLOCK: u32 = libc::SOCK_NONBLOCK as u32;

pub(crate) fn socket(
    context: &mut Context<'_>,
    family: i32,
    type_and_flags: u32,
    protocol: i32,
    number: u32,
) -> Answer {
    let (kind, flags) = split(type_and_flags)?;
    if !(0..FAMILIES).contains(&family) {
        return Err(Errno::EAFNOSUPPORT);
    }
    if kind >= TYPES {
        return Err(Errno::EINVAL);
    }
    let (kind, family) = new_family(family, kind, protocol)?;
    check_number(number)?;
    let id = context.kernel.sockets.new_id();
    let file = context.add_socket(id, kind, family, flags);
    context.install(number, file, flags & CLOEXEC != 0);
    done(0)
}

pub(crate) fn socketpair(
    context: &mut Context<'_>,
    family: i32,
    type_and_flags: u32,
    protocol: i32,
    first: u32,
    second: u32,
) -> Answer {
    let (kind, flags) = split(type_and_flags)?;
    let kind = kind_of_pair(family, kind, protocol)?;
    check_number(first)?;
    check_number(second)?;
    let sockets = &mut context.kernel.sockets;
    let ids = [sockets.new_id(), sockets.new_id()];
    let maker = context.effective_credentials();
    for (id, peer, fd) in [(ids[0], ids[1], first), (ids[1], ids[0], second)] {
        let family = Family::Unix(Unix::connected(peer, maker));
        let file = context.add_socket(id, kind, family, flags);
        context.install(fd, file, flags & CLOEXEC != 0);
    }
    done(0)
}

/// A type, and flags: EINVAL for others.
fn split(type_and_flags: u32) -> Result<(u32, u32), Errno> {
    let (kind, flags) = (type_and_flags & TYPE_MASK, type_and_flags & !TYPE_MASK);
    if flags & !(CLOEXEC | NONBLOCK) == 0 { Ok((kind, flags)) } else { Err(Errno::EINVAL) }
}

/// The kind of sockets that a pair of this type has, if there can be one.
fn kind_of_pair(family: i32, kind: u32, protocol: i32) -> Result<Kind, Errno> {
    if !(0..FAMILIES).contains(&family) {
        return Err(Errno::EAFNOSUPPORT);
    }
    if kind >= TYPES {
        return Err(Errno::EINVAL);
    }
    match (family, kind as i32) {
        (libc::AF_UNIX, _) => unix::kind_of(kind, protocol),
        // These families have sockets, but no pairs of them.
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM | libc::SOCK_DGRAM)
        | (libc::AF_NETLINK, libc::SOCK_DGRAM | libc::SOCK_RAW) => Err(Errno::EOPNOTSUPP),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW) => Err(Errno::EPROTONOSUPPORT),
        (libc::AF_INET | libc::AF_INET6 | libc::AF_NETLINK, _) => Err(Errno::ESOCKTNOSUPPORT),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

impl Context<'_> {
    /// A new socket, to whose file nobody refers yet; `flags`: SOCK_NONBLOCK.
    pub(super) fn add_socket(
        &mut self,
        id: SocketId,
        kind: Kind,
        family: Family,
        flags: u32,
    ) -> FileId {
        let status = libc::O_RDWR as u32 | flags & NONBLOCK;
        let inode = self.kernel.files.new_inode();
        let file = self.kernel.open_file(self.now, Object::Socket(id), status, Some(inode));
        let options = family.first_options(kind);
        let (is_deaf, is_mute, error) = (false, false, None);
        let (mode, owner) = (None, None);
        let user = self.guest.user_ids()[1];
        let socket =
            Socket { file, kind, options, is_deaf, is_mute, error, mode, owner, user, family };
        self.kernel.sockets.sockets.insert(id, socket);
        file
    }

    /// Who the caller is, as SO_PEERCRED shows it.
    pub(super) fn effective_credentials(&self) -> Credentials {
        let ([_, uid, _], [_, gid, _]) = (self.guest.user_ids(), self.guest.group_ids());
        Credentials { pid: self.pid.0, uid, gid }
    }
}
