//! Names and interfaces: getaddrinfo(3), getifaddrs(3) and what belongs to them.
//!
//! The C library's questions in, through `capi`; lists that the C library's callers understand out.
//! Always true: no call leaves the guest; the only thing asked of the kernel is memory for a list, in the
//! guest's own name, so that time passes; answers are those of glibc on a machine whose only source of
//! names is a complete `/etc/hosts` with these hosts. Sockets are not here, nor the names themselves
//! (`shim_abi::names`, mapped by `boot`).
//!
//! The rooms, in the order of a question:
//!
//! 1. [`lookup`]: the question, checked, and its way through the others;
//! 2. [`hints`]: which socket types and protocols; [`services`]: which ports;
//! 3. [`numeric`]: addresses written as numbers; [`machine`]: names, interfaces, source addresses;
//! 4. [`order`]: which address first;
//! 5. [`list`]: the answer in memory, and its end;
//! 6. [`interfaces`]: what getifaddrs lists;
//! 7. [`libc_functions`]: the C library's own.
//!
//! Outside a simulation, what can be answered without knowing the machine (numbers, no name at all) is
//! answered by the same code; all else goes to the C library's own function, which
//! is looked up in the C library itself, so that no library that replaces it, ours included, can lead
//! back here. Without such a function (a program without a dynamic C library) the loopback names are
//! known, and nothing else.

pub mod hints;
pub mod interfaces;
pub mod libc_functions;
pub mod list;
pub mod lookup;
pub mod machine;
pub mod numeric;
pub mod order;
pub mod services;

use core::ffi::c_int;

/// No address of the family.
const EAI_ADDRFAMILY: c_int = -9;
/// A name that cannot be written in ASCII.
const EAI_IDN_ENCODE: c_int = -105;

/// An `EAI_*` other than 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure(pub c_int);

/// An address of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Address {
    /// IPv4.
    V4([u8; 4]),
    /// IPv6, and the interface that a link-local address belongs to, or 0.
    V6([u8; 16], u32),
}

/// `::ffff:a.b.c.d`.
pub fn mapped(ipv4: [u8; 4]) -> [u8; 16] {
    let mut ipv6 = [0; 16];
    ipv6[10..12].fill(0xff);
    ipv6[12..].copy_from_slice(&ipv4);
    ipv6
}

/// The IPv4 address in an address of the form `::ffff:a.b.c.d`.
pub fn unmapped(ipv6: &[u8; 16]) -> Option<[u8; 4]> {
    let ipv4: [u8; 4] = ipv6[12..].try_into().ok()?;
    (mapped(ipv4) == *ipv6).then_some(ipv4)
}

/// `::1`.
pub const LOOPBACK_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// `127.0.0.1`.
pub const LOOPBACK_V4: [u8; 4] = [127, 0, 0, 1];
