//! Process control: prctl(2), arch_prctl(2), personality(2), each by a table of its own.
//!
//! An operation in. Always true: what the shim lives by (dispatch of system calls, the time stamp
//! counter's trap, the GS base) cannot be changed by a guest; what only the real kernel knows is asked there,
//! what the virtual one knows is forwarded; the rest is EINVAL and named.

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::seccomp;
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_text, write_value};
use crate::local::capabilities::{self, SETPCAP};
use crate::thread::Slot;
use crate::{forward, native, trace};

const PR_SET_VMA: i32 = 0x5356_4d41;
const PR_GET_TSC: i32 = 25;
const PR_SET_TSC: i32 = 26;
const PR_TSC_ENABLE: u32 = 1;
const PR_SET_MDWE: i32 = 65;
const PR_GET_MDWE: i32 = 66;
const PR_GET_AUXV: i32 = 0x4155_5856;

/// prctl(operation, ...)
pub fn prctl(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [operation, a, b, c, d, _] = call.args;
    let operation = operation as i32;
    match operation {
        libc::PR_SET_NAME => {
            let mut name = [0; 16];
            let (len, _) = read_text(GuestAddr(a), &mut name[..15])?;
            // The process is called as its first thread is.
            if call.slot.thread.tid.load(Relaxed) == call.slot.process.pid.load(Relaxed) {
                call.slot.process.program.store(&name[..len]);
            }
            native::result(native::execute(nr::prctl, call.args))
        }
        libc::PR_GET_NAME
        | libc::PR_CAPBSET_READ
        | libc::PR_GET_KEEPCAPS
        | libc::PR_GET_SECUREBITS
        | libc::PR_GET_TIMERSLACK
        | libc::PR_SET_TIMERSLACK
        | libc::PR_SET_KEEPCAPS
        | libc::PR_SET_THP_DISABLE
        | libc::PR_GET_THP_DISABLE
        | libc::PR_CAP_AMBIENT
        | libc::PR_GET_SPECULATION_CTRL
        | libc::PR_SET_SPECULATION_CTRL
        | libc::PR_MCE_KILL_GET
        | PR_GET_MDWE
        | PR_GET_AUXV
        | PR_SET_VMA => native::result(native::execute(nr::prctl, call.args)),
        // Natively nobody gains privileges; the guest sees what it set.
        libc::PR_GET_NO_NEW_PRIVS if (a, b, c, d) == (0, 0, 0, 0) => {
            Ok(call.slot.has_no_new_privileges.get().into())
        }
        libc::PR_SET_NO_NEW_PRIVS if (a, b, c, d) == (1, 0, 0, 0) => {
            call.slot.has_no_new_privileges.set(true);
            Ok(0)
        }
        libc::PR_GET_NO_NEW_PRIVS | libc::PR_SET_NO_NEW_PRIVS => Err(Errno::EINVAL),
        // A guest of another user's would close its memory to the simulator.
        libc::PR_GET_DUMPABLE => Ok(1),
        libc::PR_SET_DUMPABLE if a <= 1 => Ok(0),
        libc::PR_GET_SECCOMP if call.slot.has_seccomp_filter.get() => {
            Ok(i64::from(seccomp::MODE_FILTER))
        }
        libc::PR_GET_SECCOMP => Ok(0),
        libc::PR_SET_SECCOMP if a == u64::from(seccomp::MODE_FILTER) => {
            seccomp::filter(call.slot, 0, b)
        }
        libc::PR_SET_SECCOMP if a == 1 => seccomp::strict(call.slot),
        libc::PR_SET_PDEATHSIG
        | libc::PR_GET_PDEATHSIG
        | libc::PR_SET_CHILD_SUBREAPER
        | libc::PR_GET_CHILD_SUBREAPER
        | libc::PR_GET_TID_ADDRESS => {
            native::result(forward::syscall(call.slot, nr::prctl, call.args))
        }
        libc::PR_CAPBSET_DROP => drop_capability(call.slot, a),
        libc::PR_SET_SECUREBITS => Err(refuse_privileged(call.slot, "PR_SET_SECUREBITS")),
        libc::PR_SET_MM => set_memory_map(call.slot, a, [c, d]),
        PR_GET_TSC => write_value(GuestAddr(a), &PR_TSC_ENABLE).map(|()| 0),
        PR_SET_TSC if a == u64::from(PR_TSC_ENABLE) => Ok(0),
        PR_SET_MDWE if (a, b, c, d) == (0, 0, 0, 0) => Ok(0),
        _ => {
            trace::lack(call.slot, format_args!("prctl operation {operation}"));
            Err(Errno::EINVAL)
        }
    }
}

