//! How a guest comes, by the launcher or by another guest, and how it goes.
//!
//! Commands and identities in, handles out. Always true: a handle is on the lookout from its making to its end; freeing the handle
//! of a living process kills it, and that of a thread which has ended alone does not.
//!
//! # Safety
//!
//! Unsafe here: exported names, and pointers from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use shim_supervisor::{Identity, SpawnError};

use super::{Guest, Said, ended, errno};
use crate::bare::BareHost;
use crate::command::Command;
use crate::error::{Failure, Result, answer, errno_of};
use crate::pointer::{object, take};

fn spawn_failure(error: &SpawnError) -> Failure {
    let errno = match error {
        SpawnError::TooMany => libc::EAGAIN,
        SpawnError::Directory(error)
        | SpawnError::Program { error, .. }
        | SpawnError::Resource(error) => errno_of(error),
        SpawnError::LauncherLost => libc::EPIPE,
        _ => libc::EIO,
    };
    Failure::new(errno, error.to_string())
}

fn check_pid(pid: u32) -> Result<()> {
    // As many as Linux has.
    if pid == 0 || pid > 1 << 22 {
        return Err(Failure::invalid(format!("{pid} can be no process's or thread's id")));
    }
    Ok(())
}

fn launch(host: &BareHost, command: &Command, pid: u32) -> Result<Box<Guest>> {
    check_pid(pid)?;
    let machine = &host.machine;
    let command = command.resolved()?;
    let program = Path::new(OsStr::from_bytes(command.program.to_bytes()));
    // A relative path starts there.
    let program = command.cwd.as_deref().unwrap_or(Path::new("")).join(program);
    shim_host::image::check(&program, None)
        .map_err(|error| Failure::new(libc::ENOEXEC, error.to_string()))?;
    let memory = machine.memory()?;
    let guest = machine.launcher.spawn(&memory, &command, &machine.identity(pid));
    let guest = guest.map_err(|error| spawn_failure(&error))?;
    Ok(Guest::new(machine.clone(), guest, (pid, pid), Arc::default(), Said::Nothing))
}

impl Guest {
    fn add_thread(&self, tid: u32) -> Result<Box<Guest>> {
        check_pid(tid)?;
        let mut inner = self.lock();
        let parent = self.waiting(&mut inner, |said| matches!(said, Said::Call { .. }))?;
        let mut child = parent.add_thread(tid).map_err(|error| spawn_failure(&error))?;
        self.make(parent, &mut child)?;
        let image = self.image.clone();
        Ok(Guest::new(self.machine.clone(), child, (self.pid, tid), image, Said::Born))
    }

    fn add_process(&self, pid: u32, parent_pid: u32) -> Result<Box<Guest>> {
        check_pid(pid)?;
        let mut inner = self.lock();
        let parent = self.waiting(&mut inner, |said| matches!(said, Said::Call { .. }))?;
        let block = parent.process();
        let identity = Identity {
            parent_pid,
            group: block.group.load(Relaxed),
            session: block.session.load(Relaxed),
            descriptor_limit: (
                block.descriptor_limit.load(Relaxed),
                block.descriptor_limit_hard.load(Relaxed),
            ),
            ..self.machine.identity(pid)
        };
        let mut child = parent.add_process(&identity).map_err(|error| spawn_failure(&error))?;
        self.make(parent, &mut child)?;
        let image = Arc::new(AtomicU32::new(child.images()));
        Ok(Guest::new(self.machine.clone(), child, (pid, pid), image, Said::Born))
    }

    fn make(
        &self,
        parent: &mut shim_supervisor::Guest,
        child: &mut shim_supervisor::Guest,
    ) -> Result<()> {
        self.machine.publish_clock();
        let refused = |number| {
            let text = "the real kernel could not make the thread or process";
            Failure::new(errno(number), text)
        };
        parent.make(child).map_err(ended)?.map_err(refused)
    }

    fn end(self: Box<Guest>) {
        self.machine.lookout.remove(self.number());
        self.machine.take_control(self.number(), 0);
        let mut inner = self.lock();
        let is_gone = inner.said == Said::ThreadEnded || self.is_replaced(&inner);
        match inner.guest.take() {
            Some(guest) if is_gone => guest.forget(),
            // Kills its process.
            guest => drop(guest),
        }
    }
}

/// # Safety
///
/// `place` is NULL or a pointer that can be written.
unsafe fn give_guest(
    place: *mut *mut Guest,
    make: impl FnOnce() -> Result<Box<Guest>>,
) -> Result<()> {
    // SAFETY: the caller's promise.
    let place = unsafe { place.as_mut() }.ok_or_else(|| Failure::invalid("guest is NULL"))?;
    // Whoever looks at it after a failure finds nobody.
    *place = std::ptr::null_mut();
    let made = Box::into_raw(make()?);
    // Whoever waits for guests finds it by its number.
    made.expose_provenance();
    *place = made;
    Ok(())
}

