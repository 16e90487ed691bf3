//! Which word a futex is: the same one for everybody who can reach it.
//!
//! Addresses in, [`Key`]s out. Always true: two threads have the same key if and only if they mean the same word
//! in the same manner; a word is aligned to its four bytes. Whether a waiter stands there is in `queue`.

use shim_abi::Errno;

use crate::context::Context;
use crate::guest::{Backing, Guest, GuestAddr};
use crate::memory::read_u32;

/// Bytes of a word.
const WORD_BYTES: u64 = 4;
/// No program's memory lies here or above.
const END_OF_MEMORY: u64 = 1 << 47;

/// Whether other address spaces may mean the same word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sharing {
    /// Only the caller's threads use it: `FUTEX_PRIVATE_FLAG`.
    Private,
    /// It may lie in memory that several map.
    Shared,
}

/// A word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Key {
    /// Of one address space, whatever is mapped there.
    Private { space: u32, address: u64 },
    /// Asked for as shared, but in memory that only this address space has. As on Linux, not the same as the
    /// private one.
    Unshared { space: u32, address: u64 },
    /// At a place of a file, or of anonymous shared memory.
    Shared(Backing),
}

/// The key of the word at `address`: EINVAL if it is not aligned, EFAULT if it cannot be.
pub(super) fn key_of(
    guest: &mut dyn Guest,
    space: u32,
    address: GuestAddr,
    sharing: Sharing,
) -> Result<Key, Errno> {
    let GuestAddr(address) = address;
    if !address.is_multiple_of(WORD_BYTES) {
        return Err(Errno::EINVAL);
    }
    if address >= END_OF_MEMORY {
        return Err(Errno::EFAULT);
    }
    if sharing == Sharing::Private {
        return Ok(Key::Private { space, address });
    }
    read_u32(guest, GuestAddr(address))?;
    Ok(match guest.backing(GuestAddr(address))? {
        Some(backing) => Key::Shared(backing),
        None => Key::Unshared { space, address },
    })
}

impl Context<'_> {
    /// The key of a word of the caller's.
    pub(super) fn futex_key(&mut self, at: GuestAddr, sharing: Sharing) -> Result<Key, Errno> {
        let space = self.process().address_space;
        key_of(self.guest, space, at, sharing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest};

    #[test]
    fn a_key_names_the_space_or_what_lies_behind() {
        let mut guest = TestGuest::new();
        let mut key = |space, at, sharing| key_of(&mut guest, space, GuestAddr(at), sharing);
        let [private, shared] = [Sharing::Private, Sharing::Shared];
        assert_eq!(key(7, 64, private), Ok(Key::Private { space: 7, address: 64 }));
        assert_eq!(key(7, DATA, shared), Ok(Key::Unshared { space: 7, address: DATA }));
        assert_ne!(key(7, DATA, shared), key(7, DATA, private));
        for sharing in [private, shared] {
            assert_eq!(key(7, 65, sharing), Err(Errno::EINVAL));
            assert_eq!(key(7, 66, sharing), Err(Errno::EINVAL));
            assert_eq!(key(7, 1 << 63, sharing), Err(Errno::EFAULT));
        }
        assert_eq!(key(7, 64, shared), Err(Errno::EFAULT), "nothing is mapped there");
        let backing = |offset| Backing { device: 1, inode: 2, offset };
        guest.shared = Some((DATA + 64..DATA + 128, backing(4096)));
        let mut key = |space, at| key_of(&mut guest, space, GuestAddr(at), shared);
        assert_eq!(key(7, DATA + 68), Ok(Key::Shared(backing(4100))));
        assert_eq!(key(7, DATA + 68), key(8, DATA + 68));
        assert_ne!(key(7, DATA), key(8, DATA));
    }
}
