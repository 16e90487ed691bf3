//! The kernel, called by its host's guests themselves.
//!
//! A call that the kernel answers without the simulator in, a [`Visit`] out. Always true: what the simulator does
//! after a call of its own it need not do after one that ended in [`Visit::Done`], because there is nothing to do: no
//! signal waits for the caller, and nothing that guests read of the process changed. What is left is to go no further
//! than [`Kernel::run_until`], which may be another instant than before. A thread that parks so is named by
//! [`Kernel::pass_on`] when it can go on, and finishes its call by [`Kernel::go_on`]; if the simulator is faster, it
//! resumes the thread as any other. So it makes no difference to a run who called. Which process the code runs in
//! is not known here; how a guest comes to call is in `libshim.so`.

use shim_abi::SimTime;
use shim_abi::calls::{
    PSEUDO_DUPLICATE, PSEUDO_NAME, PSEUDO_PEEK_PIPE, PSEUDO_POLL, PSEUDO_REOPEN,
    PSEUDO_TAKE_RIGHTS, nr,
};

use crate::guest::Guest;
use crate::ids::VirtualTid;
use crate::kernel::Kernel;
use crate::outcome::Outcome;

/// What became of a call by a guest itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Visit {
    /// Nothing has happened: the simulator is to answer the call. Signals wait for the caller, say: what they do may be
    /// of interest to others, whom only the simulator can ask.
    Elsewhere,
    /// It returns this, and that is all.
    Done {
        /// What it returns.
        result: i64,
        /// Whether it has woken other threads, which can go on when the caller's turn ends.
        has_woken: bool,
    },
    /// It returns this, and the simulator must see to the rest, as after [`Outcome::Done`].
    Answered {
        /// What it returns.
        result: i64,
        /// Whether it has woken other threads.
        has_woken: bool,
    },
    /// The thread waits, as after [`Outcome::Park`].
    Parked,
}

/// A call in which a thread waits that it made itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Visited {
    /// Where the thread's channel is, by its own word.
    pub block: u32,
    /// The call's number.
    pub number: u32,
    /// Its arguments.
    pub args: [u64; 6],
}

/// The flag of a futex that only one address space uses.
const FUTEX_PRIVATE: u64 = 128;

/// Whether guests may make this call themselves: it touches the kernel's state and the caller's memory, asks for nothing
/// about other guests, and neither makes nor ends anybody.
pub const fn is_for_visitors(number: u32, args: [u64; 6]) -> bool {
    match number {
        nr::futex => args[1] & FUTEX_PRIVATE != 0,
        nr::read
        | nr::write
        | nr::readv
        | nr::writev
        | nr::close
        | nr::fstat
        | nr::ioctl
        | nr::fcntl
        | nr::pipe
        | nr::pipe2
        | nr::eventfd
        | nr::eventfd2
        | nr::epoll_create
        | nr::epoll_create1
        | nr::epoll_ctl
        | nr::epoll_wait
        | nr::epoll_pwait
        | nr::epoll_pwait2
        | nr::timerfd_create
        | nr::timerfd_settime
        | nr::timerfd_gettime
        | nr::splice
        | nr::tee
        | nr::vmsplice
        | nr::sendfile
        | nr::socket
        | nr::socketpair
        | nr::bind
        | nr::listen
        | nr::accept
        | nr::accept4
        | nr::connect
        | nr::shutdown
        | nr::sendto
        | nr::recvfrom
        | nr::sendmsg
        | nr::recvmsg
        | nr::getsockname
        | nr::getpeername
        | nr::getsockopt
        | nr::setsockopt
        | nr::getpgid
        | nr::getsid
        | nr::getpriority
        | nr::getitimer
        | nr::getrusage
        | nr::getrlimit
        | nr::times
        | nr::sysinfo
        | nr::nanosleep
        | nr::clock_nanosleep
        | nr::timer_gettime
        | nr::timer_getoverrun
        | nr::sched_getparam
        | nr::sched_getscheduler
        | nr::sched_getaffinity
        | nr::sched_getattr
        | nr::sched_rr_get_interval
        | nr::sched_get_priority_max
        | nr::sched_get_priority_min
        | nr::semop
        | nr::semtimedop
        | nr::msgsnd
        | nr::msgrcv
        | nr::mq_timedsend
        | nr::mq_timedreceive
        | PSEUDO_DUPLICATE
        | PSEUDO_POLL
        | PSEUDO_PEEK_PIPE
        | PSEUDO_REOPEN
        | PSEUDO_NAME
        | PSEUDO_TAKE_RIGHTS => true,
        _ => false,
    }
}

