//! Signals by number, and what they do by default.
//!
//! Numbers in, a [`Disposition`] out. Always true: signal `n` is bit `n - 1` of a set, and SIGKILL and
//! SIGSTOP cannot be blocked. Which action a process has chosen is the guest's word.

/// Signals are numbered from 1 to this.
pub(crate) const MAX: u32 = shim_abi::process::MAX_SIGNAL as u32;
/// The first signal that queues.
pub(crate) const SIGRTMIN: u32 = 32;

pub(crate) const SIGKILL: u32 = libc::SIGKILL as u32;
pub(crate) const SIGALRM: u32 = libc::SIGALRM as u32;
pub(crate) const SIGCONT: u32 = libc::SIGCONT as u32;
pub(crate) const SIGSTOP: u32 = libc::SIGSTOP as u32;

/// Signals that stop a process by default.
pub(crate) const STOPS: u64 = set_of(&[libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]);
/// Signals that do nothing by default.
pub(crate) const IGNORED: u64 =
    set_of(&[libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH]);
/// Signals that an instruction causes: they come before all others.
pub(crate) const SYNCHRONOUS: u64 =
    set_of(&[libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGTRAP, libc::SIGFPE, libc::SIGSYS]);
/// Signals that no mask holds back.
pub(crate) const UNBLOCKABLE: u64 = bit(SIGKILL) | bit(SIGSTOP);

/// A signal's bit in a set.
pub(crate) const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

const fn set_of(signals: &[i32]) -> u64 {
    let mut set = 0;
    let mut i = 0;
    while i < signals.len() {
        set |= bit(signals[i] as u32);
        i += 1;
    }
    set
}

/// What becomes of a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disposition {
    /// A handler runs.
    Handle,
    /// Nothing.
    Ignore,
    /// The process stops.
    Stop,
    /// The process dies.
    Die,
}

/// What becomes of `signal` in a process whose action for it has this handler.
pub(crate) const fn disposition(signal: u32, handler: u64) -> Disposition {
    const DEFAULT: u64 = 0;
    const IGNORE: u64 = 1;
    let bit = bit(signal);
    let handler = if bit & UNBLOCKABLE != 0 { DEFAULT } else { handler };
    match handler {
        IGNORE => Disposition::Ignore,
        DEFAULT if bit & IGNORED != 0 => Disposition::Ignore,
        DEFAULT if bit & STOPS != 0 => Disposition::Stop,
        DEFAULT => Disposition::Die,
        _ => Disposition::Handle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_actions_are_those_of_signal_7() {
        let default = |signal: i32| disposition(signal as u32, 0);
        assert_eq!(default(libc::SIGTERM), Disposition::Die);
        assert_eq!(default(libc::SIGQUIT), Disposition::Die);
        assert_eq!(default(libc::SIGCHLD), Disposition::Ignore);
        assert_eq!(default(libc::SIGCONT), Disposition::Ignore);
        assert_eq!(default(libc::SIGTSTP), Disposition::Stop);
        assert_eq!(default(64), Disposition::Die);
        assert_eq!(disposition(libc::SIGKILL as u32, 1), Disposition::Die);
        assert_eq!(disposition(libc::SIGSTOP as u32, 77), Disposition::Stop);
        assert_eq!(disposition(libc::SIGTERM as u32, 1), Disposition::Ignore);
        assert_eq!(disposition(libc::SIGCHLD as u32, 77), Disposition::Handle);
    }
}
