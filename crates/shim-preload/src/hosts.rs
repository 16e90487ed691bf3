//! The older family: gethostbyname(3), gethostbyaddr, and their variants.
//!
//! Names and addresses in, `hostent` structures out. Always true: in a guest the simulation's names answer,
//! as getaddrinfo would; a structure names no aliases; the functions without a buffer of the caller's share
//! one, and their next call overwrites it, as the C library's do. errno, h_errno and results are those of
//! glibc.
//!
//! # Safety
//!
//! Exported names of the C library, with its contracts; the shared buffer, which only one thread may use
//! at a time, as its contract says.
#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;

use crate::hostent::{Buffer, HostEnt};
use crate::next::{next, set_errno, set_h_errno};
use crate::shim::{self, AF_INET, AF_INET6, AddrInfo};

const HOST_NOT_FOUND: c_int = 1;
const NO_RECOVERY: c_int = 3;
const NO_DATA: c_int = 4;
const NETDB_INTERNAL: c_int = -1;

/// Why there is no structure: h_errno, and what the reentrant functions return.
struct Failure(c_int, c_int);

const TOO_SMALL: Failure = Failure(NETDB_INTERNAL, shim::ERANGE);

/// The list of a look-up, freed at its end.
struct List(*mut AddrInfo);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the list that the library made for us.
        unsafe { shim::shim_api_freeaddrinfo(self.0) };
    }
}

impl List {
    fn of(name: *const c_char, family: c_int) -> Result<List, Failure> {
        let hints = AddrInfo {
            flags: shim::AI_CANONNAME,
            family,
            socktype: shim::SOCK_STREAM,
            protocol: 0,
            address_bytes: 0,
            address: null_mut(),
            canonical_name: null_mut(),
            next: null_mut(),
        };
        let mut list = null_mut();
        // SAFETY: our caller's name, our own hints and place.
        match unsafe { shim::shim_api_getaddrinfo(name, core::ptr::null(), &hints, &mut list) } {
            0 => Ok(List(list)),
            shim::EAI_NONAME | shim::EAI_ADDRFAMILY => Err(Failure(HOST_NOT_FOUND, 0)),
            shim::EAI_NODATA => Err(Failure(NO_DATA, 0)),
            shim::EAI_FAIL => Err(Failure(NO_RECOVERY, 0)),
            _ => Err(Failure(NETDB_INTERNAL, 0)),
        }
    }

    fn element(&self, index: usize) -> Option<&AddrInfo> {
        let mut at = self.0;
        for _ in 0..index {
            // SAFETY: an element of a live list.
            at = unsafe { at.as_ref() }?.next;
        }
        // SAFETY: as above.
        unsafe { at.as_ref() }
    }

    fn len(&self) -> usize {
        (0..).take_while(|&index| self.element(index).is_some()).count()
    }

    /// The bytes of an address: they stand behind family and port, in IPv6 behind a further word.
    fn address(&self, index: usize, family: c_int) -> &[u8] {
        let Some(element) = self.element(index) else { return &[] };
        let (at, bytes) = place(family);
        // SAFETY: a socket address of this family, as asked for.
        unsafe { core::slice::from_raw_parts(element.address.wrapping_add(at), bytes) }
    }

    fn name(&self) -> &[u8] {
        match self.element(0) {
            Some(first) if !first.canonical_name.is_null() => {
                // SAFETY: a canonical name was asked for; it is a C string if it is there.
                unsafe { CStr::from_ptr(first.canonical_name) }.to_bytes()
            }
            _ => &[],
        }
    }
}

/// Where an address begins in its socket address, and its size.
fn place(family: c_int) -> (usize, usize) {
    if family == AF_INET6 { (8, 16) } else { (4, 4) }
}

fn by_name(name: *const c_char, family: c_int, buffer: Buffer) -> Result<HostEnt, Failure> {
    if name.is_null() || !matches!(family, AF_INET | AF_INET6) {
        return Err(Failure(HOST_NOT_FOUND, 0));
    }
    let list = List::of(name, family)?;
    let (_, bytes) = place(family);
    buffer
        .host(list.name(), family, bytes, list.len(), |index| list.address(index, family))
        .map_err(|_| TOO_SMALL)
}

fn by_address(
    address: *const c_void,
    bytes: u32,
    family: c_int,
    buffer: Buffer,
) -> Result<HostEnt, Failure> {
    let is_known = matches!((family, bytes), (AF_INET, 4) | (AF_INET6, 16));
    if address.is_null() || !is_known {
        return Err(Failure(HOST_NOT_FOUND, 0));
    }
    let mut name = [0u8; 64];
    // SAFETY: our caller's address, of the size that its family has; our own buffer.
    let len = unsafe {
        shim::_shim_name_of_address(family, address, name.as_mut_ptr().cast(), name.len())
    };
    if len == 0 || len >= name.len() {
        return Err(Failure(HOST_NOT_FOUND, 0));
    }
    // SAFETY: as above.
    let address = unsafe { core::slice::from_raw_parts(address.cast::<u8>(), bytes as usize) };
    buffer.host(&name[..len], family, address.len(), 1, |_| address).map_err(|_| TOO_SMALL)
}

/// What the functions without a buffer return.
struct Shared {
    host: HostEnt,
    bytes: [c_char; 4096],
}

