//! What stands behind an address of a guest: the file of a shared mapping.
//!
//! A guest and an address in; device, inode and offset out. Always true: private memory has no backing, for
//! what two processes see there is not the same, and that which can never change is EFAULT, as nothing is; anonymous shared memory has one, because Linux gives it an inode
//! of its own. The real kernel is asked for the one mapping; one older than Linux 6.11 cannot be, and then
//! `/proc/<pid>/maps` is read, whose lines are sorted by address, as far as needed and no further: a thousand threads
//! have thousands of lines. What it is good for (futexes that processes share) is the kernel's business. See
//! proc_pid_maps(5).
//!
//! # Safety
//!
//! Unsafe here: one ioctl with a structure of its own, and one mapping that nobody reads.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::ptr;
use std::sync::{Arc, Weak};

use rustix::ioctl::{Updater, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use shim_abi::Errno;

use crate::guest::Guest;
use crate::life::Life;

/// A place in a file, or in shared anonymous memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backing {
    /// Device number, as stat(2) shows it.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Offset in bytes.
    pub offset: u64,
}

impl Guest {
    /// What stands behind `address`, if it lies in a shared mapping; EFAULT if nothing is there, or private memory of no
    /// file that cannot be written.
    pub fn backing(&self, address: u64) -> Result<Option<Backing>, Errno> {
        // Another worker's guest asks in this moment: then it is not kept.
        let mut kept = self.process.office.last_asked.try_lock().ok();
        let (life, images) = (&self.process.life, self.images());
        if let Some(Some(last)) = kept.as_deref()
            && last.is_of(life, images)
            && life.while_alive(|_| ()).is_some()
            && let Ok(mapping) = ask(&last.maps, address)
        {
            return mapping.at(address);
        }
        let open = |pid| File::open(format!("/proc/{pid}/maps")).ok();
        let Some(maps) = life.while_alive(open).flatten() else { return Ok(None) };
        let mapping = match ask(&maps, address) {
            Ok(mapping) => Some(mapping),
            // No mapping is there, or no process any more.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => None,
            Err(_) => find(BufReader::with_capacity(4096, &maps), address),
        };
        if let Some(kept) = kept.as_deref_mut() {
            *kept = Some(LastAsked { life: Arc::downgrade(life), images, maps });
        }
        mapping.ok_or(Errno::EFAULT)?.at(address)
    }
}

/// The process that was asked last, and its `maps` file: that of the memory which its image had when it was opened.
/// Threads that are made and waited for ask twice each, and opening it takes longer than asking.
#[derive(Debug)]
pub(crate) struct LastAsked {
    /// Not the process itself: it has its host's memory, which is to go with the host.
    life: Weak<Life>,
    images: u32,
    maps: File,
}

impl LastAsked {
    fn is_of(&self, life: &Arc<Life>, images: u32) -> bool {
        // As long as it is kept nobody else has its address.
        std::ptr::eq(self.life.as_ptr(), Arc::as_ptr(life)) && self.images == images
    }
}

impl Guest {
    /// What it has mapped of files to execute, as the files have it, and the files' paths; sorted by address.
    pub(crate) fn code_mappings(&self) -> Option<Vec<(Mapping, String)>> {
        let open = |pid| File::open(format!("/proc/{pid}/maps")).ok();
        let maps = self.process.life.while_alive(open).flatten()?;
        Some(ask_for_code(&maps).unwrap_or_else(|| read_code(maps)))
    }
}