/// What only a privileged process may do natively, and no guest: EPERM.
fn refuse_privileged(slot: &Slot, name: &str) -> Errno {
    if capabilities::has(slot, SETPCAP) {
        trace::lack(slot, format_args!("prctl {name}"));
    }
    Errno::EPERM
}

/// PR_CAPBSET_DROP: as capset(2), accepted from a privileged process and not carried out.
fn drop_capability(slot: &Slot, capability: u64) -> Result<i64, Errno> {
    const LAST: u64 = 40;
    if !capabilities::has(slot, SETPCAP) {
        return Err(Errno::EPERM);
    }
    if capability > LAST {
        return Err(Errno::EINVAL);
    }
    trace::lack(slot, format_args!("prctl PR_CAPBSET_DROP (accepted, not carried out)"));
    Ok(0)
}

/// PR_SET_MM: a guest's map of memory is what it is.
fn set_memory_map(slot: &Slot, option: u64, [size, rest]: [u64; 2]) -> Result<i64, Errno> {
    const WITH_SIZE: [i32; 3] =
        [libc::PR_SET_MM_AUXV, libc::PR_SET_MM_MAP, libc::PR_SET_MM_MAP_SIZE];
    let has_size = WITH_SIZE.contains(&(option as i32));
    if rest != 0 || size != 0 && !has_size {
        return Err(Errno::EINVAL);
    }
    if has_size && option as i32 != libc::PR_SET_MM_AUXV {
        trace::lack(slot, format_args!("prctl PR_SET_MM_MAP"));
        return Err(Errno::EINVAL);
    }
    Err(refuse_privileged(slot, "PR_SET_MM"))
}

const ARCH_SET_GS: i32 = 0x1001;
const ARCH_SET_FS: i32 = 0x1002;
const ARCH_GET_FS: i32 = 0x1003;
const ARCH_GET_GS: i32 = 0x1004;
const ARCH_GET_CPUID: i32 = 0x1011;
const ARCH_SET_CPUID: i32 = 0x1012;
const ARCH_GET_XCOMP_SUPP: i32 = 0x1021;
const ARCH_GET_XCOMP_PERM: i32 = 0x1022;
const ARCH_CET_STATUS: i32 = 0x3001;

/// arch_prctl(operation, address)
pub fn arch_prctl(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [operation, address, ..] = call.args;
    match operation as i32 {
        ARCH_SET_FS | ARCH_GET_FS | ARCH_GET_XCOMP_SUPP | ARCH_GET_XCOMP_PERM => {
            native::result(native::execute(nr::arch_prctl, call.args))
        }
        ARCH_GET_GS => write_value(GuestAddr(address), &0u64).map(|()| 0),
        ARCH_GET_CPUID => Ok(1),
        ARCH_SET_CPUID if address == 1 => Ok(0),
        // Old glibc probes for shadow stacks; there are none.
        ARCH_CET_STATUS => Err(Errno::EINVAL),
        ARCH_SET_GS => {
            trace::lack(
                call.slot,
                format_args!("arch_prctl ARCH_SET_GS (the GS base is the shim's)"),
            );
            Err(Errno::EPERM)
        }
        other => {
            trace::lack(call.slot, format_args!("arch_prctl operation {other:#x}"));
            Err(Errno::EINVAL)
        }
    }
}

/// personality(persona)
pub fn personality(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    const QUERY: u64 = 0xffff_ffff;
    const ADDR_NO_RANDOMIZE: u64 = 0x0004_0000;
    // What the launcher set for the simulation's sake is not the guest's.
    let current = native::result(native::execute(nr::personality, [QUERY, 0, 0, 0, 0, 0]))? as u64
        & !ADDR_NO_RANDOMIZE;
    let wanted = call.args[0] & 0xffff_ffff;
    if wanted == QUERY || wanted & !ADDR_NO_RANDOMIZE == current {
        return Ok(current as i64);
    }
    trace::lack(call.slot, format_args!("personality {wanted:#x}"));
    Err(Errno::EINVAL)
}
