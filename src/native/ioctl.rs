//! Device control, by a table of requests.
//!
//! A descriptor and a request in. Always true: a request outside the table fails with ENOTTY, the error
//! of a descriptor that does not know it, and is named. See ioctl_tty(2), ioctl_list(2).

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::descriptors::visible;
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_value};
use crate::{native, sys, trace};

const TCSBRKP: u64 = 0x5425;
const TCGETS2: u64 = 0x802c_542a;
const TCSETS2: u64 = 0x402c_542b;
const TCSETSW2: u64 = 0x402c_542c;
const TCSETSF2: u64 = 0x402c_542d;
const TIOCGETD: u64 = 0x5424;
const TIOCGEXCL: u64 = 0x8004_5440;
const FIOQSIZE: u64 = 0x5460;
const RNDGETENTCNT: u64 = 0x8004_5200;
const FICLONE: u64 = 0x4004_9409;
const FICLONERANGE: u64 = 0x4020_940d;
const FS_IOC_FIEMAP: u64 = 0xc020_660b;
const FS_IOC_GETFLAGS: u64 = 0x8008_6601;
const FS_IOC_GETVERSION: u64 = 0x8008_7601;
const FS_IOC_SETFLAGS: u64 = 0x4008_6602;
const FS_IOC_FSGETXATTR: u64 = 0x801c_581f;
const FIGETBSZ: u64 = 2;
const FIBMAP: u64 = 1;
const BLKGETSIZE64: u64 = 0x8008_1272;

/// Requests that the real kernel answers: they neither wait nor reach outside the process.
const NATIVE: &[u64] = &[
    libc::TCGETS,
    libc::TCSETS,
    libc::TCSETSW,
    libc::TCSETSF,
    libc::TCGETA,
    libc::TCSETA,
    libc::TCSETAW,
    libc::TCSETAF,
    libc::TCSBRK,
    TCSBRKP,
    libc::TCXONC,
    libc::TCFLSH,
    libc::TIOCGWINSZ,
    libc::TIOCSWINSZ,
    libc::TIOCGPGRP,
    libc::TIOCSPGRP,
    libc::TIOCGSID,
    libc::TIOCOUTQ,
    libc::TIOCGPTN,
    libc::TIOCEXCL,
    libc::TIOCNXCL,
    TIOCGEXCL,
    TIOCGETD,
    libc::FIONREAD,
    libc::FIONBIO,
    libc::FIOCLEX,
    libc::FIONCLEX,
    TCGETS2,
    TCSETS2,
    TCSETSW2,
    TCSETSF2,
    FIOQSIZE,
    FICLONE,
    FICLONERANGE,
    FS_IOC_FIEMAP,
    FS_IOC_GETFLAGS,
    FS_IOC_GETVERSION,
    FS_IOC_SETFLAGS,
    FS_IOC_FSGETXATTR,
    FIGETBSZ,
    FIBMAP,
    BLKGETSIZE64,
];

/// ioctl(fd, request, argument)
pub fn ioctl(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, request, argument, ..] = call.args;
    let fd = visible(call.slot, fd)?;
    let request = request & 0xffff_ffff;
    let is_random = call.slot.process.descriptor(fd) == descriptor::RANDOM;
    if is_random && request == RNDGETENTCNT {
        write_value(GuestAddr(argument), &256u32)?;
        return Ok(0);
    }
    if is_random && NATIVE.contains(&request) {
        return of_random(fd, request);
    }
    if !NATIVE.contains(&request) {
        trace::lack(call.slot, format_args!("ioctl request {request:#x}"));
        return Err(Errno::ENOTTY);
    }
    let result = native::result(native::execute(nr::ioctl, call.args))?;
    if request == FICLONE || request == FICLONERANGE {
        super::times::changed(call.slot, fd);
    }
    Ok(result)
}

/// What every descriptor knows, for one whose placeholder does not; the device itself knows nothing else.
fn of_random(fd: u32, request: u64) -> Result<i64, Errno> {
    let flags = match request {
        libc::FIOCLEX => libc::FD_CLOEXEC,
        libc::FIONCLEX => 0,
        libc::FIONBIO => return Ok(0),
        _ => return Err(Errno::EINVAL),
    };
    sys::call(nr::fcntl, [fd.into(), libc::F_SETFD as u64, flags as u64, 0, 0, 0]).map(|_| 0)
}
