//! `shim/supervisor.h` for this program: what it uses of it, safe to call.
//!
//! Rust values in and out; a failure is the library's message. Always true: handles are ended when their values are dropped, and a
//! value is used by one thread. What the functions do is in their manual pages.
//!
//! # Safety
//!
//! Unsafe here: calls of C functions with pointers to values that live as long as the call, and handles that the library made.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;

pub const EVENT_START: c_int = 1;
pub const EVENT_CALL: c_int = 2;
pub const EVENT_ENDED: c_int = 8;
pub const EXITED: c_int = 1;

/// A handle of the library's.
#[repr(C)]
struct Opaque<T>([u8; 0], PhantomData<(*mut u8, T)>);

enum OfSimulation {}
enum OfCommand {}
enum OfHost {}
enum OfGuest {}

unsafe extern "C" {
    fn shimsup_message() -> *const c_char;
    fn shimsup_simulation_new(library: *const c_char, new: *mut *mut Opaque<OfSimulation>)
    -> c_int;
    fn shimsup_simulation_add_name(
        simulation: *mut Opaque<OfSimulation>,
        name: *const c_char,
        ipv4: *const c_char,
        ipv6: *const c_char,
        host_id: u32,
    ) -> c_int;
    fn shimsup_simulation_free(simulation: *mut Opaque<OfSimulation>);
    fn shimsup_command_new(program: *const c_char, new: *mut *mut Opaque<OfCommand>) -> c_int;
    fn shimsup_command_add_argument(command: *mut Opaque<OfCommand>, text: *const c_char) -> c_int;
    fn shimsup_command_add_environment(
        command: *mut Opaque<OfCommand>,
        text: *const c_char,
    ) -> c_int;
    fn shimsup_command_inherit_stdio(command: *mut Opaque<OfCommand>) -> c_int;
    fn shimsup_command_free(command: *mut Opaque<OfCommand>);
    fn shimsup_host_new(
        simulation: *mut Opaque<OfSimulation>,
        host_id: u32,
        hostname: *const c_char,
        new: *mut *mut Opaque<OfHost>,
    ) -> c_int;
    fn shimsup_host_set_ipv4(host: *mut Opaque<OfHost>, address: *const c_char, bits: u32)
    -> c_int;
    fn shimsup_host_now_ns(host: *const Opaque<OfHost>) -> u64;
    fn shimsup_host_set_now_ns(host: *mut Opaque<OfHost>, now_ns: u64) -> c_int;
    fn shimsup_host_free(host: *mut Opaque<OfHost>);
    fn shimsup_guest_launch(
        host: *mut Opaque<OfHost>,
        command: *const Opaque<OfCommand>,
        pid: u32,
        new: *mut *mut Opaque<OfGuest>,
    ) -> c_int;
    fn shimsup_guest_add_process(
        guest: *mut Opaque<OfGuest>,
        pid: u32,
        parent_pid: u32,
        new: *mut *mut Opaque<OfGuest>,
    ) -> c_int;
    fn shimsup_wait(
        simulation: *mut Opaque<OfSimulation>,
        timeout_ns: u64,
        guest: *mut *mut Opaque<OfGuest>,
    ) -> c_int;
    fn shimsup_guest_wait(guest: *mut Opaque<OfGuest>) -> c_int;
    fn shimsup_guest_event(guest: *const Opaque<OfGuest>) -> c_int;
    fn shimsup_guest_call_number(guest: *const Opaque<OfGuest>) -> i64;
    fn shimsup_guest_call_argument(guest: *const Opaque<OfGuest>, index: u32) -> u64;
    fn shimsup_guest_begin(guest: *mut Opaque<OfGuest>) -> c_int;
    fn shimsup_guest_complete(guest: *mut Opaque<OfGuest>, result: i64) -> c_int;
    fn shimsup_guest_park(guest: *mut Opaque<OfGuest>) -> c_int;
    fn shimsup_guest_read(
        guest: *mut Opaque<OfGuest>,
        address: u64,
        buffer: *mut c_void,
        length: usize,
    ) -> c_int;
    fn shimsup_guest_write(
        guest: *mut Opaque<OfGuest>,
        address: u64,
        bytes: *const c_void,
        length: usize,
    ) -> c_int;
    fn shimsup_guest_pid(guest: *const Opaque<OfGuest>) -> u32;
    fn shimsup_guest_end(
        guest: *const Opaque<OfGuest>,
        kind: *mut c_int,
        value: *mut c_int,
    ) -> c_int;
    fn shimsup_guest_free(guest: *mut Opaque<OfGuest>);
}

/// Why a call failed.
#[derive(Debug)]
pub struct Failure {
    /// Minus an error number.
    pub result: c_int,
    text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

type Result<T> = std::result::Result<T, Failure>;

fn check(result: c_int) -> Result<c_int> {
    if result >= 0 {
        return Ok(result);
    }
    // SAFETY: the library's own text, which stands until this thread's next failure.
    let text = unsafe { CStr::from_ptr(shimsup_message()) };
    Err(Failure { result, text: text.to_string_lossy().into_owned() })
}

fn text(text: &str) -> CString {
    CString::new(text).expect("the texts of this program have no NUL")
}

pub struct Simulation(*mut Opaque<OfSimulation>);

impl Simulation {
    pub fn new() -> Result<Simulation> {
        let mut new = ptr::null_mut();
        // SAFETY: a place for a pointer.
        check(unsafe { shimsup_simulation_new(ptr::null(), &mut new) })?;
        Ok(Simulation(new))
    }

