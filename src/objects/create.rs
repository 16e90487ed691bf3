//! Making objects: pipes, sockets, counters, timers, epoll instances, watches, descriptors of signals and processes.
//!
//! Flags in, descriptors out. Always true: the number is taken before the simulator makes the object, because
//! the real kernel hands numbers out; what the simulator refuses leaves no number taken; if none is free the simulator
//! is asked all the same, because most of what it refuses comes before EMFILE. What the objects
//! do is the kernel's. See pipe(2), socket(2), eventfd(2), timerfd_create(2), epoll_create(2), signalfd(2),
//! pidfd_open(2), pidfd_getfd(2), mq_open(3).

use shim_abi::Errno;
use shim_abi::calls::{ACCEPT_NEEDS_WAIT, nr};

use super::placeholder::Placeholder;
use super::{closed, for_object};
use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_value};
use crate::native::proc::names;
use crate::thread::Slot;
use crate::{forward, native, sys, trace};

/// EFD_CLOEXEC, TFD_CLOEXEC, SFD_CLOEXEC and EPOLL_CLOEXEC are the same bit.
const CLOEXEC: u64 = libc::O_CLOEXEC as u64;

/// Families that programs ask for, by name.
const FAMILIES: &[(i32, &str)] = &[
    (libc::AF_INET, "AF_INET"),
    (libc::AF_INET6, "AF_INET6"),
    (libc::AF_ALG, "AF_ALG"),
    (libc::AF_VSOCK, "AF_VSOCK"),
    (libc::AF_BLUETOOTH, "AF_BLUETOOTH"),
    (libc::AF_CAN, "AF_CAN"),
];

/// What the simulator is told if no number is free.
const NO_NUMBER: u64 = u32::MAX as u64;

/// The lowest free number, if there is one.
fn take(slot: &Slot, is_close_on_exec: bool) -> Result<Option<Placeholder>, Errno> {
    match Placeholder::take(slot, is_close_on_exec) {
        Err(Errno::EMFILE) => Ok(None),
        taken => taken.map(Some),
    }
}

/// How the simulator is told of a number.
fn number_of(taken: Option<&Placeholder>) -> u64 {
    taken.map_or(NO_NUMBER, |taken| taken.fd().into())
}

/// pipe(ends), pipe2(ends, flags)
pub fn pipe(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [at, flags, ..] = call.args;
    let flags = if call.number == nr::pipe { 0 } else { flags & 0xffff_ffff };
    let is_close_on_exec = flags & CLOEXEC != 0;
    let ends = [take(slot, is_close_on_exec)?, take(slot, is_close_on_exec)?];
    let [reader, writer] = ends.each_ref().map(|end| number_of(end.as_ref()));
    native::result(forward::syscall(slot, nr::pipe2, [0, flags, reader, writer, 0, 0]))?;
    let [Some(reader), Some(writer)] = ends else { return Err(Errno::EMFILE) };
    let ends = [reader, writer];
    let numbers = ends.each_ref().map(Placeholder::fd);
    if let Err(errno) = write_value(GuestAddr(at), &numbers) {
        for fd in numbers {
            closed(slot, fd);
        }
        return Err(errno);
    }
    for end in ends {
        end.keep(slot);
    }
    Ok(0)
}

/// socket(family, type, protocol)
pub fn socket(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    const TYPE_MASK: i32 = 0xf;
    let [family, kind, protocol, ..] = call.args;
    let result = make(call, nr::socket, [family, kind, protocol, 0, 0, 0], 3, kind & CLOEXEC != 0);
    if result == Err(Errno::EAFNOSUPPORT) {
        let slot = call.slot;
        match FAMILIES.iter().find(|(number, _)| *number == family as i32) {
            Some((_, name)) => trace::lack(slot, format_args!("socket of family {name}")),
            None => trace::lack(slot, format_args!("socket of family {}", family as i32)),
        }
    }
    if family as i32 == libc::AF_PACKET && result == Err(Errno::EPERM) {
        trace::lack(call.slot, format_args!("packet socket"));
    }
    if family as i32 == libc::AF_NETLINK && result == Err(Errno::EPROTONOSUPPORT) {
        trace::lack(call.slot, format_args!("netlink socket of protocol {}", protocol as i32));
    }
    let is_raw = kind as i32 & TYPE_MASK == libc::SOCK_RAW;
    if is_raw && matches!(family as i32, libc::AF_INET | libc::AF_INET6) && result.is_err() {
        trace::lack(call.slot, format_args!("raw socket"));
    }
    result
}

/// Take a connection that has come to a socket: `call` is accept or accept4, `first` its arguments. Nothing if it has
/// to wait for one.
pub fn connection(call: &Invocation<'_>, first: [u64; 4]) -> Result<Option<i64>, Errno> {
    let [fd, to, bytes, flags] = first;
    let taken = take(call.slot, flags & CLOEXEC != 0)?;
    let args = [fd, to, bytes, flags, number_of(taken.as_ref()), 0];
    match native::result(forward::syscall(call.slot, call.number, args))? {
        ACCEPT_NEEDS_WAIT => Ok(None),
        _ => Ok(Some(taken.ok_or(Errno::EMFILE)?.keep(call.slot).into())),
    }
}

