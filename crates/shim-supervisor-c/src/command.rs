//! What to run: a program, its arguments, its environment, its folder, its standard streams.
//!
//! Texts and descriptors in, a [`shim_supervisor::Command`] out. Always true: a command can be started any number of
//! times, and holds copies of everything that it was given; a program without a slash is searched for when the
//! command is started, in the `PATH` that the program will have. Nothing is inherited that was not asked for.
//!
//! # Safety
//!
//! Unsafe here: exported names, pointers and descriptors from C, about which each function says what its caller guarantees.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rustix::io::fcntl_dupfd_cloexec;
use shim_supervisor::{Unresolved, resolve_program};

use crate::error::{Failure, Result, answer};
use crate::pointer::{give, object_mut, take, text, text_or_none};

/// What to run. Opaque.
pub struct Command {
    command: shim_supervisor::Command,
}

impl Command {
    fn new(program: &CStr) -> Result<Command> {
        if program.is_empty() {
            return Err(Failure::invalid("program is empty: name one"));
        }
        Ok(Command { command: shim_supervisor::Command::new(program.to_owned()) })
    }

    /// What is to be started, with the path of its program.
    pub(crate) fn resolved(&self) -> Result<shim_supervisor::Command> {
        let own = &self.command;
        let stream = |fd: &Option<OwnedFd>| fd.as_ref().map(OwnedFd::try_clone).transpose();
        let [input, output, error] = own.stdio.each_ref().map(stream);
        let failed = |error| Failure::io(&error, "cannot duplicate a standard stream");
        Ok(shim_supervisor::Command {
            program: self.program()?,
            argv: own.argv.clone(),
            env: own.env.clone(),
            cwd: own.cwd.clone(),
            view: None,
            stdio: [input.map_err(failed)?, output.map_err(failed)?, error.map_err(failed)?],
        })
    }

    /// The path of its program.
    fn program(&self) -> Result<CString> {
        let name = &self.command.program;
        if name.to_bytes().contains(&b'/') {
            return Ok(name.clone());
        }
        let mut entries = self.command.env.iter();
        let path = entries.find_map(|entry| entry.to_bytes().strip_prefix(b"PATH="));
        let found =
            resolve_program(OsStr::from_bytes(name.to_bytes()), path.map(OsStr::from_bytes));
        let file = found.map_err(|error| {
            let errno = match error {
                Unresolved::NotFound => libc::ENOENT,
                Unresolved::NotExecutable => libc::EACCES,
            };
            let hint = "name its path, or add PATH=... to the command's environment";
            Failure::new(errno, format!("{}: {error}: {hint}", name.to_string_lossy()))
        })?;
        let file = std::path::absolute(file)
            .map_err(|error| Failure::io(&error, "cannot tell the current directory"))?;
        CString::new(file.into_os_string().into_vec())
            .map_err(|_| Failure::invalid("the program's path has a NUL"))
    }

    fn set_stdio(&mut self, number: c_int, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let streams = &mut self.command.stdio;
        let place = usize::try_from(number).ok().and_then(|number| streams.get_mut(number));
        let place = place.ok_or_else(|| {
            let what = "0 is standard input, 1 standard output, 2 standard error";
            Failure::invalid(format!("number is {number}: {what}"))
        })?;
        let copy = fd.map(|fd| fcntl_dupfd_cloexec(fd, 3)).transpose();
        *place = copy.map_err(|error| {
            Failure::new(error.raw_os_error(), format!("cannot duplicate fd: {error}"))
        })?;
        Ok(())
    }
}

/// Describe a program to be run.
///
/// Its only argument, the zeroth, is its name; its environment is empty, its standard streams are closed, its working
/// directory is the one that the calling program has when it is started.
///
/// program: a path; or a name without a slash, which is searched for in the PATH of the command's environment (/bin:/usr/bin
/// without one) when it is started. A relative path starts at the command's directory.
/// command: where the new command goes; NULL goes there if the call fails.
/// Ownership: the command is the caller's, to be freed by shimsup_command_free; the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or an empty program. Whether the program is there turns out when it is started.
/// Threads and signals: safe from any thread; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_new(
    program: *const c_char,
    command: *mut *mut Command,
) -> c_int {
    // SAFETY: the caller's: NULL or a text.
    let program = unsafe { text(program, "program") };
    // SAFETY: the caller's: NULL or a place for a pointer.
    let result = unsafe { give(command, "command", || Command::new(program?)) };
    answer("shimsup_command_new", result)
}

/// Add an argument behind those that are there.
///
/// command: as shimsup_command_new made it.
/// argument: any text.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a command; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_add_argument(
    command: *mut Command,
    argument: *const c_char,
) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody else uses, and NULL or a text.
    let result = unsafe { change(command, argument, "argument") };
    let result = result.map(|(command, argument)| command.command.argv.push(argument.to_owned()));
    answer("shimsup_command_add_argument", result)
}

/// Replace the zeroth argument, by which a program sees its own name.
///
/// command: as shimsup_command_new made it.
/// name: any text.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a command; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_set_argument_zero(
    command: *mut Command,
    name: *const c_char,
) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody else uses, and NULL or a text.
    let result = unsafe { change(command, name, "name") };
    let result = result.map(|(command, name)| {
        if let Some(zeroth) = command.command.argv.first_mut() {
            *zeroth = name.to_owned();
        }
    });
    answer("shimsup_command_set_argument_zero", result)
}

