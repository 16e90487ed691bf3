//! Process control: prctl(2), arch_prctl(2), personality(2), each by a table of its own.
//!
//! An operation in. Always true: what the shim lives by (dispatch of system calls, the time stamp
//! counter's trap, the GS base, the parent-death signal) cannot be changed by a guest; what only the real
//! kernel knows is asked there; the rest is EINVAL and named.

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_text, write_value};
use crate::{native, trace};

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
            call.slot.process.program.store(&name[..len]);
            native::result(native::execute(nr::prctl, call.args))
        }
        libc::PR_GET_NAME
        | libc::PR_CAPBSET_READ
        | libc::PR_GET_KEEPCAPS
        | libc::PR_GET_SECUREBITS
        | libc::PR_GET_TIMERSLACK
        | libc::PR_SET_TIMERSLACK
        | libc::PR_GET_NO_NEW_PRIVS
        | libc::PR_SET_NO_NEW_PRIVS
        | libc::PR_SET_THP_DISABLE
        | libc::PR_GET_THP_DISABLE
        | libc::PR_GET_TID_ADDRESS
        | libc::PR_CAP_AMBIENT
        | libc::PR_GET_SPECULATION_CTRL
        | libc::PR_MCE_KILL_GET
        | PR_GET_MDWE
        | PR_GET_AUXV
        | PR_SET_VMA => native::result(native::execute(nr::prctl, call.args)),
        // A guest of another user's would close its memory to the simulator.
        libc::PR_GET_DUMPABLE => Ok(1),
        libc::PR_SET_DUMPABLE if a <= 1 => Ok(0),
        libc::PR_GET_SECCOMP => Ok(0),
        libc::PR_GET_PDEATHSIG => write_value(GuestAddr(a), &0u32).map(|()| 0),
        libc::PR_SET_PDEATHSIG if a <= 64 => {
            trace::lack(
                call.slot,
                format_args!("prctl PR_SET_PDEATHSIG (accepted, not carried out)"),
            );
            Ok(0)
        }
        libc::PR_GET_CHILD_SUBREAPER => write_value(GuestAddr(a), &0u32).map(|()| 0),
        PR_GET_TSC => write_value(GuestAddr(a), &PR_TSC_ENABLE).map(|()| 0),
        PR_SET_TSC if a == u64::from(PR_TSC_ENABLE) => Ok(0),
        PR_SET_MDWE if (a, b, c, d) == (0, 0, 0, 0) => Ok(0),
        _ => {
            trace::lack(call.slot, format_args!("prctl operation {operation}"));
            Err(Errno::EINVAL)
        }
    }
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
