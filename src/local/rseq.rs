//! Restartable sequences: rseq(2), whose area tells a thread on which processor it runs.
//!
//! An area's address in; "processor 0, for ever" in the area. Always true: the real kernel knows of no area, so what
//! it tells about processors never shows; the areas of new threads are registered here, because glibc ends the
//! program if its first thread has one and another thread gets none. A sequence is never aborted: guest threads do
//! not run side by side, and one loses its processor at system calls, which sequences do not make. See rseq(2) in
//! the kernel's documentation.

use shim_abi::Errno;

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_value};

/// An area that a thread registered: address, size and signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// Where it is.
    pub address: u64,
    /// Its size in bytes, as the thread said.
    pub bytes: u32,
    /// What precedes abort handlers.
    pub signature: u32,
}

/// Smallest area, and its alignment.
const AREA_BYTES: u32 = 32;
/// `cpu_id` of an area that is not registered.
const UNINITIALIZED: u32 = u32::MAX;
const UNREGISTER: u64 = 1;

/// rseq(area, bytes, flags, signature)
pub fn rseq(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [address, bytes, flags, signature, ..] = call.args;
    let asked = Area { address, bytes: bytes as u32, signature: signature as u32 };
    let registered = &call.slot.rseq;
    if flags & 0xffff_ffff == UNREGISTER {
        return match registered.get() {
            Some(area) if area.address == address && area.bytes == asked.bytes => {
                if area.signature != asked.signature {
                    return Err(Errno::EPERM);
                }
                store(address, UNINITIALIZED)?;
                registered.set(None);
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        };
    }
    if flags & 0xffff_ffff != 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(area) = registered.get() {
        return Err(match area {
            _ if area.address != address || area.bytes != asked.bytes => Errno::EINVAL,
            _ if area.signature != asked.signature => Errno::EPERM,
            _ => Errno::EBUSY,
        });
    }
    if asked.bytes < AREA_BYTES || !address.is_multiple_of(AREA_BYTES.into()) {
        return Err(Errno::EINVAL);
    }
    store(address, 0)?;
    registered.set(Some(asked));
    Ok(0)
}

/// `cpu_id_start` is 0 whatever `cpu_id` says.
fn store(address: u64, cpu_id: u32) -> Result<(), Errno> {
    write_value(GuestAddr(address), &[0, cpu_id])
}