impl Kernel {
    /// The layout of the state: a number that only builds share which can use each other's kernels.
    pub const LAYOUT: u64 = parse(env!("SHIM_KERNEL_LAYOUT"));

    /// As [`Kernel::call`], made by the guest of `tid` itself, whose channel is at `block`, of a call that
    /// [`is_for_visitors`].
    pub fn visit(
        &mut self,
        now: SimTime,
        (tid, block): (VirtualTid, u32),
        number: u32,
        args: [u64; 6],
        guest: &mut dyn Guest,
    ) -> Visit {
        if !self.is_quiet(tid) {
            return Visit::Elsewhere;
        }
        match self.call(now, tid, number, args, guest) {
            Outcome::Done(result) => {
                let has_woken = self.collect_ready();
                if self.is_quiet(tid) {
                    Visit::Done { result, has_woken }
                } else {
                    Visit::Answered { result, has_woken }
                }
            }
            Outcome::Park => {
                if let Some(thread) = self.threads.get_mut(&tid) {
                    thread.visit = Some(Visited { block, number, args });
                }
                Visit::Parked
            }
            other => unreachable!("call {number} came to {other:?} in a guest"),
        }
    }

    /// As [`Kernel::resume`], by the guest of `tid` itself, to which control was passed on.
    pub fn go_on(&mut self, now: SimTime, tid: VirtualTid, guest: &mut dyn Guest) -> Visit {
        match self.resume(now, tid, guest) {
            Outcome::Done(result) => {
                let has_woken = self.collect_ready();
                if self.is_quiet(tid) {
                    Visit::Done { result, has_woken }
                } else {
                    Visit::Answered { result, has_woken }
                }
            }
            Outcome::Park => Visit::Parked,
            other => unreachable!("a call came to {other:?} in a guest that went on"),
        }
    }

    /// The call in which `tid` waits, if it made it itself.
    pub fn visited(&self, tid: VirtualTid) -> Option<Visited> {
        self.threads.get(&tid)?.visit
    }

    /// Whether nothing waits for this thread, and nothing is to be told about its process.
    pub(crate) fn is_quiet(&self, tid: VirtualTid) -> bool {
        let Some(thread) = self.threads.get(&tid) else { return false };
        let Some(process) = self.processes.get(&thread.pid) else { return false };
        thread.pending.bits() | process.pending.bits() == 0
            && !process.is_changed
            && !self.has_dropped_files()
            && !process.job.is_stopped
            && !process.job.owes_notice
    }
}

