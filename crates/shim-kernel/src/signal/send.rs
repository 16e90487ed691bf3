//! Sending signals: `kill`, `tkill`, `tgkill`, `rt_sigqueueinfo`, `rt_tgsigqueueinfo`, `pidfd_send_signal`.
//!
//! Ids and numbers in; signals in the queues, threads that look out. Always true: a signal is checked
//! (number, then permission) before it is queued, and what the caller itself ignores is not queued. Not
//! here: how it is queued (`queue`), and what becomes of it then (`deliver`).

use alloc::vec::Vec;

use shim_abi::Errno;
use shim_abi::event::SignalInfo;

use super::number::{Disposition, MAX, UNBLOCKABLE, bit, disposition};
use super::queue::Target;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::VirtualPid;
use crate::memory::{read_bytes, read_u32, u32_at, u64_at};

/// `si_code` of a signal that `tkill` sent.
const SI_TKILL: i32 = -6;
/// Bytes of a `siginfo_t`.
const SIGINFO_BYTES: usize = 128;

pub(crate) fn kill(context: &mut Context<'_>, pid: i32, signal: i32) -> Answer {
    let info = context.info_from_caller(signal, libc::SI_USER);
    match pid {
        1.. => {
            let target = context.find_process(pid)?;
            context.send(Target::Process(target), info)?;
        }
        -1 => context.send_to_each(info, |context| context.all_others())?,
        i32::MIN => return Err(Errno::ESRCH),
        0 => context.send_to_each(info, |context| context.processes_of_group(0))?,
        _ => context.send_to_each(info, |context| context.processes_of_group(-pid))?,
    }
    done(0)
}

pub(crate) fn tkill(context: &mut Context<'_>, tid: i32, signal: i32) -> Answer {
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let info = context.info_from_caller(signal, SI_TKILL);
    context.send_to_thread(None, tid, info)
}

pub(crate) fn tgkill(context: &mut Context<'_>, pid: i32, tid: i32, signal: i32) -> Answer {
    if pid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    let info = context.info_from_caller(signal, SI_TKILL);
    context.send_to_thread(Some(pid), tid, info)
}

pub(crate) fn rt_sigqueueinfo(
    context: &mut Context<'_>,
    pid: i32,
    signal: i32,
    from: GuestAddr,
) -> Answer {
    let info = context.read_info(signal, from)?;
    if is_forged(&info) && pid != context.pid.0 as i32 {
        return Err(Errno::EPERM);
    }
    let target = context.find_process(pid)?;
    context.send(Target::Process(target), info)?;
    done(0)
}

pub(crate) fn rt_tgsigqueueinfo(
    context: &mut Context<'_>,
    pid: i32,
    tid: i32,
    signal: i32,
    from: GuestAddr,
) -> Answer {
    let info = context.read_info(signal, from)?;
    if pid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    if is_forged(&info) && tid != context.tid.0 as i32 {
        return Err(Errno::EPERM);
    }
    context.send_to_thread(Some(pid), tid, info)
}

/// The scope of the signal is the descriptor's, or what `flags` say. `process`: whose directory in `/proc` a real
/// descriptor is, if it is one.
pub(crate) fn pidfd_send_signal(
    context: &mut Context<'_>,
    fd: i32,
    signal: i32,
    from: GuestAddr,
    flags: u32,
    process: i32,
) -> Answer {
    const THREAD: u32 = 1;
    const PROCESS: u32 = 2;
    const GROUP: u32 = 4;
    const SELF_THREAD: i32 = -10_000;
    const SELF_PROCESS: i32 = -10_001;
    if flags & !(THREAD | PROCESS | GROUP) != 0 || flags.count_ones() > 1 {
        return Err(Errno::EINVAL);
    }
    let (tid, is_thread) = match fd {
        SELF_THREAD => (context.tid, true),
        SELF_PROCESS => (context.pid.leader(), false),
        _ if process != 0 => (context.find_process(process)?.leader(), false),
        _ => context.task_of(fd as u32).map(|(task, _)| (task.tid, task.is_thread))?,
    };
    let is_thread = if flags == 0 { is_thread } else { flags == THREAD };
    let info = match from.is_null() {
        true if is_thread => context.info_from_caller(signal, SI_TKILL),
        true => context.info_from_caller(signal, libc::SI_USER),
        false => {
            let given = read_u32(context.guest, from)?;
            let info = context.read_info(signal, from)?;
            let is_own = tid == context.tid && flags != GROUP;
            match (given as i32 == signal, is_own || !is_forged(&info)) {
                (false, _) => return Err(Errno::EINVAL),
                (_, false) => return Err(Errno::EPERM),
                _ => info,
            }
        }
    };
    let pid = context.kernel.process_of(tid).ok_or(Errno::ESRCH)?;
    match flags {
        GROUP => context.send_to_each(info, |context| context.processes_of_group(tid.0 as i32))?,
        _ if is_thread => context.send(Target::Thread(tid), info)?,
        _ => context.send(Target::Process(pid), info)?,
    }
    done(0)
}

