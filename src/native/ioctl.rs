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
use crate::{native, trace};

const RNDGETENTCNT: u64 = 0x8004_5200;
const FICLONE: u64 = 0x4004_9409;
const FICLONERANGE: u64 = 0x4020_940d;
const FS_IOC_FIEMAP: u64 = 0xc020_660b;
const FS_IOC_GETFLAGS: u64 = 0x8008_6601;
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
    libc::TCSBRK,
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
    libc::FIONREAD,
    libc::FIONBIO,
    libc::FIOCLEX,
    libc::FIONCLEX,
    0x802c_542a, // TCGETS2
    FICLONE,
    FICLONERANGE,
    FS_IOC_FIEMAP,
    FS_IOC_GETFLAGS,
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
    if call.slot.process.descriptor(fd) == descriptor::RANDOM && request == RNDGETENTCNT {
        write_value(GuestAddr(argument), &256u32)?;
        return Ok(0);
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
