//! What was used: `getrusage`, `times`, `sysinfo`.
//!
//! CPU time of the guest and the machine's figures in, structures of Linux out. Always true: all CPU
//! time is simulated, and counts as user time; nothing here depends on the real machine. What is not
//! simulated (faults, switches) is zero, as Linux leaves fields that it does not maintain; the largest
//! resident set is a fixed plausible number.

use shim_abi::time::NS_PER_SEC;
use shim_abi::Errno;

use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, write_words};

/// Clock ticks of `times` and `/proc/stat` in a second.
pub(crate) const TICKS_PER_SEC: u64 = 100;
/// Nanoseconds in such a tick.
pub(crate) const NS_PER_TICK: u64 = NS_PER_SEC / TICKS_PER_SEC;
/// What `ru_maxrss` says, in KiB.
const RESIDENT_KIB: u64 = 8_192;

pub(crate) fn getrusage(context: &mut Context<'_>, who: i32, to: GuestAddr) -> Answer {
    let (cpu_ns, resident) = match who {
        libc::RUSAGE_SELF => (context.guest.cpu_ns(), RESIDENT_KIB),
        libc::RUSAGE_THREAD => (context.guest.thread_cpu_ns(), RESIDENT_KIB),
        libc::RUSAGE_CHILDREN => (0, 0),
        _ => return Err(Errno::EINVAL),
    };
    let mut usage = Layout::<144>::new();
    usage.u64(0, cpu_ns / NS_PER_SEC);
    usage.u64(8, cpu_ns % NS_PER_SEC / 1_000);
    usage.u64(32, resident);
    context.guest.write(to, usage.bytes())?;
    done(0)
}

pub(crate) fn times(context: &mut Context<'_>, to: GuestAddr) -> Answer {
    if !to.is_null() {
        let user = context.guest.cpu_ns() / NS_PER_TICK;
        write_words(context.guest, to, [user, 0, 0, 0])?;
    }
    done((context.kernel.uptime_ns(context.now) / NS_PER_TICK) as i64)
}

pub(crate) fn sysinfo(context: &mut Context<'_>, to: GuestAddr) -> Answer {
    let memory = context.kernel.memory();
    let threads = context.kernel.threads.len();
    let mut info = Layout::<112>::new();
    info.u64(0, context.kernel.uptime_ns(context.now) / NS_PER_SEC);
    info.u64(32, memory.total_bytes);
    info.u64(40, memory.free_bytes);
    info.u64(48, memory.shared_bytes);
    info.u64(56, memory.buffer_bytes);
    info.u16(80, u16::try_from(threads).unwrap_or(u16::MAX));
    info.u32(104, 1);
    context.guest.write(to, info.bytes())?;
    done(0)
}

#[cfg(test)]
mod tests {
    use core::mem::{offset_of, size_of};

    #[test]
    fn layouts_are_those_of_libc() {
        assert_eq!(size_of::<libc::rusage>(), 144);
        assert_eq!(offset_of!(libc::rusage, ru_maxrss), 32);
        assert_eq!(size_of::<libc::sysinfo>(), 112);
        assert_eq!(offset_of!(libc::sysinfo, totalram), 32);
        assert_eq!(offset_of!(libc::sysinfo, freeram), 40);
        assert_eq!(offset_of!(libc::sysinfo, sharedram), 48);
        assert_eq!(offset_of!(libc::sysinfo, bufferram), 56);
        assert_eq!(offset_of!(libc::sysinfo, procs), 80);
        assert_eq!(offset_of!(libc::sysinfo, mem_unit), 104);
    }
}
