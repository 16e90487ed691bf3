//! Filters of system calls: accepted and recorded, but not installed.
//!
//! An operation and its arguments in, Linux's answer out. Always true: a filter is checked as Linux checks its
//! form, and named, because from then on the guest relies on what is not there; what would have to be carried
//! out (strict mode, a listener) is refused and named. Why not install it: a native filter would outlive an
//! exec, meet the shim's own calls, and kill the next image before its shim is loaded. See seccomp(2).

mod program;

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value};
use crate::local::capabilities::{self, SYS_ADMIN};
use crate::thread::Slot;
use crate::{native, trace};

const SET_MODE_STRICT: u32 = 0;
const SET_MODE_FILTER: u32 = 1;
const GET_ACTION_AVAIL: u32 = 2;
const GET_NOTIF_SIZES: u32 = 3;

const TSYNC: u64 = 1;
const LOG: u64 = 2;
const SPEC_ALLOW: u64 = 4;
const TSYNC_ESRCH: u64 = 16;

/// What PR_GET_SECCOMP and `/proc/self/status` show of a thread that has a filter.
pub const MODE_FILTER: u32 = 2;

/// seccomp(operation, flags, arguments)
pub fn seccomp(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [operation, flags, at, ..] = call.args;
    match operation as u32 {
        SET_MODE_STRICT if flags as u32 == 0 && at == 0 => strict(call.slot),
        SET_MODE_FILTER => filter(call.slot, flags & 0xffff_ffff, at),
        GET_ACTION_AVAIL if flags as u32 == 0 => action(read_value::<u32>(GuestAddr(at))?),
        // Sizes of structures that only a listener would meet.
        GET_NOTIF_SIZES if flags as u32 == 0 => {
            native::result(native::execute(nr::seccomp, call.args))
        }
        SET_MODE_STRICT | GET_ACTION_AVAIL | GET_NOTIF_SIZES => Err(Errno::EINVAL),
        other => {
            trace::lack(call.slot, format_args!("seccomp operation {other}"));
            Err(Errno::EINVAL)
        }
    }
}

/// Strict mode would have to be carried out.
pub fn strict(slot: &Slot) -> Result<i64, Errno> {
    trace::lack(slot, format_args!("seccomp strict mode"));
    Err(Errno::EINVAL)
}

/// Take a filter.
pub fn filter(slot: &Slot, flags: u64, at: u64) -> Result<i64, Errno> {
    if flags & !(TSYNC | LOG | SPEC_ALLOW | TSYNC_ESRCH) != 0 {
        trace::lack(slot, format_args!("seccomp filter with flags {flags:#x}"));
        return Err(Errno::EINVAL);
    }
    let [len, program] = read_value::<[u64; 2]>(GuestAddr(at))?;
    let len = usize::from(len as u16);
    if len == 0 || len > program::MAX_INSTRUCTIONS {
        return Err(Errno::EINVAL);
    }
    // Who may gain no privileges, or has them already.
    let has_no_new = slot.has_no_new_privileges.get();
    if !has_no_new && !capabilities::has(slot, SYS_ADMIN) {
        return Err(Errno::EACCES);
    }
    program::check(GuestAddr(program), len)?;
    slot.has_seccomp_filter.set(true);
    trace::lack(slot, format_args!("seccomp filter (accepted, not installed)"));
    Ok(0)
}

/// Whether a filter could return `action`.
fn action(action: u32) -> Result<i64, Errno> {
    const KILL_PROCESS: u32 = 0x8000_0000;
    const KILL_THREAD: u32 = 0;
    const TRAP: u32 = 0x0003_0000;
    const ERRNO: u32 = 0x0005_0000;
    const USER_NOTIF: u32 = 0x7fc0_0000;
    const TRACE: u32 = 0x7ff0_0000;
    const LOG: u32 = 0x7ffc_0000;
    const ALLOW: u32 = 0x7fff_0000;
    match action {
        KILL_PROCESS | KILL_THREAD | TRAP | ERRNO | USER_NOTIF | TRACE | LOG | ALLOW => Ok(0),
        _ => Err(Errno::EOPNOTSUPP),
    }
}