/// Add a variable to the environment, which is empty at first.
///
/// command: as shimsup_command_new made it.
/// name_equals_value: the variable, NAME=value. A name that is added twice stands there twice.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL, or a text without an equals sign or with nothing before it.
/// Threads and signals: one thread at a time may use a command; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_add_environment(
    command: *mut Command,
    name_equals_value: *const c_char,
) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody else uses, and NULL or a text.
    let result = unsafe { change(command, name_equals_value, "name_equals_value") };
    let result = result.and_then(|(command, variable)| {
        match variable.to_bytes().iter().position(|&byte| byte == b'=') {
            None | Some(0) => {
                Err(Failure::invalid(format!("{variable:?} is no variable: write NAME=value")))
            }
            Some(_) => {
                command.command.env.push(variable.to_owned());
                Ok(())
            }
        }
    });
    answer("shimsup_command_add_environment", result)
}

/// Take over the environment that the calling program has now, in place of what the command had.
///
/// What follows from it differs from machine to machine; a run that shall repeat elsewhere names its variables.
///
/// command: as shimsup_command_new made it.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL.
/// Threads and signals: one thread at a time may use a command, and nobody may change the environment meanwhile; not in a signal
/// handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_inherit_environment(command: *mut Command) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody else uses.
    let command = unsafe { object_mut(command, "command") };
    let result = command.map(|command| _ = command.command.inherit_environment());
    answer("shimsup_command_inherit_environment", result)
}

/// Set the working directory.
///
/// command: as shimsup_command_new made it.
/// directory: a path; NULL for the one that the calling program has when the command is started.
/// Ownership: the text is copied.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for a command that is NULL. Whether the directory is there turns out when the command is started.
/// Threads and signals: one thread at a time may use a command; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_set_directory(
    command: *mut Command,
    directory: *const c_char,
) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody else uses.
    let command = unsafe { object_mut(command, "command") };
    // SAFETY: the caller's: NULL or a text.
    let directory = unsafe { text_or_none(directory) };
    let result = command.map(|command| {
        let path = |text: &CStr| PathBuf::from(OsStr::from_bytes(text.to_bytes()));
        command.command.cwd = directory.map(path);
    });
    answer("shimsup_command_set_directory", result)
}

/// Set a standard stream, which is closed at first.
///
/// command: as shimsup_command_new made it.
/// number: 0 for standard input, 1 for standard output, 2 for standard error.
/// fd: an open descriptor of the calling program; -1 to leave the stream closed.
/// Ownership: the descriptor is duplicated, so the caller may close it at once.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL or another number; -EBADF if fd is not open; -EMFILE.
/// Threads and signals: one thread at a time may use a command; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_set_stdio(
    command: *mut Command,
    number: c_int,
    fd: c_int,
) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody else uses.
    let command = unsafe { object_mut(command, "command") };
    let result = command.and_then(|command| {
        if fd < -1 {
            let what = "pass an open descriptor, or -1 for a closed stream";
            return Err(Failure::new(libc::EBADF, format!("fd is {fd}: {what}")));
        }
        // SAFETY: it is not -1, and the caller does not close it during the call; one that is not open is only told so.
        let fd = (fd != -1).then(|| unsafe { BorrowedFd::borrow_raw(fd) });
        command.set_stdio(number, fd)
    });
    answer("shimsup_command_set_stdio", result)
}

/// Take over the standard streams that the calling program has now; what is closed stays closed.
///
/// command: as shimsup_command_new made it.
/// Ownership: the descriptors are duplicated.
/// Returns: 0, or a negative errno; shimsup_message tells more.
/// Errors: -EINVAL for NULL; -EMFILE.
/// Threads and signals: one thread at a time may use a command; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_inherit_stdio(command: *mut Command) -> c_int {
    // SAFETY: the caller's: NULL or a command that nobody else uses.
    let command = unsafe { object_mut(command, "command") };
    let result = command.and_then(|command| {
        let inherited = command.command.inherit_stdio().map(drop);
        inherited.map_err(|error| Failure::io(&error, "cannot duplicate a standard stream"))
    });
    answer("shimsup_command_inherit_stdio", result)
}

/// End a command. What was started by it goes on.
///
/// command: as shimsup_command_new made it; NULL does nothing.
/// Returns: nothing.
/// Errors: none.
/// Threads and signals: safe from any thread, if no other one uses the command; not in a signal handler.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shimsup_command_free(command: *mut Command) {
    // SAFETY: the caller's: NULL, or a command that is not used any more.
    drop(unsafe { take(command) });
}

/// # Safety
///
/// NULL or a command that nobody else uses, and NULL or a text.
unsafe fn change<'a>(
    command: *mut Command,
    words: *const c_char,
    name: &str,
) -> Result<(&'a mut Command, &'a CStr)> {
    // SAFETY: the caller's promise.
    let command = unsafe { object_mut(command, "command") }?;
    // SAFETY: as above.
    Ok((command, unsafe { text(words, name) }?))
}