/// Ask for one mapping after the other; `None`: this kernel cannot be asked.
fn ask_for_code(maps: &File) -> Option<Vec<(Mapping, String)>> {
    let (mut all, mut from) = (Vec::new(), 0);
    let mut name = [0; MAX_PATH_BYTES];
    loop {
        let flags = IS_EXECUTABLE | IS_OF_FILE | OR_NEXT;
        match query(maps, from, flags, &mut name) {
            Ok((mapping, path)) => {
                from = mapping.end;
                all.extend(mapping.is_code().then(|| path.map(|path| (mapping, path))).flatten());
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => return Some(all),
            Err(_) => return None,
        }
    }
}

/// The same, of the lines of a `maps` file.
fn read_code(maps: File) -> Vec<(Mapping, String)> {
    let lines = BufReader::with_capacity(1 << 14, maps).split(b'\n').map_while(Result::ok);
    let code = lines.filter_map(|line| {
        let line = String::from_utf8(line).ok()?;
        let mapping = Mapping::parse(&line)?;
        let path = line.get(line.find('/')?..)?;
        mapping.is_code().then(|| (mapping, path.to_owned()))
    });
    code.collect()
}

/// `struct procmap_query`: what is asked about a mapping, and the answer.
#[repr(C)]
#[derive(Default)]
struct Query {
    size: u64,
    query_flags: u64,
    query_addr: u64,
    vma_start: u64,
    vma_end: u64,
    vma_flags: u64,
    vma_page_size: u64,
    vma_offset: u64,
    inode: u64,
    dev_major: u32,
    dev_minor: u32,
    vma_name_size: u32,
    build_id_size: u32,
    vma_name_addr: u64,
    build_id_addr: u64,
}

/// PROCMAP_QUERY.
const QUERY: rustix::ioctl::Opcode = opcode::read_write::<Query>(b'f', 17);
/// PROCMAP_QUERY_VMA_WRITABLE, PROCMAP_QUERY_VMA_EXECUTABLE and PROCMAP_QUERY_VMA_SHARED.
const IS_WRITABLE: u64 = 0x02;
const IS_EXECUTABLE: u64 = 0x04;
const IS_SHARED: u64 = 0x08;
/// PROCMAP_QUERY_COVERING_OR_NEXT_VMA and PROCMAP_QUERY_FILE_BACKED_VMA.
const OR_NEXT: u64 = 0x10;
const IS_OF_FILE: u64 = 0x20;
/// PATH_MAX.
const MAX_PATH_BYTES: usize = 4096;

/// Ask for the mapping at an address of the process whose `maps` file this is.
fn ask(maps: impl AsFd, address: u64) -> rustix::io::Result<Mapping> {
    query(maps, address, 0, &mut []).map(|(mapping, _)| mapping)
}

/// The same, for one with these flags, and the path of its file, if it is text and there is room for it.
fn query(
    maps: impl AsFd,
    address: u64,
    flags: u64,
    name: &mut [u8],
) -> rustix::io::Result<(Mapping, Option<String>)> {
    let mut query = Query {
        size: size_of::<Query>() as u64,
        query_flags: flags,
        query_addr: address,
        vma_name_addr: if name.is_empty() { 0 } else { name.as_mut_ptr().addr() as u64 },
        vma_name_size: name.len() as u32,
        ..Query::default()
    };
    // SAFETY: the structure is laid out as the kernel's, and its size is part of the operation's code.
    let operation = unsafe { Updater::<QUERY, Query>::new(&mut query) };
    // SAFETY: the kernel reads and writes the structure, and the name, whose room it was told; nothing else.
    unsafe { ioctl(maps, operation) }?;
    let device = rustix::fs::makedev(query.dev_major, query.dev_minor);
    // It counts the NUL.
    let path = (query.vma_name_size as usize).checked_sub(1).and_then(|len| name.get(..len));
    let path = path.and_then(|path| std::str::from_utf8(path).ok()).map(str::to_owned);
    let mapping = Mapping {
        start: query.vma_start,
        end: query.vma_end,
        is_shared: query.vma_flags & IS_SHARED != 0,
        is_writable: query.vma_flags & IS_WRITABLE != 0,
        is_executable: query.vma_flags & IS_EXECUTABLE != 0,
        backing: Backing { device, inode: query.inode, offset: query.vma_offset },
    };
    Ok((mapping, path))
}

/// A file as a mapping of it is named, which is not always as stat(2) names it.
pub(crate) fn mapping_of(file: &File) -> Option<Mapping> {
    const PAGE_BYTES: usize = 4096;
    let (protection, flags) = (ProtFlags::READ, MapFlags::PRIVATE);
    // SAFETY: a new mapping, at an address of the kernel's choice.
    let at = unsafe { mmap(ptr::null_mut(), PAGE_BYTES, protection, flags, file, 0) }.ok()?;
    let maps = File::open("/proc/self/maps").ok();
    let mapping = maps.and_then(|maps| match ask(&maps, at.addr() as u64) {
        Ok(mapping) => Some(mapping),
        Err(_) => find(BufReader::new(maps), at.addr() as u64),
    });
    // SAFETY: the mapping from above, to which nobody refers.
    let _ = unsafe { munmap(at, PAGE_BYTES) };
    mapping
}

/// Look through lines of a `maps` file.
fn find(mut lines: impl BufRead, address: u64) -> Option<Mapping> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let mapping = Mapping::parse(&String::from_utf8_lossy(&line))?;
        if address < mapping.start {
            return None;
        }
        if address < mapping.end {
            return Some(mapping);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    is_shared: bool,
    is_writable: bool,
    is_executable: bool,
    /// Of its first byte.
    pub(crate) backing: Backing,
}

impl Mapping {
    /// Whether an address is in it.
    pub(crate) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    /// Where in it `bytes` of its file from `offset` on are, if all are.
    pub(crate) fn address_of(&self, offset: u64, bytes: u64) -> Option<u64> {
        let before = offset.checked_sub(self.backing.offset)?;
        let all = self.end - self.start;
        (before < all && bytes <= all - before).then_some(self.start + before)
    }

    /// Whether any of these bytes of its file are in it.
    pub(crate) fn overlaps(&self, offset: u64, bytes: u64) -> bool {
        let (start, all) = (self.backing.offset, self.end - self.start);
        offset < start.saturating_add(all) && start < offset.saturating_add(bytes)
    }

    /// Whether it is a mapping of the same file.
    pub(crate) fn is_of(&self, other: &Mapping) -> bool {
        let (one, other) = (self.backing, other.backing);
        (one.device, one.inode) == (other.device, other.inode)
    }

    /// Whether it is a file's code, as the file has it.
    pub(crate) fn is_code(&self) -> bool {
        self.is_executable && !self.is_writable && self.backing.inode != 0
    }

    /// What stands behind an address in it.
    fn at(self, address: u64) -> Result<Option<Backing>, Errno> {
        let offset = self.backing.offset + (address - self.start);
        match self.backing {
            backing if self.is_shared => Ok(Some(Backing { offset, ..backing })),
            Backing { inode: 0, .. } if !self.is_writable => Err(Errno::EFAULT),
            _ => Ok(None),
        }
    }

    /// A line: `start-end rwxs offset major:minor inode path`.
    pub(crate) fn parse(line: &str) -> Option<Mapping> {
        let mut fields = line.split_ascii_whitespace();
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = fields.next()?.split_once('-')?;
        let protection = fields.next()?;
        let (is_shared, is_writable) = (protection.ends_with('s'), protection.contains('w'));
        let is_executable = protection.contains('x');
        let offset = hex(fields.next()?)?;
        let (major, minor) = fields.next()?.split_once(':')?;
        let device = rustix::fs::makedev(hex(major)? as u32, hex(minor)? as u32);
        let inode = fields.next()?.parse().ok()?;
        let backing = Backing { device, inode, offset };
        let (start, end) = (hex(start)?, hex(end)?);
        Some(Mapping { start, end, is_shared, is_writable, is_executable, backing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_what_its_file_says() {
        assert_eq!(size_of::<Query>(), 104);
        let path = std::env::temp_dir().join(format!("shim-mappings-{}", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.expect("a file");
        file.set_len(3 * 4096).expect("three pages");
        std::fs::remove_file(path).expect("the file was there");
        let map = |flags| {
            let protection = rustix::mm::ProtFlags::READ;
            // SAFETY: a mapping that nobody reads, at an address of the kernel's choice.
            let at = unsafe {
                rustix::mm::mmap(core::ptr::null_mut(), 8192, protection, flags, &file, 4096)
            };
            at.expect("a mapping").addr() as u64
        };
        let [shared, private] =
            [rustix::mm::MapFlags::SHARED, rustix::mm::MapFlags::PRIVATE].map(map);
        let maps = || File::open("/proc/self/maps").expect("our mappings");
        for address in [shared, shared + 5000, shared + 8191, private, 0] {
            let read = find(BufReader::new(maps()), address);
            match ask(maps(), address) {
                Ok(asked) => assert_eq!(Some(asked), read),
                Err(rustix::io::Errno::NOENT) => assert_eq!(read, None),
                Err(errno) => {
                    assert_eq!(errno, rustix::io::Errno::NOTTY, "before Linux 6.11");
                }
            }
        }
        let ours = mapping_of(&file).expect("it can be mapped");
        assert!(find(BufReader::new(maps()), shared).is_some_and(|mapping| mapping.is_of(&ours)));
        let mapping = find(BufReader::new(maps()), shared + 5000).expect("it is there");
        let backing = mapping.at(shared + 5000).expect("it is there").expect("it is shared");
        assert_eq!(backing.offset, 4096 + 5000);
    }

    #[test]
    fn code_is_found_by_asking_and_by_reading() {
        let maps = || File::open("/proc/self/maps").expect("our mappings");
        let read = read_code(maps());
        assert!(read.iter().any(|(_, path)| path.contains("libc")), "{read:?}");
        if let Some(asked) = ask_for_code(&maps()) {
            assert_eq!(asked, read);
        }
    }

    #[test]
    fn only_shared_mappings_have_a_backing() {
        let maps = "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus daemon\n\
                    35b1800000-35b1820000 rw-s 00001000 103:02 135522   /a file\n\
                    35b1820000-35b1821000 rw-s 00000000 00:01 77 /dev/zero (deleted)\n\
                    7ffff7ff0000-7ffff7ff1000 rw-p 00000000 00:00 0 \n\
                    7ffff7ff1000-7ffff7ff2000 r--p 00000000 00:00 0 \n";
        let at = |address| match find(maps.as_bytes(), address) {
            Some(mapping) => mapping.at(address),
            None => Err(Errno::ENOENT),
        };
        assert_eq!(at(0x400000), Ok(None));
        let device = rustix::fs::makedev(0x103, 2);
        let backing = Backing { device, inode: 135522, offset: 0x1000 + 0x10 };
        assert_eq!(at(0x35b1800010), Ok(Some(backing)));
        assert_eq!(
            at(0x35b1820fff).map(|backing| backing.map(|b| (b.inode, b.offset))),
            Ok(Some((77, 0xfff)))
        );
        assert_eq!(at(0x35b1821000), Err(Errno::ENOENT));
        assert_eq!(at(0x7ffff7ff0000), Ok(None));
        assert_eq!(at(0x7ffff7ff1000), Err(Errno::EFAULT), "it never changes");
        assert_eq!(at(0), Err(Errno::ENOENT));
        assert_eq!(at(u64::MAX), Err(Errno::ENOENT));
        assert_eq!(find(&b"nonsense\n"[..], 0), None);
    }
}
