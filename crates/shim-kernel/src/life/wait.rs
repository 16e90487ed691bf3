//! Waiting for children: `wait4`, `waitid`.
//!
//! Whom and for what in; what became of a child out, or the caller parks until a child changes. Always true: the
//! caller's own children come before those of its process's other threads, each in the order in which they became
//! children; an end is told once (unless WNOWAIT says otherwise), and then the child's number is free.

use alloc::vec::Vec;

use shim_abi::{Errno, SimTime};

use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::memory::Layout;
use crate::task::{Life, Process, State, Wait};
use crate::usage::{RESIDENT_KIB, usage_of};
use crate::waiters::Source;

const WNOHANG: u32 = libc::WNOHANG as u32;
const WUNTRACED: u32 = libc::WUNTRACED as u32;
const WSTOPPED: u32 = libc::WSTOPPED as u32;
const WEXITED: u32 = libc::WEXITED as u32;
const WCONTINUED: u32 = libc::WCONTINUED as u32;
const WNOWAIT: u32 = libc::WNOWAIT as u32;
const WNOTHREAD: u32 = libc::__WNOTHREAD as u32;
const WALL: u32 = libc::__WALL as u32;
const WCLONE: u32 = libc::__WCLONE as u32;

/// Which children are waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whom {
    All,
    Process(VirtualPid),
    Group(VirtualPid),
}

/// Where the answer goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// `wait4`: a status word.
    Status(GuestAddr),
    /// `waitid`: part of a `siginfo_t`.
    Info(GuestAddr),
}

/// What a call waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waited {
    whom: Whom,
    options: u32,
    form: Form,
    usage: GuestAddr,
    /// Whether it fails where it would wait.
    is_nonblocking: bool,
}

/// What became of a child.
#[derive(Clone, Copy, Debug)]
struct Change {
    pid: VirtualPid,
    code: i32,
    /// As `si_status` shows it.
    status: i32,
    /// As `wait4` shows it.
    word: i32,
}

pub(crate) fn wait4(
    context: &mut Context<'_>,
    pid: i32,
    status: GuestAddr,
    options: u32,
    usage: GuestAddr,
) -> Answer {
    if options & !(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE) != 0 {
        return Err(Errno::EINVAL);
    }
    let whom = match pid {
        i32::MIN => return Err(Errno::ESRCH),
        -1 => Whom::All,
        0 => Whom::Group(context.process().group),
        1.. => Whom::Process(VirtualPid(pid as u32)),
        _ => Whom::Group(VirtualPid(pid.unsigned_abs())),
    };
    let form = Form::Status(status);
    context.wait_for(Waited {
        whom,
        options: options | WEXITED,
        form,
        usage,
        is_nonblocking: false,
    })
}

pub(crate) fn waitid(
    context: &mut Context<'_>,
    which: u32,
    id: i32,
    info: GuestAddr,
    options: u32,
    usage: GuestAddr,
) -> Answer {
    let answer = match context.whom_of_waitid(which, id, options) {
        Ok(whom) => {
            // A process's descriptor may say itself that it is not waited for.
            let is_nonblocking = which == libc::P_PIDFD
                && context.task_of(id as u32).is_ok_and(|(_, is_nonblocking)| is_nonblocking);
            let form = Form::Info(info);
            context.wait_for(Waited { whom, options, form, usage, is_nonblocking })
        }
        Err(errno) => Err(errno),
    };
    // Linux stores something whatever happened.
    if answer.is_err_and(|errno| errno != Errno::EFAULT) && !info.is_null() {
        context.write_info(info, None)?;
    }
    answer
}

