//! The names of a simulation, in a memory file that the guests of all its hosts map.
//!
//! A list of [`Name`]s in, a sealed file out. Always true: the file is complete and can no longer be
//! written when anybody else sees it; every host has the loopback names; a name that is longer than
//! its field is an error, never cut. How it is laid out and read is `shim_abi::names`.

use std::fmt;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{SealFlags, fcntl_add_seals};
use shim_abi::block::{BlockHeader, BlockKind};
use shim_abi::names::{LOOPBACK_NAMES, MAX_NAME_BYTES, MAX_NAMES, NameEntry, NamesBlock, compare};

use crate::region::memory_file;

/// A name of a host. A host with several addresses of a family has one of these for each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The name; at most 63 bytes.
    pub name: String,
    /// Its IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// Number of the host.
    pub host_id: u32,
    /// Whether the host has another name, which is the canonical one.
    pub is_alias: bool,
}

/// The names of a simulation. Clones share the file.
#[derive(Clone)]
pub struct Names {
    file: Arc<OwnedFd>,
    entries: Arc<[NameEntry]>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("count", &self.entries.len()).finish_non_exhaustive()
    }
}

impl PartialEq for Names {
    /// Whether both are the same file.
    fn eq(&self, other: &Names) -> bool {
        Arc::ptr_eq(&self.file, &other.file)
    }
}
impl Eq for Names {}

impl Names {
    /// Write a file with these names and the loopback names.
    pub fn new(names: &[Name]) -> io::Result<Names> {
        let mut bytes = Vec::new();
        let entries = arrange(names)?;
        let header = BlockHeader::new::<NamesBlock>(BlockKind::Names);
        bytes.extend_from_slice(&header.magic.to_ne_bytes());
        for word in [
            header.kind,
            header.size_bytes,
            header.version_major,
            header.version_minor,
            entries.len() as u32,
            0,
        ] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        for entry in &entries {
            bytes.extend_from_slice(&entry.name.0);
            bytes.extend_from_slice(&entry.ipv6);
            let words = [entry.ipv4, entry.host_id, entry.canonical, entry.by_ipv4, entry.by_ipv6];
            bytes.extend(words.iter().chain(&entry.reserved).flat_map(|word| word.to_ne_bytes()));
        }
        assert_eq!(bytes.len(), size_of::<NamesBlock>() + entries.len() * size_of::<NameEntry>());
        let mut file = std::fs::File::from(memory_file("shim-names")?);
        file.write_all(&bytes)?;
        let file = OwnedFd::from(file);
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok(Names { file: Arc::new(file), entries: entries.into() })
    }

    /// The names as a reader sees them.
    pub fn view(&self) -> shim_abi::names::Names<'_> {
        shim_abi::names::Names::new(&self.entries)
    }

    /// Our descriptor of the file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) fn number(&self) -> u32 {
        self.file.as_raw_fd() as u32
    }
}

/// The entries in their order, with their indices.
fn arrange(names: &[Name]) -> io::Result<Vec<NameEntry>> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let mut list: Vec<(NameEntry, bool)> =
        LOOPBACK_NAMES.iter().map(|e| (*e, e.name.as_bytes() != b"localhost")).collect();
    for name in names {
        let bytes = name.name.as_bytes();
        if bytes.is_empty() || bytes.len() > MAX_NAME_BYTES || bytes.contains(&0) {
            return Err(invalid(format!(
                "{:?} cannot be a host's name: one has 1 to {MAX_NAME_BYTES} bytes",
                name.name
            )));
        }
        let ipv4 = name.ipv4.map_or(0, |address| u32::from_ne_bytes(address.octets()));
        let ipv6 = name.ipv6.map_or([0; 16], |address| address.octets());
        list.push((NameEntry::new(bytes, ipv4, ipv6, name.host_id), name.is_alias));
    }
    if list.len() > MAX_NAMES {
        return Err(invalid(format!("{} names are more than {MAX_NAMES}", list.len())));
    }
    list.sort_by(|(a, _), (b, _)| compare(a.name.as_bytes(), b.name.as_bytes()));

    // Who is canonical: of each host the first that is no alias.
    let mut canonical = std::collections::BTreeMap::new();
    for (index, (entry, is_alias)) in list.iter().enumerate() {
        if !is_alias {
            canonical.entry(entry.host_id).or_insert(index);
        }
    }
    let mut by_ipv4: Vec<usize> = (0..list.len()).collect();
    let mut by_ipv6 = by_ipv4.clone();
    by_ipv4.sort_by_key(|&i| (list[i].0.ipv4.to_ne_bytes(), list[i].1));
    by_ipv6.sort_by_key(|&i| (list[i].0.ipv6, list[i].1));
    let with_indices = |index: usize| {
        let entry = list[index].0;
        let canonical = canonical.get(&entry.host_id).copied().unwrap_or(index);
        entry.with_indices(canonical as u32, by_ipv4[index] as u32, by_ipv6[index] as u32)
    };
    Ok((0..list.len()).map(with_indices).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shim_abi::names::Names as View;

    fn name(name: &str, last: u8, host_id: u32, is_alias: bool) -> Name {
        let ipv6 = Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()));
        let ipv4 = Some(Ipv4Addr::new(11, 0, 0, last));
        Name { name: name.to_owned(), ipv4, ipv6, host_id, is_alias }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        let names = [
            name("www", 3, 1, true),
            name("carol", 200, 2, false),
            name("bob", 3, 1, false),
            name("Alice", 7, 0, false),
        ];
        let entries = arrange(&names).unwrap();
        let view = View::new(&entries);
        let text = |entry: &NameEntry| String::from_utf8(entry.name.as_bytes().to_vec()).unwrap();
        for of in &names {
            let [found] = view.find(of.name.to_ascii_uppercase().as_bytes()) else {
                panic!("{of:?} is not there once")
            };
            assert_eq!(found.ipv4, u32::from_ne_bytes(of.ipv4.unwrap().octets()));
        }
        assert_eq!(text(view.canonical(&view.find(b"www")[0])), "bob");
        let of = |last| view.of_ipv4(u32::from_ne_bytes([11, 0, 0, last])).map(text);
        assert_eq!(
            [of(3), of(7), of(200), of(4)],
            [Some("bob".into()), Some("Alice".into()), Some("carol".into()), None]
        );
        let ipv6 = names[1].ipv6.unwrap().octets();
        assert_eq!(view.of_ipv6(&ipv6).map(text), Some("carol".into()));
        assert_eq!(view.find(b"localhost").len(), 1);
    }

    #[test]
    fn a_second_address_is_a_second_entry() {
        let names =
            [name("bob", 9, 1, false), name("alice", 1, 0, false), name("bob", 2, 1, false)];
        let entries = arrange(&names).unwrap();
        let found = View::new(&entries).find(b"bob");
        let last: Vec<u8> = found.iter().map(|entry| entry.ipv4.to_ne_bytes()[3]).collect();
        assert_eq!(last, [9, 2]);
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        for bad in ["", &"x".repeat(64)] {
            assert!(Names::new(&[name(bad, 1, 0, false)]).is_err(), "{bad:?}");
        }
        assert!(Names::new(&[name(&"x".repeat(63), 1, 0, false)]).is_ok());
    }

    #[test]
    fn nobody_can_write_the_file() {
        let names = Names::new(&[]).unwrap();
        assert!(rustix::io::pwrite(names.fd(), b"x", 0).is_err());
        assert!(rustix::fs::ftruncate(names.fd(), 0).is_err());
    }
}
