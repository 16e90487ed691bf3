//! Lists that C code gets: made in one mapping, recognised, freed.
//!
//! Results in, a list of `addrinfo` out; a list in again, and it is gone. Always true: a list lies in a
//! private mapping of its own, in slots of one size that never cross a page; a slot's first word tells that
//! it is ours, so that looking at a foreign pointer reads nothing outside its page; the mapping goes when
//! the last of its slots is freed, since POSIX lets a program free parts of a list. Memory is asked for as
//! the guest would ask. Lists of interfaces are made by `interfaces` on the same [`Block`].
//!
//! # Safety
//!
//! Writes the mappings that it made, and follows the lists that C code gives back.
#![allow(unsafe_code)]

use core::ffi::c_int;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering::AcqRel};

use shim_abi::Errno;
use shim_abi::calls::nr;

use super::hints::Kind;
use super::{Address, libc_functions};
use crate::{arch, boot};

/// Size of a slot; a divisor of the page size.
pub const SLOT_BYTES: usize = 128;
/// Where a slot's contents begin.
const CONTENT: usize = 16;
/// What a slot holds beside the two words that recognise it.
pub const CONTENT_BYTES: usize = SLOT_BYTES - CONTENT;

/// What a list is of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ListOf {
    /// `addrinfo`.
    Addresses,
    /// `ifaddrs`.
    Interfaces,
}

impl ListOf {
    /// The word by which the slot at `slot` is recognised.
    fn word(self, slot: usize) -> usize {
        let name = match self {
            ListOf::Addresses => b"shimaddr",
            ListOf::Interfaces => b"shimifad",
        };
        usize::from_ne_bytes(*name) ^ slot
    }
}

/// The first slot of a mapping.
#[repr(C)]
struct Head {
    bytes: usize,
    /// Slots that were handed out and not freed.
    live: AtomicU32,
}

/// The first two words of every other slot.
#[repr(C)]
struct Mark {
    /// That of a [`ListOf`]; 0 once it is freed.
    word: usize,
    /// The mapping's start.
    head: *mut Head,
}

/// A mapping for a list that is being made.
pub struct Block {
    start: usize,
    slots: usize,
}

/// Ask for memory as the program itself would: in a simulation time passes.
fn ask(number: u32, args: [u64; 6]) -> Result<usize, Errno> {
    let result = if boot::is_managed() {
        // SAFETY: new memory, or memory of a list that its owner gave back.
        unsafe { arch::enter(number.into(), args) }
    } else {
        // SAFETY: as above.
        unsafe { arch::syscall(number.into(), args) }
    };
    match Errno::from_return(result) {
        Some(errno) => Err(errno),
        None => Ok(result as usize),
    }
}

impl Block {
    /// Room for `slots` contents, all zero, and `extra_bytes` behind them.
    pub fn new(of: ListOf, slots: usize, extra_bytes: usize) -> Result<Block, Errno> {
        let bytes = (slots + 1) * SLOT_BYTES + extra_bytes;
        let protection = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        let start = ask(nr::mmap, [0, bytes as u64, protection, flags, u64::MAX, 0])?;
        let head = Head { bytes, live: AtomicU32::new(slots as u32) };
        // SAFETY: the mapping is new, aligned and larger than a slot.
        unsafe { (start as *mut Head).write(head) };
        let block = Block { start, slots };
        for slot in 0..slots {
            let at = block.slot(slot);
            let mark = Mark { word: of.word(at), head: start as *mut Head };
            // SAFETY: the slot lies in the new mapping, aligned.
            unsafe { (at as *mut Mark).write(mark) };
        }
        Ok(block)
    }

    fn slot(&self, index: usize) -> usize {
        self.start + (index + 1) * SLOT_BYTES
    }

    /// The contents of a slot, as a T at its beginning.
    pub fn content<T>(&self, index: usize) -> *mut T {
        debug_assert!(index < self.slots && size_of::<T>() <= CONTENT_BYTES);
        (self.slot(index) + CONTENT) as *mut T
    }

    /// Where the extra bytes begin.
    pub fn extra(&self) -> *mut u8 {
        self.slot(self.slots) as *mut u8
    }
}

/// Whether `content` begins the contents of a slot that was made here and is not freed.
pub fn is_ours(of: ListOf, content: usize) -> bool {
    if content == 0 || content % SLOT_BYTES != CONTENT {
        return false;
    }
    let slot = content - CONTENT;
    // SAFETY: it lies in the page of the list's element, which its owner vouches for.
    let word = unsafe { *(slot as *const usize) };
    word == of.word(slot)
}

