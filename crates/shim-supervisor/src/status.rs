//! How a guest ended.
//!
//! What waitid(2) reported to the launcher in, an [`ExitStatus`] out. Always true: it is the kernel's
//! word about the native process, never the guest's own. What a guest announced before it ended
//! (`ProcessBlock::exit_status`) is not here.

use std::fmt;

/// How a native process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// It exited with this code, 0 to 255.
    Code(i32),
    /// This signal killed it.
    Signal {
        /// 1 to 64.
        signal: i32,
        /// The kernel wrote a core file.
        has_core: bool,
    },
    /// Nobody knows: the launcher was killed, and the guest with it.
    Lost,
}

impl ExitStatus {
    /// From `si_code` and `si_status` of waitid(2).
    pub(crate) fn from_wait(code: i32, status: i32) -> ExitStatus {
        match code {
            libc::CLD_EXITED => ExitStatus::Code(status),
            libc::CLD_KILLED => ExitStatus::Signal { signal: status, has_core: false },
            libc::CLD_DUMPED => ExitStatus::Signal { signal: status, has_core: true },
            _ => ExitStatus::Lost,
        }
    }

    /// The status by which a shell shows it: the code, or 128 plus the signal's number. A lost guest
    /// counts as killed by SIGKILL, which is what the launcher's death does to it.
    pub fn shell_code(self) -> i32 {
        match self {
            ExitStatus::Code(code) => code,
            ExitStatus::Signal { signal, .. } => 128 + signal,
            ExitStatus::Lost => 128 + libc::SIGKILL,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitStatus::Code(code) => write!(f, "exit status {code}"),
            ExitStatus::Signal { signal, has_core: false } => {
                write!(f, "killed by signal {signal}")
            }
            ExitStatus::Signal { signal, has_core: true } => {
                write!(f, "killed by signal {signal} (core dumped)")
            }
            ExitStatus::Lost => f.write_str("lost together with the launcher"),
        }
    }
}
