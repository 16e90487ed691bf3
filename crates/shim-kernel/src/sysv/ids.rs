//! Numbers of objects: how Linux gives them, and how an object is found.
//!
//! Keys and ids in, entries out. Always true: an id is an index and a sequence number, so that the id of an object
//! that was removed is not soon another's; indices are given in turn, and the sequence advances whenever they begin
//! again. What the objects are is not here.

use alloc::collections::BTreeMap;

use shim_abi::Errno;

use super::permission::{Credentials, Permission};

/// The key of objects that have none.
pub(super) const PRIVATE: i32 = libc::IPC_PRIVATE;

/// Bits of an id that are its index.
const INDEX_BITS: u32 = 15;
const INDEX_MASK: i32 = (1 << INDEX_BITS) - 1;
/// The sequence begins again here.
const SEQUENCE_END: i32 = i32::MAX >> INDEX_BITS;
/// At least so many indices are used before they begin again.
const MIN_CYCLE: u32 = 64;

/// One object and its owner.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) permission: Permission,
    pub(super) object: T,
}

/// All objects of one kind.
#[derive(Debug)]
pub(super) struct Ids<T> {
    limit: u32,
    /// By index.
    entries: BTreeMap<u32, Entry<T>>,
    next_index: u32,
    last_index: i64,
    sequence: i32,
}

/// What a call that looks up a key came to.
pub(super) enum Lookup {
    /// There is one, with this id.
    Found(i32),
    /// There is none, and one is to be made.
    Missing,
}

