//! getaddrinfo(3): the question, and its way to an answer.
//!
//! What C code passed in; an `EAI_*` and a list out. Always true: what is checked, in which order, and
//! what each combination means is as in glibc; nothing is allocated until the answer is known. A name that
//! no host has is EAI_NONAME, one that has no address of the family EAI_NODATA; EAI_AGAIN does not exist,
//! because the table of names is always there. How results look in memory is `list`.
//!
//! # Safety
//!
//! Reads the strings and the hints that C code passed, and stores where it wants its list.
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int};

use super::hints::{Kinds, kinds};
use super::machine::Machine;
use super::services::{Service, number};
use super::{
    Address, EAI_ADDRFAMILY, EAI_IDN_ENCODE, Failure, LOOPBACK_V4, LOOPBACK_V6, libc_functions,
    list, mapped, numeric, order, unmapped,
};
use crate::boot;
use crate::local::clock;
use crate::thread::Slot;

const AI_IDN: c_int = 0x40;
/// AI_CANONIDN, and two flags that mean nothing any more.
const AI_OTHER_IDN: c_int = 0x380;
const KNOWN_FLAGS: c_int = libc::AI_PASSIVE
    | libc::AI_CANONNAME
    | libc::AI_NUMERICHOST
    | libc::AI_V4MAPPED
    | libc::AI_ALL
    | libc::AI_ADDRCONFIG
    | libc::AI_NUMERICSERV
    | AI_IDN
    | AI_OTHER_IDN;

/// Most addresses that one question is answered with.
const MAX_ADDRESSES: usize = 64;

/// A question.
#[derive(Clone, Copy)]
struct Question<'a> {
    node: Option<&'a [u8]>,
    /// `None`: not asked for; an empty one is asked for and means nothing.
    service: Option<&'a [u8]>,
    flags: c_int,
    family: c_int,
    socktype: c_int,
    protocol: c_int,
}

/// The addresses of an answer.
struct Addresses {
    all: [Address; MAX_ADDRESSES],
    len: usize,
}

impl Addresses {
    fn new() -> Addresses {
        Addresses { all: [Address::V4([0; 4]); MAX_ADDRESSES], len: 0 }
    }
    fn push(&mut self, address: Address) {
        if let Some(place) = self.all.get_mut(self.len) {
            *place = address;
            self.len += 1;
        }
    }
}

/// # Safety
///
/// As for getaddrinfo(3), except that `result` may be NULL.
pub unsafe fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    result: *mut *mut libc::addrinfo,
) -> c_int {
    if result.is_null() {
        crate::capi_impl::set_errno(shim_abi::Errno::EFAULT);
        return libc::EAI_SYSTEM;
    }
    // SAFETY: the caller's promise.
    let question = unsafe { Question::read(node, service, hints) };
    let machine = if boot::is_managed() {
        let slot = Slot::current();
        // As a call: a program that asks again and again sees time pass.
        clock::charge(slot, slot.manager.syscall_latency_ns);
        Machine::simulated(slot)
    } else {
        if question.needs_the_machine()
            && let Some(function) = libc_functions::getaddrinfo()
        {
            // SAFETY: the C library's own function with our caller's arguments.
            return unsafe { function(node, service, hints, result) };
        }
        Machine::unknown()
    };
    match answer(&question, &machine) {
        Ok(list) => {
            // SAFETY: the caller's promise; not NULL.
            unsafe { *result = list };
            0
        }
        Err(Failure(why)) => why,
    }
}

impl<'a> Question<'a> {
    /// # Safety
    ///
    /// The pointers are NULL or good: strings that end, and an `addrinfo`.
    unsafe fn read(
        node: *const c_char,
        service: *const c_char,
        hints: *const libc::addrinfo,
    ) -> Question<'a> {
        let text = |at: *const c_char| {
            // SAFETY: the caller's promise.
            (!at.is_null()).then(|| unsafe { CStr::from_ptr(at) }.to_bytes())
        };
        // A single star is no name.
        let (node, service) =
            (text(node).filter(|t| *t != b"*"), text(service).filter(|t| *t != b"*"));
        // SAFETY: the caller's promise.
        match unsafe { hints.as_ref() } {
            Some(hints) => Question {
                node,
                service,
                flags: hints.ai_flags,
                family: hints.ai_family,
                socktype: hints.ai_socktype,
                protocol: hints.ai_protocol,
            },
            None => Question {
                node,
                service,
                flags: libc::AI_V4MAPPED | libc::AI_ADDRCONFIG,
                family: libc::AF_UNSPEC,
                socktype: 0,
                protocol: 0,
            },
        }
    }

    fn has(&self, flag: c_int) -> bool {
        self.flags & flag != 0
    }

    fn wants(&self, family: c_int) -> bool {
        self.family == libc::AF_UNSPEC || self.family == family
    }

    /// Whether the answer depends on files and interfaces of the machine.
    fn needs_the_machine(&self) -> bool {
        let is_by_name = |node: &[u8]| {
            let ipv6 = numeric::ipv6(node).filter(|(address, scope)| {
                // An interface's name is the machine's.
                scope.is_none_or(|text| numeric::scope(address, text, |_| None).is_some())
            });
            numeric::ipv4(node).is_none() && ipv6.is_none()
        };
        self.has(libc::AI_ADDRCONFIG)
            || self.node.is_some_and(is_by_name)
            || matches!(self.service.map(Service::parse), Some(Service::Name(_)))
    }
}

