//! A file of the simulated machine, as a descriptor.
//!
//! A [`Source`] and flags in, a descriptor out that reads what the simulation has to tell. Always true: it behaves
//! like the read-only regular file that it natively is (seek, map), and takes the lowest free number; as with
//! proc(5)'s own, whoever reads from its start reads the present state, and whoever reads on, the rest of
//! that. The file's name says what it shows, so that this holds for copies of the descriptor, too.
//! A difference that stays: fstat(2) shows the size. What the contents are is `proc::contents`' and the
//! simulator's business.

use core::ffi::CStr;
use core::fmt::Write;

use shim_abi::Errno;
use shim_abi::calls::{PSEUDO_VIRTUAL_FILE, nr};
use shim_abi::process::descriptor;
use shim_abi::virtual_files::VirtualFile;

use super::open::admit;
use super::proc::contents::{self, File};
use super::proc::listing::link_of;
use super::proc::{Subject, names};
use crate::forward;
use crate::sys;
use crate::thread::Slot;
use crate::trace::FixedText;

/// Longest contents that fit.
const MAX_BYTES: usize = 256 * 1024;
const F_DUPFD: u64 = libc::F_DUPFD as u64;

/// What a file shows.
#[derive(Clone, Copy)]
pub enum Source {
    /// The machine.
    Machine(VirtualFile),
    /// A process or thread.
    Process(Subject, File),
}

impl Source {
    /// What the path of a file of ours stands for. ESRCH: who it was about has gone.
    fn at(slot: &Slot, path: &[u8]) -> Result<Source, Errno> {
        if let Some(file) = VirtualFile::at(path) {
            return Ok(Source::Machine(file));
        }
        let below = path.strip_prefix(b"/proc/").ok_or(Errno::EBADF)?;
        let named = names::parse(slot, below).ok_or(Errno::EBADF)?.map_err(|()| Errno::ESRCH)?;
        let file = File::of(named.subject, named.rest).ok_or(Errno::ESRCH)?;
        Ok(Source::Process(named.subject, file))
    }

    fn push_path<const N: usize>(self, text: &mut FixedText<N>) {
        match self {
            Source::Machine(file) => text.push(file.path().as_bytes()),
            Source::Process(subject, file) => {
                let _ = write!(text, "/proc/{}", subject.pid);
                if subject.tid != 0 {
                    let _ = write!(text, "/task/{}", subject.tid);
                }
                let _ = write!(text, "/{}", file.name());
            }
        }
    }

    /// Hand its contents at this instant, by address and length, to `to`.
    fn with_contents<T>(
        self,
        slot: &Slot,
        to: impl FnOnce(usize, usize) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let file = match self {
            Source::Machine(file) => file,
            Source::Process(_, File::Own(file)) => return contents::with_memory(slot, file, to),
            Source::Process(subject, file) => {
                let text = contents::make(slot, subject, file)?;
                return to(text.as_bytes().as_ptr() as usize, text.as_bytes().len());
            }
        };
        // The contents arrive in memory that the simulator may write to: not the shim's own.
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let buffer = sys::map(0, MAX_BYTES, protection, flags, -1)?;
        let result = fill(slot, file, buffer).and_then(|bytes| to(buffer, bytes));
        let _ = sys::call(nr::munmap, [buffer as u64, MAX_BYTES as u64, 0, 0, 0, 0]);
        result
    }
}

/// Open what shows `source` as open(2) does with `flags`.
pub fn open(slot: &Slot, source: Source, flags: i32) -> Result<i64, Errno> {
    if flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL {
        return Err(Errno::EEXIST);
    }
    if flags & libc::O_DIRECTORY != 0 {
        return Err(Errno::ENOTDIR);
    }
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        return Err(Errno::EACCES);
    }
    let fd = source
        .with_contents(slot, |buffer, bytes| descriptor_of(slot, source, buffer, bytes, flags))?;
    admit(slot, fd)?;
    slot.process.set_descriptor(fd, descriptor::SHOWN);
    Ok(fd.into())
}

