//! getifaddrs(3): the interfaces of the machine and their addresses.
//!
//! A machine in, a list of `ifaddrs` out. Always true: the order is that of Linux and glibc: first the
//! devices, then the IPv4, then the IPv6 addresses, the loopback first in each; flags are those of
//! interfaces that are up; the hardware address is made from the IPv4 address; the counters of a device are
//! zero, because nobody has sent anything that they could count. Which interfaces there are is `machine`,
//! memory is `list`.
//!
//! # Safety
//!
//! Writes slots of a list that it has just made.
#![allow(unsafe_code)]

use core::ffi::c_int;
use core::ptr::{null_mut, write};

use shim_abi::Errno;

use super::list::{self, Block, ListOf, SocketAddress};
use super::machine::{LOOPBACK_INDEX, LOOPBACK_NAME, Machine, NETWORK_INDEX, NETWORK_NAME};
use super::{Address, LOOPBACK_V4, LOOPBACK_V6, libc_functions};
use crate::boot;
use crate::capi_impl::set_errno;
use crate::local::clock;
use crate::thread::Slot;

const UP: c_int = libc::IFF_UP | libc::IFF_RUNNING | libc::IFF_LOWER_UP;
const LOOPBACK_FLAGS: c_int = UP | libc::IFF_LOOPBACK;
const NETWORK_FLAGS: c_int = UP | libc::IFF_BROADCAST | libc::IFF_MULTICAST;
/// Words of `struct rtnl_link_stats`.
const COUNTERS: usize = 24;

/// An interface.
struct Interface {
    /// With the NUL of C.
    name: &'static [u8],
    index: u32,
    flags: c_int,
    hardware_type: u16,
    hardware: [u8; 6],
    hardware_broadcast: [u8; 6],
}

/// What a slot of the list holds.
#[repr(C)]
struct Element {
    info: libc::ifaddrs,
    name: [u8; 8],
}

/// What the element of an address points at.
#[repr(C)]
struct AddressParts {
    address: SocketAddress,
    netmask: SocketAddress,
    /// The broadcast address, or the address at the other end.
    other: SocketAddress,
}

/// What the element of a device points at.
#[repr(C)]
struct DeviceParts {
    address: libc::sockaddr_ll,
    broadcast: libc::sockaddr_ll,
    counters: [u32; COUNTERS],
}

/// Room for the parts of one element, behind the slots.
const PARTS_BYTES: usize = 192;

const _: () = assert!(size_of::<Element>() <= list::CONTENT_BYTES);
const _: () = assert!(size_of::<AddressParts>() <= PARTS_BYTES);
const _: () = assert!(size_of::<DeviceParts>() <= PARTS_BYTES);

/// # Safety
///
/// As for getifaddrs(3), except that `result` may be NULL.
pub unsafe fn getifaddrs(result: *mut *mut libc::ifaddrs) -> c_int {
    let list = if result.is_null() {
        Err(Errno::EFAULT)
    } else if boot::is_managed() {
        let slot = Slot::current();
        clock::charge(slot, slot.manager.syscall_latency_ns);
        make(&Machine::simulated(slot))
    } else {
        match libc_functions::getifaddrs() {
            // SAFETY: the C library's own function with our caller's argument.
            Some(function) => return unsafe { function(result) },
            None => Err(Errno::ENOSYS),
        }
    };
    match list {
        Ok(list) => {
            // SAFETY: the caller's promise; not NULL.
            unsafe { *result = list };
            0
        }
        Err(errno) => {
            set_errno(errno);
            -1
        }
    }
}

