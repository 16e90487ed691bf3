//! Addresses of sockets, and the calls that are about them: `getsockname`, `getpeername`, `bind`, `listen`.
//!
//! Descriptors and addresses in. Always true: an address is read whole before anybody looks at it, and stored as far as
//! there is room; what it means is its family's.

use alloc::vec::Vec;

use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::guest::{Guest, GuestAddr};
use crate::memory::read_u32;

/// No address of any family is longer.
const MAX_BYTES: i32 = 128;
/// No more connections wait for accept(2): what Linux has in net.core.somaxconn.
pub(crate) const MAX_BACKLOG: u32 = 4096;

/// Read an address.
pub(super) fn read_address(
    guest: &mut dyn Guest,
    from: GuestAddr,
    bytes: i32,
) -> Result<Vec<u8>, Errno> {
    if !(0..=MAX_BYTES).contains(&bytes) {
        return Err(Errno::EINVAL);
    }
    let mut address = alloc::vec![0; bytes as usize];
    if bytes > 0 {
        guest.read(from, &mut address)?;
    }
    Ok(address)
}

/// The family of an address.
pub(super) fn family_of(address: &[u8]) -> i32 {
    address.first_chunk().map_or(libc::AF_UNSPEC, |family| u16::from_le_bytes(*family).into())
}

pub(crate) fn getsockname(
    context: &mut Context<'_>,
    fd: u32,
    to: GuestAddr,
    bytes_at: GuestAddr,
) -> Answer {
    let id = context.socket(fd)?;
    let name = context.kernel.sockets.name(id)?;
    context.write_address(&name, to, bytes_at)?;
    done(0)
}

pub(crate) fn getpeername(
    context: &mut Context<'_>,
    fd: u32,
    to: GuestAddr,
    bytes_at: GuestAddr,
) -> Answer {
    let id = context.socket(fd)?;
    let name = context.kernel.sockets.peer_name(id)?;
    context.write_address(&name, to, bytes_at)?;
    done(0)
}

pub(crate) fn bind(context: &mut Context<'_>, fd: u32, address: GuestAddr, bytes: i32) -> Answer {
    let id = context.socket(fd)?;
    let address = read_address(context.guest, address, bytes)?;
    context.bind_socket(id, &address)
}

pub(crate) fn listen(context: &mut Context<'_>, fd: u32, backlog: u32) -> Answer {
    let id = context.socket(fd)?;
    context.listen_at_socket(id, backlog.min(MAX_BACKLOG))
}

impl Context<'_> {
    /// Store an address as far as there is room, and its whole length.
    pub(super) fn write_address(
        &mut self,
        address: &[u8],
        to: GuestAddr,
        bytes_at: GuestAddr,
    ) -> Result<(), Errno> {
        let room = read_u32(self.guest, bytes_at)? as i32;
        let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
        let fitting = address.get(..room).unwrap_or(address);
        if !fitting.is_empty() {
            self.guest.write(to, fitting)?;
        }
        self.guest.write(bytes_at, &(address.len() as u32).to_le_bytes())
    }
}