    pub fn add_name(&self, name: &str, ipv4: &str, host_id: u32) -> Result<()> {
        let (name, ipv4) = (text(name), text(ipv4));
        // SAFETY: a simulation and two texts.
        let result = unsafe {
            shimsup_simulation_add_name(self.0, name.as_ptr(), ipv4.as_ptr(), ptr::null(), host_id)
        };
        check(result).map(drop)
    }

    /// Wait for the next event of whichever guest: the event, and the guest's process id.
    pub fn wait(&self) -> Result<(c_int, u32)> {
        let mut guest = ptr::null_mut();
        // SAFETY: a simulation, and a place for a pointer.
        let event = check(unsafe { shimsup_wait(self.0, u64::MAX, &mut guest) })?;
        // SAFETY: a guest of the simulation's; nobody ends one meanwhile.
        Ok((event, unsafe { shimsup_guest_pid(guest) }))
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and not used any more.
        unsafe { shimsup_simulation_free(self.0) }
    }
}

pub struct Host(*mut Opaque<OfHost>);

impl Host {
    pub fn new(simulation: &Simulation, host_id: u32, name: &str, ipv4: &str) -> Result<Host> {
        let (name, ipv4) = (text(name), text(ipv4));
        let mut new = ptr::null_mut();
        // SAFETY: a simulation, a text, a place for a pointer.
        check(unsafe { shimsup_host_new(simulation.0, host_id, name.as_ptr(), &mut new) })?;
        let host = Host(new);
        // SAFETY: a host and a text.
        check(unsafe { shimsup_host_set_ipv4(host.0, ipv4.as_ptr(), 24) })?;
        Ok(host)
    }

    pub fn now_ns(&self) -> u64 {
        // SAFETY: a host.
        unsafe { shimsup_host_now_ns(self.0) }
    }

    pub fn set_now_ns(&self, now_ns: u64) -> Result<()> {
        // SAFETY: a host.
        check(unsafe { shimsup_host_set_now_ns(self.0, now_ns) }).map(drop)
    }

    /// Start a program, and wait until it is there.
    pub fn launch(&self, words: &[&str], environment: &[&str], pid: u32) -> Result<Guest> {
        let mut command = ptr::null_mut();
        // SAFETY: a text, and a place for a pointer.
        check(unsafe { shimsup_command_new(text(words[0]).as_ptr(), &mut command) })?;
        let mut new = ptr::null_mut();
        let mut launch = || {
            for word in &words[1..] {
                // SAFETY: a command and a text.
                check(unsafe { shimsup_command_add_argument(command, text(word).as_ptr()) })?;
            }
            for entry in environment {
                // SAFETY: as above.
                check(unsafe { shimsup_command_add_environment(command, text(entry).as_ptr()) })?;
            }
            // SAFETY: a command.
            check(unsafe { shimsup_command_inherit_stdio(command) })?;
            // SAFETY: a host, a command, a place for a pointer.
            check(unsafe { shimsup_guest_launch(self.0, command, pid, &mut new) })
        };
        let launched = launch();
        // SAFETY: made above, and not used any more.
        unsafe { shimsup_command_free(command) };
        launched.map(|_| Guest(new))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: made by `new`, and not used any more.
        unsafe { shimsup_host_free(self.0) }
    }
}

pub struct Guest(*mut Opaque<OfGuest>);

impl Guest {
    pub fn wait(&self) -> Result<c_int> {
        // SAFETY: a guest, here and below.
        check(unsafe { shimsup_guest_wait(self.0) })
    }

    pub fn event(&self) -> c_int {
        // SAFETY: as above.
        unsafe { shimsup_guest_event(self.0) }
    }

    pub fn call_number(&self) -> i64 {
        // SAFETY: as above.
        unsafe { shimsup_guest_call_number(self.0) }
    }

    pub fn argument(&self, index: u32) -> u64 {
        // SAFETY: as above.
        unsafe { shimsup_guest_call_argument(self.0, index) }
    }

    pub fn begin(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { shimsup_guest_begin(self.0) }).map(drop)
    }

    pub fn complete(&self, result: i64) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { shimsup_guest_complete(self.0, result) }).map(drop)
    }

    pub fn park(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { shimsup_guest_park(self.0) }).map(drop)
    }

    pub fn read<const N: usize>(&self, address: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: a guest, and so many bytes.
        check(unsafe { shimsup_guest_read(self.0, address, bytes.as_mut_ptr().cast(), N) })?;
        Ok(bytes)
    }

    pub fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let (from, length) = (bytes.as_ptr().cast(), bytes.len());
        // SAFETY: a guest, and so many bytes.
        check(unsafe { shimsup_guest_write(self.0, address, from, length) }).map(drop)
    }

    /// Have it make the process that it asks for.
    pub fn add_process(&self, pid: u32, parent_pid: u32) -> Result<Guest> {
        let mut new = ptr::null_mut();
        // SAFETY: a guest, and a place for a pointer.
        check(unsafe { shimsup_guest_add_process(self.0, pid, parent_pid, &mut new) })?;
        Ok(Guest(new))
    }

    /// How it has ended: the kind, and its status or signal.
    pub fn end(&self) -> Result<(c_int, c_int)> {
        let (mut kind, mut value) = (0, 0);
        // SAFETY: a guest, and places for two numbers.
        check(unsafe { shimsup_guest_end(self.0, &mut kind, &mut value) })?;
        Ok((kind, value))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // SAFETY: made by the library, and not used any more; nobody waits meanwhile.
        unsafe { shimsup_guest_free(self.0) }
    }
}
