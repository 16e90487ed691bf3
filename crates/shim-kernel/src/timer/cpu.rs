//! Processor time as a clock: ITIMER_VIRTUAL, ITIMER_PROF, RLIMIT_CPU, who sleeps by it, and when all this is looked at.
//!
//! Readings of the guest in, signals and woken threads out. Always true: all processor time is user time, so both
//! timers count the same; a thread whose process is waited for so hands over at the latest when that would expire if nobody else ran
//! meanwhile, and every time it is heard of its process's timers are compared with what it has used.

use shim_abi::event::SignalInfo;
use shim_abi::{SimDuration, SimTime};

use super::{Base, CpuInterval, State, Timer, Timers};
use crate::agenda::Entry;
use crate::context::Context;
use crate::guest::Guest;
use crate::ids::{VirtualPid, VirtualTid};
use crate::kernel::Kernel;
use crate::signal::Target;
use crate::task::{CpuEnd, Process, Wait, Wake};

/// One of the two timers of `setitimer` that count processor time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    /// ITIMER_VIRTUAL.
    Virtual = 0,
    /// ITIMER_PROF.
    Profile = 1,
}

impl Process {
    /// Whether anything may be waiting for its processor time.
    pub(super) fn counts_cpu(&self) -> bool {
        let Timers { posix, cpu_intervals, sleepers, .. } = &self.timers;
        !posix.is_empty()
            || !sleepers.is_empty()
            || cpu_intervals.iter().any(|interval| interval.deadline_ns.is_some())
            || self.limits.cpu_ns().is_some()
    }
}

impl Context<'_> {
    /// What is left of a timer, and its period.
    pub(crate) fn cpu_interval(&self, which: Which) -> (SimDuration, SimDuration) {
        let process = self.process();
        let CpuInterval { deadline_ns, period_ns } = process.timers.cpu_intervals[which as usize];
        // What runs is never zero.
        let left = |deadline: u64| deadline.saturating_sub(process.cpu_ns).max(1_000);
        let left = deadline_ns.map_or(0, left);
        (SimDuration::from_ns(left), SimDuration::from_ns(period_ns))
    }

    /// Set a timer; nothing left: stop it.
    pub(crate) fn set_cpu_interval(
        &mut self,
        which: Which,
        left: SimDuration,
        period: SimDuration,
    ) {
        let process = self.process_mut();
        let deadline = process.cpu_ns.saturating_add(left.as_ns());
        process.timers.cpu_intervals[which as usize] = match left {
            SimDuration::ZERO => CpuInterval::default(),
            _ => CpuInterval { deadline_ns: Some(deadline), period_ns: period.as_ns() },
        };
    }

    /// Timers that have counted enough expire: once, however often they would have.
    pub(super) fn expire_cpu_intervals(&mut self) {
        let cpu_ns = self.process().cpu_ns;
        for (which, signal) in [libc::SIGVTALRM, libc::SIGPROF].into_iter().enumerate() {
            let interval = &mut self.process_mut().timers.cpu_intervals[which];
            let Some(deadline) = interval.deadline_ns.filter(|&deadline| deadline <= cpu_ns) else {
                continue;
            };
            let periods = (cpu_ns - deadline).checked_div(interval.period_ns);
            interval.deadline_ns = periods.map(|periods| {
                deadline.saturating_add(interval.period_ns.saturating_mul(periods + 1))
            });
            let info = SignalInfo {
                signal: signal as u32,
                code: libc::SI_KERNEL,
                ..SignalInfo::default()
            };
            // Ordinary signals always find room.
            let _ = self.kernel.queue_signal(self.now, Target::Process(self.pid), info);
        }
    }

    /// A process that has used more than it may is told every second, and killed at last.
    pub(super) fn expire_cpu_limit(&mut self) {
        let process = self.process_mut();
        let Some((soft, hard)) = process.limits.cpu_ns() else { return };
        let signal = match process.cpu_ns {
            used if used >= hard => libc::SIGKILL,
            used if used >= soft => {
                process.limits.raise_cpu();
                libc::SIGXCPU
            }
            _ => return,
        };
        let info =
            SignalInfo { signal: signal as u32, code: libc::SI_KERNEL, ..SignalInfo::default() };
        // Ordinary signals always find room.
        let _ = self.kernel.queue_signal(self.now, Target::Process(self.pid), info);
    }

    /// Wake the threads that sleep until the caller's process has used what it has.
    pub(super) fn wake_cpu_sleepers(&mut self) {
        let cpu_ns = self.process().cpu_ns;
        let sleepers = &mut self.process_mut().timers.sleepers;
        let later = sleepers.split_off(&(cpu_ns.saturating_add(1), VirtualTid(0)));
        for (_, tid) in core::mem::replace(sleepers, later) {
            self.kernel.wake(tid, Wake::Timeout);
        }
    }

    /// The caller goes on: plan when it hands over for its process's timers.
    pub(crate) fn plan_cpu(&mut self) {
        self.kernel.unplan_cpu(self.pid);
        let Some(process) = self.kernel.processes.get(&self.pid) else { return };
        if !process.counts_cpu() {
            return;
        }
        let timers = &process.timers;
        let left_of_timer = |timer: &Timer| {
            let is_counting = match timer.base {
                Base::Process => true,
                Base::Thread(tid) => tid == self.tid,
                _ => false,
            };
            let setting = timer.setting.filter(|_| is_counting && timer.state == State::Armed)?;
            Some(setting.expiry.as_ns().saturating_sub(self.count(timer, false).as_ns()))
        };
        let left = |end: u64| end.saturating_sub(process.cpu_ns);
        let intervals = timers.cpu_intervals.iter().filter_map(|interval| interval.deadline_ns);
        let limit = process.limits.cpu_ns().map(|(soft, hard)| soft.min(hard));
        let sleeper = timers.sleepers.first().map(|&(end, _)| end);
        let ends = intervals.chain(limit).chain(sleeper).map(left);
        let Some(left) = timers.posix.values().filter_map(left_of_timer).chain(ends).min() else {
            return;
        };
        let at = self.now + SimDuration::from_ns(left);
        self.kernel.agenda.add(at, Entry::Cpu(self.pid));
        self.process_mut().timers.planned = Some(at);
    }
}

