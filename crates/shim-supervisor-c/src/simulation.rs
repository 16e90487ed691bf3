//! A simulation: the launcher of its guests, the library that they preload, and the names of its hosts.
//!
//! A path and names in; what a host needs to start guests out. Always true: names are added before the first host,
//! because they are written once into memory that all guests map; launcher and library are shared, so a simulation may be freed
//! before its hosts, and its launcher ends with the last of them.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{OsStr, c_char, c_int};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, PoisonError};

use shim_host::{Name, Names};
use shim_supervisor::{Launcher, Library, LibraryError, Lookout};

use crate::beside;
use crate::error::{Failure, Result, answer, errno_of};
use crate::pointer::{give, object, take, text, text_or_none, utf8};

/// A simulation: what its hosts have in common. Opaque.
pub struct Simulation {
    launcher: Arc<Launcher>,
    /// Waits for guests of bare hosts.
    lookout: Arc<Lookout>,
    library: Library,
    /// When it began in real time: files that are made later are the guests'.
    wall_start_ns: i64,
    names: Mutex<NameList>,
}

enum NameList {
    /// Names are still added.
    Open(Vec<Name>),
    /// The first host has been made. `None`: without any name.
    Written(Option<Names>),
}

impl Simulation {
    fn new(library: Option<&OsStr>) -> Result<Simulation> {
        let path = library.map_or_else(beside::library, |path| Ok(path.into()))?;
        let library = Library::open(&path).map_err(|error| {
            let errno = match &error {
                LibraryError::Unreadable { error, .. } => errno_of(error),
                LibraryError::Unpreloadable { .. } => libc::EINVAL,
                LibraryError::Version { .. } => libc::EPROTO,
                _ => libc::ENOEXEC,
            };
            Failure::new(errno, error.to_string())
        })?;
        let launcher = Launcher::start()
            .map_err(|error| Failure::io(&error, "cannot start the launcher process"))?;
        Ok(Simulation {
            lookout: Arc::new(Lookout::new(&launcher)),
            launcher: Arc::new(launcher),
            library,
            wall_start_ns: shim_host::config::next_file_tick_ns(),
            names: Mutex::new(NameList::Open(Vec::new())),
        })
    }

    fn add_name(&self, name: Name) -> Result<()> {
        match &mut *self.names.lock().unwrap_or_else(PoisonError::into_inner) {
            NameList::Open(names) => {
                // What is wrong with it is told now, not when all are written.
                Names::new(std::slice::from_ref(&name))
                    .map_err(|error| Failure::new(errno_of(&error), error.to_string()))?;
                names.push(name);
                Ok(())
            }
            NameList::Written(_) => Err(Failure::new(
                libc::EBUSY,
                "the simulation has hosts: add names before the first one",
            )),
        }
    }

    /// What starts its guests.
    pub(crate) fn launcher(&self) -> &Arc<Launcher> {
        &self.launcher
    }

    /// What waits for guests of bare hosts.
    pub(crate) fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// What they preload.
    pub(crate) fn library(&self) -> &Library {
        &self.library
    }

    /// When it began in real time, in nanoseconds since 1970.
    pub(crate) fn wall_start_ns(&self) -> i64 {
        self.wall_start_ns
    }

    /// Its names, which do not change any more; `None`: there are none.
    pub(crate) fn names(&self) -> Result<Option<Names>> {
        let mut list = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if let NameList::Open(names) = &*list {
            let written = if names.is_empty() { None } else { Some(Names::new(names)) };
            let written = written.transpose();
            *list = NameList::Written(
                written.map_err(|error| Failure::io(&error, "cannot write the names"))?,
            );
        }
        match &*list {
            NameList::Written(names) => Ok(names.clone()),
            NameList::Open(_) => Ok(None),
        }
    }
}

/// An IPv4 address from its text.
pub(crate) fn ipv4(text: &str, name: &str) -> Result<Ipv4Addr> {
    let what = || format!("{name} is no IPv4 address: {text:?}; one is written like \"10.0.0.1\"");
    text.parse().map_err(|_| Failure::invalid(what()))
}

/// An IPv6 address from its text.
pub(crate) fn ipv6(text: &str, name: &str) -> Result<Ipv6Addr> {
    let what = || format!("{name} is no IPv6 address: {text:?}; one is written like \"fd00::1\"");
    text.parse().map_err(|_| Failure::invalid(what()))
}

