//! Who owns an object, and who may do what with it.
//!
//! Users, groups and modes in; EACCES, EPERM or nothing out. Always true: user 0 may do everything; a caller is its
//! effective user and group (supplementary groups are not known here). The layout is that of `struct ipc_perm`.

use shim_abi::Errno;

use crate::context::Context;
use crate::memory::{Layout, u32_at};

/// Who calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Credentials {
    pub(super) user: u32,
    pub(super) group: u32,
}

/// The user who may do everything.
const ROOT: u32 = 0;
/// The bits of a mode that say who may do what.
const MODE_BITS: u32 = 0o777;
/// To be read by anybody; what a call asks for that reads.
pub(super) const READ: u32 = 0o444;
/// To be written by anybody.
pub(super) const WRITE: u32 = 0o222;

/// An object's owner and mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Permission {
    pub(super) key: i32,
    pub(super) id: i32,
    owner: Credentials,
    maker: Credentials,
    pub(super) mode: u32,
    sequence: u16,
}

/// What `IPC_SET` changes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Change {
    owner: Credentials,
    mode: u32,
}

impl Change {
    /// From the bytes of a structure that begins with a `struct ipc_perm`.
    pub(super) fn from_bytes(bytes: &[u8]) -> Change {
        let owner = Credentials { user: u32_at(bytes, 4), group: u32_at(bytes, 8) };
        Change { owner, mode: u32_at(bytes, 20) }
    }
}

impl Permission {
    pub(super) fn new(
        key: i32,
        mode: u32,
        maker: Credentials,
        id: i32,
        sequence: u16,
    ) -> Permission {
        Permission { key, id, owner: maker, maker, mode: mode & MODE_BITS, sequence }
    }

    /// EACCES unless the caller may do what the bits of `wanted` say, wherever in it they stand.
    pub(super) fn check(&self, caller: Credentials, wanted: u32) -> Result<(), Errno> {
        if caller.user == ROOT {
            return Ok(());
        }
        let wanted = wanted >> 6 | wanted >> 3 | wanted;
        let granted = if self.is_user(caller) {
            self.mode >> 6
        } else if [self.owner.group, self.maker.group].contains(&caller.group) {
            self.mode >> 3
        } else {
            self.mode
        };
        if wanted & !granted & 7 == 0 { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// EPERM unless the caller may change or remove it.
    pub(super) fn check_owner(&self, caller: Credentials) -> Result<(), Errno> {
        if caller.user == ROOT || self.is_user(caller) { Ok(()) } else { Err(Errno::EPERM) }
    }

    fn is_user(&self, caller: Credentials) -> bool {
        [self.owner.user, self.maker.user].contains(&caller.user)
    }

    /// Give it another owner and mode: EINVAL if there is no such user or group.
    pub(super) fn change(&mut self, change: Change) -> Result<(), Errno> {
        const NOBODY: u32 = u32::MAX;
        if [change.owner.user, change.owner.group].contains(&NOBODY) {
            return Err(Errno::EINVAL);
        }
        self.owner = change.owner;
        self.mode = self.mode & !MODE_BITS | change.mode & MODE_BITS;
        Ok(())
    }

    /// Put it at the beginning of a structure.
    pub(super) fn put<const N: usize>(&self, layout: &mut Layout<N>) {
        layout.u32(0, self.key as u32);
        layout.u32(4, self.owner.user);
        layout.u32(8, self.owner.group);
        layout.u32(12, self.maker.user);
        layout.u32(16, self.maker.group);
        layout.u32(20, self.mode);
        layout.u16(24, self.sequence);
    }
}

impl Context<'_> {
    /// Who the caller is.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials { user: self.guest.user_ids()[1], group: self.guest.group_ids()[1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    const fn who(user: u32, group: u32) -> Credentials {
        Credentials { user, group }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let permission = Permission::new(0, 0o7246, who(1, 2), 0, 0);
        for (caller, reads, writes) in
            [(who(1, 9), false, true), (who(9, 2), true, false), (who(9, 9), true, true)]
        {
            assert_eq!(permission.check(caller, READ).is_ok(), reads, "{caller:?}");
            assert_eq!(permission.check(caller, WRITE).is_ok(), writes, "{caller:?}");
            assert_eq!(permission.check(caller, 0), Ok(()));
        }
        assert_eq!(permission.check(who(1, 1), 0o020), Ok(()), "wherever the bit stands");
        assert_eq!(permission.check(who(1, 1), 0o004), Err(Errno::EACCES));
        assert_eq!(permission.check(who(0, 1), 0o006), Ok(()));
    }

    #[test]
    fn an_owner_can_be_another_than_the_maker() {
        let mut permission = Permission::new(0, 0o600, who(1, 2), 0, 0);
        assert_eq!(permission.check_owner(who(3, 2)), Err(Errno::EPERM));
        assert_eq!(permission.check_owner(who(0, 9)), Ok(()));
        let mut bytes = [0; 48];
        bytes[4] = 3;
        bytes[20..22].copy_from_slice(&[0xff, 0xff]);
        permission.change(Change::from_bytes(&bytes)).unwrap();
        assert_eq!(permission.mode, 0o777);
        assert!([1, 3].iter().all(|&user| permission.check_owner(who(user, 9)).is_ok()));
        bytes[8..12].copy_from_slice(&[0xff; 4]);
        assert_eq!(permission.change(Change::from_bytes(&bytes)), Err(Errno::EINVAL));
    }

    #[test]
    fn the_layout_is_that_of_libc() {
        assert_eq!(offset_of!(libc::ipc_perm, __key), 0);
        assert_eq!(offset_of!(libc::ipc_perm, uid), 4);
        assert_eq!(offset_of!(libc::ipc_perm, gid), 8);
        assert_eq!(offset_of!(libc::ipc_perm, cuid), 12);
        assert_eq!(offset_of!(libc::ipc_perm, cgid), 16);
        assert_eq!(offset_of!(libc::ipc_perm, mode), 20);
        assert_eq!(offset_of!(libc::ipc_perm, __seq), 24);
        assert_eq!(size_of::<libc::ipc_perm>(), 48);
    }
}