impl<T> Ids<T> {
    pub(super) fn new(limit: u32) -> Ids<T> {
        Ids { limit, entries: BTreeMap::new(), next_index: 0, last_index: -1, sequence: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The highest index in use; 0 if none is.
    pub(super) fn max_index(&self) -> i64 {
        self.entries.last_key_value().map_or(0, |(&index, _)| index.into())
    }

    /// Look up a key for a call with these flags. `check`: what else would be wrong with an object.
    pub(super) fn look_up(
        &self,
        key: i32,
        flags: i32,
        caller: Credentials,
        check: impl FnOnce(&T) -> Result<(), Errno>,
    ) -> Result<Lookup, Errno> {
        if key == PRIVATE {
            return Ok(Lookup::Missing);
        }
        let is_creating = flags & libc::IPC_CREAT != 0;
        match self.entries.values().find(|entry| entry.permission.key == key) {
            None if is_creating => Ok(Lookup::Missing),
            None => Err(Errno::ENOENT),
            Some(_) if is_creating && flags & libc::IPC_EXCL != 0 => Err(Errno::EEXIST),
            Some(entry) => {
                check(&entry.object)?;
                entry.permission.check(caller, flags as u32)?;
                Ok(Lookup::Found(entry.permission.id))
            }
        }
    }

    /// ENOSPC if there are too many.
    pub(super) fn check_room(&self) -> Result<(), Errno> {
        if (self.entries.len() as u64) < self.limit.into() { Ok(()) } else { Err(Errno::ENOSPC) }
    }

    /// Add an object: ENOSPC if there are too many. Its id.
    pub(super) fn add(
        &mut self,
        key: i32,
        flags: i32,
        caller: Credentials,
        object: T,
    ) -> Result<i32, Errno> {
        self.check_room()?;
        let len = self.entries.len() as u32;
        let end = (len * 3 / 2).max(MIN_CYCLE).min(self.limit);
        let is_free = |index: &u32| !self.entries.contains_key(index);
        let index = (self.next_index..end).chain(0..self.next_index.min(end)).find(is_free);
        let index = index.ok_or(Errno::ENOSPC)?;
        if i64::from(index) <= self.last_index {
            self.sequence = if self.sequence + 1 >= SEQUENCE_END { 0 } else { self.sequence + 1 };
        }
        self.last_index = index.into();
        self.next_index = index + 1;
        let id = self.sequence << INDEX_BITS | index as i32;
        let permission = Permission::new(key, flags as u32, caller, id, self.sequence as u16);
        self.entries.insert(index, Entry { permission, object });
        Ok(id)
    }

    /// The object with this id: EINVAL if there is none (any more).
    pub(super) fn find(&self, id: i32) -> Result<&Entry<T>, Errno> {
        let entry = self.find_index(id)?;
        if entry.permission.id == id { Ok(entry) } else { Err(Errno::EINVAL) }
    }

    /// The same, to be changed.
    pub(super) fn find_mut(&mut self, id: i32) -> Result<&mut Entry<T>, Errno> {
        let index = index_of(id)?;
        let entry = self.entries.get_mut(&index).ok_or(Errno::EINVAL)?;
        if entry.permission.id == id { Ok(entry) } else { Err(Errno::EINVAL) }
    }

    /// The object with the index of this number, whatever its sequence.
    pub(super) fn find_index(&self, id: i32) -> Result<&Entry<T>, Errno> {
        self.entries.get(&index_of(id)?).ok_or(Errno::EINVAL)
    }

    /// Remove an object.
    pub(super) fn remove(&mut self, id: i32) -> Result<Entry<T>, Errno> {
        self.find(id)?;
        self.entries.remove(&index_of(id)?).ok_or(Errno::EINVAL)
    }

    /// All objects, by index.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<T>> {
        self.entries.values()
    }
}

/// The index in an id.
fn index_of(id: i32) -> Result<u32, Errno> {
    if id < 0 { Err(Errno::EINVAL) } else { Ok((id & INDEX_MASK) as u32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Credentials = Credentials { user: 5, group: 6 };

    fn add(ids: &mut Ids<()>, key: i32) -> i32 {
        ids.add(key, 0o600, USER, ()).unwrap()
    }

    #[test]
    fn indices_are_given_in_turn_and_the_sequence_tells_them_apart() {
        let mut ids = Ids::new(1000);
        assert_eq!([add(&mut ids, 0), add(&mut ids, 0)], [0, 1]);
        ids.remove(0).unwrap();
        assert_eq!(add(&mut ids, 0), 2, "not at once again");
        for expected in 3..64 {
            assert_eq!(add(&mut ids, 0), expected);
            ids.remove(expected).unwrap();
        }
        assert_eq!(add(&mut ids, 0), 1 << 15, "index 0 once more");
        assert_eq!(ids.find(0).err(), Some(Errno::EINVAL));
        assert!(ids.find(1 << 15).is_ok() && ids.find_index(0).is_ok());
        assert_eq!((ids.max_index(), ids.len()), (2, 3));
        for _ in 0..61 {
            add(&mut ids, 0);
        }
        assert_eq!(add(&mut ids, 0), 1 << 15 | 64, "the cycle grows with the number");
    }

    #[test]
    fn a_key_finds_its_object_as_linux_checks_it() {
        let mut ids = Ids::new(2);
        let id = add(&mut ids, 7);
        let look =
            |ids: &Ids<()>, key, flags, caller, check| match ids
                .look_up(key, flags, caller, |()| check)
            {
                Ok(Lookup::Found(id)) => Ok(Some(id)),
                Ok(Lookup::Missing) => Ok(None),
                Err(errno) => Err(errno),
            };
        let other = Credentials { user: 8, group: 9 };
        let (create, exclusive) = (libc::IPC_CREAT, libc::IPC_EXCL);
        assert_eq!(look(&ids, 7, 0, USER, Ok(())), Ok(Some(id)));
        assert_eq!(look(&ids, 7, create, USER, Ok(())), Ok(Some(id)));
        assert_eq!(look(&ids, 7, create | exclusive, USER, Ok(())), Err(Errno::EEXIST));
        assert_eq!(look(&ids, 8, exclusive, USER, Ok(())), Err(Errno::ENOENT));
        assert_eq!(look(&ids, 8, create, USER, Ok(())), Ok(None));
        assert_eq!(look(&ids, PRIVATE, 0, USER, Ok(())), Ok(None));
        assert_eq!(look(&ids, 7, 0, other, Ok(())), Ok(Some(id)));
        assert_eq!(look(&ids, 7, 0o400, other, Ok(())), Err(Errno::EACCES));
        assert_eq!(look(&ids, 7, 0o400, other, Err(Errno::EINVAL)), Err(Errno::EINVAL));
        add(&mut ids, 0);
        assert_eq!(ids.add(0, 0, USER, ()), Err(Errno::ENOSPC));
        assert_eq!(ids.len(), 2);
    }
}