/// Make a simulation.
///
/// A launcher process is started, whose children the guests will be: a copy of the calling process, invisible to its
/// wait(2) and SIGCHLD. So make the simulation early, while the program is small; guests inherit priority, affinity, umask and
/// namespaces that it has now. The library also starts a thread, in which all signals are blocked.
///
/// library_path: the library that guests preload; NULL for libshim.so.1 in the folder that this library was loaded from.
/// simulation: where the new simulation goes; NULL goes there if the call fails.
/// Ownership: the simulation is the caller's, to be freed by shimsup_simulation_free; the path is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or a path that cannot stand in LD_PRELOAD; -ENOENT and others of open(2) if the library cannot be
/// read, -ENOEXEC if it is none of ours, -EPROTO if it speaks another protocol; -EAGAIN, -ENOMEM, -EMFILE if there can be no
/// further process, thread or descriptor.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_simulation_new(
    library_path: *const c_char,
    simulation: *mut *mut Simulation,
) -> c_int {
    // SAFETY: the caller's: NULL or a text.
    let path = unsafe { text_or_none(library_path) };
    let path = path.map(|path| OsStr::from_bytes(path.to_bytes()));
    // SAFETY: the caller's: NULL or a place for a pointer.
    let result = unsafe { give(simulation, "simulation", || Simulation::new(path)) };
    answer("shimsup_simulation_new", result)
}

/// Give a host a name.
///
/// Guests of all hosts find it by getaddrinfo(3) and the like, in /etc/hosts and by DNS. A host may have several addresses: add
/// its name once for each. The first name that a host has is its canonical one. Names are for guests; hosts
/// themselves are made by shimhost_new, with the same host_id and addresses. Without any name guests know their own host and
/// localhost.
///
/// simulation: as shimsup_simulation_new made it, without hosts.
/// name: the name, 1 to 63 bytes.
/// ipv4: its IPv4 address, such as "10.0.0.1"; NULL for none.
/// ipv6: its IPv6 address, such as "fd00::1"; NULL for none.
/// host_id: number of the host.
/// Ownership: the texts are copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, a name that cannot be one, an address that is none; -EBUSY if the simulation has a host already;
/// -ENOMEM.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_simulation_add_name(
    simulation: *mut Simulation,
    name: *const c_char,
    ipv4: *const c_char,
    ipv6: *const c_char,
    host_id: u32,
) -> c_int {
    // SAFETY: the caller's: NULL or a simulation, and NULL or texts.
    let result = unsafe { add_name(simulation, [name, ipv4, ipv6], host_id, false) };
    answer("shimsup_simulation_add_name", result)
}

/// Give a host another name, which is an alias of its canonical one.
///
/// simulation: as shimsup_simulation_new made it, without hosts.
/// alias: the name, 1 to 63 bytes.
/// ipv4: its IPv4 address, such as "10.0.0.1"; NULL for none.
/// ipv6: its IPv6 address, such as "fd00::1"; NULL for none.
/// host_id: number of the host, which has a name by shimsup_simulation_add_name.
/// Ownership: the texts are copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: as shimsup_simulation_add_name.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_simulation_add_alias(
    simulation: *mut Simulation,
    alias: *const c_char,
    ipv4: *const c_char,
    ipv6: *const c_char,
    host_id: u32,
) -> c_int {
    // SAFETY: the caller's: NULL or a simulation, and NULL or texts.
    let result = unsafe { add_name(simulation, [alias, ipv4, ipv6], host_id, true) };
    answer("shimsup_simulation_add_alias", result)
}

/// # Safety
///
/// NULL or a simulation, and NULL or texts.
unsafe fn add_name(
    simulation: *mut Simulation,
    texts: [*const c_char; 3],
    host_id: u32,
    is_alias: bool,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let simulation = unsafe { object(simulation, "simulation") }?;
    let what = if is_alias { "alias" } else { "name" };
    // SAFETY: as above.
    let name = utf8(unsafe { text(texts[0], what) }?, what)?;
    // SAFETY: as above.
    let four = unsafe { text_or_none(texts[1]) };
    let four = four.map(|text| ipv4(utf8(text, "ipv4")?, "ipv4")).transpose()?;
    // SAFETY: as above.
    let six = unsafe { text_or_none(texts[2]) };
    let six = six.map(|text| ipv6(utf8(text, "ipv6")?, "ipv6")).transpose()?;
    if four.is_none() && six.is_none() {
        return Err(Failure::invalid(format!("{name} has no address: pass ipv4, ipv6 or both")));
    }
    let name = Name { name: name.to_owned(), ipv4: four, ipv6: six, host_id, is_alias };
    simulation.add_name(name)
}

/// End a simulation.
///
/// Its hosts keep what they need of it: they may be freed before or afterwards. With the last of both the launcher process ends.
///
/// simulation: as shimsup_simulation_new made it; NULL does nothing.
/// Returns: nothing.
/// Errors: none.
/// Threads and signals: safe from any thread, if no other one uses the simulation; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_simulation_free(simulation: *mut Simulation) {
    // SAFETY: the caller's: NULL, or a simulation that is not used any more.
    drop(unsafe { take(simulation) });
}
