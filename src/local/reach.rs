//! As whom the real machine's files are reached: the native thread's ids for files follow the virtual ids.
//!
//! Virtual ids in, native ones changed. Always true: only the ids for files change, with the powers over files that come
//! and go with them, so that everything else of the native thread stays as the simulator started it: who may look into it,
//! that it ends with the launcher, and that the next image loads our library. An exec brings back the native ids; the
//! next image follows again. A root changes for the shim, too: what it needs from outside, it has to have. What a simulator without privileges cannot change stays as it is, and callers name it.
//! Who may change virtual ids is `credentials`. See setfsuid(2), credentials(7).

use core::sync::atomic::Ordering::Relaxed;

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::capabilities::{self, SYS_CHROOT};
use crate::dispatch::Invocation;
use crate::native::paths::Path;
use crate::thread::Slot;
use crate::{native, sys};

/// A user and a group.
type Ids = [u32; 2];

/// The calls that set them. Both tell the id before, whatever they are asked for.
const CALLS: [u32; 2] = [nr::setfsuid, nr::setfsgid];
/// Asked for this, they change nothing.
const NOBODY: u32 = u32::MAX;

fn id(number: u32, argument: u32) -> u32 {
    sys::call(number, [argument.into(), 0, 0, 0, 0, 0]).map_or(NOBODY, |id| id as u32)
}

/// As whom files are reached now.
pub fn ids() -> Ids {
    CALLS.map(|number| id(number, NOBODY))
}

/// As whom they were reached first, and the library is loaded.
fn native_ids() -> Ids {
    [nr::geteuid, nr::getegid].map(|number| id(number, 0))
}

/// Real and effective ids, as the simulation has them.
fn virtual_ids(slot: &Slot) -> [Ids; 2] {
    let of = |at: usize| {
        [&slot.thread.user_ids, &slot.thread.group_ids].map(|ids| ids[at].load(Relaxed))
    };
    [of(0), of(1)]
}

fn set(slot: &Slot, wanted: Ids) {
    let mut signal = 0u32;
    let _ = sys::prctl(libc::PR_GET_PDEATHSIG, [(&raw mut signal) as u64, 0, 0, 0]);
    // The group first, while there is every power to.
    id(nr::setfsgid, wanted[1]);
    id(nr::setfsuid, wanted[0]);
    // The kernel takes both back from who becomes somebody else.
    let _ = sys::prctl(libc::PR_SET_DUMPABLE, [1, 0, 0, 0]);
    let _ = sys::prctl(libc::PR_SET_PDEATHSIG, [signal.into(), 0, 0, 0]);
    slot.reaches_as_another.set(ids() != native_ids());
}

/// Reach files as these; whether the real kernel grants it.
pub fn become_ids(slot: &Slot, wanted: Ids) -> bool {
    if ids() != wanted {
        set(slot, wanted);
    }
    ids() == wanted
}

/// Reach files as the effective ids say; whether the real kernel grants it.
pub fn follow(slot: &Slot) -> bool {
    let [_, effective] = virtual_ids(slot);
    become_ids(slot, effective)
}

/// As [`follow`], of the user alone, or of the group.
pub fn follow_one(slot: &Slot, is_group: bool) -> bool {
    let at = usize::from(is_group);
    let [_, effective] = virtual_ids(slot);
    let mut wanted = ids();
    wanted[at] = effective[at];
    become_ids(slot, wanted)
}

fn within<T>(slot: &Slot, wanted: Ids, work: impl FnOnce() -> T) -> T {
    let before = ids();
    set(slot, wanted);
    let result = work();
    set(slot, before);
    result
}

/// Do something of ours, which needs what the simulator's own user may.
pub fn as_simulator<T>(slot: &Slot, work: impl FnOnce() -> T) -> T {
    if slot.reaches_as_another.get() { within(slot, native_ids(), work) } else { work() }
}

/// Do something as the real ids instead of the effective ones, as access(2) does. Nothing: they are the native ones.
pub fn as_real_ids<T>(slot: &Slot, work: impl FnOnce() -> T) -> Option<T> {
    let [real, effective] = virtual_ids(slot);
    let differs = slot.reaches_as_another.get() || real != effective;
    differs.then(|| within(slot, real, work))
}

/// chroot(path)
pub fn chroot(call: &mut Invocation<'_>) -> Result<i64, Errno> {
    let slot = call.slot;
    let path = Path::read(slot, call.args[0])?;
    if !capabilities::has(slot, SYS_CHROOT) {
        // What is no directory, or may not be entered, is so before anything else.
        let flags = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
        let place = [sys::AT_FDCWD, path.address()];
        sys::close(sys::call(nr::openat, [place[0], place[1], flags, 0, 0, 0])? as u32);
        let access = [libc::X_OK as u64, libc::AT_EACCESS as u64];
        sys::call(nr::faccessat2, [place[0], place[1], access[0], access[1], 0, 0])?;
        return Err(Errno::EPERM);
    }
    let root = || sys::stat_at(sys::AT_FDCWD, c"/", 0).map(|root| (root.st_dev, root.st_ino));
    let before = root();
    native::result(native::execute(nr::chroot, [path.address(), 0, 0, 0, 0, 0]))?;
    slot.has_other_root.set(slot.has_other_root.get() || root() != before);
    Ok(0)
}