/// Whether a description claims to come from the kernel or from `tkill`.
fn is_forged(info: &SignalInfo) -> bool {
    info.code >= 0 || info.code == SI_TKILL
}

/// Whether Linux knows what the bytes of a description with this code mean; of others it wants the
/// rest to be zero.
fn is_known_layout(signal: u32, code: i32) -> bool {
    const SI_DETHREAD: i32 = -7;
    const SI_ASYNCNL: i32 = -60;
    const SI_KERNEL: i32 = 0x80;
    let last_code = match signal as i32 {
        libc::SIGILL => 11,
        libc::SIGFPE => 15,
        libc::SIGSEGV => 10,
        libc::SIGBUS => 5,
        libc::SIGSYS => 2,
        _ => 6,
    };
    code == SI_KERNEL
        || code == SI_ASYNCNL
        || (SI_DETHREAD..=libc::SI_USER).contains(&code)
        || (1..=last_code).contains(&code)
}

impl Context<'_> {
    /// The description of a signal that the caller sends; its number is checked later.
    pub(crate) fn info_from_caller(&self, signal: i32, code: i32) -> SignalInfo {
        let [uid, ..] = self.guest.user_ids();
        SignalInfo { signal: signal as u32, code, pid: self.pid.0, uid, ..SignalInfo::default() }
    }

    /// The description of a signal that the caller wrote.
    fn read_info(&mut self, signal: i32, from: GuestAddr) -> Result<SignalInfo, Errno> {
        /// Where the part begins that the kernel does not keep.
        const KEPT_BYTES: usize = 48;
        let bytes: [u8; KEPT_BYTES] = read_bytes(self.guest, from)?;
        let signal = signal as u32;
        let code = u32_at(&bytes, 8) as i32;
        if !is_known_layout(signal, code) {
            let rest: [u8; SIGINFO_BYTES - KEPT_BYTES] =
                read_bytes(self.guest, GuestAddr(from.0 + KEPT_BYTES as u64))?;
            if rest.iter().any(|&byte| byte != 0) {
                return Err(Errno::E2BIG);
            }
        }
        let (pid, uid) = (u32_at(&bytes, 16), u32_at(&bytes, 20));
        let tail = [u64_at(&bytes, 32), u64_at(&bytes, 40)];
        Ok(SignalInfo { signal, code, pid, uid, value: u64_at(&bytes, 24), tail })
    }

    fn find_process(&self, pid: i32) -> Result<VirtualPid, Errno> {
        if pid <= 0 {
            return Err(Errno::ESRCH);
        }
        let tid = self.find_thread(pid)?;
        Ok(self.kernel.threads.get(&tid).ok_or(Errno::ESRCH)?.pid)
    }

    fn all_others(&self) -> Vec<VirtualPid> {
        let is_other = |pid: &VirtualPid| *pid != VirtualPid::INIT && *pid != self.pid;
        self.kernel.processes.keys().copied().filter(is_other).collect()
    }

    fn processes_of_group(&self, group: i32) -> Vec<VirtualPid> {
        let group = if group == 0 { self.process().group } else { VirtualPid(group as u32) };
        let processes = self.kernel.processes.iter();
        processes.filter(|(_, process)| process.group == group).map(|(&pid, _)| pid).collect()
    }

    /// Send to each of some processes: it is enough if one of them can be reached.
    fn send_to_each(
        &mut self,
        info: SignalInfo,
        choose: impl FnOnce(&Self) -> Vec<VirtualPid>,
    ) -> Result<(), Errno> {
        let mut result = Err(Errno::ESRCH);
        for pid in choose(self) {
            let sent = self.send(Target::Process(pid), info);
            if result.is_err() {
                result = sent;
            }
        }
        result
    }

    fn send_to_thread(&mut self, pid: Option<i32>, tid: i32, info: SignalInfo) -> Answer {
        let tid = self.find_thread(tid)?;
        let owner = self.kernel.threads.get(&tid).ok_or(Errno::ESRCH)?.pid;
        if pid.is_some_and(|pid| pid as u32 != owner.0) {
            return Err(Errno::ESRCH);
        }
        self.send(Target::Thread(tid), info)?;
        done(0)
    }

    /// Send one signal to a target that exists.
    fn send(&mut self, target: Target, info: SignalInfo) -> Result<(), Errno> {
        if info.signal > MAX {
            return Err(Errno::EINVAL);
        }
        let receiver = match target {
            Target::Process(pid) => pid.leader(),
            Target::Thread(tid) => tid,
        };
        if !self.may_signal(receiver, info.signal) {
            return Err(Errno::EPERM);
        }
        if info.signal == 0 {
            return Ok(());
        }
        // Only the caller's own mask and actions are at hand; others drop it when they look.
        let is_blocked = self.guest.signal_mask() & !UNBLOCKABLE & bit(info.signal) != 0;
        let is_own = match target {
            Target::Process(pid) => pid == self.pid && self.kernel.threads_of(pid) == [self.tid],
            Target::Thread(tid) => tid == self.tid,
        };
        if is_own && !is_blocked {
            let (handler, _) = self.guest.action(info.signal);
            if disposition(info.signal, handler) == Disposition::Ignore {
                self.kernel.prepare(self.now, self.pid, info.signal);
                return Ok(());
            }
        }
        self.kernel.queue_signal(self.now, target, info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::SignalOutcome;
    use crate::testing::{DATA, TestGuest, UID, machine};
    use crate::{Kernel, VirtualTid};
    use shim_abi::SimTime;
    use shim_abi::calls::nr;

    const PID: i64 = 1000;

    fn call(machine: &mut (Kernel, TestGuest, VirtualTid), number: u32, args: [i64; 4]) -> i64 {
        let (kernel, guest, tid) = machine;
        let [a, b, c, d] = args.map(|arg| arg as u64);
        kernel.do_call(*tid, number, [a, b, c, d, 0, 0], guest)
    }

    fn take((kernel, guest, tid): &mut (Kernel, TestGuest, VirtualTid)) -> SignalOutcome {
        kernel.take_signal(SimTime::ZERO, *tid, guest)
    }

    #[test]
    fn errors_come_in_linux_order() {
        let mut machine = machine();
        for signal in [10, 12] {
            machine.1.actions.insert(signal, 0x1234);
        }
        // At DATA a description of SI_USER, behind it one of SI_QUEUE.
        machine.1.put_words(DATA + 128 + 8, &[u64::from(u32::MAX)]);
        let (user, queue) = (DATA as i64, DATA as i64 + 128);
        let [inval, fault, perm, srch] =
            [Errno::EINVAL, Errno::EFAULT, Errno::EPERM, Errno::ESRCH].map(Errno::as_return);
        for (number, args, expected) in [
            (nr::kill, [PID, 0, 0, 0], 0),
            (nr::kill, [PID, 65, 0, 0], inval),
            (nr::kill, [PID, -1, 0, 0], inval),
            (nr::kill, [999_999, 65, 0, 0], srch),
            (nr::kill, [0, 0, 0, 0], 0),
            (nr::kill, [-PID, 0, 0, 0], 0),
            (nr::kill, [-999_999, 99, 0, 0], srch),
            (nr::kill, [0, 99, 0, 0], inval),
            (nr::kill, [i32::MIN.into(), 0, 0, 0], srch),
            (nr::kill, [1, 0, 0, 0], perm),
            (nr::kill, [1, 99, 0, 0], inval),
            (nr::kill, [-1, 10, 0, 0], srch),
            (nr::tkill, [0, 99, 0, 0], inval),
            (nr::tkill, [-1, 10, 0, 0], inval),
            (nr::tkill, [PID, 0, 0, 0], 0),
            (nr::tkill, [PID, 99, 0, 0], inval),
            (nr::tkill, [999_999, 99, 0, 0], srch),
            (nr::tgkill, [0, PID, 0, 0], inval),
            (nr::tgkill, [PID, 0, 0, 0], inval),
            (nr::tgkill, [PID, PID, 77, 0], inval),
            (nr::tgkill, [PID + 1, PID, 0, 0], srch),
            (nr::tgkill, [999_999, 999_999, 0, 0], srch),
            (nr::rt_sigqueueinfo, [PID, 10, 8, 0], fault),
            (nr::rt_sigqueueinfo, [PID, 10, user, 0], 0),
            (nr::rt_sigqueueinfo, [PID, 99, user, 0], inval),
            (nr::rt_sigqueueinfo, [999_999, 10, user, 0], perm),
            (nr::rt_sigqueueinfo, [999_999, 10, queue, 0], srch),
            (nr::rt_sigqueueinfo, [0, 10, queue, 0], srch),
            (nr::rt_sigqueueinfo, [-1, 10, queue, 0], srch),
            (nr::rt_sigqueueinfo, [1, 10, queue, 0], perm),
            (nr::rt_tgsigqueueinfo, [0, PID, 10, 8], fault),
            (nr::rt_tgsigqueueinfo, [0, PID, 10, queue], inval),
            (nr::rt_tgsigqueueinfo, [PID, PID, 99, queue], inval),
            (nr::rt_tgsigqueueinfo, [PID + 1, PID, 10, queue], srch),
            (nr::rt_tgsigqueueinfo, [PID, PID, 12, user], 0),
            (nr::rt_tgsigqueueinfo, [PID, 999_999, 10, user], perm),
        ] {
            assert_eq!(call(&mut machine, number, args), expected, "{number} {args:?}");
        }
    }

    #[test]
    fn unknown_codes_must_not_carry_what_would_be_lost() {
        let mut machine = machine();
        machine.1.actions.insert(10, 0x1234);
        let big = Errno::E2BIG.as_return();
        for (code, tail, expected) in
            [(-100, 0, 0), (-100, 1, big), (-1, 1, 0), (100, 1, big), (3, 1, 0), (0x80, 1, 0)]
        {
            let mut words = [0; 16];
            words[1] = u64::from(code as u32);
            words[7] = tail;
            machine.1.put_words(DATA, &words);
            let got = call(&mut machine, nr::rt_sigqueueinfo, [PID, 10, DATA as i64, 0]);
            assert_eq!(got, expected, "{code} {tail}");
        }
    }

    #[test]
    fn a_signal_to_itself_arrives_with_its_sender() {
        let mut machine = machine();
        machine.1.actions.insert(10, 0x1234);
        assert_eq!(call(&mut machine, nr::kill, [PID, 10, 0, 0]), 0);
        let info = SignalInfo { signal: 10, pid: 1000, uid: UID, ..SignalInfo::default() };
        assert_eq!(take(&mut machine), SignalOutcome::Deliver(info));
        assert_eq!(take(&mut machine), SignalOutcome::None);
        assert_eq!(call(&mut machine, nr::tgkill, [PID, PID, 10, 0]), 0);
        assert_eq!(take(&mut machine), SignalOutcome::Deliver(SignalInfo { code: -6, ..info }));
        // si_code, then si_pid and si_uid, then si_value.
        machine.1.put_words(DATA, &[0, u64::from(u32::MAX), 5 | 6 << 32, 7]);
        assert_eq!(call(&mut machine, nr::rt_sigqueueinfo, [PID, 10, DATA as i64, 0]), 0);
        let queued =
            SignalInfo { signal: 10, code: -1, pid: 5, uid: 6, value: 7, ..SignalInfo::default() };
        assert_eq!(take(&mut machine), SignalOutcome::Deliver(queued));
    }

    #[test]
    fn default_actions_kill_or_do_nothing() {
        for signal in 1..=64 {
            let mut machine = machine();
            let result = call(&mut machine, nr::kill, [PID, signal, 0, 0]);
            let expected = match signal as i32 {
                libc::SIGSTOP => SignalOutcome::Stop,
                libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => {
                    SignalOutcome::None
                }
                libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => SignalOutcome::None,
                _ => SignalOutcome::Die { signal: signal as u32 },
            };
            assert_eq!((result, take(&mut machine)), (0, expected), "{signal}");
            assert_eq!(machine.0.pending(machine.2), 0);
        }
    }

    #[test]
    fn a_blocked_signal_waits_even_if_it_is_ignored() {
        let mut machine = machine();
        machine.1.mask = bit(10) | bit(9);
        machine.1.actions.insert(10, 1);
        assert_eq!(call(&mut machine, nr::kill, [PID, 10, 0, 0]), 0);
        assert_eq!(machine.0.pending(machine.2), bit(10));
        assert_eq!(take(&mut machine), SignalOutcome::None);
        assert_eq!(call(&mut machine, nr::kill, [PID, 9, 0, 0]), 0);
        assert_eq!(take(&mut machine), SignalOutcome::Die { signal: 9 }, "nobody blocks SIGKILL");
        machine.1.mask = 0;
        assert_eq!(take(&mut machine), SignalOutcome::None);
        assert_eq!(machine.0.pending(machine.2), 0);
    }

    #[test]
    fn others_of_the_host_are_reached() {
        let mut machine = machine();
        let (other, other_tid) = machine.0.spawn(SimTime::ZERO, "other");
        let mut other_guest = TestGuest::new();
        machine.0.call(SimTime::ZERO, other_tid, nr::pause, [0; 6], &mut other_guest);
        assert_eq!(call(&mut machine, nr::kill, [-1, 15, 0, 0]), 0);
        assert_eq!(take(&mut machine), SignalOutcome::None, "-1 spares the caller");
        assert_eq!(machine.0.next_runnable(), Some(other_tid));
        let resumed = machine.0.resume(SimTime::ZERO, other_tid, &mut other_guest);
        assert_eq!(resumed, crate::Outcome::Done(Errno::EINTR.as_return()));
        let taken = machine.0.take_signal(SimTime::ZERO, other_tid, &mut other_guest);
        assert_eq!(taken, SignalOutcome::Die { signal: 15 });
        machine.0.end(other, 0, &mut machine.1);
        assert_eq!(call(&mut machine, nr::kill, [-1, 15, 0, 0]), Errno::ESRCH.as_return());
    }
}