fn answer(question: &Question<'_>, machine: &Machine) -> Result<*mut libc::addrinfo, Failure> {
    let mut question = *question;
    if question.node.is_none() && question.service.is_none() {
        return Err(Failure(libc::EAI_NONAME));
    }
    let names_nothing = question.has(libc::AI_CANONNAME) && question.node.is_none();
    if question.flags & !KNOWN_FLAGS != 0 || names_nothing {
        return Err(Failure(libc::EAI_BADFLAGS));
    }
    if !matches!(question.family, libc::AF_UNSPEC | libc::AF_INET | libc::AF_INET6) {
        return Err(Failure(libc::EAI_FAMILY));
    }
    if question.has(libc::AI_ADDRCONFIG) {
        question.family = configured_family(question.family, machine)?;
    }
    let service = question.service.unwrap_or(b"");
    if question.has(libc::AI_NUMERICSERV) && !service.is_empty() && number(service).is_none() {
        return Err(Failure(libc::EAI_NONAME));
    }
    let kinds = kinds(question.socktype, question.protocol, Service::parse(service))?;
    finish(&question, machine, &kinds)
}

/// Leave out the family of which the machine has no address.
fn configured_family(family: c_int, machine: &Machine) -> Result<c_int, Failure> {
    let (has_v4, has_v6) = machine.configured();
    match family {
        libc::AF_UNSPEC if has_v4 != has_v6 => {
            Ok(if has_v4 { libc::AF_INET } else { libc::AF_INET6 })
        }
        libc::AF_INET if !has_v4 => Err(Failure(libc::EAI_NONAME)),
        libc::AF_INET6 if !has_v6 => Err(Failure(libc::EAI_NONAME)),
        family => Ok(family),
    }
}

fn finish(
    question: &Question<'_>,
    machine: &Machine,
    kinds: &Kinds,
) -> Result<*mut libc::addrinfo, Failure> {
    let mut found = Addresses::new();
    let mut canonical = question.node.unwrap_or(b"");
    match question.node {
        None => without_name(question, &mut found),
        Some(node) => {
            if question.has(AI_IDN) && !node.is_ascii() {
                return Err(Failure(EAI_IDN_ENCODE));
            }
            match from_number(question, node, machine)? {
                Some(address) => found.push(address),
                None if question.has(libc::AI_NUMERICHOST) => {
                    return Err(Failure(libc::EAI_NONAME));
                }
                None => canonical = from_name(question, node, machine, &mut found)?,
            }
        }
    }
    let addresses = &mut found.all[..found.len];
    order::sort(addresses, machine);
    let canonical = question.has(libc::AI_CANONNAME).then_some(canonical);
    list::make(addresses, kinds.as_slice(), question.flags, canonical)
        .map_err(|_| Failure(libc::EAI_MEMORY))
}

/// No name: this machine, or, to listen, any address of it.
fn without_name(question: &Question<'_>, found: &mut Addresses) {
    let is_passive = question.has(libc::AI_PASSIVE);
    if question.wants(libc::AF_INET6) {
        found.push(Address::V6(if is_passive { [0; 16] } else { LOOPBACK_V6 }, 0));
    }
    if question.wants(libc::AF_INET) {
        found.push(Address::V4(if is_passive { [0; 4] } else { LOOPBACK_V4 }));
    }
}

/// An address written as a number; `None` if it is none.
fn from_number(
    question: &Question<'_>,
    node: &[u8],
    machine: &Machine,
) -> Result<Option<Address>, Failure> {
    if let Some(ipv4) = numeric::ipv4(node) {
        return if question.wants(libc::AF_INET) {
            Ok(Some(Address::V4(ipv4)))
        } else if question.has(libc::AI_V4MAPPED) {
            Ok(Some(Address::V6(mapped(ipv4), 0)))
        } else {
            Err(Failure(EAI_ADDRFAMILY))
        };
    }
    let Some((ipv6, scope)) = numeric::ipv6(node) else { return Ok(None) };
    let is_v6 = question.wants(libc::AF_INET6);
    let as_v4 = unmapped(&ipv6);
    if !is_v6 && as_v4.is_none() {
        return Err(Failure(EAI_ADDRFAMILY));
    }
    let index = match scope {
        None => 0,
        Some(text) => numeric::scope(&ipv6, text, |name| machine.interface(name))
            .ok_or(Failure(libc::EAI_NONAME))?,
    };
    Ok(Some(match as_v4 {
        Some(ipv4) if !is_v6 => Address::V4(ipv4),
        _ => Address::V6(ipv6, index),
    }))
}

/// The addresses of a name; the canonical name.
fn from_name(
    question: &Question<'_>,
    node: &[u8],
    machine: &Machine,
    found: &mut Addresses,
) -> Result<&'static [u8], Failure> {
    // A full stop at the end says that nothing is left out, and nothing ever is.
    let node = node.strip_suffix(b".").unwrap_or(node);
    let entries = machine.names.find(node);
    let Some(first) = entries.first() else { return Err(Failure(libc::EAI_NONAME)) };
    if question.wants(libc::AF_INET6) {
        for entry in entries.iter().filter(|entry| entry.has_ipv6()) {
            found.push(Address::V6(entry.ipv6, 0));
        }
    }
    let is_mapped = question.family == libc::AF_INET6
        && question.has(libc::AI_V4MAPPED)
        && (found.len == 0 || question.has(libc::AI_ALL));
    if question.wants(libc::AF_INET) || is_mapped {
        for entry in entries.iter().filter(|entry| entry.ipv4 != 0) {
            let ipv4 = entry.ipv4.to_ne_bytes();
            found.push(if is_mapped { Address::V6(mapped(ipv4), 0) } else { Address::V4(ipv4) });
        }
    }
    if found.len == 0 {
        return Err(Failure(libc::EAI_NODATA));
    }
    Ok(machine.names.canonical(first).name.as_bytes())
}
