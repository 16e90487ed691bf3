//! Sending signals: `kill`, `tkill`, `tgkill`, `rt_sigqueueinfo`, `rt_tgsigqueueinfo`.
//!
//! Ids and numbers in; signals in the queues, threads that look out. Always true: a signal is checked
//! (number, then permission) before it is queued, and what its receiver ignores is not queued. Not
//! here: what becomes of a queued signal (`deliver`).

use alloc::vec::Vec;

use shim_abi::event::SignalInfo;
use shim_abi::{Errno, SimTime};

use super::number::{
    Disposition, MAX, SIGCONT, SIGRTMIN, SIGSTOP, STOPS, UNBLOCKABLE, bit, disposition,
};
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::memory::{read_bytes, u32_at, u64_at};

/// `si_code` of a signal that `tkill` sent.
const SI_TKILL: i32 = -6;
/// Bytes of a `siginfo_t`.
const SIGINFO_BYTES: usize = 128;

/// Whom a signal is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Whichever thread of the process takes it.
    Process(VirtualPid),
    /// This thread.
    Thread(VirtualTid),
}

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
    fn info_from_caller(&self, signal: i32, code: i32) -> SignalInfo {
        let [uid, ..] = self.guest.user_ids();
        SignalInfo { signal: signal as u32, code, pid: self.pid.0, uid, value: 0 }
    }

    /// The description of a signal that the caller wrote.
    fn read_info(&mut self, signal: i32, from: GuestAddr) -> Result<SignalInfo, Errno> {
        /// Where the part begins that the kernel does not keep.
        const KEPT_BYTES: usize = 48;
        let bytes: [u8; SIGINFO_BYTES] = read_bytes(self.guest, from)?;
        let signal = signal as u32;
        let code = u32_at(&bytes, 8) as i32;
        if !is_known_layout(signal, code) && bytes[KEPT_BYTES..].iter().any(|&byte| byte != 0) {
            return Err(Errno::E2BIG);
        }
        let (pid, uid) = (u32_at(&bytes, 16), u32_at(&bytes, 20));
        Ok(SignalInfo { signal, code, pid, uid, value: u64_at(&bytes, 24) })
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
        if !self.may_touch(receiver) {
            return Err(Errno::EPERM);
        }
        if info.signal == 0 {
            return Ok(());
        }
        if info.signal == SIGSTOP {
            return Err(Errno::ENOSYS);
        }
        // Only the caller's own mask and actions are at hand; others drop it when they look.
        let is_blocked = self.guest.signal_mask() & !UNBLOCKABLE & bit(info.signal) != 0;
        if receiver == self.tid && !is_blocked {
            let (handler, _) = self.guest.action(info.signal);
            if disposition(info.signal, handler) == Disposition::Ignore {
                return Ok(());
            }
        }
        self.kernel.queue_signal(self.now, target, info)
    }
}

impl Kernel {
    /// Queue a signal (1 to 64) and let parked threads look at it. EAGAIN if it carries data and its
    /// receiver has too many signals waiting.
    pub(crate) fn queue_signal(
        &mut self,
        now: SimTime,
        target: Target,
        info: SignalInfo,
    ) -> Result<(), Errno> {
        let pid = match target {
            Target::Process(pid) => pid,
            Target::Thread(tid) => self.threads.get(&tid).ok_or(Errno::ESRCH)?.pid,
        };
        let tids = self.threads_of(pid);
        let Some(process) = self.processes.get_mut(&pid) else { return Err(Errno::ESRCH) };

        // Continuing and stopping cancel each other, whoever has them pending.
        let cancelled = match bit(info.signal) {
            stop if stop & STOPS != 0 => bit(SIGCONT),
            cont if cont == bit(SIGCONT) => STOPS,
            _ => 0,
        };
        let mut waiting = process.pending.len();
        process.pending.remove(cancelled);
        for tid in &tids {
            if let Some(thread) = self.threads.get_mut(tid) {
                waiting += thread.pending.len();
                thread.pending.remove(cancelled);
            }
        }
        let has_room = (waiting as u64) < process.limits.pending_signals();

        let pending = match target {
            Target::Process(_) => &mut process.pending,
            Target::Thread(tid) => {
                &mut self.threads.get_mut(&tid).ok_or(Errno::ESRCH)?.pending
            }
        };
        if pending.absorbs(info.signal) {
            return Ok(());
        }
        let is_ordinary = info.signal < SIGRTMIN;
        if has_room || (is_ordinary && info.code >= 0) {
            pending.push(info);
        } else if is_ordinary || info.code == libc::SI_USER {
            pending.push_bare(info.signal);
        } else {
            return Err(Errno::EAGAIN);
        }

        match target {
            Target::Process(_) => tids.into_iter().for_each(|tid| self.wake_to_look(now, tid)),
            Target::Thread(tid) => self.wake_to_look(now, tid),
        }
        Ok(())
    }
}
