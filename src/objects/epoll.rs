//! epoll: the instances are the simulator's; native descriptors in them are told apart here.
//!
//! Descriptors and events in, the simulator's answer out. Always true: a regular file or directory cannot be
//! watched (EPERM); a standard stream is always ready for writing, and for reading if it was when it was added;
//! the signal mask of epoll_pwait is the thread's while it waits. What is ready when is the kernel's.
//! See epoll_ctl(2), epoll_wait(2).

use shim_abi::Errno;
use shim_abi::calls::nr;
use shim_abi::process::descriptor;

use super::is_virtual;
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_bytes};
use crate::native::descriptors::check_usable;
use crate::native::poll::{is_readable_now, read_mask, with_mask};
use crate::native::sleep::timespec;
use crate::thread::Slot;
use crate::{forward, native, sys};

/// `struct epoll_event` is packed.
const EVENT_BYTES: usize = 12;

/// What an instance is to watch: the last but one argument of the forwarded call.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Watched {
    /// An object of the simulator's, or nothing.
    Virtual = 0,
    /// A file that cannot be watched.
    File = 1,
    /// A standard stream.
    Stream = 2,
}

impl Watched {
    fn of(slot: &Slot, fd: u32) -> Watched {
        match slot.process.descriptor(fd) {
            descriptor::VIRTUAL => Watched::Virtual,
            descriptor::RANDOM => Watched::Stream,
            kind => match check_usable(slot, fd).and_then(|()| sys::fstat(fd)) {
                Err(_) => Watched::Virtual,
                Ok(stat) if kind == descriptor::EXTERNAL && can_wait(&stat) => Watched::Stream,
                Ok(_) => Watched::File,
            },
        }
    }
}

/// Files, directories and the devices that always answer at once cannot be waited for.
fn can_wait(stat: &libc::stat) -> bool {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => false,
        libc::S_IFCHR => libc::major(stat.st_rdev) != 1,
        _ => true,
    }
}

/// epoll_ctl(instance, operation, fd, event)
pub fn control(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [instance, operation, fd, event, ..] = call.args;
    let (instance, fd) = (instance as u32, fd as u32);
    let watched = Watched::of(slot, fd);
    if !is_virtual(slot, instance) {
        if operation as i32 != libc::EPOLL_CTL_DEL {
            read_bytes(GuestAddr(event), &mut [0; EVENT_BYTES])?;
        }
        check_usable(slot, instance)?;
        check_usable(slot, fd)?;
        return Err(if watched == Watched::File { Errno::EPERM } else { Errno::EINVAL });
    }
    let is_readable = watched == Watched::Stream && is_readable_now(fd);
    let readable = if is_readable { libc::POLLIN as u64 } else { 0 };
    let args = [instance.into(), operation, fd.into(), event, watched as u64, readable];
    native::result(forward::syscall(slot, nr::epoll_ctl, args))
}

/// epoll_wait(instance, events, count, milliseconds), epoll_pwait(..., mask, bytes),
/// epoll_pwait2(instance, events, count, time, mask, bytes)
pub fn wait(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [instance, events, count, time, mask, bytes] = call.args;
    let (number, time) = match call.number {
        nr::epoll_pwait2 => {
            let timeout = timespec(time)?;
            let ns = timeout.map_or(u64::MAX, |ns| ns.min(i64::MAX as u64));
            (nr::epoll_pwait2, ns)
        }
        _ => (nr::epoll_wait, time),
    };
    let mask = if call.number == nr::epoll_wait { None } else { read_mask(mask, bytes)? };
    if !is_virtual(slot, instance as u32) {
        check_usable(slot, instance as u32)?;
        return Err(Errno::EINVAL);
    }
    let is_forever = if number == nr::epoll_wait { (time as i32) < 0 } else { time == u64::MAX };
    let timeout = (!is_forever).then_some(time);
    // Without waiting no signal is looked for.
    let mask = mask.filter(|_| timeout != Some(0));
    with_mask(slot, mask, timeout, |timeout| {
        let time = timeout.unwrap_or(u64::MAX);
        let args = [instance, events, count, time, 0, 0];
        native::result(forward::syscall(slot, number, args))
    })
}