struct Place(UnsafeCell<Shared>);
// SAFETY: the functions that use it are not thread-safe, says their manual page.
unsafe impl Sync for Place {}

static SHARED: Place = Place(UnsafeCell::new(Shared {
    host: HostEnt {
        name: null_mut(),
        aliases: null_mut(),
        family: 0,
        address_bytes: 0,
        addresses: null_mut(),
    },
    bytes: [0; 4096],
}));

fn shared(make: impl FnOnce(Buffer) -> Result<HostEnt, Failure>) -> *mut HostEnt {
    let shared = SHARED.0.get();
    // SAFETY: a place in the static.
    let bytes = unsafe { &raw mut (*shared).bytes };
    // SAFETY: a place in the static.
    let host = unsafe { &raw mut (*shared).host };
    // SAFETY: so many bytes of the static; nobody else uses them, as the contract says.
    let buffer = unsafe { Buffer::new(bytes.cast(), size_of::<[c_char; 4096]>()) };
    match make(buffer) {
        Ok(made) => {
            // SAFETY: as above.
            unsafe { host.write(made) };
            host
        }
        Err(Failure(why, _)) => {
            set_h_errno(why);
            null_mut()
        }
    }
}

/// Store what the reentrant functions store.
///
/// # Safety
///
/// The three places are good, as the functions' contract says.
unsafe fn store(
    made: Result<HostEnt, Failure>,
    host: *mut HostEnt,
    result: *mut *mut HostEnt,
    h_errno: *mut c_int,
) -> c_int {
    match made {
        Ok(made) => {
            // SAFETY: the caller's promise.
            unsafe { host.write(made) };
            // SAFETY: the caller's promise.
            unsafe { result.write(host) };
            0
        }
        Err(Failure(why, errno)) => {
            // SAFETY: the caller's promise.
            unsafe { result.write(null_mut()) };
            // SAFETY: the caller's promise.
            unsafe { h_errno.write(why) };
            if errno != 0 {
                set_errno(errno);
            }
            errno
        }
    }
}

/// See gethostbyname(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut HostEnt {
    if shim::shim_is_managed() {
        return shared(|buffer| by_name(name, AF_INET, buffer));
    }
    next!(gethostbyname(name: *const c_char) -> *mut HostEnt, null_mut())
}

/// See gethostbyname2(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2(name: *const c_char, family: c_int) -> *mut HostEnt {
    if shim::shim_is_managed() {
        return shared(|buffer| by_name(name, family, buffer));
    }
    next!(gethostbyname2(name: *const c_char, family: c_int) -> *mut HostEnt, null_mut())
}

/// See gethostbyaddr(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr(
    address: *const c_void,
    bytes: u32,
    family: c_int,
) -> *mut HostEnt {
    if shim::shim_is_managed() {
        return shared(|buffer| by_address(address, bytes, family, buffer));
    }
    next!(
        gethostbyaddr(address: *const c_void, bytes: u32, family: c_int) -> *mut HostEnt,
        null_mut()
    )
}

/// See gethostbyname_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname_r(
    name: *const c_char,
    host: *mut HostEnt,
    start: *mut c_char,
    size: usize,
    result: *mut *mut HostEnt,
    h_errno: *mut c_int,
) -> c_int {
    if shim::shim_is_managed() {
        // SAFETY: our caller's own buffer.
        let made = by_name(name, AF_INET, unsafe { Buffer::new(start, size) });
        // SAFETY: our caller's own places.
        return unsafe { store(made, host, result, h_errno) };
    }
    next!(
        gethostbyname_r(
            name: *const c_char,
            host: *mut HostEnt,
            start: *mut c_char,
            size: usize,
            result: *mut *mut HostEnt,
            h_errno: *mut c_int
        ) -> c_int,
        shim::ENOSYS
    )
}

/// See gethostbyname2_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    host: *mut HostEnt,
    start: *mut c_char,
    size: usize,
    result: *mut *mut HostEnt,
    h_errno: *mut c_int,
) -> c_int {
    if shim::shim_is_managed() {
        // SAFETY: our caller's own buffer.
        let made = by_name(name, family, unsafe { Buffer::new(start, size) });
        // SAFETY: our caller's own places.
        return unsafe { store(made, host, result, h_errno) };
    }
    next!(
        gethostbyname2_r(
            name: *const c_char,
            family: c_int,
            host: *mut HostEnt,
            start: *mut c_char,
            size: usize,
            result: *mut *mut HostEnt,
            h_errno: *mut c_int
        ) -> c_int,
        shim::ENOSYS
    )
}

/// See gethostbyaddr_r(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr_r(
    address: *const c_void,
    bytes: u32,
    family: c_int,
    host: *mut HostEnt,
    start: *mut c_char,
    size: usize,
    result: *mut *mut HostEnt,
    h_errno: *mut c_int,
) -> c_int {
    if shim::shim_is_managed() {
        // SAFETY: our caller's own buffer.
        let made = by_address(address, bytes, family, unsafe { Buffer::new(start, size) });
        // SAFETY: our caller's own places.
        return unsafe { store(made, host, result, h_errno) };
    }
    next!(
        gethostbyaddr_r(
            address: *const c_void,
            bytes: u32,
            family: c_int,
            host: *mut HostEnt,
            start: *mut c_char,
            size: usize,
            result: *mut *mut HostEnt,
            h_errno: *mut c_int
        ) -> c_int,
        shim::ENOSYS
    )
}
