//! System V shared memory: mapped and unmapped here, because only the process itself can; the rest is the simulator's.
//!
//! An id or an address in, an address out. Always true: a segment is the simulator's file, opened only for as long as
//! it takes to map it; the simulator hears of a mapping once it is there, and of its end before it is gone.
//! See shmop(2).

use core::ffi::CStr;
use core::fmt::Write;

use shim_abi::Errno;
use shim_abi::address::overlaps_reservation;
use shim_abi::calls::{PSEUDO_ATTACHED, nr};

use crate::dispatch::Invocation;
use crate::forward::{self, Forwarded};
use crate::local::reach;
use crate::thread::Slot;
use crate::trace::FixedText;
use crate::{native, sys};

const PAGE_BYTES: u64 = 4096;

/// shmat(id, address, flags)
pub fn attach(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [id, address, flags, ..] = call.args;
    let mut found = [0; 2];
    let at = (&raw mut found) as u64;
    let request = Forwarded::new(slot, nr::shmat, [id, address, flags, at, 0, 0]);
    native::result(request.send_into(&mut found))?;
    let [number, bytes] = found;
    let place = address & !(PAGE_BYTES - 1);
    if place != 0 && overlaps_reservation(place as usize, bytes as usize) {
        return Err(Errno::EINVAL);
    }
    let mapped = map(slot, number, place, bytes, flags as i32)?;
    let told = forward::syscall(slot, PSEUDO_ATTACHED, [id, mapped as u64, 0, 0, 0, 0]);
    if let Err(errno) = native::result(told) {
        native::execute(nr::munmap, [mapped as u64, bytes, 0, 0, 0, 0]);
        return Err(errno);
    }
    Ok(mapped)
}

/// Map `bytes` of the simulator's file `number`, at `place` unless that is 0.
fn map(slot: &Slot, number: u64, place: u64, bytes: u64, flags: i32) -> Result<i64, Errno> {
    let is_read_only = flags & libc::SHM_RDONLY != 0;
    let (access, mut protection) = match is_read_only {
        true => (libc::O_RDONLY, libc::PROT_READ),
        false => (libc::O_RDWR, libc::PROT_READ | libc::PROT_WRITE),
    };
    if flags & libc::SHM_EXEC != 0 {
        protection |= libc::PROT_EXEC;
    }
    let how = libc::MAP_SHARED
        | match place {
            0 => 0,
            _ if flags & libc::SHM_REMAP != 0 => libc::MAP_FIXED,
            _ => libc::MAP_FIXED_NOREPLACE,
        };
    let mut path = FixedText::<64>::new();
    let _ = write!(path, "/proc/{}/fd/{number}\0", slot.manager.simulator_pid);
    let path = CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"");
    // Removed by somebody else in this moment, or no number is left for it.
    let open = || sys::open(path, access | libc::O_CLOEXEC);
    let fd = reach::as_simulator(slot, open).map_err(|errno| match errno {
        Errno::ENOENT => Errno::EIDRM,
        _ => Errno::ENOMEM,
    })?;
    let args = [place, bytes, protection as u64, how as u64, fd.into(), 0];
    let mapped = native::result(native::execute(nr::mmap, args));
    sys::close(fd);
    mapped.map_err(|errno| if errno == Errno::EEXIST { Errno::EINVAL } else { errno })
}

/// shmdt(address)
pub fn detach(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let address = call.args[0];
    let bytes = native::result(forward::syscall(call.slot, nr::shmdt, call.args))?;
    native::result(native::execute(nr::munmap, [address, bytes as u64, 0, 0, 0, 0]))
}
