//! Flags, owners and device control: `fcntl`, `ioctl`.
//!
//! Commands in, numbers out. Always true: flags are the file's, and all its descriptors see them; only closing on
//! exec is the descriptor's. Locks on virtual files and leases are not offered: to ask for one is EINVAL. Who is
//! signalled is in `owner`.

use shim_abi::Errno;

use super::owner;
use super::table::{FileId, Object};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::{read_bytes, read_u32, read_words, u32_at, write_words};
use crate::socket::is_of_interface;

pub(crate) fn fcntl(context: &mut Context<'_>, fd: u32, command: i32, argument: u64) -> Answer {
    const F_SETSIG: i32 = 10;
    const F_GETSIG: i32 = 11;
    const F_SETOWN_EX: i32 = 15;
    const F_GETOWN_EX: i32 = 16;
    const F_GETOWNER_UIDS: i32 = 17;
    const F_DUPFD_QUERY: i32 = 1027;
    const F_CREATED_QUERY: i32 = 1028;
    const F_GET_RW_HINT: i32 = 1035;
    const F_SET_RW_HINT: i32 = 1036;
    /// RWH_WRITE_LIFE_EXTREME.
    const LONGEST_LIFE: u64 = 5;
    let id = context.file(fd)?;
    let at = GuestAddr(argument);
    match command {
        libc::F_GETFD => {
            let descriptor = context.process().descriptors.get(&fd);
            done(descriptor.is_some_and(|descriptor| descriptor.is_close_on_exec).into())
        }
        libc::F_SETFD => {
            if let Some(descriptor) = context.process_mut().descriptors.get_mut(&fd) {
                descriptor.is_close_on_exec = argument & libc::FD_CLOEXEC as u64 != 0;
            }
            done(0)
        }
        libc::F_GETFL => done(context.kernel.files.get(id)?.status_flags.into()),
        libc::F_SETFL => context.set_status(id, fd, argument as u32),
        libc::F_GETOWN => done(context.shown_owner(id)?),
        libc::F_SETOWN => {
            let number = argument as i32;
            let kind = if number < 0 { owner::GROUP } else { owner::PROCESS };
            context.set_owner(id, kind, number.checked_abs().ok_or(Errno::EINVAL)? as u32)
        }
        F_GETSIG => done(context.kernel.files.get(id)?.owner.signal.into()),
        F_SETSIG => {
            if argument > u64::from(crate::signal::MAX) {
                return Err(Errno::EINVAL);
            }
            context.kernel.files.get_mut(id)?.owner.signal = argument as u32;
            done(0)
        }
        F_SETOWN_EX => {
            let pair: [u8; 8] = read_bytes(context.guest, at)?;
            context.set_owner(id, u32_at(&pair, 0), u32_at(&pair, 4))
        }
        F_GETOWN_EX => {
            let owner = context.kernel.files.get(id)?.owner;
            write_words(context.guest, at, [u64::from(owner.kind) | u64::from(owner.id) << 32])?;
            done(0)
        }
        F_GETOWNER_UIDS => {
            write_words(context.guest, at, [0])?;
            done(0)
        }
        libc::F_GETLK
        | libc::F_SETLK
        | libc::F_SETLKW
        | libc::F_OFD_GETLK
        | libc::F_OFD_SETLK
        | libc::F_OFD_SETLKW => context.lock_range(id, command, at),
        libc::F_ADD_SEALS if !context.kernel.files.get(id)?.is_writable() => Err(Errno::EPERM),
        libc::F_GETLEASE => done(libc::F_UNLCK.into()),
        libc::F_NOTIFY if argument as u32 == 0 => done(0),
        libc::F_NOTIFY => Err(Errno::ENOTDIR),
        F_DUPFD_QUERY => {
            let other = context.file(argument as u32)?;
            done((other == id).into())
        }
        F_CREATED_QUERY => done(0),
        libc::F_GETPIPE_SZ | libc::F_SETPIPE_SZ => {
            let Object::Pipe(end) = context.kernel.files.get(id)?.object else {
                return Err(Errno::EBADF);
            };
            done(match command {
                libc::F_GETPIPE_SZ => context.pipe_size(end)?,
                _ => context.set_pipe_size(end, argument as u32)?,
            })
        }
        F_GET_RW_HINT => {
            write_words(context.guest, at, [0])?;
            done(0)
        }
        F_SET_RW_HINT => {
            let [hint] = read_words(context.guest, at)?;
            // What is said of life times helps nobody here.
            if hint <= LONGEST_LIFE { done(0) } else { Err(Errno::EINVAL) }
        }
        _ => Err(Errno::EINVAL),
    }
}