impl Context<'_> {
    fn whom_of_waitid(&self, which: u32, id: i32, options: u32) -> Result<Whom, Errno> {
        let whats = WEXITED | WSTOPPED | WCONTINUED;
        if options & !(whats | WNOHANG | WNOWAIT | WNOTHREAD | WALL | WCLONE) != 0
            || options & whats == 0
        {
            return Err(Errno::EINVAL);
        }
        match which {
            libc::P_ALL => Ok(Whom::All),
            libc::P_PID if id > 0 => Ok(Whom::Process(VirtualPid(id as u32))),
            libc::P_PGID if id == 0 => Ok(Whom::Group(self.process().group)),
            libc::P_PGID if id > 0 => Ok(Whom::Group(VirtualPid(id as u32))),
            libc::P_PIDFD if id >= 0 => match self.task_of(id as u32) {
                Ok((task, _)) => Ok(Whom::Process(VirtualPid(task.tid.0))),
                Err(Errno::ESRCH) => Err(Errno::ECHILD),
                Err(errno) => Err(errno),
            },
            _ => Err(Errno::EINVAL),
        }
    }

    /// Tell of a child that has changed, or park.
    fn wait_for(&mut self, waited: Waited) -> Answer {
        match self.look_at_children(waited)? {
            Some(change) => self.tell_change(waited, change),
            None if waited.options & WNOHANG != 0 => {
                if let Form::Info(info) = waited.form
                    && !info.is_null()
                {
                    self.write_info(info, None)?;
                }
                done(0)
            }
            None if waited.is_nonblocking => Err(Errno::EAGAIN),
            None if self.has_signal(self.guest.signal_mask()) => Err(Errno::ERESTARTSYS),
            None => {
                let sources = [Source::Children(self.pid)];
                self.park_on(&sources, Wait::Child(waited), SimTime::MAX)
            }
        }
    }

    pub(crate) fn finish_wait(&mut self, waited: Waited) -> Answer {
        let answer = self.wait_for(waited);
        if let Form::Info(info) = waited.form
            && answer.is_err_and(|errno| errno != Errno::EFAULT)
            && !info.is_null()
        {
            self.write_info(info, None)?;
        }
        answer
    }

    /// The first child that has changed as asked: ECHILD if none can.
    fn look_at_children(&mut self, waited: Waited) -> Result<Option<Change>, Errno> {
        let mut can_change = false;
        for pid in self.children_to_look_at(waited) {
            let Some(child) = self.kernel.processes.get_mut(&pid) else { continue };
            let has = |option: u32| waited.options & option != 0;
            if let Life::Zombie(end) = child.life {
                if has(WEXITED) {
                    let (code, status) = end.code_and_status();
                    return Ok(Some(Change { pid, code, status, word: end.wait_status() }));
                }
                continue;
            }
            can_change = true;
            let keeps = has(WNOWAIT);
            if has(WSTOPPED)
                && let Some(signal) = child.job.untold_stop
            {
                child.job.untold_stop = child.job.untold_stop.filter(|_| keeps);
                let (status, word) = (signal as i32, (signal as i32) << 8 | 0x7f);
                return Ok(Some(Change { pid, code: libc::CLD_STOPPED, status, word }));
            }
            if has(WCONTINUED) && child.job.is_continued {
                child.job.is_continued = keeps;
                let (status, word) = (libc::SIGCONT, 0xffff);
                return Ok(Some(Change { pid, code: libc::CLD_CONTINUED, status, word }));
            }
        }
        if can_change { Ok(None) } else { Err(Errno::ECHILD) }
    }

    /// The children that a wait concerns, in the order in which it looks at them.
    fn children_to_look_at(&self, waited: Waited) -> Vec<VirtualPid> {
        let has = |option: u32| waited.options & option != 0;
        let is_concerned = |pid: VirtualPid, child: &Process| {
            let is_named = match waited.whom {
                Whom::All => true,
                Whom::Process(named) => pid == named,
                Whom::Group(group) => child.group == group,
            };
            let is_clone = child.exit_signal != libc::SIGCHLD as u32;
            child.parent == self.pid
                && is_named
                && (has(WALL) || is_clone == has(WCLONE))
                && (!has(WNOTHREAD) || child.parent_thread == self.tid)
                && self.is_born(pid)
        };
        let order = |pid: &VirtualPid| {
            let child = self.kernel.processes.get(pid);
            child.map(|child| (child.parent_thread != self.tid, child.parent_thread, child.place))
        };
        let processes = self.kernel.processes.iter();
        let concerned = processes.filter(|&(&pid, child)| is_concerned(pid, child));
        let mut pids: Vec<VirtualPid> = concerned.map(|(&pid, _)| pid).collect();
        pids.sort_by_key(order);
        pids
    }

    fn is_born(&self, pid: VirtualPid) -> bool {
        let leader = self.kernel.threads.get(&pid.leader());
        leader.is_some_and(|leader| !matches!(leader.state, State::Unborn(_)))
    }

    /// Store what became of a child. As on Linux, it has been told even if that fails.
    fn tell_change(&mut self, waited: Waited, change: Change) -> Answer {
        let Some(child) = self.kernel.processes.get(&change.pid) else {
            return Err(Errno::ECHILD);
        };
        let user = child.user;
        let cpu_ns = child.cpu_ns.saturating_add(child.children_cpu_ns);
        if matches!(child.life, Life::Zombie(_)) && waited.options & WNOWAIT == 0 {
            let process = self.process_mut();
            process.children_cpu_ns = process.children_cpu_ns.saturating_add(cpu_ns);
            process.has_waited = true;
            self.kernel.reap(self.now, change.pid);
        }
        let usage = usage_of(cpu_ns, RESIDENT_KIB);
        if !waited.usage.is_null() && matches!(waited.form, Form::Info(_)) {
            self.guest.write(waited.usage, usage.bytes())?;
        }
        match waited.form {
            Form::Status(to) if !to.is_null() => {
                self.guest.write(to, &change.word.to_le_bytes())?;
            }
            Form::Info(to) if !to.is_null() => self.write_info(to, Some((change, user)))?,
            _ => {}
        }
        if !waited.usage.is_null() && matches!(waited.form, Form::Status(_)) {
            self.guest.write(waited.usage, usage.bytes())?;
        }
        done(match waited.form {
            Form::Status(_) => change.pid.0.into(),
            Form::Info(_) => 0,
        })
    }

    /// Store the fields of a `siginfo_t` that `waitid` stores, and no others.
    fn write_info(&mut self, to: GuestAddr, told: Option<(Change, u32)>) -> Result<(), Errno> {
        let mut head = Layout::<12>::new();
        let mut tail = Layout::<12>::new();
        if let Some((change, user)) = told {
            head.u32(0, libc::SIGCHLD as u32);
            head.u32(8, change.code as u32);
            tail.u32(0, change.pid.0);
            tail.u32(4, user);
            tail.u32(8, change.status as u32);
        }
        self.guest.write(to, head.bytes())?;
        self.guest.write(GuestAddr(to.0.wrapping_add(16)), tail.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, UID, machine, signal};
    use crate::{End, Kernel, Outcome, VirtualTid};
    use core::mem::offset_of;
    use shim_abi::calls::nr;

    const NOW: SimTime = SimTime::ZERO;
    const ALL: u64 = u64::MAX;
    const STATUS: u64 = DATA + 64;
    const USAGE: u64 = DATA + 256;
    const ECHILD: i64 = Errno::ECHILD.as_return();
    const HANG: u64 = WNOHANG as u64;

    /// A machine whose process 1000 has these children: the numbers of their first threads.
    fn family<const N: usize>(flags: [i32; N]) -> (Kernel, TestGuest, VirtualTid, [VirtualTid; N]) {
        let (mut kernel, mut guest, tid) = machine();
        let children = flags.map(|flags| kernel.fork(tid, flags, &mut guest));
        (kernel, guest, tid, children)
    }

    fn wait4(
        (kernel, guest, tid): (&mut Kernel, &mut TestGuest, VirtualTid),
        pid: i64,
        options: u64,
    ) -> i64 {
        let args = [pid as u64, STATUS, options, USAGE, 0, 0];
        kernel.do_call(tid, nr::wait4, args, guest)
    }

    #[test]
    fn an_end_is_told_once_with_its_status() {
        let (mut kernel, mut guest, tid, [child]) = family([0]);
        guest.cpu_ns = 2_500_000_000;
        kernel.do_call(child, nr::alarm, [0; 6], &mut guest);
        guest.cpu_ns = 0;
        assert_eq!(wait4((&mut kernel, &mut guest, tid), -1, HANG), 0, "it lives");
        kernel.end(VirtualPid(1001), 0x107, &mut guest);
        assert_eq!(wait4((&mut kernel, &mut guest, tid), -1, HANG), 1001);
        assert_eq!(guest.words::<1>(STATUS), [7 << 8]);
        assert_eq!(guest.words::<2>(USAGE), [2, 500_000]);
        assert_eq!(kernel.process_of(child), None);
        assert_eq!(wait4((&mut kernel, &mut guest, tid), -1, HANG), ECHILD);
        let args = [ALL, DATA, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::getrusage, args, &mut guest), 0);
        assert_eq!(guest.words::<5>(DATA), [2, 500_000, 0, 0, RESIDENT_KIB]);
        kernel.do_call(tid, nr::times, [DATA, 0, 0, 0, 0, 0], &mut guest);
        assert_eq!(guest.words::<4>(DATA), [0, 0, 250, 0]);
    }

    #[test]
    fn every_end_has_a_status_word() {
        for (end, word, code, status) in [
            (End::Exited(255), 0xff00, libc::CLD_EXITED, 255),
            (End::Killed { signal: 9, has_core: false }, 9, libc::CLD_KILLED, 9),
            (End::Killed { signal: 11, has_core: true }, 0x8b, libc::CLD_DUMPED, 11),
        ] {
            assert_eq!((end.wait_status(), end.code_and_status()), (word, (code, status)));
        }
    }

    #[test]
    fn who_waits_is_woken_by_a_change_or_a_signal() {
        let (mut kernel, mut guest, tid, _) = family([0]);
        guest.actions.insert(10, 0x1234);
        let args = [1001, STATUS, 0, 0, 0, 0];
        assert_eq!(kernel.call(NOW, tid, nr::wait4, args, &mut guest), Outcome::Park);
        kernel.post_signal(NOW, VirtualPid(1000), signal(10));
        assert_eq!(kernel.next_runnable(), Some(tid));
        let restart = Outcome::Done(Errno::ERESTARTSYS.as_return());
        assert_eq!(kernel.resume(NOW, tid, &mut guest), restart);
        kernel.take_signal(NOW, tid, &mut guest);
        assert_eq!(kernel.call(NOW, tid, nr::wait4, args, &mut guest), Outcome::Park);
        kernel.end(VirtualPid(1001), 3, &mut guest);
        assert_eq!(kernel.next_runnable(), Some(tid));
        assert_eq!(kernel.resume(NOW, tid, &mut guest), Outcome::Done(1001));
        assert_eq!(guest.words::<1>(STATUS), [3 << 8]);
        assert_eq!(kernel.next_runnable(), None);
    }

    #[test]
    fn children_are_chosen_by_number_group_kind_and_thread() {
        // The last one sends no signal: a "clone child".
        let (mut kernel, mut guest, tid, [_, b, c]) = family([0, 0, 0]);
        let args = [c.0.into(), 0, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::setpgid, args, &mut guest), 0);
        let thread = kernel.add_thread(tid, &mut guest);
        let silent = [0, 0, 0, 0, 0, ALL];
        let outcome = kernel.call(NOW, thread, nr::clone, silent, &mut guest);
        let Outcome::Clone { tid: d, .. } = outcome else { panic!("a fork") };
        kernel.clone_done(NOW, thread, d, Ok(()), &mut guest);
        assert_eq!(d, VirtualTid(1005));
        for tid in [b, c, d] {
            kernel.end(VirtualPid(tid.0), 1, &mut guest);
        }
        let keep = u64::from(WNOWAIT | WEXITED) | HANG;
        let mut waitid = |tid, which: u32, id: u64, options: u32| {
            let args = [which.into(), id, DATA, keep | u64::from(options), 0, 0];
            match kernel.do_call(tid, nr::waitid, args, &mut guest) {
                0 => i64::from(guest.words::<3>(DATA)[2] as u32),
                error => error,
            }
        };
        assert_eq!(waitid(tid, libc::P_ALL, 0, 0), 1002);
        assert_eq!(waitid(tid, libc::P_PID, 1001, 0), 0);
        assert_eq!(waitid(tid, libc::P_PGID, 0, 0), 1002);
        assert_eq!(waitid(tid, libc::P_PGID, 1003, 0), 1003);
        assert_eq!(waitid(tid, libc::P_ALL, 0, WCLONE), 1005);
        assert_eq!(waitid(tid, libc::P_PID, 1005, 0), ECHILD);
        assert_eq!(waitid(tid, libc::P_ALL, 0, WNOTHREAD | WCLONE), ECHILD);
        assert_eq!(waitid(thread, libc::P_ALL, 0, WALL), 1005, "its own first");
        assert_eq!(waitid(thread, libc::P_ALL, 0, 0), 1002);
        assert_eq!(waitid(thread, libc::P_ALL, 0, WNOTHREAD), ECHILD);
    }

    #[test]
    fn waitid_describes_as_siginfo_does() {
        assert_eq!(offset_of!(libc::siginfo_t, si_errno), 4);
        assert_eq!(offset_of!(libc::siginfo_t, si_code), 8);
        let (mut kernel, mut guest, tid, _) = family([0]);
        guest.put_words(DATA, &[u64::MAX; 4]);
        let args = [0, 0, DATA, u64::from(WEXITED) | HANG, 0, 0];
        assert_eq!(kernel.do_call(tid, nr::waitid, args, &mut guest), 0);
        let pad = u64::from(u32::MAX) << 32;
        assert_eq!(guest.words::<4>(DATA), [0, pad, 0, pad], "nothing to tell, the rest kept");
        kernel.end(VirtualPid(1001), 5, &mut guest);
        assert_eq!(kernel.do_call(tid, nr::waitid, args, &mut guest), 0);
        let code = libc::CLD_EXITED as u64;
        let expected = [17, pad | code, 1001 | u64::from(UID) << 32, pad | 5];
        assert_eq!(guest.words::<4>(DATA), expected);
    }

    #[test]
    fn errors_come_in_linux_order() {
        let (mut kernel, mut guest, tid) = machine();
        let [inval, srch, badf] = [Errno::EINVAL, Errno::ESRCH, Errno::EBADF].map(Errno::as_return);
        for (args, expected) in [
            ([ALL, 8, u64::from(WNOWAIT), 8], inval),
            ([i32::MIN as u64, 8, WEXITED.into(), 8], inval),
            ([i32::MIN as u64, 8, 0, 8], srch),
            ([ALL, 8, 0, 8], ECHILD),
            ([0, 8, 0, 8], ECHILD),
            ([(-5_i64) as u64, 8, 0, 8], ECHILD),
        ] {
            let [a, b, c, d] = args;
            let got = kernel.do_call(tid, nr::wait4, [a, b, c, d, 0, 0], &mut guest);
            assert_eq!(got, expected, "{args:?}");
        }
        let exited = u64::from(WEXITED);
        for (args, expected) in [
            ([9, 0, exited | 1 << 16], inval),
            ([0, 0, HANG], inval),
            ([9, 1, exited], inval),
            ([libc::P_PID.into(), 0, exited], inval),
            ([libc::P_PGID.into(), ALL, exited], inval),
            ([libc::P_PIDFD.into(), ALL, exited], inval),
            ([libc::P_PIDFD.into(), 3, exited], badf),
            ([libc::P_PGID.into(), 0, exited], ECHILD),
            ([libc::P_ALL.into(), 0, exited], ECHILD),
        ] {
            let [a, b, c] = args;
            guest.put_words(DATA, &[1]);
            let got = kernel.do_call(tid, nr::waitid, [a, b, DATA, c, 0, 0], &mut guest);
            assert_eq!((got, guest.words(DATA)), (expected, [0]), "{args:?}");
        }
    }

    #[test]
    fn an_end_that_cannot_be_stored_is_told_all_the_same() {
        let (mut kernel, mut guest, tid, _) = family([0]);
        kernel.end(VirtualPid(1001), 5, &mut guest);
        let got = kernel.do_call(tid, nr::wait4, [ALL, 8, 0, 0, 0, 0], &mut guest);
        assert_eq!(got, Errno::EFAULT.as_return());
        assert_eq!(wait4((&mut kernel, &mut guest, tid), -1, 0), ECHILD);
    }

    #[test]
    fn a_zombie_is_nothing_to_who_waits_for_stops() {
        let (mut kernel, mut guest, tid, _) = family([0]);
        kernel.end(VirtualPid(1001), 5, &mut guest);
        let args = [0, 0, 0, u64::from(WSTOPPED), 0, 0];
        assert_eq!(kernel.do_call(tid, nr::waitid, args, &mut guest), ECHILD);
    }
}
