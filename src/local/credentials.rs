//! Changing who a process is: the set*id calls, supplementary groups.
//!
//! Ids in; words of the thread block out. Always true: the change is virtual, seen by everything that asks for ids in
//! the simulation; files are reached accordingly (`reach`), unless the simulator has not the privileges for that, which is
//! named. Supplementary groups alone are the real kernel's. Each thread has ids of its own; that those of a process change together, as POSIX wants it, is arranged
//! by the C libraries. Not here: capabilities. See setuid(2), setreuid(2), setresuid(2),
//! setfsuid(2), setgroups(2), credentials(7).

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use shim_abi::Errno;
use shim_abi::calls::nr;

use crate::dispatch::Invocation;
use crate::thread::Slot;
use crate::{forward, native, trace};

use super::capabilities::{self, SETGID, SETUID};
use super::reach;

/// "Leave as it is".
const SAME: u32 = u32::MAX;

/// Real, effective and saved id.
type Ids = [u32; 3];

fn load(ids: &[AtomicU32; 3]) -> Ids {
    ids.each_ref().map(|id| id.load(Relaxed))
}

fn is_of_groups(number: u32) -> bool {
    matches!(number, nr::setgid | nr::setregid | nr::setresgid | nr::setfsgid | nr::setgroups)
}

/// Whether the caller may do with a call what its ids alone do not allow.
fn is_privileged(call: &Invocation<'_>) -> bool {
    let number = if is_of_groups(call.number) { SETGID } else { SETUID };
    capabilities::has(call.slot, number)
}

/// The ids that a call is about: those of groups or of users.
fn ids_of(slot: &Slot, number: u32) -> &[AtomicU32; 3] {
    if is_of_groups(number) { &slot.thread.group_ids } else { &slot.thread.user_ids }
}

fn change(call: &Invocation<'_>, new: Ids) -> Result<i64, Errno> {
    let slot = call.slot;
    let ids = ids_of(slot, call.number);
    let old = load(ids);
    if old != new {
        for (id, value) in ids.iter().zip(new) {
            id.store(value, Relaxed);
        }
        if !is_of_groups(call.number) {
            capabilities::users_changed(slot, old);
        }
        // The simulator takes down who somebody is with each of its calls: others are judged by that.
        forward::syscall(slot, call.number, call.args);
    }
    // Also where nothing changes: what setfsuid(2) has set ends.
    if !reach::follow_one(slot, is_of_groups(call.number)) {
        trace::lack(
            slot,
            format_args!("another user or group (files are reached as the real one)"),
        );
    }
    Ok(0)
}

/// setuid(id), setgid(id)
pub fn set(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let id = call.args[0] as u32;
    let [real, _, saved] = load(ids_of(call.slot, call.number));
    match id {
        SAME => Err(Errno::EINVAL),
        _ if is_privileged(call) => change(call, [id; 3]),
        _ if id == real || id == saved => change(call, [real, id, saved]),
        _ => Err(Errno::EPERM),
    }
}

/// setreuid(real, effective), setregid(real, effective)
pub fn set_two(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [new_real, new_effective, ..] = call.args.map(|id| id as u32);
    let [real, effective, saved] = load(ids_of(call.slot, call.number));
    let may_be_real = [SAME, real, effective].contains(&new_real);
    let may_be_effective = [SAME, real, effective, saved].contains(&new_effective);
    let is_allowed = is_privileged(call) || may_be_real && may_be_effective;
    if !is_allowed {
        return Err(Errno::EPERM);
    }
    let pick = |new: u32, old: u32| if new == SAME { old } else { new };
    let now = [pick(new_real, real), pick(new_effective, effective)];
    // The saved id follows if the real one is set, or the effective one to something else than it.
    let follows = new_real != SAME || new_effective != SAME && new_effective != real;
    change(call, [now[0], now[1], if follows { now[1] } else { saved }])
}

/// setresuid(real, effective, saved), setresgid(real, effective, saved)
pub fn set_three(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let [a, b, c, ..] = call.args.map(|id| id as u32);
    let old = load(ids_of(call.slot, call.number));
    let may = |id: &u32| *id == SAME || old.contains(id);
    if !is_privileged(call) && ![a, b, c].iter().all(may) {
        return Err(Errno::EPERM);
    }
    let mut new = old;
    for (to, id) in new.iter_mut().zip([a, b, c]) {
        if id != SAME {
            *to = id;
        }
    }
    change(call, new)
}

/// setfsuid(id), setfsgid(id): never fail, and tell the id before.
pub fn set_for_files(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let id = call.args[0] as u32;
    let at = usize::from(call.number == nr::setfsgid);
    let before = reach::ids();
    let is_allowed = is_privileged(call)
        || before[at] == id
        || load(ids_of(call.slot, call.number)).contains(&id);
    let mut wanted = before;
    wanted[at] = id;
    if id != SAME && is_allowed && at == 0 {
        capabilities::user_for_files_changed(call.slot, before[0], id);
    }
    if id != SAME && is_allowed && !reach::become_ids(call.slot, wanted) {
        trace::lack(call.slot, format_args!("another user or group for files"));
    }
    Ok(before[at].into())
}

/// setgroups(count, groups): whoever may do it here may do it natively, or gave that up natively.
pub fn setgroups(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    if !is_privileged(call) {
        return Err(Errno::EPERM);
    }
    native::result(native::execute(nr::setgroups, call.args))
}