impl Context<'_> {
    /// Who is signalled: a process, or a group with a minus before it.
    fn shown_owner(&self, id: FileId) -> Result<i64, Errno> {
        let owner = self.kernel.files.get(id)?.owner;
        let is_group = owner.kind == owner::GROUP;
        Ok(if is_group { -i64::from(owner.id) } else { owner.id.into() })
    }

    /// F_SETFL and its kin.
    fn set_status(&mut self, id: FileId, fd: u32, flags: u32) -> Answer {
        const CHANGEABLE: u32 =
            (libc::O_APPEND | libc::O_NONBLOCK | libc::O_DIRECT | libc::O_NOATIME) as u32;
        let file = self.kernel.files.get_mut(id)?;
        let is_pipe = matches!(file.object, Object::Pipe(_));
        let has_owner = matches!(file.object, Object::Pipe(_) | Object::Socket(_));
        if flags & libc::O_DIRECT as u32 != 0 && !is_pipe {
            return Err(Errno::EINVAL);
        }
        // Only these send signals; on others the flag means nothing.
        let changeable = CHANGEABLE | if has_owner { libc::O_ASYNC as u32 } else { 0 };
        file.status_flags = flags & changeable | file.status_flags & !changeable;
        file.owner.fd = fd;
        done(0)
    }
}

