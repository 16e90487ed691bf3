//! Who and where: ids of process, thread and user, the machine's name, the processor.
//!
//! Addresses in, ids out, all from the blocks. Always true: process and thread ids are virtual, user
//! ids the real user's as read at the start. Changing them is refused by the table.
//! See getpid(2), credentials(7), uname(2), getcpu(2).

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use shim_abi::Errno;

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, write_value};

/// getpid()
pub fn getpid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.process.pid.load(Relaxed).into())
}

/// gettid()
pub fn gettid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.thread.tid.load(Relaxed).into())
}

/// getppid()
pub fn getppid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.process.parent_pid.load(Relaxed).into())
}

/// getpgrp()
pub fn getpgrp(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.process.group.load(Relaxed).into())
}

/// getuid()
pub fn getuid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.thread.user_ids[0].load(Relaxed).into())
}

/// geteuid()
pub fn geteuid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.thread.user_ids[1].load(Relaxed).into())
}

/// getgid()
pub fn getgid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.thread.group_ids[0].load(Relaxed).into())
}

/// getegid()
pub fn getegid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    Ok(call.slot.thread.group_ids[1].load(Relaxed).into())
}

fn store_ids(call: &Invocation<'_>, ids: &[AtomicU32; 3]) -> Result<i64, Errno> {
    for (id, &address) in ids.iter().zip(&call.args) {
        write_value(GuestAddr(address), &id.load(Relaxed))?;
    }
    Ok(0)
}

/// getresuid(real, effective, saved)
pub fn getresuid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    store_ids(call, &call.slot.thread.user_ids)
}

/// getresgid(real, effective, saved)
pub fn getresgid(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    store_ids(call, &call.slot.thread.group_ids)
}

/// getcpu(cpu, node, unused): a guest thread is always on processor 0.
pub fn getcpu(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    for &address in &call.args[..2] {
        if address != 0 {
            write_value(GuestAddr(address), &0u32)?;
        }
    }
    Ok(0)
}

/// uname(names)
pub fn uname(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let host = call.slot.host;
    let fields: [&[u8]; 6] = [
        b"Linux",
        host.hostname.as_bytes(),
        host.kernel_release.as_bytes(),
        host.kernel_version.as_bytes(),
        b"x86_64",
        host.domainname.as_bytes(),
    ];
    let mut names = [0u8; 6 * 65];
    for (field, text) in names.chunks_exact_mut(65).zip(fields) {
        let len = text.len().min(64);
        field[..len].copy_from_slice(&text[..len]);
    }
    crate::guest_memory::write_bytes(GuestAddr(call.args[0]), &names)?;
    Ok(0)
}
