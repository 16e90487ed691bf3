//! What a thread may do beyond its user: capget(2), capset(2), and what becomes of it when ids change.
//!
//! Headers and sets in guest memory in; sets out. Always true: the first image has what the real kernel gave it, and
//! changes of ids and execs take and give as capabilities(7) says; those of another thread are what its ids say. The powers
//! over files are the real kernel's (`reach`): giving up some of them alone is named. Not here: ambient and bounding sets,
//! and what the virtual kernel asks the effective user for. See capget(2), capabilities(7).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::dispatch::Invocation;
use crate::guest_memory::{GuestAddr, read_value, write_value};
use crate::native::proc::names;
use crate::thread::Slot;
use crate::{native, sys, trace};

/// What lets who has it change groups and users, change sets, change roots, and do what only an administrator may.
pub const SETGID: u32 = 6;
pub const SETUID: u32 = 7;
pub const SETPCAP: u32 = 8;
pub const SYS_CHROOT: u32 = 18;
pub const SYS_ADMIN: u32 = 21;

/// CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD, MAC_OVERRIDE: they come and go with the
/// user for files.
const OF_FILES: u64 = 0b1_1111 | 1 << 9 | 1 << 27 | 1 << 32;

/// A thread's sets.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Capabilities {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

/// Of the low 32 and the high 32 capabilities: effective, permitted, inheritable.
type Halves = [[u32; 3]; 2];
const HALF_BYTES: u64 = 12;

impl Capabilities {
    fn from_halves([low, high]: Halves) -> Capabilities {
        let [effective, permitted, inheritable] =
            [0, 1, 2].map(|i| u64::from(low[i]) | u64::from(high[i]) << 32);
        Capabilities { effective, permitted, inheritable }
    }

    fn to_halves(self) -> Halves {
        let sets = [self.effective, self.permitted, self.inheritable];
        [sets.map(|set| set as u32), sets.map(|set| (set >> 32) as u32)]
    }

    /// What this process's first image has, or a native thread.
    pub fn native(native_tid: u32) -> Capabilities {
        let header = [BEST, native_tid];
        let mut halves = Halves::default();
        let args = [header.as_ptr() as u64, halves.as_mut_ptr() as u64, 0, 0, 0, 0];
        native::execute(nr::capget, args);
        Capabilities::from_halves(halves)
    }

    /// What the next image has of its native sets, with these real, effective and saved users.
    fn of_image(self, [real, effective, _]: [u32; 3]) -> Capabilities {
        let is_root = effective == 0;
        Capabilities {
            permitted: if is_root || real == 0 { self.permitted } else { 0 },
            effective: if is_root { self.effective } else { 0 },
            inheritable: self.inheritable,
        }
    }

    /// What is left when users become others.
    fn after_change(self, old: [u32; 3], new: [u32; 3], keeps: bool) -> Capabilities {
        let mut after = self;
        let has_lost_root = old.contains(&0) && !new.contains(&0);
        if has_lost_root && !keeps {
            (after.permitted, after.effective) = (0, 0);
        }
        match (old[1], new[1]) {
            (0, 1..) => after.effective = 0,
            (1.., 0) => after.effective = after.permitted,
            _ => {}
        }
        after
    }

    /// What setfsuid(2) takes and gives.
    fn after_change_for_files(mut self, old: u32, new: u32) -> Capabilities {
        match (old, new) {
            (0, 1..) => self.effective &= !OF_FILES,
            (1.., 0) => self.effective |= self.permitted & OF_FILES,
            _ => {}
        }
        self
    }

    fn may_become(self, new: Capabilities) -> bool {
        let inheritable = self.inheritable | self.permitted;
        new.permitted & !self.permitted == 0
            && new.effective & !new.permitted == 0
            && new.inheritable & !inheritable == 0
    }

    /// Effective and permitted.
    pub fn shown(self) -> [u64; 2] {
        [self.effective, self.permitted]
    }
}