/// Start a program as a guest of a bare host.
///
/// The function returns when the program's image is in place; its first event is SHIMSUP_EVENT_START, and nothing of the
/// program runs before shimsup_guest_begin answers that. Until then the guest needs no control: others of its host may have
/// it. To have runs that are alike, wait for the event (shimsup_guest_wait) before you do anything else.
///
/// A program that the dynamic linker would not load libshim.so into, such as a static one, is refused. Should one run without the
/// library for another reason, its only event is its end.
///
/// host: as shimsup_host_new made it. Its settings stand still from now on.
/// command: what to run.
/// pid: its process id on the simulated machine, and the id of its first thread; process group and session are the same. Ids are
/// the calling program's to choose: no two threads of a host have the same.
/// guest: where the new guest goes; NULL goes there if the call fails.
/// Ownership: the guest is the caller's, to be freed by shimsup_guest_free; the command may be used again, or freed.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or an id that can be none; -ENOEXEC for a program that can be no guest; -ENOENT, -EACCES and others of
/// execve(2); -EAGAIN if the host has 1024 processes or 4096 threads; -EPIPE if the launcher process was killed; -ENOMEM, -EMFILE.
/// Threads and signals: safe from any thread; not in a signal handler. The command is not to be changed meanwhile.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_launch(
    host: *mut BareHost,
    command: *const Command,
    pid: u32,
    guest: *mut *mut Guest,
) -> c_int {
    // SAFETY: the caller's: NULL or a host.
    let host = unsafe { object(host, "host") };
    // SAFETY: the caller's: NULL or a command that nobody changes.
    let command = unsafe { object(command, "command") };
    // SAFETY: the caller's: NULL or a place for a pointer.
    let result = unsafe { give_guest(guest, || launch(host?, command?, pid)) };
    answer("shimsup_guest_launch", result)
}

/// Have a guest make the process that it asked for by clone(2).
///
/// The guest's event is SHIMSUP_EVENT_CALL with the number of clone(2), as which fork(2), vfork(2) and clone3(2) arrive, too, and
/// flags (argument 0) without CLONE_THREAD. The process exists natively afterwards, as a copy of the guest, and waits for its first
/// turn: shimsup_guest_begin; the guest itself still waits for its answer, which is the new process's id. With CLONE_VFORK in the
/// flags the guest must not be answered before the child has another image (its SHIMSUP_EVENT_START) or has ended. If
/// CLONE_PARENT_SETTID is in them, store the id at argument 2.
///
/// guest: it waits for an answer to clone(2).
/// pid: the id of the new process and its only thread.
/// parent_pid: the id that its getppid(2) tells: usually the guest's process's.
/// child: where the new guest goes; NULL goes there if the call fails.
/// Ownership: the child is the caller's, to be freed by shimsup_guest_free.
/// Returns: 0, or a negative errno, with which the guest's call may be answered; shimsup_message tells more.
/// Errors: -EINVAL for NULL, an id that can be none, another event; -EAGAIN if there can be no further process; -EBUSY if the guest
/// runs; -ESRCH if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_add_process(
    guest: *mut Guest,
    pid: u32,
    parent_pid: u32,
    child: *mut *mut Guest,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    // SAFETY: the caller's: NULL or a place for a pointer.
    let result = unsafe { give_guest(child, || guest?.add_process(pid, parent_pid)) };
    answer("shimsup_guest_add_process", result)
}

/// Have a guest make the thread that it asked for by clone(2).
///
/// As shimsup_guest_add_process, for flags (argument 0) with CLONE_THREAD. If CLONE_PARENT_SETTID is in them store the id at argument
/// 2, with CLONE_CHILD_SETTID at argument 3; with CLONE_CHILD_CLEARTID remember argument 3: when the thread ends, store 0 there
/// and wake a futex(2) of the guest's.
///
/// guest: it waits for an answer to clone(2).
/// tid: the id of the new thread.
/// child: where the new guest goes; NULL goes there if the call fails.
/// Ownership: the child is the caller's, to be freed by shimsup_guest_free.
/// Returns: 0, or a negative errno, with which the guest's call may be answered; shimsup_message tells more.
/// Errors: -EINVAL for NULL, an id that can be none, another event; -EAGAIN if there can be no further thread; -EBUSY if the guest
/// runs; -ESRCH if it has ended.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_add_thread(
    guest: *mut Guest,
    tid: u32,
    child: *mut *mut Guest,
) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    // SAFETY: the caller's: NULL or a place for a pointer.
    let result = unsafe { give_guest(child, || guest?.add_thread(tid)) };
    answer("shimsup_guest_add_thread", result)
}

/// End a guest.
///
/// If its process lives it is killed, and the function returns when it is dead; its other threads' next event is their
/// end. A thread that has ended alone (SHIMSUP_EVENT_THREAD_ENDED), or in whose place there is another image, is only forgotten.
///
/// guest: as shimsup_guest_launch and the like made it; NULL does nothing.
/// Returns: nothing.
/// Errors: none.
/// Threads and signals: safe from any thread, if no other one uses the guest or is in shimsup_wait; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_free(guest: *mut Guest) {
    // SAFETY: the caller's: NULL, or a guest that is not used any more.
    if let Some(guest) = unsafe { take(guest) } {
        guest.end();
    }
}

/// Keep a pointer with a guest, for whoever is told of it by shimsup_wait.
///
/// guest: any guest.
/// data: any pointer. The library does not look at what it points to.
/// Ownership: the caller's.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL if guest is NULL.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_set_data(guest: *mut Guest, data: *mut c_void) -> c_int {
    // SAFETY: the caller's: NULL or a guest.
    let guest = unsafe { object(guest, "guest") };
    answer("shimsup_guest_set_data", guest.map(|guest| guest.data.store(data, Relaxed)))
}

/// The pointer that was kept with a guest.
///
/// guest: any guest.
/// Ownership: the caller's.
/// Returns: what shimsup_guest_set_data has kept; NULL at first, and for NULL.
/// Errors: none.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_guest_data(guest: *const Guest) -> *mut c_void {
    // SAFETY: the caller's: NULL or a guest.
    unsafe { object(guest, "guest") }.map_or(std::ptr::null_mut(), |guest| guest.data.load(Relaxed))
}
