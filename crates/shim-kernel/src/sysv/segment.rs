//! One segment of shared memory, and where segments are attached.
//!
//! Sizes and places in, counts out. Always true: what is attached is noted by address space, so that threads share it,
//! a new process has it too and a new image has nothing; a segment that was removed is there until nobody has it
//! attached. The memory itself is the owner's of the guests (`shim-host`); here is the number that it goes by.
//!
//! What a guest unmaps without `shmdt` counts as attached until its memory ends.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::permission::Permission;

/// How many segments a host has at most.
pub(super) const MAX_SEGMENTS: u32 = 4_096;
/// Bytes of a page.
pub(super) const PAGE_BYTES: u64 = 4_096;
/// Bytes of a segment at most, and pages of all; more than any machine has.
pub(super) const MAX_BYTES: u64 = u64::MAX - (1 << 24);

/// Bits of a segment's mode beside the permissions: it goes with its last user; it is locked into memory.
pub(super) const DOOMED: u32 = 0o1000;
pub(super) const LOCKED: u32 = 0o2000;

/// A segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) bytes: u64,
    /// What the guests' owner calls its memory.
    pub(super) memory: u32,
    /// Seconds since 1970: when it was last attached, detached, changed otherwise.
    pub(super) attached: i64,
    pub(super) detached: i64,
    pub(super) changed: i64,
    pub(super) maker: u32,
    /// Who attached or detached it last.
    pub(super) user: u32,
    /// How often it is attached.
    pub(super) count: u64,
}

impl Segment {
    pub(super) fn new(bytes: u64, memory: u32, maker: u32, now_secs: i64) -> Segment {
        Segment {
            bytes,
            memory,
            attached: 0,
            detached: 0,
            changed: now_secs,
            maker,
            user: 0,
            count: 0,
        }
    }

    /// The whole pages that it takes.
    pub(super) fn pages(&self) -> u64 {
        self.bytes.div_ceil(PAGE_BYTES)
    }

    /// Whether nothing keeps it any more.
    pub(super) fn is_over(&self, permission: &Permission) -> bool {
        self.count == 0 && permission.mode & DOOMED != 0
    }
}

/// Where segments are attached: address space and address, segment's id and length.
#[derive(Debug, Default)]
pub(super) struct Attachments(BTreeMap<(u32, u64), Attachment>);

/// A segment in an address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attachment {
    pub(super) id: i32,
    /// In whole pages.
    pub(super) bytes: u64,
}

impl Attachments {
    pub(super) fn add(&mut self, space: u32, address: u64, attachment: Attachment) {
        self.0.insert((space, address), attachment);
    }

    pub(super) fn remove(&mut self, space: u32, address: u64) -> Option<Attachment> {
        self.0.remove(&(space, address))
    }

    /// Those within a range of addresses, removed: something else is there now.
    pub(super) fn remove_within(&mut self, space: u32, start: u64, bytes: u64) -> Vec<i32> {
        let end = start.saturating_add(bytes);
        let range = self.0.range((space, start)..(space, end));
        let is_within = |address: u64, attachment: &Attachment| address + attachment.bytes <= end;
        let within = range.filter(|((_, at), attachment)| is_within(*at, attachment));
        let keys: Vec<_> = within.map(|(&key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.0.remove(&key)).map(|gone| gone.id).collect()
    }

    /// All of an address space, removed.
    pub(super) fn remove_all(&mut self, space: u32) -> Vec<i32> {
        self.remove_within(space, 0, u64::MAX)
    }

    /// Let one address space have what another has.
    pub(super) fn copy(&mut self, from: u32, to: u32) -> Vec<i32> {
        let range = self.0.range((from, 0)..=(from, u64::MAX));
        let copies: Vec<_> = range.map(|(&(_, at), &attachment)| (at, attachment)).collect();
        let ids = copies.iter().map(|(_, attachment)| attachment.id).collect();
        self.0.extend(copies.into_iter().map(|(at, attachment)| ((to, at), attachment)));
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_are_copied_and_replaced_by_address_space() {
        let mut attachments = Attachments::default();
        let of = |id| Attachment { id, bytes: 2 * PAGE_BYTES };
        for (space, page, id) in [(1, 10, 1), (1, 12, 2), (1, 20, 1), (2, 10, 3)] {
            attachments.add(space, page * PAGE_BYTES, of(id));
        }
        assert_eq!(attachments.copy(1, 5), [1, 2, 1]);
        let within = attachments.remove_within(1, 10 * PAGE_BYTES, 3 * PAGE_BYTES);
        assert_eq!(within, [1], "not what is cut in two");
        assert_eq!(attachments.remove(1, 12 * PAGE_BYTES), Some(of(2)));
        assert_eq!(attachments.remove(1, 12 * PAGE_BYTES), None);
        assert_eq!(attachments.remove_all(5), [1, 2, 1]);
        assert_eq!(attachments.remove_all(1), [1]);
        assert_eq!(attachments.remove_all(2), [3]);
    }
}