/// Whether the caller has the capability of this number.
pub fn has(slot: &Slot, number: u32) -> bool {
    slot.capabilities.get().effective >> number & 1 != 0
}

fn users_of(block: &shim_abi::thread::ThreadBlock) -> [u32; 3] {
    block.user_ids.each_ref().map(|id| id.load(Relaxed))
}

/// An image begins that others came before.
pub fn begin_image(slot: &Slot) {
    slot.capabilities.set(slot.capabilities.get().of_image(users_of(slot.thread.get())));
}

/// The caller's users were `old`.
pub fn users_changed(slot: &Slot, old: [u32; 3]) {
    let keeps = sys::prctl(libc::PR_GET_KEEPCAPS, [0; 4]) == Ok(1);
    let new = users_of(slot.thread.get());
    slot.capabilities.set(slot.capabilities.get().after_change(old, new, keeps));
}

/// The caller's user for files was `old`.
pub fn user_for_files_changed(slot: &Slot, old: u32, new: u32) {
    slot.capabilities.set(slot.capabilities.get().after_change_for_files(old, new));
}

/// How many halves of sets a caller of this version has; what the kernel likes best goes to one of another version.
fn halves(header: u64, version: u32) -> Result<u64, Errno> {
    const VERSIONS: [u32; 3] = [0x1998_0330, 0x2007_1026, BEST];
    match VERSIONS.iter().position(|&known| known == version) {
        Some(0) => Ok(1),
        Some(_) => Ok(2),
        None => Err(write_value(GuestAddr(header), &BEST).err().unwrap_or(Errno::EINVAL)),
    }
}
const BEST: u32 = 0x2008_0522;

/// The thread in a header, if it is another one than the caller.
fn other(slot: &Slot, header: u64) -> Result<Option<u32>, Errno> {
    let tid = read_value::<u32>(GuestAddr(header).offset(4))?;
    Ok(Some(tid).filter(|&tid| tid != 0 && tid != slot.thread.tid.load(Relaxed)))
}

/// Those of another thread: what the real kernel has, as far as its users may have it.
fn of_other(slot: &Slot, tid: u32) -> Option<Capabilities> {
    let block = names::thread_block_of(slot, tid)?;
    // Who has not begun yet has what its maker has.
    let native_tid = names::native_tid(slot, tid).unwrap_or(0);
    Some(Capabilities::native(native_tid).of_image(users_of(block)))
}

/// capget(header, data)
pub fn capget(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [header, data, ..] = call.args;
    let slot = call.slot;
    let count = match halves(header, read_value(GuestAddr(header))?) {
        Ok(_) | Err(Errno::EINVAL) if data == 0 => return Ok(0),
        count => count?,
    };
    let found = match other(slot, header)? {
        None => slot.capabilities.get(),
        Some(tid) if (tid as i32) < 0 => return Err(Errno::EINVAL),
        Some(tid) => of_other(slot, tid).ok_or(Errno::ESRCH)?,
    };
    for (half, at) in found.to_halves().iter().zip(0..count) {
        write_value(GuestAddr(data).offset(at * HALF_BYTES), half)?;
    }
    Ok(0)
}

/// capset(header, data)
pub fn capset(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [header, data, ..] = call.args;
    let slot = call.slot;
    let count = halves(header, read_value(GuestAddr(header))?)?;
    if other(slot, header)?.is_some() {
        return Err(Errno::EPERM);
    }
    let mut wanted = Halves::default();
    for (half, at) in wanted.iter_mut().zip(0..count) {
        *half = read_value(GuestAddr(data).offset(at * HALF_BYTES))?;
    }
    let (old, new) = (slot.capabilities.get(), Capabilities::from_halves(wanted));
    if !old.may_become(new) {
        return Err(Errno::EPERM);
    }
    if (old.effective ^ new.effective) & OF_FILES != 0 {
        trace::lack(slot, format_args!("capset of powers over files (not carried out)"));
    }
    slot.capabilities.set(new);
    Ok(0)
}
