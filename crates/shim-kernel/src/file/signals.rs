//! Signals behind descriptors: `signalfd4`.
//!
//! A set of signals in, descriptions of those that wait out. Always true: a file holds a set and no signals: whoever
//! reads takes its own, and those of its process; whether it is ready depends on who asks. So a thread that waits for
//! one waits for signals of its process, and entries of epoll hear of those of the process that made them.

use alloc::collections::BTreeSet;

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::epoll::Watcher;
use super::readiness::poll;
use super::table::{FileId, Object};
use super::transfer::{Progress, Transfer};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::memory::{Layout, read_words};
use crate::waiters::Source;

/// Bytes of a signal set.
const SET_BYTES: u64 = 8;
/// Bytes of a `struct signalfd_siginfo`.
const INFO_BYTES: usize = 128;
/// SIGKILL and SIGSTOP.
const NEVER: u64 = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);

/// The entries of epoll that hear of a process's signals, and the files that they watch.
pub(super) type SignalWatchers = BTreeSet<(VirtualPid, FileId, Watcher)>;

/// `signalfd`: the shim forwards [`signalfd4`] instead.
pub(crate) fn signalfd(
    context: &mut Context<'_>,
    old: i32,
    from: GuestAddr,
    bytes: u64,
    fd: u32,
) -> Answer {
    signalfd4(context, old, from, bytes, 0, fd)
}

pub(crate) fn signalfd4(
    context: &mut Context<'_>,
    old: i32,
    from: GuestAddr,
    bytes: u64,
    flags: u32,
    fd: u32,
) -> Answer {
    if bytes != SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let [set] = read_words(context.guest, from)?;
    let set = set & !NEVER;
    let [cloexec, nonblock] = [libc::SFD_CLOEXEC, libc::SFD_NONBLOCK].map(|flag| flag as u32);
    if flags & !(cloexec | nonblock) != 0 {
        return Err(Errno::EINVAL);
    }
    if old == -1 {
        let status = libc::O_RDWR as u32 | flags & nonblock;
        context.create(fd, Object::Signals(set), status, flags)?;
        return done(fd.into());
    }
    let id = context.file(old as u32)?;
    match &mut context.kernel.files.get_mut(id)?.object {
        Object::Signals(old) => *old = set,
        _ => return Err(Errno::EINVAL),
    }
    context.kernel.notify_signal_files(context.now, context.pid, poll::ANY);
    done(old.into())
}

impl Context<'_> {
    pub(super) fn read_signals(&mut self, set: u64, transfer: &mut Transfer) -> Progress {
        if transfer.left() < INFO_BYTES {
            return Err(Errno::EINVAL);
        }
        while transfer.left() >= INFO_BYTES {
            let Some(info) = self.dequeue_any(set) else { break };
            if let Err(errno) = transfer.store(self.guest, description_of(&info).bytes()) {
                return transfer.end_with(errno);
            }
        }
        Ok(if transfer.moved > 0 { Some(transfer.moved) } else { None })
    }
}

impl Kernel {
    /// Whether one of a set of signals waits for a thread or its process.
    pub(super) fn signals_readiness(&self, set: u64, tid: VirtualTid) -> u32 {
        let Some(thread) = self.threads.get(&tid) else { return 0 };
        let process = self.processes.get(&thread.pid);
        let bits = thread.pending.bits() | process.map_or(0, |process| process.pending.bits());
        if bits & set != 0 { poll::IN } else { 0 }
    }

    /// A signal waits for a process or a thread of it: whoever looks at one of its files looks again.
    pub(crate) fn notify_signal_files(&mut self, now: SimTime, pid: VirtualPid, bits: u32) {
        self.notify(now, Source::Signals(pid));
        let first = (pid, FileId(0), Watcher { epoll: FileId(0), fd: 0 });
        let of_process = self.files.signal_watchers.range(first..);
        let of_process = of_process.take_while(|(watcher, ..)| *watcher == pid);
        let of_process: alloc::vec::Vec<_> = of_process.copied().collect();
        for (_, file, watcher) in of_process {
            self.tell_watcher(now, file, watcher, bits);
        }
    }
}

