//! Sockets: the simulator's; what travels with a call, and what it lacks, is told apart here.
//!
//! Descriptors and messages in, the simulator's answer out. Always true: a descriptor that is open but no socket of the
//! simulator's is ENOTSOCK; memory that the simulator will read travels with the request as far as it fits; what a
//! message brings in descriptors is put into numbers by [`super::rights`]. What sockets do is the kernel's.
//! See socket(7), unix(7), send(2), recv(2).

use shim_abi::Errno;
use shim_abi::calls::{ACCEPT_WAITS, BIND_NEEDS_PATH, SENT_FILES, SENT_REFUSED, nr};

use super::{address, create, is_virtual, rights};
use crate::dispatch::Invocation;
use crate::forward::{Forwarded, MAX_CARRIED_BYTES};
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::native::descriptors::check_usable;
use crate::native::sleep::timespec;
use crate::thread::Slot;
use crate::{forward, native, sys, trace};

/// `struct msghdr` as words: name, its length, pieces, their number, control messages, their length, flags.
pub type Header = [u64; 7];
/// Where a header's length of control messages and its flags are.
pub const CONTROL_BYTES_OFFSET: u64 = 40;
pub const FLAGS_OFFSET: u64 = 48;
/// Bytes of a `struct mmsghdr`, and where its count is.
const ENTRY_BYTES: u64 = 64;
const COUNT_OFFSET: u64 = 56;
/// The bytes of one `struct iovec`.
const PIECE_BYTES: u64 = 16;
/// No call moves more messages.
const MAX_MESSAGES: u64 = 1024;

/// The option whose value is a new descriptor.
const SO_PEERPIDFD: i32 = 77;
/// An option that Linux has not either, if it knows no labels.
const SO_PEERSEC: i32 = 31;

/// Options that cannot be set on Linux either.
const TELLING: &[i32] = &[
    libc::SO_TYPE,
    libc::SO_ERROR,
    libc::SO_DOMAIN,
    libc::SO_PROTOCOL,
    libc::SO_ACCEPTCONN,
    libc::SO_SNDLOWAT,
    libc::SO_PEERCRED,
];

/// EBADF, ENOTSOCK.
fn check(call: &Invocation<'_>) -> Result<(), Errno> {
    let fd = call.args[0] as u32;
    if is_virtual(call.slot, fd) {
        return Ok(());
    }
    check_usable(call.slot, fd)?;
    if sys::fstat(fd)?.st_mode & libc::S_IFMT == libc::S_IFSOCK {
        let name = shim_abi::calls::lookup(call.number.into()).map_or("", |line| line.name);
        trace::lack(call.slot, format_args!("{name} on a socket from outside the simulation"));
    }
    Err(Errno::ENOTSOCK)
}

/// A call that needs no care.
pub fn plain(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    super::forward(call)
}

/// A call that says an address: bind(fd, address, bytes), connect(fd, address, bytes)
fn forward_address(call: &Invocation<'_>, args: [u64; 6]) -> Result<i64, Errno> {
    let mut forwarded = Forwarded::new(call.slot, call.number, args);
    forwarded.carry(args[1], u64::from(args[2] as u32));
    native::result(forwarded.send())
}

/// bind(fd, address, bytes)
pub fn bind(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let [fd, at, bytes, ..] = call.args;
    match forward_address(call, [fd, at, bytes, 0, 0, 0])? {
        BIND_NEEDS_PATH => address::bind_path(call.slot, fd as u32, at, bytes),
        result => Ok(result),
    }
}

/// connect(fd, address, bytes)
pub fn connect(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let [fd, at, bytes, ..] = call.args;
    let [device, inode, errno] = address::place(call.slot, at, bytes).unwrap_or_default();
    let result = forward_address(call, [fd, at, bytes, device, inode, errno]);
    name_what_is_missing(call.slot, result);
    result
}

/// accept(fd, address, bytes), accept4(fd, address, bytes, flags): no number is taken while the call waits, because
/// another thread's child would inherit it.
pub fn accept(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let [fd, to, bytes, flags, ..] = call.args;
    let flags = if call.number == nr::accept { 0 } else { flags };
    loop {
        if let Some(fd) = create::connection(call, [fd, to, bytes, flags])? {
            return Ok(fd);
        }
        let args = [fd, to, bytes, flags, ACCEPT_WAITS.into(), 0];
        native::result(forward::syscall(call.slot, call.number, args))?;
    }
}

