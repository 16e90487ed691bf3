//! Memory management: the real kernel's, but for the shim's own reservation.
//!
//! Ranges in; the kernel's answer out. Always true: no guest's call changes a page of the reservation
//! (`shim_abi::address`). Everything else is native. See mmap(2), munmap(2), mprotect(2), mremap(2).

use shim_abi::Errno;
use shim_abi::address::overlaps_reservation;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::descriptors::visible;
use super::times;
use crate::dispatch::Invocation;
use crate::{native, objects, patch, trace};

/// mmap(address, bytes, protection, flags, fd, offset)
pub fn mmap(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [address, bytes, protection, flags, fd, _] = call.args;
    let flags = flags as i32;
    let is_fixed = flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0;
    if is_fixed && overlaps_reservation(address as usize, bytes as usize) {
        trace::lack(call.slot, format_args!("mmap over the shim's memory at {address:#x}"));
        return Err(Errno::ENOMEM);
    }
    if flags & libc::MAP_ANONYMOUS == 0 {
        let fd = visible(call.slot, fd)?;
        match call.slot.process.descriptor(fd) {
            descriptor::RANDOM => return Err(Errno::ENODEV),
            descriptor::VIRTUAL => return Err(objects::status::mmap_error(call.slot, fd)),
            _ => {}
        }
        let mapped = native::result(native::execute(nr::mmap, call.args))?;
        if is_fixed {
            patch::forget(call.slot, address, bytes);
        }
        if protection as i32 & libc::PROT_EXEC != 0 {
            let is_unchanged = protection as i32 & libc::PROT_WRITE == 0;
            patch::has_new_code(call.slot, is_unchanged.then_some(mapped as u64));
        }
        let is_shared = flags & libc::MAP_TYPE != libc::MAP_PRIVATE;
        if is_shared && protection as i32 & libc::PROT_WRITE != 0 {
            times::changed(call.slot, fd);
        }
        return Ok(mapped);
    }
    if protection as i32 & libc::PROT_EXEC != 0 {
        patch::has_new_code(call.slot, None);
    }
    let mapped = native::result(native::execute(nr::mmap, call.args))?;
    if is_fixed {
        patch::forget(call.slot, address, bytes);
    }
    Ok(mapped)
}

/// mlockall(flags): what is mapped is locked page by page as it is used, because what the shim has mapped is much larger
/// than what it uses.
pub fn mlockall(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [flags, ..] = call.args;
    let everything = (libc::MCL_CURRENT | libc::MCL_FUTURE) as u64;
    let on_fault = if flags & everything == 0 { 0 } else { libc::MCL_ONFAULT as u64 };
    native::result(native::execute(nr::mlockall, [flags | on_fault, 0, 0, 0, 0, 0]))
}

/// munmap, mprotect, pkey_mprotect, mremap, madvise, mseal, remap_file_pages: `call(address, bytes, ...)`.
pub fn change(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [address, bytes, c, d, e, _] = call.args;
    let mut touches = overlaps_reservation(address as usize, bytes as usize);
    if call.number == nr::mremap && d as i32 & libc::MREMAP_FIXED != 0 {
        touches |= overlaps_reservation(e as usize, c as usize);
    }
    // A range that wraps around is the kernel's to refuse.
    if touches && address.checked_add(bytes).is_some() {
        trace::lack(call.slot, format_args!("change of the shim's memory at {address:#x}"));
        return Err(Errno::ENOMEM);
    }
    let makes_code =
        matches!(call.number, nr::mprotect | nr::pkey_mprotect) && c as i32 & libc::PROT_EXEC != 0;
    if makes_code {
        patch::has_new_code(call.slot, None);
    }
    let result = native::result(native::execute(call.number, call.args))?;
    if matches!(call.number, nr::munmap | nr::mremap) {
        patch::forget(call.slot, address, bytes);
    }
    Ok(result)
}