/// socketpair(family, type, protocol, ends): the numbers are stored before anything else is looked at.
pub fn socketpair(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    const TYPE_MASK: u64 = 0xf;
    const FLAGS: u64 = (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as u64;
    let slot = call.slot;
    let [family, kind, protocol, at, ..] = call.args;
    if kind & 0xffff_ffff & !(TYPE_MASK | FLAGS) != 0 {
        return Err(Errno::EINVAL);
    }
    let is_close_on_exec = kind & CLOEXEC != 0;
    let ends =
        [Placeholder::take(slot, is_close_on_exec)?, Placeholder::take(slot, is_close_on_exec)?];
    let numbers = ends.each_ref().map(Placeholder::fd);
    write_value(GuestAddr(at), &numbers)?;
    let args = [family, kind, protocol, at, numbers[0].into(), numbers[1].into()];
    native::result(forward::syscall(slot, nr::socketpair, args))?;
    for end in ends {
        end.keep(slot);
    }
    Ok(0)
}

/// One object: forward `number` with `args`, the new descriptor's number put at `at`.
fn make(
    call: &Invocation<'_>,
    number: u32,
    mut args: [u64; 6],
    at: usize,
    is_close_on_exec: bool,
) -> Result<i64, Errno> {
    let taken = take(call.slot, is_close_on_exec)?;
    args[at] = number_of(taken.as_ref());
    native::result(forward::syscall(call.slot, number, args))?;
    Ok(taken.ok_or(Errno::EMFILE)?.keep(call.slot).into())
}

/// eventfd(count), eventfd2(count, flags)
pub fn eventfd(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [count, flags, ..] = call.args;
    let flags = if call.number == nr::eventfd { 0 } else { flags };
    make(call, nr::eventfd2, [count, flags, 0, 0, 0, 0], 2, flags & CLOEXEC != 0)
}

/// epoll_create(size), epoll_create1(flags)
pub fn epoll(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let first = call.args[0];
    if call.number == nr::epoll_create && first as i32 <= 0 {
        return Err(Errno::EINVAL);
    }
    let flags = if call.number == nr::epoll_create { 0 } else { first };
    make(call, nr::epoll_create1, [flags, 0, 0, 0, 0, 0], 1, flags & CLOEXEC != 0)
}

/// inotify_init(), inotify_init1(flags): IN_CLOEXEC is the same bit as the others, too.
pub fn watches(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let flags = if call.number == nr::inotify_init { 0 } else { call.args[0] };
    make(call, nr::inotify_init1, [flags, 0, 0, 0, 0, 0], 1, flags & CLOEXEC != 0)
}

/// timerfd_create(clock, flags)
pub fn timerfd(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [clock, flags, ..] = call.args;
    make(call, nr::timerfd_create, [clock, flags, 0, 0, 0, 0], 2, flags & CLOEXEC != 0)
}

/// signalfd(fd, mask, bytes), signalfd4(fd, mask, bytes, flags): a new one, or another mask for an old one.
pub fn signalfd(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, mask, bytes, flags, ..] = call.args;
    let flags = if call.number == nr::signalfd { 0 } else { flags };
    let args = [fd, mask, bytes, flags, u64::MAX, 0];
    if fd as i32 == -1 {
        return make(call, nr::signalfd4, args, 4, flags & CLOEXEC != 0);
    }
    let result = native::result(forward::syscall(call.slot, nr::signalfd4, args));
    for_object(call.slot, fd as u32, result)
}

/// pidfd_open(pid, flags): always close-on-exec.
pub fn pidfd(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [pid, flags, ..] = call.args;
    make(call, nr::pidfd_open, [pid, flags, 0, 0, 0, 0], 2, true)
}

/// getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, value, bytes): always close-on-exec.
pub fn peer_process(call: &Invocation<'_>) -> Result<i64, Errno> {
    make(call, nr::getsockopt, call.args, 5, true).map(|_| 0)
}

/// pidfd_getfd(pidfd, fd, flags): a copy of another process's descriptor, always close-on-exec.
pub fn fetch(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let [pidfd, target, flags, ..] = call.args;
    let taken = take(slot, true)?;
    let args = [pidfd, target, flags, number_of(taken.as_ref()), 0, 0];
    let pid = native::result(forward::syscall(slot, nr::pidfd_getfd, args))? as u32;
    if pid == 0 {
        return Ok(taken.ok_or(Errno::EMFILE)?.keep(slot).into());
    }
    drop(taken);
    let target = native::descriptors::visible(slot, target)?;
    let block = names::block(pid).ok_or(Errno::ESRCH)?;
    let native = names::native_pid(pid).ok_or(Errno::ESRCH)?;
    let low = sys::call(nr::pidfd_open, [native.into(), 0, 0, 0, 0, 0])? as u32;
    // Out of the way, so that the copy gets the lowest number.
    let hidden = [low.into(), libc::F_DUPFD as u64, slot.first_hidden.into(), 0, 0, 0];
    let high = sys::call(nr::fcntl, hidden);
    sys::close(low);
    let high = high? as u32;
    let copy = sys::call(nr::pidfd_getfd, [high.into(), target.into(), 0, 0, 0, 0]);
    sys::close(high);
    let copy = copy? as u32;
    native::open::admit(slot, copy)?;
    slot.process.set_descriptor(copy, block.descriptor(target));
    Ok(copy.into())
}

/// mq_open(name, flags, mode, attributes): always close-on-exec. What the umask takes from the mode only the real
/// kernel knows.
pub fn message_queue(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let umask = native::result(native::execute(nr::umask, [0; 6]))?;
    native::result(native::execute(nr::umask, [umask as u64, 0, 0, 0, 0, 0]))?;
    let mut args = call.args;
    args[2] &= !(umask as u64);
    make(call, nr::mq_open, args, 4, true)
}