/// An option of SOL_SOCKET that is a number.
pub fn number_option(slot: &Slot, fd: u32, option: i32) -> Result<i32, Errno> {
    // The value, and behind it how many bytes there is room for.
    let mut words = [0, 4];
    let at = words.as_mut_ptr() as u64;
    let args = [fd.into(), libc::SOL_SOCKET as u64, option as u64, at, at + 8, 0];
    native::result(Forwarded::new(slot, nr::getsockopt, args).exchange(&mut words))?;
    Ok(words[0] as i32)
}

/// setsockopt(fd, level, option, value, bytes), getsockopt(fd, level, option, value, bytes)
pub fn option(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let [fd, level, option, value, bytes, _] = call.args;
    let asks = call.number == nr::getsockopt && level as i32 == libc::SOL_SOCKET;
    if asks && option as i32 == SO_PEERPIDFD {
        return create::peer_process(call);
    }
    let mut forwarded = Forwarded::new(call.slot, call.number, call.args);
    let (name, at, len) = match call.number {
        nr::setsockopt => ("setsockopt", value, u64::from(bytes as u32)),
        _ => ("getsockopt", bytes, 4),
    };
    forwarded.carry(at, len);
    let result = native::result(forwarded.send());
    let is_told = call.number == nr::setsockopt && TELLING.contains(&(option as i32));
    let is_doubtful = result == Err(Errno::ENOPROTOOPT) && option as i32 != SO_PEERSEC;
    if is_doubtful && !is_told && !has_no_level(call.slot, fd, level as i32) {
        let (level, option) = (level as i32, option as i32);
        trace::lack(call.slot, format_args!("{name} option {option} of level {level}"));
    }
    result
}

/// Whether a socket has no options of this level on Linux either.
fn has_no_level(slot: &Slot, fd: u64, level: i32) -> bool {
    let ask = |option: i32| {
        let mut found = [0u64, 4];
        let at = found.as_ptr() as u64;
        let args = [fd, libc::SOL_SOCKET as u64, option as u64, at, at + 8, 0];
        let asked = Forwarded::new(slot, nr::getsockopt, args).exchange(&mut found);
        if asked == 0 { found[0] as i32 } else { level }
    };
    match level {
        libc::IPPROTO_IPV6 => ask(libc::SO_DOMAIN) == libc::AF_INET,
        libc::IPPROTO_TCP | libc::IPPROTO_UDP => ask(libc::SO_PROTOCOL) != level,
        _ => false,
    }
}

/// sendto(fd, bytes, count, flags, address, bytes): if the address has a path, as a message, with which goes what is
/// there.
pub fn sendto(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let slot = call.slot;
    let [fd, from, bytes, flags, to, to_bytes] = call.args;
    let place = if to == 0 { None } else { address::place(slot, to, to_bytes) };
    let result = if let Some([device, inode, errno]) = place {
        let piece = [from, bytes];
        let header: Header = [to, u64::from(to_bytes as u32), piece.as_ptr() as u64, 1, 0, 0, 0];
        let args = [fd, header.as_ptr() as u64, flags, device, inode, errno];
        let mut forwarded = Forwarded::new(slot, nr::sendmsg, args);
        forwarded.carry_own(&header);
        forwarded.carry_own(&piece);
        forwarded.carry(to, u64::from(to_bytes as u32));
        forwarded.carry(from, bytes);
        native::result(forwarded.send())
    } else {
        let mut forwarded = Forwarded::new(slot, call.number, call.args);
        forwarded.carry(from, bytes);
        native::result(forwarded.send())
    };
    name_what_is_missing(slot, result);
    named_sent(slot, result)
}

/// recvfrom(fd, to, count, flags, address, bytes)
pub fn recvfrom(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let result = super::forward(call);
    name_what_is_missing(call.slot, result);
    result
}

/// sendmsg(fd, header, flags)
pub fn sendmsg(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let [fd, header, flags, ..] = call.args;
    send_one(call.slot, fd, header, flags)
}

/// recvmsg(fd, header, flags)
pub fn recvmsg(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    check(call)?;
    let [fd, header, flags, ..] = call.args;
    receive_one(call.slot, fd, header, flags)
}

/// sendmmsg(fd, entries, count, flags)
pub fn sendmmsg(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [fd, entries, count, flags, ..] = call.args;
    each_message(call, entries, count, |slot, entry, _| send_one(slot, fd, entry, flags))
}

