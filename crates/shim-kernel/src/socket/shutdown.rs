//! `shutdown`: one direction, or both, is over.
//!
//! A direction in. Always true: a direction that is no direction is told of before anything is done; what it means for
//! the other side is the family's. Closing a socket is not here but with its family.

use shim_abi::Errno;

use crate::context::{Answer, Context};

pub(crate) fn shutdown(context: &mut Context<'_>, fd: u32, how: i32) -> Answer {
    let id = context.socket(fd)?;
    let (is_deaf, is_mute) = match how {
        libc::SHUT_RD => (true, false),
        libc::SHUT_WR => (false, true),
        libc::SHUT_RDWR => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    context.shut_socket(id, is_deaf, is_mute)
}