fn fill(slot: &Slot, file: VirtualFile, buffer: usize) -> Result<usize, Errno> {
    let args = [file as u64, buffer as u64, MAX_BYTES as u64, 0, 0, 0];
    let bytes = super::result(forward::syscall(slot, PSEUDO_VIRTUAL_FILE, args))?;
    Ok((bytes as usize).min(MAX_BYTES))
}

/// Before a read through `fd` at `offset`, or at its own position: one from the start reads the present state.
pub fn prepare_read(slot: &Slot, fd: u32, offset: Option<u64>) -> Result<(), Errno> {
    let own = || sys::call(nr::lseek, [fd.into(), 0, libc::SEEK_CUR as u64, 0, 0, 0]);
    if offset.map_or_else(own, Ok)? != 0 {
        return Ok(());
    }
    let link = link_of(fd).ok_or(Errno::EBADF)?;
    let source = Source::at(slot, path_in(link.as_bytes()).ok_or(Errno::EBADF)?)?;
    let renewed = source.with_contents(slot, |buffer, bytes| {
        let own = reopen(fd, libc::O_RDWR | libc::O_CLOEXEC)?;
        let renewed = sys::call(nr::ftruncate, [own.into(), 0, 0, 0, 0, 0])
            .and_then(|_| write_all(own, buffer, bytes));
        sys::close(own);
        renewed
    });
    // It ended meanwhile.
    renewed.map_err(|errno| if errno == Errno::ENOENT { Errno::ESRCH } else { errno })
}

/// How the names of the files that stand behind such descriptors begin and end in `/proc/self/fd`.
const NAME: &str = "shim:";
const LINK: &[u8] = b"/memfd:shim:";
const DELETED: &[u8] = b" (deleted)";

/// The path of what a descriptor shows whose link in `/proc/self/fd` this is, if it is one of ours.
pub fn path_in(link: &[u8]) -> Option<&[u8]> {
    link.strip_prefix(LINK)?.strip_suffix(DELETED).filter(|path| path.starts_with(b"/"))
}

/// Whether such a file stands behind a descriptor.
pub fn is_shown(fd: u32) -> bool {
    link_of(fd).is_some_and(|link| path_in(link.as_bytes()).is_some())
}

/// A read-only descriptor with the lowest free number on `bytes` of `buffer`.
fn descriptor_of(
    slot: &Slot,
    source: Source,
    buffer: usize,
    bytes: usize,
    flags: i32,
) -> Result<u32, Errno> {
    let mut name = FixedText::<128>::new();
    name.push(NAME.as_bytes());
    source.push_path(&mut name);
    name.push(b"\0");
    let name = CStr::from_bytes_until_nul(name.as_bytes()).map_err(|_| Errno::ENAMETOOLONG)?;
    let low = sys::call(nr::memfd_create, [name.as_ptr() as u64, 1, 0, 0, 0, 0])? as u32;
    // Out of the way, so that the read-only descriptor gets the lowest number.
    let hidden = u64::from(slot.first_hidden);
    let high = sys::call(nr::fcntl, [low.into(), F_DUPFD, hidden, 0, 0, 0]).map(|fd| fd as u32);
    sys::close(low);
    let high = high?;
    let opened = write_all(high, buffer, bytes)
        .and_then(|()| reopen(high, libc::O_RDONLY | flags & (libc::O_CLOEXEC | libc::O_NONBLOCK)));
    sys::close(high);
    opened
}

/// Open once more what `fd` stands for.
fn reopen(fd: u32, flags: i32) -> Result<u32, Errno> {
    let mut path = FixedText::<40>::new();
    let _ = write!(path, "/proc/self/fd/{fd}\0");
    let path = CStr::from_bytes_until_nul(path.as_bytes()).unwrap_or(c"");
    sys::open(path, flags)
}

fn write_all(fd: u32, buffer: usize, bytes: usize) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes {
        let at = (buffer + done) as u64;
        done += sys::call(nr::write, [fd.into(), at, (bytes - done) as u64, 0, 0, 0])? as usize;
    }
    Ok(())
}