/// recvmmsg(fd, entries, count, flags, time): the time is looked at after each message only.
pub fn recvmmsg(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    const WAIT_FOR_ONE: u64 = libc::MSG_WAITFORONE as u64;
    let [fd, entries, count, flags, time, _] = call.args;
    let begin = crate::local::clock::monotonic_ns(call.slot);
    let timeout = timespec(time)?;
    let mut left = timeout;
    let received = each_message(call, entries, count, |slot, entry, index| {
        if left == Some(0) && index > 0 {
            return Err(Errno::EAGAIN);
        }
        let is_polite = index > 0 && flags & WAIT_FOR_ONE != 0;
        let dont_wait = if is_polite { libc::MSG_DONTWAIT as u64 } else { 0 };
        let result = receive_one(slot, fd, entry, flags & !WAIT_FOR_ONE | dont_wait);
        left = timeout.map(|ns| native::poll::left_after(slot, begin, ns));
        result
    })?;
    if let Some(ns) = left.filter(|_| received > 0) {
        const NS: u64 = native::sleep::NS_PER_SEC;
        write_value(GuestAddr(time), &[ns / NS, ns % NS])?;
    }
    Ok(received)
}

/// Move messages until one cannot be; how many were.
fn each_message(
    call: &mut Invocation<'_>,
    entries: u64,
    count: u64,
    mut one: impl FnMut(&'static Slot, u64, u64) -> Result<i64, Errno>,
) -> Result<i64, Errno> {
    check(call)?;
    let count = (count & 0xffff_ffff).min(MAX_MESSAGES);
    for index in 0..count {
        let entry = entries.wrapping_add(index * ENTRY_BYTES);
        let moved = one(call.slot, entry, index)
            .and_then(|bytes| write_value(GuestAddr(entry).offset(COUNT_OFFSET), &(bytes as u32)));
        match moved {
            Ok(()) => {}
            Err(_) if index > 0 => return Ok(index as i64),
            Err(errno) => return Err(errno),
        }
    }
    Ok(count as i64)
}

fn send_one(slot: &Slot, fd: u64, header: u64, flags: u64) -> Result<i64, Errno> {
    let parts = read_value::<Header>(GuestAddr(header)).unwrap_or_default();
    let [name, name_bytes, pieces, count, control, control_bytes, _] = parts;
    let place = if name == 0 { None } else { address::place(slot, name, name_bytes) };
    let [device, inode, errno] = place.unwrap_or_default();
    let sent = if rights::send_natives(slot, control, control_bytes)? { SENT_FILES } else { 0 };
    let args = [fd, header, flags, device, inode, errno | sent];
    let mut forwarded = Forwarded::new(slot, nr::sendmsg, args);
    if sent != 0 {
        // The simulator has them.
        forwarded = forwarded.far();
    }
    forwarded.carry(header, size_of::<Header>() as u64);
    forwarded.carry(name, u64::from(name_bytes as u32));
    forwarded.carry(control, control_bytes);
    let vector_bytes = count.saturating_mul(PIECE_BYTES);
    forwarded.carry(pieces, vector_bytes);
    if vector_bytes <= MAX_CARRIED_BYTES as u64 {
        for i in 0..count {
            let piece = read_value::<[u64; 2]>(GuestAddr(pieces).offset(i * PIECE_BYTES));
            let Ok([address, bytes]) = piece else { break };
            forwarded.carry(address, bytes);
        }
    }
    let result = native::result(forwarded.send());
    name_what_is_missing(slot, result);
    named_sent(slot, result)
}

fn receive_one(slot: &Slot, fd: u64, header: u64, flags: u64) -> Result<i64, Errno> {
    let mut report = rights::Report::default();
    let args = [fd, header, flags, report.as_mut_ptr() as u64, 0, 0];
    let mut forwarded = Forwarded::new(slot, nr::recvmsg, args);
    forwarded.carry(header, size_of::<Header>() as u64);
    if let Ok([_, _, pieces, count, ..]) = read_value::<Header>(GuestAddr(header)) {
        forwarded.carry(pieces, count.saturating_mul(PIECE_BYTES));
    }
    let result = native::result(forwarded.send_into(&mut report));
    name_what_is_missing(slot, result);
    let received = result?;
    if report[0] > 0 {
        rights::take(slot, header, report, flags & libc::MSG_CMSG_CLOEXEC as u64 != 0)?;
    }
    Ok(received)
}

/// How many bytes were sent; name what they ask of the kernel's network and it has not.
pub fn named_sent(slot: &Slot, result: Result<i64, Errno>) -> Result<i64, Errno> {
    const COUNT: i64 = 0xffff_ffff;
    let Ok(sent) = result else { return result };
    if sent as u64 & SENT_REFUSED != 0 {
        let kind = (sent >> 32) as u16;
        trace::lack(slot, format_args!("netlink request of type {kind}"));
        return Ok(sent & COUNT);
    }
    result
}

/// Name other hosts.
fn name_what_is_missing(slot: &Slot, result: Result<i64, Errno>) {
    if result == Err(Errno::ENETUNREACH) {
        trace::lack(slot, format_args!("a way to another host"));
    }
}