pub(crate) fn ioctl(context: &mut Context<'_>, fd: u32, request: u32, at: GuestAddr) -> Answer {
    const FIGETBSZ: u32 = 2;
    const TFD_IOC_SET_TICKS: u32 = 0x4008_5400;
    const FIONCLEX: u32 = libc::FIONCLEX as u32;
    const FIOCLEX: u32 = libc::FIOCLEX as u32;
    const FIONBIO: u32 = libc::FIONBIO as u32;
    const FIOASYNC: u32 = libc::FIOASYNC as u32;
    const FIONREAD: u32 = libc::FIONREAD as u32;
    const FIOSETOWN: u32 = 0x8901;
    const SIOCSPGRP: u32 = 0x8902;
    const FIOGETOWN: u32 = 0x8903;
    const SIOCGPGRP: u32 = 0x8904;
    const SIOCATMARK: u32 = 0x8905;
    /// The same as SIOCOUTQ.
    const TIOCOUTQ: u32 = libc::TIOCOUTQ as u32;
    let id = context.file(fd)?;
    match request {
        FIOCLEX => fcntl(context, fd, libc::F_SETFD, libc::FD_CLOEXEC as u64),
        FIONCLEX => fcntl(context, fd, libc::F_SETFD, 0),
        FIONBIO => {
            let is_on = read_u32(context.guest, at)? != 0;
            let file = context.kernel.files.get_mut(id)?;
            let bit = libc::O_NONBLOCK as u32;
            file.status_flags = file.status_flags & !bit | if is_on { bit } else { 0 };
            done(0)
        }
        FIOASYNC => {
            let is_on = read_u32(context.guest, at)? != 0;
            let status = context.kernel.files.get(id)?.status_flags;
            let bit = libc::O_ASYNC as u32;
            match context.kernel.files.get(id)?.object {
                Object::Pipe(_) | Object::Socket(_) => {
                    let status = status & !bit | if is_on { bit } else { 0 };
                    context.set_status(id, fd, status)
                }
                _ if is_on => Err(Errno::ENOTTY),
                _ => done(0),
            }
        }
        FIGETBSZ => {
            context.guest.write(at, &4096_u32.to_le_bytes())?;
            done(0)
        }
        _ => match &context.kernel.files.get(id)?.object {
            &Object::Pipe(end) if request == FIONREAD => {
                let bytes = context.kernel.files.pipes.unread(end) as u32;
                context.guest.write(at, &bytes.to_le_bytes())?;
                done(0)
            }
            &Object::Socket(socket) if request == FIONREAD || request == TIOCOUTQ => {
                let sockets = &context.kernel.sockets;
                let bytes = match request {
                    FIONREAD => sockets.unread_bytes(socket)?,
                    _ => sockets.unsent_bytes(socket)?,
                };
                context.guest.write(at, &(bytes as u32).to_le_bytes())?;
                done(0)
            }
            Object::Socket(_) if matches!(request, FIOSETOWN | SIOCSPGRP) => {
                let owner = read_u32(context.guest, at)? as i32;
                fcntl(context, fd, libc::F_SETOWN, owner as u64)
            }
            Object::Socket(_) if matches!(request, FIOGETOWN | SIOCGPGRP) => {
                let owner = context.shown_owner(id)? as i32;
                context.guest.write(at, &owner.to_le_bytes())?;
                done(0)
            }
            &Object::Socket(socket) if is_of_interface(request) => {
                context.tell_of_interface(socket, request, at)
            }
            &Object::Socket(socket) if request == SIOCATMARK => {
                let is_at_mark = context.kernel.sockets.is_at_mark(socket)?;
                context.guest.write(at, &u32::from(is_at_mark).to_le_bytes())?;
                done(0)
            }
            Object::Watches(watches) if request == FIONREAD => {
                let bytes = watches.unread_bytes() as u32;
                context.guest.write(at, &bytes.to_le_bytes())?;
                done(0)
            }
            Object::Timer(_) if request == TFD_IOC_SET_TICKS => context.set_ticks(id, at),
            Object::Epoll(_) => Err(Errno::EINVAL),
            _ => Err(Errno::ENOTTY),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualPid;
    use crate::file::testing::{bench, call};
    use crate::testing::DATA;
    use shim_abi::calls::{PSEUDO_DUPLICATE, nr};

    #[test]
    fn flags_are_the_files_and_closing_on_exec_is_the_descriptors() {
        let mut machine = bench();
        let (get, set) = (libc::F_GETFL as u64, libc::F_SETFL as u64);
        assert_eq!(call(&mut machine, PSEUDO_DUPLICATE, [4, 8, libc::O_CLOEXEC as u64, 0]), 0);
        assert_eq!(call(&mut machine, nr::fcntl, [8, set, u64::MAX, 0]), 0);
        assert_eq!(call(&mut machine, nr::fcntl, [4, get, 0, 0]), 0o1_066_001);
        machine.1.put_words(DATA, &[0]);
        assert_eq!(call(&mut machine, nr::ioctl, [4, 0x5421, DATA, 0]), 0, "FIONBIO");
        assert_eq!(call(&mut machine, nr::fcntl, [8, get, 0, 0]), 0o1_062_001);
        assert_eq!(call(&mut machine, nr::fcntl, [5, set, 0o40000, 0]), Errno::EINVAL.as_return());
        for (fd, expected) in [(4, 0), (8, 1)] {
            assert_eq!(call(&mut machine, nr::fcntl, [fd, 1, 0, 0]), expected);
        }
        assert_eq!(call(&mut machine, nr::fcntl, [8, 2, 0, 0]), 0);
        assert_eq!(call(&mut machine, nr::close_range, [3, 5, 4, 0]), 0);
        let (kernel, _, tid) = &mut machine;
        kernel.close_on_exec(shim_abi::SimTime::ZERO, VirtualPid(tid.0));
        assert!(machine.0.processes[&VirtualPid(1000)].descriptors.keys().eq(&[8]));
    }

    #[test]
    fn owners_are_kept_if_they_exist() {
        let mut machine = bench();
        let mut fcntl = |command: i32, argument: i64| {
            call(&mut machine, nr::fcntl, [3, command as u64, argument as u64, 0])
        };
        assert_eq!(fcntl(libc::F_SETOWN, -1000), 0);
        assert_eq!(fcntl(libc::F_GETOWN, 0), -1000);
        assert_eq!(fcntl(libc::F_SETOWN, 999), Errno::ESRCH.as_return());
        assert_eq!(fcntl(libc::F_SETOWN, i64::from(i32::MIN)), Errno::EINVAL.as_return());
        assert_eq!(fcntl(16, DATA as i64), 0);
        assert_eq!(fcntl(libc::F_SETOWN, 1000), 0);
        assert_eq!(fcntl(libc::F_GETOWN, 0), 1000);
        assert_eq!(fcntl(10, 65), Errno::EINVAL.as_return());
        assert_eq!(fcntl(10, 64), 0);
        assert_eq!(fcntl(11, 0), 64);
        assert_eq!(fcntl(libc::F_SETLEASE, 0), Errno::EINVAL.as_return());
        assert_eq!(fcntl(libc::F_ADD_SEALS, 0), Errno::EPERM.as_return());
        assert_eq!(machine.1.words::<1>(DATA), [2 | 1000 << 32]);
    }

    #[test]
    fn a_pipe_tells_how_much_it_holds_and_nothing_else_does() {
        let mut machine = bench();
        let tty = Errno::ENOTTY.as_return();
        assert_eq!(call(&mut machine, nr::write, [4, DATA, 5000, 0]), 5000);
        machine.1.put_words(DATA, &[0]);
        assert_eq!(call(&mut machine, nr::ioctl, [4, 0x541b, DATA, 0]), 0);
        assert_eq!(machine.1.words::<1>(DATA), [5000]);
        assert_eq!(call(&mut machine, nr::ioctl, [5, 0x541b, DATA, 0]), tty);
        assert_eq!(call(&mut machine, nr::ioctl, [3, 0x5401, DATA, 0]), tty);
        assert_eq!(call(&mut machine, nr::ioctl, [9, 0x5401, DATA, 0]), Errno::EBADF.as_return());
    }
}