impl Kernel {
    /// A thread sleeps until a process has used some processor time, or does not any more.
    pub(crate) fn note_cpu_sleeper(&mut self, tid: VirtualTid, wait: Wait, sleeps: bool) {
        let Wait::Sleep { cpu_end: Some(CpuEnd { pid, ns }), .. } = wait else { return };
        let Some(process) = self.processes.get_mut(&pid) else { return };
        match sleeps {
            true => process.timers.sleepers.insert((ns, tid)),
            false => process.timers.sleepers.remove(&(ns, tid)),
        };
    }

    /// A thread that a guest made runs for the first time, without having called: plan when it hands over.
    pub fn begins(&mut self, now: SimTime, tid: VirtualTid, guest: &mut dyn Guest) {
        if let Some(mut context) = Context::new(self, now, tid, guest) {
            context.plan_cpu();
        }
    }

    /// No thread of the process runs, or it is looked at now.
    pub(crate) fn unplan_cpu(&mut self, pid: VirtualPid) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        if let Some(at) = process.timers.planned.take() {
            self.agenda.remove(at, Entry::Cpu(pid));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SignalOutcome;
    use crate::testing::{DATA, machine};
    use shim_abi::calls::nr;

    const MS: u64 = 1_000_000;

    #[test]
    fn who_uses_more_than_it_may_is_warned_every_second_and_killed() {
        const SECOND: u64 = 1_000 * MS;
        let (mut kernel, mut guest, tid) = machine();
        guest.actions.insert(libc::SIGXCPU as u32, 0x1234);
        guest.put_words(DATA, &[2, 4]);
        let limit = [libc::RLIMIT_CPU as u64, DATA, 0, 0, 0, 0];
        kernel.do_call(tid, nr::setrlimit, limit, &mut guest);
        assert_eq!(kernel.next_event(), Some(SimTime::from_ns(2 * SECOND)));
        let mut signal_at = |cpu_ms: u64| {
            guest.cpu_ns = cpu_ms * MS;
            match kernel.take_signal(SimTime::ZERO, tid, &mut guest) {
                SignalOutcome::Deliver(info) => info.signal as i32,
                SignalOutcome::Die { signal } => -(signal as i32),
                _ => 0,
            }
        };
        let signals = [1_999, 2_000, 2_999, 3_500, 4_100].map(&mut signal_at);
        assert_eq!(signals, [0, libc::SIGXCPU, 0, libc::SIGXCPU, -libc::SIGKILL]);
    }

    #[test]
    fn a_timer_counts_what_its_process_has_used() {
        for (which, signal) in [(1, libc::SIGVTALRM), (2, libc::SIGPROF)] {
            let (mut kernel, mut guest, tid) = machine();
            guest.actions.insert(signal as u32, 0x1234);
            guest.cpu_ns = MS;
            // 10 ms at first, then every 4 ms.
            guest.put_words(DATA, &[0, 4_000, 0, 10_000]);
            let set = [which, DATA, 0, 0, 0, 0];
            assert_eq!(kernel.do_call(tid, nr::setitimer, set, &mut guest), 0);
            assert_eq!(kernel.next_event(), Some(SimTime::from_ns(10 * MS)));
            guest.cpu_ns = 8 * MS;
            let get = [which, DATA, 0, 0, 0, 0];
            assert_eq!(kernel.do_call(tid, nr::getitimer, get, &mut guest), 0);
            assert_eq!(guest.words::<4>(DATA), [0, 4_000, 0, 3_000]);
            guest.cpu_ns = 20 * MS;
            let now = SimTime::from_ns(19 * MS);
            let taken = kernel.take_signal(now, tid, &mut guest);
            let info = SignalInfo { signal: signal as u32, code: 0x80, ..SignalInfo::default() };
            assert_eq!(taken, SignalOutcome::Deliver(info));
            assert_eq!(kernel.take_signal(now, tid, &mut guest), SignalOutcome::None);
            kernel.do_call(tid, nr::getitimer, get, &mut guest);
            assert_eq!(guest.words::<4>(DATA), [0, 4_000, 0, 3_000], "the next is at 23 ms");
            // It outlives another image, but no child has it.
            kernel.exec_started(now, tid, &mut guest);
            kernel.do_call(tid, nr::getitimer, get, &mut guest);
            assert_eq!(guest.words::<2>(DATA + 16), [0, 3_000]);
            let child = kernel.fork(tid, 0, &mut guest);
            kernel.do_call(child, nr::getitimer, get, &mut guest);
            assert_eq!(guest.words::<4>(DATA), [0; 4]);
            kernel.end(VirtualPid(1000), 0, &mut guest);
            assert_eq!(kernel.next_event(), None);
        }
    }
}
