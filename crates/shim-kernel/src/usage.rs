//! What was used: `getrusage`, `times`, `sysinfo`.
//!
//! CPU time of the guest and the machine's figures in, structures of Linux out. Always true: all CPU
//! time is simulated, and counts as user time; nothing here depends on the real machine. What is not
//! simulated (faults, switches) is zero, as Linux leaves fields that it does not maintain; the largest
//! resident set is a fixed plausible number.

use shim_abi::Errno;
use shim_abi::time::NS_PER_SEC;

use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{Layout, write_words};

/// Clock ticks of `times` and `/proc/stat` in a second.
pub(crate) const TICKS_PER_SEC: u64 = 100;
/// Nanoseconds in such a tick.
pub(crate) const NS_PER_TICK: u64 = NS_PER_SEC / TICKS_PER_SEC;
/// What `ru_maxrss` says, in KiB.
pub(crate) const RESIDENT_KIB: u64 = 8_192;

pub(crate) fn getrusage(context: &mut Context<'_>, who: i32, to: GuestAddr) -> Answer {
    let (cpu_ns, resident) = match who {
        libc::RUSAGE_SELF => (context.guest.cpu_ns(), RESIDENT_KIB),
        libc::RUSAGE_THREAD => (context.guest.thread_cpu_ns(), RESIDENT_KIB),
        libc::RUSAGE_CHILDREN => {
            let process = context.process();
            (process.children_cpu_ns, if process.has_waited { RESIDENT_KIB } else { 0 })
        }
        _ => return Err(Errno::EINVAL),
    };
    context.guest.write(to, usage_of(cpu_ns, resident).bytes())?;
    done(0)
}

/// A `struct rusage`.
pub(crate) fn usage_of(cpu_ns: u64, resident_kib: u64) -> Layout<144> {
    let mut usage = Layout::new();
    usage.u64(0, cpu_ns / NS_PER_SEC);
    usage.u64(8, cpu_ns % NS_PER_SEC / 1_000);
    usage.u64(32, resident_kib);
    usage
}

pub(crate) fn times(context: &mut Context<'_>, to: GuestAddr) -> Answer {
    if !to.is_null() {
        let user = context.guest.cpu_ns() / NS_PER_TICK;
        let children = context.process().children_cpu_ns / NS_PER_TICK;
        write_words(context.guest, to, [user, 0, children, 0])?;
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
    use super::*;
    use crate::testing::{DATA, machine};
    use core::mem::{offset_of, size_of};
    use shim_abi::calls::nr;

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

    #[test]
    fn cpu_time_is_the_guests() {
        let (mut kernel, mut guest, tid) = machine();
        guest.cpu_ns = 3_250_001_999;
        let mut call = |number, a: i64, b: u64| {
            let got = kernel.do_call(tid, number, [a as u64, b, 0, 0, 0, 0], &mut guest);
            (got, guest.words::<2>(DATA))
        };
        let [inval, fault] = [Errno::EINVAL, Errno::EFAULT].map(Errno::as_return);
        assert_eq!(call(nr::getrusage, 0, DATA), (0, [3, 250_001]));
        assert_eq!(call(nr::getrusage, -1, DATA), (0, [0, 0]));
        assert_eq!(call(nr::getrusage, 1, DATA), (0, [3, 250_001]));
        assert_eq!(call(nr::getrusage, 2, 8).0, inval);
        assert_eq!(call(nr::getrusage, -2, DATA).0, inval);
        assert_eq!(call(nr::getrusage, 1, 8).0, fault);
        // 100 s of uptime.
        assert_eq!(call(nr::times, DATA as i64, 0), (10_000, [325, 0]));
        assert_eq!(call(nr::times, 0, 0).0, 10_000);
        assert_eq!(call(nr::times, 8, 0).0, fault);
    }

    #[test]
    fn the_machine_is_as_large_as_its_configuration_says() {
        let (mut kernel, mut guest, tid) = machine();
        let mut call = |at| kernel.do_call(tid, nr::sysinfo, [at, 0, 0, 0, 0, 0], &mut guest);
        assert_eq!(call(0), Errno::EFAULT.as_return());
        assert_eq!(call(DATA), 0);
        let info = guest.words::<14>(DATA);
        assert_eq!((info[0], info[4], info[10], info[13]), (100, 8 << 30, 2, 1));
        assert_eq!((info[5], info[7]), ((8 << 30) / 16 * 15, 8 << 20), "free, buffers");
    }
}
