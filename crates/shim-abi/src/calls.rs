//! The table of system calls: one line a call.
//!
//! A call's number in, its line out. Always true: the table is sorted by number and complete for
//! x86-64 up to the newest call that Linux had when the line was written; a number outside the table
//! is answered with ENOSYS and named. The table drives dispatch in the guest (`src/dispatch/`), the
//! traces (`shim-sim`), and `docs/syscalls.md` (`shim-gen`). What a call *does* is not here.

mod table;

pub use table::{TABLE, nr};

use crate::errno::Errno;

/// Numbers of calls are below this.
pub const MAX_CALLS: usize = 480;

/// Who answers a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
    /// The shim, from shared memory.
    Local,
    /// The real kernel, where needed with the shim's care around it.
    Native,
    /// The simulator.
    Forward,
    /// Nobody: the call fails with this error and is named in the run's summary.
    Refuse(Errno),
}

/// How much of a call there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// All that its manual page says.
    Full,
    /// Some of it; the note says what is missing.
    Partial,
    /// None of it.
    Missing,
}

/// How a trace shows an argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arg {
    /// A descriptor.
    Fd,
    /// A directory's descriptor or AT_FDCWD.
    DirFd,
    /// A signed number.
    Int,
    /// An unsigned number or a size.
    Size,
    /// Flags, in hexadecimal.
    Hex,
    /// Permission bits, in octal.
    Mode,
    /// An address.
    Ptr,
    /// A path or other text that ends with NUL.
    Path,
    /// Bytes that go into the call; their number is the next argument.
    Bytes,
    /// A signal's number.
    Signal,
    /// A clock's id.
    Clock,
    /// The flags of open(2).
    OpenFlags,
}

/// One line of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// Who answers it.
    pub route: Route,
    /// How much of it there is.
    pub status: Status,
    /// Its arguments.
    pub args: &'static [Arg],
    /// What a user should know: for a partial call what is missing, for a missing one what it would
    /// need.
    pub note: &'static str,
}

const INDEX: [u16; MAX_CALLS] = {
    let mut index = [u16::MAX; MAX_CALLS];
    let mut i = 0;
    while i < TABLE.len() {
        let number = TABLE[i].number as usize;
        assert!(index[number] == u16::MAX, "a number stands twice in the table");
        index[number] = i as u16;
        i += 1;
    }
    index
};

/// The line of call `number`.
pub const fn lookup(number: u64) -> Option<&'static Call> {
    if number >= MAX_CALLS as u64 {
        return None;
    }
    let at = INDEX[number as usize];
    if at == u16::MAX { None } else { Some(&TABLE[at as usize]) }
}

/// Pseudo call that a shim makes for itself: the contents of a file of the simulated machine.
/// Arguments: a [`crate::virtual_files::VirtualFile`]'s number, a buffer's address, its size in
/// bytes. Returns the whole content's length; what fits was stored.
pub const PSEUDO_VIRTUAL_FILE: u32 = 0x1_0000;