/// The number that a text says.
const fn parse(text: &str) -> u64 {
    let mut number: u64 = 0;
    let mut at = 0;
    while at < text.len() {
        let digit = text.as_bytes()[at].wrapping_sub(b'0');
        assert!(digit < 10, "not a number");
        number = number.wrapping_mul(10).wrapping_add(digit as u64);
        at += 1;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine};
    use shim_abi::SimDuration;
    use shim_abi::event::SignalInfo;

    const NOW: SimTime = SimTime::from_ns(1000);
    const BLOCK: u32 = 7;

    fn done(result: i64) -> Visit {
        Visit::Done { result, has_woken: false }
    }

    /// A machine whose guest has a pipe: 5 to read from, 6 to write to.
    fn with_pipe() -> (Kernel, TestGuest, VirtualTid) {
        let (mut kernel, mut guest, tid) = machine();
        let pid = kernel.process_of(tid).unwrap();
        kernel.take_published(pid);
        assert_eq!(kernel.do_call(tid, nr::pipe2, [0, 0, 5, 6, 0, 0], &mut guest), 0);
        (kernel, guest, tid)
    }

    #[test]
    fn what_concerns_nobody_else_is_done() {
        let (mut kernel, mut guest, tid) = with_pipe();
        let mut visit =
            |number, args: [u64; 6]| kernel.visit(NOW, (tid, BLOCK), number, args, &mut guest);
        assert_eq!(visit(nr::write, [6, DATA, 3, 0, 0, 0]), done(3));
        assert_eq!(visit(nr::read, [5, DATA, 9, 0, 0, 0]), done(3));
        assert_eq!(visit(nr::read, [77, DATA, 9, 0, 0, 0]), done(-9));
        assert_eq!(visit(nr::read, [5, DATA, 9, 0, 0, 0]), Visit::Parked);
    }

    #[test]
    fn who_wakes_somebody_hears_of_it() {
        let (mut kernel, mut guest, tid) = with_pipe();
        let other = kernel.add_thread(tid, &mut guest);
        let args = [5, DATA, 9, 0, 0, 0];
        assert_eq!(kernel.visit(NOW, (other, BLOCK), nr::read, args, &mut guest), Visit::Parked);
        let args = [6, DATA, 1, 0, 0, 0];
        assert_eq!(
            kernel.visit(NOW, (tid, BLOCK), nr::write, args, &mut guest),
            Visit::Done { result: 1, has_woken: true }
        );
        // It is awake already.
        assert_eq!(kernel.visit(NOW, (tid, BLOCK), nr::write, args, &mut guest), done(1));
        assert_eq!(kernel.next_ready(), Some(other));
        assert_eq!(kernel.resume(NOW, other, &mut guest), Outcome::Done(2));
        assert_eq!(kernel.visit(NOW, (tid, BLOCK), nr::write, args, &mut guest), done(1));
    }

    #[test]
    fn a_signal_is_the_simulators_and_a_plan_is_not() {
        let (mut kernel, mut guest, tid) = with_pipe();
        let made = [libc::CLOCK_MONOTONIC as u64, 0, 7, 0, 0, 0];
        assert_eq!(kernel.visit(NOW, (tid, BLOCK), nr::timerfd_create, made, &mut guest), done(7));
        guest.put_words(DATA, &[0, 0, 5, 0]);
        let set = [7, 0, DATA, 0, 0, 0];
        kernel.begin_step(SimTime::MAX);
        assert_eq!(kernel.run_until(NOW), SimTime::MAX);
        let visit = kernel.visit(NOW, (tid, BLOCK), nr::timerfd_settime, set, &mut guest);
        assert_eq!(visit, done(0));
        assert_eq!(kernel.run_until(NOW), NOW + SimDuration::from_secs(5), "something will happen");
        let close = [5, 0, 0, 0, 0, 0];
        assert_eq!(kernel.visit(NOW, (tid, BLOCK), nr::close, close, &mut guest), done(0));
        let write = [6, DATA, 1, 0, 0, 0];
        assert_eq!(
            kernel.visit(NOW, (tid, BLOCK), nr::write, write, &mut guest),
            Visit::Answered { result: -32, has_woken: false }
        );
    }

    #[test]
    fn a_call_while_a_signal_waits_is_the_simulators() {
        let (mut kernel, mut guest, tid) = with_pipe();
        guest.mask = u64::MAX;
        guest.put_words(DATA, &[u64::MAX]);
        let made = [u64::MAX, DATA, 8, 0, 8, 0];
        assert_eq!(kernel.do_call(tid, nr::signalfd4, made, &mut guest), 8);
        let info = SignalInfo { signal: 10, ..SignalInfo::default() };
        kernel.post_signal(NOW, kernel.process_of(tid).unwrap(), info);
        let read = [8, DATA, 128, 0, 0, 0];
        assert_eq!(kernel.visit(NOW, (tid, BLOCK), nr::read, read, &mut guest), Visit::Elsewhere);
        assert_eq!(kernel.call(NOW, tid, nr::read, read, &mut guest), Outcome::Done(128));
        assert_eq!(kernel.pending(tid), 0);
    }

    #[test]
    fn futexes_of_several_address_spaces_are_not_for_visitors() {
        let wake = |operation: u64| is_for_visitors(nr::futex, [DATA, operation, 1, 0, 0, 0]);
        assert!(wake(1 | FUTEX_PRIVATE) && !wake(1));
        assert!(!is_for_visitors(nr::kill, [0; 6]) && !is_for_visitors(nr::clone, [0; 6]));
    }
}