/// A `struct signalfd_siginfo`.
fn description_of(info: &SignalInfo) -> Layout<INFO_BYTES> {
    const SI_TIMER: i32 = -2;
    const SI_SIGIO: i32 = -5;
    const SI_KERNEL: i32 = 0x80;
    let mut layout = Layout::new();
    layout.u32(0, info.signal);
    layout.u32(8, info.code as u32);
    let has_cause = info.code > 0 && info.code < SI_KERNEL;
    match info.signal as i32 {
        libc::SIGCHLD if has_cause => {
            layout.u32(12, info.pid);
            layout.u32(16, info.uid);
            layout.u32(40, info.value as u32);
            layout.u64(56, info.tail[0]);
            layout.u64(64, info.tail[1]);
        }
        libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGTRAP | libc::SIGFPE if has_cause => {
            layout.u64(72, u64::from(info.pid) | u64::from(info.uid) << 32);
        }
        _ if has_cause || info.code == SI_SIGIO => {
            layout.u32(28, info.pid);
            layout.u32(20, info.value as u32);
        }
        _ if info.code == SI_TIMER => {
            layout.u32(24, info.pid);
            layout.u32(32, info.uid);
            layout.u32(44, info.value as u32);
            layout.u64(48, info.value);
        }
        _ => {
            layout.u32(12, info.pid);
            layout.u32(16, info.uid);
            if info.code < 0 {
                layout.u32(44, info.value as u32);
                layout.u64(48, info.value);
            }
        }
    }
    layout
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine, signal};
    use crate::{Kernel, Outcome};
    use core::mem::{offset_of, size_of};
    use shim_abi::calls::{PSEUDO_POLL, nr};

    const NOW: SimTime = SimTime::ZERO;
    const FD: u64 = 7;
    const AGAIN: Outcome = Outcome::Done(Errno::EAGAIN.as_return());

    const fn bit(signal: u32) -> u64 {
        1 << (signal - 1)
    }

    #[test]
    fn a_description_is_libcs() {
        assert_eq!(size_of::<libc::signalfd_siginfo>(), INFO_BYTES);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_code), 8);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_pid), 12);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_uid), 16);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_fd), 20);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_tid), 24);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_band), 28);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_overrun), 32);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_status), 40);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_int), 44);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_ptr), 48);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_utime), 56);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_stime), 64);
        assert_eq!(offset_of!(libc::signalfd_siginfo, ssi_addr), 72);
    }

    /// A machine that blocks signals 10 and 12 and reads them from 7.
    struct Bench {
        kernel: Kernel,
        guest: TestGuest,
        tid: VirtualTid,
    }

    impl Bench {
        fn new() -> Bench {
            let (kernel, mut guest, tid) = machine();
            guest.mask = bit(10) | bit(12);
            guest.put_words(DATA, &[bit(10) | bit(12) | bit(9)]);
            let mut bench = Bench { kernel, guest, tid };
            let made = bench.call(nr::signalfd4, [u64::MAX, DATA, 8, 0, FD]);
            assert_eq!(made, Outcome::Done(7));
            bench
        }
        fn call(&mut self, number: u32, [a, b, c, d, e]: [u64; 5]) -> Outcome {
            self.kernel.call(NOW, self.tid, number, [a, b, c, d, e, 0], &mut self.guest)
        }
        fn read(&mut self, bytes: u64) -> Outcome {
            self.call(nr::read, [FD, DATA, bytes, 0, 0])
        }
        fn set_nonblocking(&mut self) {
            self.call(nr::fcntl, [FD, libc::F_SETFL as u64, libc::O_NONBLOCK as u64, 0, 0]);
        }
        fn is_ready(&mut self) -> bool {
            self.guest.put_words(DATA, &[FD | 0xffff << 32]);
            self.call(PSEUDO_POLL, [DATA, 1, 0, 0, 0]) == Outcome::Done(1)
        }
        fn post(&mut self, number: u32) {
            self.kernel.post_signal(NOW, VirtualPid(self.tid.0), signal(number));
        }
        fn resume(&mut self, tid: VirtualTid) -> Outcome {
            assert_eq!(self.kernel.next_runnable(), Some(tid));
            self.kernel.resume(NOW, tid, &mut self.guest)
        }
    }

    #[test]
    fn a_read_takes_as_many_as_fit() {
        let mut bench = Bench::new();
        bench.set_nonblocking();
        assert_eq!(bench.read(128), AGAIN);
        assert_eq!(bench.read(127), Outcome::Done(Errno::EINVAL.as_return()));
        bench.post(12);
        bench.post(10);
        bench.post(34);
        assert!(bench.is_ready());
        assert_eq!(bench.read(500), Outcome::Done(256));
        let words = bench.guest.words::<17>(DATA);
        assert_eq!((words[0], words[16]), (10, 12));
        assert!(!bench.is_ready());
        assert_eq!(bench.kernel.pending(bench.tid), bit(34));
    }

    #[test]
    fn descriptions_tell_what_the_kind_of_signal_has() {
        let info = |signal, code| SignalInfo {
            signal,
            code,
            pid: 1,
            uid: 2,
            value: 3 | 4 << 32,
            tail: [5, 6],
        };
        let word = |info: &SignalInfo, at| crate::memory::u32_at(description_of(info).bytes(), at);
        let sent = info(10, 0);
        assert_eq!([12, 16, 44].map(|at| word(&sent, at)), [1, 2, 0]);
        let queued = info(10, -1);
        assert_eq!([12, 16, 44, 48, 52].map(|at| word(&queued, at)), [1, 2, 3, 3, 4]);
        let child = info(17, 1);
        assert_eq!([12, 16, 40, 56, 64].map(|at| word(&child, at)), [1, 2, 3, 5, 6]);
        let timer = info(14, -2);
        assert_eq!([12, 24, 32, 44].map(|at| word(&timer, at)), [0, 1, 2, 3]);
    }

    #[test]
    fn whoever_waits_is_woken_by_a_signal_that_all_block() {
        let mut bench = Bench::new();
        let tid = bench.tid;
        assert_eq!(bench.read(128), Outcome::Park);
        bench.post(12);
        assert_eq!(bench.resume(tid), Outcome::Done(128));
        bench.guest.put_words(DATA, &[FD | 1 << 32]);
        assert_eq!(bench.call(PSEUDO_POLL, [DATA, 1, u64::MAX, 0, 0]), Outcome::Park);
        bench.post(12);
        assert_eq!(bench.resume(tid), Outcome::Done(1));
        assert_eq!(bench.read(128), Outcome::Done(128));

        bench.call(nr::epoll_create1, [0, 8, 0, 0, 0]);
        bench.guest.put_words(DATA, &[1 | 77 << 32, 0]);
        bench.call(nr::epoll_ctl, [8, 1, FD, DATA, 0]);
        assert_eq!(bench.call(nr::epoll_wait, [8, DATA, 9, u64::MAX, 0]), Outcome::Park);
        bench.post(12);
        assert_eq!(bench.resume(tid), Outcome::Done(1));
        assert_eq!(bench.read(128), Outcome::Done(128));
        bench.call(nr::close, [FD, 0, 0, 0, 0]);
        assert!(bench.kernel.files.signal_watchers.is_empty());
    }

    #[test]
    fn another_process_sees_its_own_signals() {
        let mut bench = Bench::new();
        let child = bench.kernel.fork(bench.tid, 0, &mut bench.guest);
        bench.post(10);
        assert!(bench.is_ready());
        bench.tid = child;
        assert!(!bench.is_ready());
        bench.set_nonblocking();
        assert_eq!(bench.read(128), AGAIN);
    }

    #[test]
    fn the_set_can_be_changed() {
        let mut bench = Bench::new();
        bench.post(34);
        assert!(!bench.is_ready());
        bench.guest.put_words(DATA, &[bit(34)]);
        assert_eq!(bench.call(nr::signalfd4, [FD, DATA, 8, 0, u64::MAX]), Outcome::Done(7));
        assert!(bench.is_ready());
        bench.call(nr::eventfd2, [0, 0, 9, 0, 0]);
        for (args, expected) in [
            ([u64::MAX, DATA, 4, 0, 8], Errno::EINVAL),
            ([u64::MAX, 8, 8, 1, 8], Errno::EFAULT),
            ([u64::MAX, DATA, 8, 1, 8], Errno::EINVAL),
            ([99, DATA, 8, 0, 8], Errno::EBADF),
            ([9, DATA, 8, 0, 8], Errno::EINVAL),
        ] {
            let got = bench.call(nr::signalfd4, args);
            assert_eq!(got, Outcome::Done(expected.as_return()), "{args:?}");
        }
    }
}
