//! The names of the simulation: which host has which name and which addresses.
//!
//! Written once by the simulator into a memory file of its own, which all hosts share, and mapped by
//! every guest; names and addresses in, entries out. Always true: entries are sorted by name without
//! regard to case, entries of one name stand together in the order that the simulator gave; an entry
//! also carries two words of the indices by address, so that look-ups in both directions are binary
//! searches. Which answer a program gets from the entries is not here (`names` of the guest).
//!
//! Why a file of its own and not a part of each host's: a thousand hosts would hold a thousand copies of
//! a thousand names.

use core::cmp::Ordering;

use crate::address::{NAMES_REGION, SHARED_REGION};
use crate::block::{BlockHeader, ShmSafe};
use crate::text::Text;

/// Longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 63;
/// Most entries that a file can hold.
pub const MAX_NAMES: usize =
    (SHARED_REGION - NAMES_REGION - size_of::<NamesBlock>()) / size_of::<NameEntry>();
/// Host id of names that belong to every host.
pub const EVERY_HOST: u32 = u32::MAX;

/// What the file begins with; the entries follow.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NamesBlock {
    /// Recognises the block.
    pub header: BlockHeader,
    /// Number of entries.
    pub count: u32,
    /// Zero; for later minor versions.
    pub reserved: u32,
}

/// One name. An alias is an entry of its own.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct NameEntry {
    /// The name.
    pub name: Text<{ MAX_NAME_BYTES + 1 }>,
    /// Its IPv6 address; all zero if it has none.
    pub ipv6: [u8; 16],
    /// Its IPv4 address in network byte order; 0 if it has none.
    pub ipv4: u32,
    /// The host that it names, or [`EVERY_HOST`].
    pub host_id: u32,
    /// Index of the entry with the canonical name; its own index if it is that.
    pub canonical: u32,
    /// In entry n: index of the nth entry in the order of IPv4 addresses, canonical names first.
    pub by_ipv4: u32,
    /// The same for IPv6.
    pub by_ipv6: u32,
    /// Zero; for later minor versions.
    pub reserved: [u32; 3],
}

// SAFETY: repr(C), plain data that the simulator writes before it shares the memory.
#[allow(unsafe_code)]
unsafe impl ShmSafe for NamesBlock {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl ShmSafe for NameEntry {}

const LOOPBACK_IPV6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The names that every host has, as a table of their own.
pub const LOOPBACK_NAMES: [NameEntry; 3] = [
    NameEntry::new(b"ip6-localhost", 0, LOOPBACK_IPV6, EVERY_HOST).with_indices(2, 0, 2),
    NameEntry::new(b"ip6-loopback", 0, LOOPBACK_IPV6, EVERY_HOST).with_indices(2, 1, 0),
    NameEntry::new(b"localhost", u32::from_ne_bytes([127, 0, 0, 1]), LOOPBACK_IPV6, EVERY_HOST)
        .with_indices(2, 2, 1),
];

impl NameEntry {
    /// An entry that stands in no table yet.
    pub const fn new(name: &[u8], ipv4: u32, ipv6: [u8; 16], host_id: u32) -> NameEntry {
        NameEntry {
            name: Text::new(name),
            ipv6,
            ipv4,
            host_id,
            canonical: 0,
            by_ipv4: 0,
            by_ipv6: 0,
            reserved: [0; 3],
        }
    }

    /// The entry with its words of the indices.
    pub const fn with_indices(mut self, canonical: u32, by_ipv4: u32, by_ipv6: u32) -> NameEntry {
        self.canonical = canonical;
        self.by_ipv4 = by_ipv4;
        self.by_ipv6 = by_ipv6;
        self
    }

    /// Whether it has an IPv6 address.
    pub fn has_ipv6(&self) -> bool {
        self.ipv6 != [0; 16]
    }
}

/// How two names are ordered: without regard to the case of ASCII letters.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}

/// The names as a reader sees them.
#[derive(Clone, Copy)]
pub struct Names<'a> {
    entries: &'a [NameEntry],
}

impl<'a> Names<'a> {
    /// A view of a table that [`NamesBlock`] described.
    pub const fn new(entries: &'a [NameEntry]) -> Names<'a> {
        Names { entries }
    }

    /// All of them, sorted by name.
    pub fn entries(&self) -> &'a [NameEntry] {
        self.entries
    }

    /// The entries of a name: none, one, or one for each pair of addresses that it has.
    pub fn find(&self, name: &[u8]) -> &'a [NameEntry] {
        let order = |entry: &NameEntry| compare(entry.name.as_bytes(), name);
        let start = self.entries.partition_point(|entry| order(entry).is_lt());
        let len = self.entries[start..].partition_point(|entry| order(entry).is_eq());
        &self.entries[start..start + len]
    }

    /// The entry that holds the canonical name of what `entry` names.
    pub fn canonical(&self, entry: &'a NameEntry) -> &'a NameEntry {
        self.entries.get(entry.canonical as usize).unwrap_or(entry)
    }

    /// Whose IPv4 address it is, given in network byte order.
    pub fn of_ipv4(&self, address: u32) -> Option<&'a NameEntry> {
        let index = |entry: &NameEntry| entry.by_ipv4;
        self.of_address(index, |entry| entry.ipv4.to_ne_bytes().cmp(&address.to_ne_bytes()))
            .filter(|_| address != 0)
    }

    /// Whose IPv6 address it is.
    pub fn of_ipv6(&self, address: &[u8; 16]) -> Option<&'a NameEntry> {
        let index = |entry: &NameEntry| entry.by_ipv6;
        self.of_address(index, |entry| entry.ipv6.cmp(address)).filter(|_| *address != [0; 16])
    }

    fn of_address(
        &self,
        index: impl Fn(&NameEntry) -> u32,
        order: impl Fn(&NameEntry) -> Ordering,
    ) -> Option<&'a NameEntry> {
        let target = |word: &NameEntry| self.entries.get(index(word) as usize);
        let at =
            self.entries.partition_point(|word| target(word).is_some_and(|e| order(e).is_lt()));
        let found = target(self.entries.get(at)?)?;
        order(found).is_eq().then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_names_are_found_in_both_directions() {
        let names = Names::new(&LOOPBACK_NAMES);
        let found = names.find(b"LocalHost");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name.as_bytes(), b"localhost");
        assert_eq!(names.find(b"ip6-loopback").len(), 1);
        assert!(names.find(b"ip6-loopbac").is_empty() && names.find(b"localhost2").is_empty());
        assert!(names.find(b"").is_empty());
        let alias = &names.find(b"ip6-localhost")[0];
        assert_eq!(names.canonical(alias).name.as_bytes(), b"localhost");
        let address = u32::from_ne_bytes([127, 0, 0, 1]);
        assert_eq!(names.of_ipv4(address).unwrap().name.as_bytes(), b"localhost");
        assert_eq!(names.of_ipv6(&LOOPBACK_IPV6).unwrap().name.as_bytes(), b"localhost");
        assert!(names.of_ipv4(0).is_none() && names.of_ipv6(&[0; 16]).is_none());
        assert!(names.of_ipv4(u32::from_ne_bytes([127, 0, 0, 2])).is_none());
    }

    #[test]
    fn wrong_indices_are_survived() {
        let mut entries = LOOPBACK_NAMES;
        for entry in &mut entries {
            *entry = entry.with_indices(99, 99, 99);
        }
        let names = Names::new(&entries);
        assert!(names.of_ipv4(1).is_none());
        assert_eq!(names.canonical(&entries[0]).name.as_bytes(), b"ip6-localhost");
    }
}
