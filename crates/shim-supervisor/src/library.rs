//! Is this file a `libshim.so` that we can work with?
//!
//! A path in, a [`Library`] or a [`LibraryError`] out, before any process is started. Always true: a
//! `Library` was a regular, executable-mappable file with a note of a compatible protocol when it was
//! opened, and its absolute path survives being written into `LD_PRELOAD`. The file's contents are data to
//! validate; none of its code runs here. The guest's side of the version check is in the library itself.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, elf};
use rustix::fs::{StatVfsMountFlags, statvfs};
use shim_abi::version::{NOTE_NAME, NOTE_TYPE, PROTOCOL_MAJOR, PROTOCOL_MINOR, is_compatible};

/// A checked guest library.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Library {
    path: PathBuf,
    /// The library beside it that replaces functions of the C library, if it is there.
    interposer: Option<PathBuf>,
    protocol: (u32, u32),
}

/// Why a file cannot be the guest library.
#[derive(Debug)]
#[non_exhaustive]
pub enum LibraryError {
    /// It cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// Its name cannot stand in `LD_PRELOAD`, or is too long for the manager block.
    Unpreloadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with the name.
        reason: &'static str,
    },
    /// It is no ELF shared object for x86-64, or the system would not execute it.
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: &'static str,
    },
    /// It is a shared object without the note.
    NoNote {
        /// The file.
        path: PathBuf,
    },
    /// It speaks another protocol.
    Version {
        /// The file.
        path: PathBuf,
        /// The library's protocol.
        library: (u32, u32),
        /// This simulator's protocol.
        simulator: (u32, u32),
    },
}

/// Longest list, in bytes, that the manager block holds beside its terminating NUL.
const MAX_LIST_BYTES: usize = 1023;
/// The file name of the library that replaces functions of the C library, by its soname.
const INTERPOSER: &str = "libshim-preload.so.1";

impl Library {
    /// Check the library at `path`; a relative path starts at the current directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Library, LibraryError> {
        let path = path.as_ref();
        let unreadable =
            |error: io::Error| LibraryError::Unreadable { path: path.to_owned(), error };
        // Not resolved: who has to live with a directory that cannot be preloaded can make a link.
        let path = std::path::absolute(path).map_err(unreadable)?;
        let unreadable = |error: io::Error| LibraryError::Unreadable { path: path.clone(), error };
        if let Some(reason) = why_not_preloadable(&path) {
            return Err(LibraryError::Unpreloadable { path, reason });
        }
        let not_a_library = |reason| LibraryError::NotALibrary { path: path.clone(), reason };
        if !fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(not_a_library("it is not a regular file"));
        }
        let is_noexec =
            statvfs(&path).is_ok_and(|system| system.f_flag.contains(StatVfsMountFlags::NOEXEC));
        if is_noexec {
            return Err(not_a_library("its file system is mounted with the option noexec"));
        }
        let bytes = fs::read(&path).map_err(unreadable)?;
        let file = ElfFile64::<Endianness>::parse(&*bytes)
            .map_err(|_| not_a_library("it is not a 64-bit ELF file"))?;
        let header = file.elf_header();
        let endian = file.endian();
        if header.e_machine(endian) != elf::EM_X86_64 {
            return Err(not_a_library("it is for another processor"));
        }
        if header.e_type(endian) != elf::ET_DYN {
            return Err(not_a_library("it is not a shared object"));
        }
        let Some(library) = protocol_note(&file, &bytes) else {
            return Err(LibraryError::NoNote { path });
        };
        let simulator = (PROTOCOL_MAJOR, PROTOCOL_MINOR);
        if !is_compatible(library, simulator) {
            return Err(LibraryError::Version { path, library, simulator });
        }
        let interposer = path.with_file_name(INTERPOSER);
        let is_there = interposer.is_file();
        let library =
            Library { path, interposer: is_there.then_some(interposer), protocol: library };
        if library.preload_list().len() > MAX_LIST_BYTES {
            let reason = "it and the library beside it are longer than 1023 bytes";
            return Err(LibraryError::Unpreloadable { path: library.path, reason });
        }
        Ok(library)
    }

    /// Its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The library beside it that replaces functions of the C library, if it is there.
    pub fn interposer(&self) -> Option<&Path> {
        self.interposer.as_deref()
    }
    /// What guests preload: this library, and behind a colon the one beside it.
    pub fn preload_list(&self) -> OsString {
        let mut list = self.path.clone().into_os_string();
        if let Some(interposer) = &self.interposer {
            list.push(":");
            list.push(interposer);
        }
        list
    }
    /// Its protocol: major, minor.
    pub fn protocol(&self) -> (u32, u32) {
        self.protocol
    }
}

fn why_not_preloadable(path: &Path) -> Option<&'static str> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.iter().any(|&b| b == b':' || b.is_ascii_whitespace() || b == 0x0b) {
        Some("LD_PRELOAD cannot hold a path with a colon or white space")
    } else if bytes.contains(&b'$') {
        Some("the dynamic linker may replace what follows a dollar sign")
    } else if bytes.len() > MAX_LIST_BYTES {
        Some("it is longer than 1023 bytes")
    } else {
        None
    }
}

/// The protocol in the file's note; segments first, because they are what a running library has, then
/// sections.
fn protocol_note(file: &ElfFile64<'_, Endianness>, bytes: &[u8]) -> Option<(u32, u32)> {
    let endian = file.endian();
    let in_segments = file
        .elf_program_headers()
        .iter()
        .filter_map(|segment| segment.notes(endian, bytes).ok().flatten());
    let in_sections = file
        .elf_section_table()
        .iter()
        .filter_map(|section| section.notes(endian, bytes).ok().flatten());
    for mut notes in in_segments.chain(in_sections) {
        while let Ok(Some(note)) = notes.next() {
            if note.name() == NOTE_NAME.as_bytes() && note.n_type(endian).0 == NOTE_TYPE {
                let word = |at: usize| {
                    let bytes = note.desc().get(at..at + 4)?;
                    Some(u32::from_le_bytes(bytes.try_into().ok()?))
                };
                return Some((word(0)?, word(4)?));
            }
        }
    }
    None
}

fn this_executable() -> String {
    match env::current_exe() {
        Ok(path) => path.display().to_string(),
        Err(_) => "this simulator".to_owned(),
    }
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LibraryError::Unreadable { path, error } => write!(
                f,
                "cannot read the guest library {}: {error}; build it with `cargo build -p shim`, or \
                 say where it is",
                path.display()
            ),
            LibraryError::Unpreloadable { path, reason } => write!(
                f,
                "cannot preload the guest library {}: {reason}; move it, or name a symbolic link to it",
                path.display()
            ),
            LibraryError::NotALibrary { path, reason } => {
                write!(f, "{} cannot be the guest library: {reason}", path.display())
            }
            LibraryError::NoNote { path } => write!(
                f,
                "{} is no guest library: it has no note that tells its protocol; {} needs a libshim.so of \
                 protocol {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}",
                path.display(),
                this_executable()
            ),
            LibraryError::Version { path, library, simulator } => write!(
                f,
                "{} speaks protocol {}.{}, but {} speaks {}.{}: use a library and a simulator of the \
                 same release",
                path.display(),
                library.0,
                library.1,
                this_executable(),
                simulator.0,
                simulator.1
            ),
        }
    }
}

impl std::error::Error for LibraryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LibraryError::Unreadable { error, .. } => Some(error),
            _ => None,
        }
    }
}