/// Free one slot, which is ours.
fn free_slot(content: usize) {
    let mark = (content - CONTENT) as *mut Mark;
    // SAFETY: a live slot, as its caller found.
    let head = unsafe { (*mark).head };
    // SAFETY: as above.
    unsafe { (*mark).word = 0 };
    // SAFETY: the mapping lives as long as one of its slots, and this one still counts.
    let live = unsafe { &(*head).live };
    if live.fetch_sub(1, AcqRel) == 1 {
        // SAFETY: nobody else has a slot of it any more.
        let bytes = unsafe { (*head).bytes };
        let _ = ask(nr::munmap, [head as u64, bytes as u64, 0, 0, 0, 0]);
    }
}

/// What a slot of a list of addresses holds.
#[repr(C)]
struct Element {
    info: libc::addrinfo,
    address: SocketAddress,
}

/// A socket address of either family.
#[derive(Clone, Copy)]
#[repr(C)]
pub union SocketAddress {
    /// AF_INET.
    pub v4: libc::sockaddr_in,
    /// AF_INET6.
    pub v6: libc::sockaddr_in6,
}

const _: () = assert!(size_of::<Element>() <= CONTENT_BYTES);

/// The socket address of an address and a port, with its family and size.
pub fn socket_address(address: &Address, port: u16) -> (SocketAddress, c_int, u32) {
    match *address {
        Address::V4(ipv4) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as u16,
                sin_port: port.to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(ipv4) },
                sin_zero: [0; 8],
            };
            (SocketAddress { v4 }, libc::AF_INET, size_of::<libc::sockaddr_in>() as u32)
        }
        Address::V6(ipv6, scope) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as u16,
                sin6_port: port.to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: ipv6 },
                sin6_scope_id: scope,
            };
            (SocketAddress { v6 }, libc::AF_INET6, size_of::<libc::sockaddr_in6>() as u32)
        }
    }
}

/// A list: for each address all kinds, the canonical name at the first.
pub fn make(
    addresses: &[Address],
    kinds: &[Kind],
    flags: c_int,
    canonical: Option<&[u8]>,
) -> Result<*mut libc::addrinfo, Errno> {
    let count = addresses.len() * kinds.len();
    let name_bytes = canonical.map_or(0, |name| name.len() + 1);
    let block = Block::new(ListOf::Addresses, count, name_bytes)?;
    let mut name = null_mut();
    if let Some(canonical) = canonical {
        name = block.extra().cast();
        // SAFETY: so many bytes were asked for behind the slots, and are zero.
        unsafe { block.extra().copy_from_nonoverlapping(canonical.as_ptr(), canonical.len()) };
    }
    let pairs = addresses.iter().flat_map(|address| kinds.iter().map(move |kind| (address, kind)));
    for (index, (address, kind)) in pairs.enumerate() {
        let (address, family, len) = socket_address(address, kind.port);
        let element = block.content::<Element>(index);
        // SAFETY: an offset within the slot.
        let at = unsafe { &raw mut (*element).address };
        let next = if index + 1 < count { block.content(index + 1) } else { null_mut() };
        let info = libc::addrinfo {
            ai_flags: flags,
            ai_family: family,
            ai_socktype: kind.socktype,
            ai_protocol: kind.protocol,
            ai_addrlen: len,
            ai_addr: at.cast(),
            ai_canonname: if index == 0 { name } else { null_mut() },
            ai_next: next,
        };
        // SAFETY: a slot of the new mapping.
        unsafe { element.write(Element { info, address }) };
    }
    Ok(block.content(0))
}

/// Free a list of addresses, or the rest of one. Elements that are not ours go to the C library.
///
/// # Safety
///
/// As for freeaddrinfo(3), except that NULL is an empty list.
pub unsafe fn free_addresses(list: *mut libc::addrinfo) {
    let mut at = list;
    while is_ours(ListOf::Addresses, at.addr()) {
        // SAFETY: a live element of ours.
        let next = unsafe { (*at).ai_next };
        free_slot(at.addr());
        at = next;
    }
    if !at.is_null()
        && let Some(function) = libc_functions::freeaddrinfo()
    {
        // SAFETY: what is not ours is the C library's, as the caller promises.
        unsafe { function(at) };
    }
}

/// Free a list of interfaces, from its first element. A list that is not ours goes to the C library.
///
/// # Safety
///
/// As for freeifaddrs(3), except that NULL is an empty list.
pub unsafe fn free_interfaces(list: *mut libc::ifaddrs) {
    let mut at = list;
    while is_ours(ListOf::Interfaces, at.addr()) {
        // SAFETY: a live element of ours.
        let next = unsafe { (*at).ifa_next };
        free_slot(at.addr());
        at = next;
    }
    if !at.is_null()
        && let Some(function) = libc_functions::freeifaddrs()
    {
        // SAFETY: as for addresses.
        unsafe { function(at) };
    }
}
