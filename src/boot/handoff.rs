//! Reading the hand-off.
//!
//! A descriptor in, a checked [`Handoff`] out. Always true: what is not a hand-off, or one of another
//! protocol, ends the process with a line that says so. Following it to the blocks is `layout`.

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::handoff::{HANDOFF_BYTES, HANDOFF_VARIABLE, Handoff, HandoffError};
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};

use super::give_up;
use crate::sys;

/// Read the hand-off from `fd`.
pub fn read(fd: u32) -> Handoff {
    let mut bytes = [0; HANDOFF_BYTES];
    let len = match sys::pread(fd, &mut bytes, 0) {
        // A pipe, by the seed's convention on standard input.
        Err(Errno::ESPIPE) => {
            let at = bytes.as_mut_ptr() as u64;
            sys::call(nr::read, [fd.into(), at, HANDOFF_BYTES as u64, 0, 0, 0]).map(|n| n as usize)
        }
        other => other,
    };
    match len {
        Ok(HANDOFF_BYTES) => {}
        Ok(_) => give_up(format_args!("descriptor {fd} ({HANDOFF_VARIABLE}) holds no hand-off")),
        Err(errno) => give_up(format_args!(
            "cannot read the hand-off on descriptor {fd} ({HANDOFF_VARIABLE}): {errno}"
        )),
    }
    match Handoff::from_bytes(&bytes, (PROTOCOL_MAJOR, PROTOCOL_MINOR)) {
        Ok(handoff) => handoff,
        Err(HandoffError::NotAHandoff) => {
            give_up(format_args!("descriptor {fd} ({HANDOFF_VARIABLE}) holds no hand-off"))
        }
        Err(HandoffError::Version((major, minor))) => give_up(format_args!(
            "the simulator speaks protocol {major}.{minor}, this libshim.so speaks \
             {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}: use the two from one release"
        )),
    }
}