fn make(machine: &Machine) -> Result<*mut libc::ifaddrs, Errno> {
    let loopback = Interface {
        name: LOOPBACK_NAME,
        index: LOOPBACK_INDEX,
        flags: LOOPBACK_FLAGS,
        hardware_type: libc::ARPHRD_LOOPBACK,
        hardware: [0; 6],
        hardware_broadcast: [0; 6],
    };
    let [a, b, c, d] = machine.ipv4.map_or([0; 4], |(ipv4, _)| ipv4);
    let network = Interface {
        name: NETWORK_NAME,
        index: NETWORK_INDEX,
        flags: NETWORK_FLAGS,
        hardware_type: libc::ARPHRD_ETHER,
        hardware: [2, 0, a, b, c, d], // locally administered
        hardware_broadcast: [0xff; 6],
    };
    let v4 = machine.ipv4.map(|(ipv4, bits)| (Address::V4(ipv4), bits));
    let v6 = machine.ipv6.map(|(ipv6, bits)| (Address::V6(ipv6, 0), bits));
    let entries = [
        Some((&loopback, None)),
        Some((&network, None)),
        Some((&loopback, Some((Address::V4(LOOPBACK_V4), 8)))),
        v4.map(|address| (&network, Some(address))),
        Some((&loopback, Some((Address::V6(LOOPBACK_V6, 0), 128)))),
        v6.map(|address| (&network, Some(address))),
    ];
    let count = entries.iter().flatten().count();
    let block = Block::new(ListOf::Interfaces, count, count * PARTS_BYTES)?;
    for (index, (interface, address)) in entries.into_iter().flatten().enumerate() {
        let parts = block.extra().wrapping_add(index * PARTS_BYTES);
        let mut info = match address {
            Some((address, bits)) => address_entry(interface, &address, bits, parts.cast()),
            None => device_entry(interface, parts.cast()),
        };
        let element = block.content::<Element>(index);
        let mut name = [0; 8];
        name[..interface.name.len()].copy_from_slice(interface.name);
        // SAFETY: an offset within the slot.
        info.ifa_name = unsafe { &raw mut (*element).name }.cast();
        if index + 1 < count {
            info.ifa_next = block.content(index + 1);
        }
        // SAFETY: a slot of the new list.
        unsafe { write(element, Element { info, name }) };
    }
    Ok(block.content(0))
}

/// An entry with nothing but its flags.
fn entry(interface: &Interface) -> libc::ifaddrs {
    libc::ifaddrs {
        ifa_next: null_mut(),
        ifa_name: null_mut(),
        ifa_flags: interface.flags as u32,
        ifa_addr: null_mut(),
        ifa_netmask: null_mut(),
        ifa_ifu: null_mut(),
        ifa_data: null_mut(),
    }
}

fn device_entry(interface: &Interface, parts: *mut DeviceParts) -> libc::ifaddrs {
    let address = |hardware: [u8; 6]| {
        let mut bytes = [0; 8];
        bytes[..6].copy_from_slice(&hardware);
        libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: 0,
            sll_ifindex: interface.index as i32,
            sll_hatype: interface.hardware_type,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: bytes,
        }
    };
    let contents = DeviceParts {
        address: address(interface.hardware),
        broadcast: address(interface.hardware_broadcast),
        counters: [0; COUNTERS],
    };
    // SAFETY: room for the parts of this entry, aligned as the slots are.
    unsafe { write(parts, contents) };
    // SAFETY: just written.
    let parts = unsafe { &mut *parts };
    libc::ifaddrs {
        ifa_addr: (&raw mut parts.address).cast(),
        ifa_ifu: (&raw mut parts.broadcast).cast(),
        ifa_data: (&raw mut parts.counters).cast(),
        ..entry(interface)
    }
}

fn address_entry(
    interface: &Interface,
    address: &Address,
    bits: u32,
    parts: *mut AddressParts,
) -> libc::ifaddrs {
    let (netmask, other) = match *address {
        Address::V4(ipv4) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            let own = u32::from_be_bytes(ipv4);
            // The loopback has no broadcast address; the other end is itself.
            let is_broadcast = interface.flags & libc::IFF_BROADCAST != 0;
            let other = if is_broadcast { own | !mask } else { own };
            (Address::V4(mask.to_be_bytes()), Some(Address::V4(other.to_be_bytes())))
        }
        Address::V6(..) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            (Address::V6(mask.to_be_bytes(), 0), None)
        }
    };
    let socket = |address: &Address| list::socket_address(address, 0).0;
    let contents = AddressParts {
        address: socket(address),
        netmask: socket(&netmask),
        other: socket(&other.unwrap_or(*address)),
    };
    // SAFETY: as for devices.
    unsafe { write(parts, contents) };
    // SAFETY: just written.
    let parts = unsafe { &mut *parts };
    libc::ifaddrs {
        ifa_addr: (&raw mut parts.address).cast(),
        ifa_netmask: (&raw mut parts.netmask).cast(),
        ifa_ifu: if other.is_some() { (&raw mut parts.other).cast() } else { null_mut() },
        ..entry(interface)
    }
}
