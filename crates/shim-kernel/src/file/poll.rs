//! Waiting for some of many files: the shim's own call, from which it makes `poll`, `select` and their kin.
//!
//! An array of `struct pollfd` in, the same with `revents` out. Always true: the array holds virtual descriptors
//! only, in memory of the shim's, which has asked the real kernel about the others before; errors and hang-ups
//! are told whether asked for or not. A signal that has an effect ends the wait even if its time is up, too.

use alloc::vec::Vec;

use shim_abi::process::MAX_DESCRIPTORS;
use shim_abi::{Errno, SimDuration, SimTime};

use super::readiness::poll;
use crate::context::{Answer, Context, done};
use crate::guest::GuestAddr;
use crate::memory::u32_at;
use crate::task::{Wait, Wake};
use crate::waiters::Source;

/// Bytes of a `struct pollfd`.
const ENTRY_BYTES: usize = 8;

/// The shim's own call.
pub(crate) fn poll(
    context: &mut Context<'_>,
    array: GuestAddr,
    count: u64,
    timeout_ns: u64,
) -> Answer {
    if count > MAX_DESCRIPTORS as u64 {
        return Err(Errno::EINVAL);
    }
    let count = count as u32;
    let deadline = context.deadline_after(timeout_ns as i64);
    context.look_at_all(array, count, deadline, deadline <= context.now)
}

impl Context<'_> {
    /// When a time-out in nanoseconds ends; never, if it is negative.
    pub(super) fn deadline_after(&self, timeout_ns: i64) -> SimTime {
        match u64::try_from(timeout_ns) {
            Ok(ns) => self.kernel.time_after(self.now, SimDuration::from_ns(ns)),
            Err(_) => SimTime::MAX,
        }
    }

    /// A wait for files goes on.
    pub(crate) fn finish_poll(
        &mut self,
        array: GuestAddr,
        count: u32,
        deadline: SimTime,
        wake: Wake,
    ) -> Answer {
        self.look_at_all(array, count, deadline, wake == Wake::Timeout)
    }

    fn look_at_all(
        &mut self,
        array: GuestAddr,
        count: u32,
        deadline: SimTime,
        is_late: bool,
    ) -> Answer {
        let mut bytes = alloc::vec![0; ENTRY_BYTES * count as usize];
        self.guest.read(array, &mut bytes)?;
        let mut sources = Vec::new();
        let mut ready = 0;
        for entry in bytes.chunks_exact_mut(ENTRY_BYTES) {
            let (fd, events) = (u32_at(entry, 0), u32_at(entry, 4) & 0xffff);
            let revents = match self.file(fd) {
                _ if (fd as i32) < 0 => 0,
                Ok(id) => {
                    sources.push(Source::File(id));
                    if self.kernel.files.has_signals(id) {
                        sources.push(Source::Signals(self.pid));
                    }
                    let bits = self.kernel.readiness(self.now, id, self.tid);
                    bits & (events | poll::ERR | poll::HUP)
                }
                Err(_) => poll::NVAL,
            };
            ready += i64::from(revents != 0);
            entry[6..].copy_from_slice(&(revents as u16).to_le_bytes());
        }
        let has_signal = ready == 0 && self.has_signal(self.guest.signal_mask());
        if ready > 0 || has_signal || is_late {
            self.guest.write(array, &bytes)?;
            return if has_signal { Err(Errno::EINTR) } else { done(ready) };
        }
        self.park_on(&sources, Wait::Poll { array, count }, deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{DATA, TestGuest, machine, signal};
    use crate::{Kernel, Outcome, VirtualPid, VirtualTid};
    use shim_abi::calls::{PSEUDO_POLL, nr};

    const NOW: SimTime = SimTime::ZERO;
    const POLL: u64 = DATA + 0x100;
    const EVENTS: u64 = (poll::IN | poll::OUT) as u64;

    /// A machine with a pipe at 3 and 4.
    fn bench() -> (Kernel, TestGuest, VirtualTid) {
        let (mut kernel, mut guest, tid) = machine();
        assert_eq!(kernel.do_call(tid, nr::pipe2, [DATA, 0, 3, 4, 0, 0], &mut guest), 0);
        (kernel, guest, tid)
    }

    fn poll(
        (kernel, guest, tid): &mut (Kernel, TestGuest, VirtualTid),
        entries: &[(u64, u64)],
        timeout_ns: i64,
    ) -> Outcome {
        let words: Vec<u64> = entries.iter().map(|&(fd, events)| fd | events << 32).collect();
        guest.put_words(POLL, &words);
        let args = [POLL, entries.len() as u64, timeout_ns as u64, 0, 0, 0];
        kernel.call(NOW, *tid, PSEUDO_POLL, args, guest)
    }

    #[test]
    fn what_is_ready_is_told_at_once() {
        let mut machine = bench();
        let entries = [(4, EVENTS), (0xffff_ffff, EVENTS), (9, 0), (3, EVENTS)];
        assert_eq!(poll(&mut machine, &entries, -1), Outcome::Done(2));
        let revents = machine.1.words::<4>(POLL).map(|word| word >> 48);
        assert_eq!(revents, [poll::OUT, 0, poll::NVAL, 0].map(u64::from));
        assert_eq!(poll(&mut machine, &[(3, EVENTS)], 0), Outcome::Done(0));
        assert_eq!(poll(&mut machine, &[], 0), Outcome::Done(0));
        let (kernel, guest, tid) = &mut machine;
        let args = [8, 1, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(*tid, PSEUDO_POLL, args, guest), Errno::EFAULT.as_return());
        let args = [POLL, 4097, 0, 0, 0, 0];
        assert_eq!(kernel.do_call(*tid, PSEUDO_POLL, args, guest), Errno::EINVAL.as_return());
    }

    #[test]
    fn a_wait_ends_with_a_change_a_signal_or_its_time() {
        let mut machine = bench();
        machine.1.actions.insert(10, 0x1234);
        let (pid, other) = machine.0.spawn(NOW, "other");
        let table = machine.0.copy_descriptors(VirtualPid(1000));
        machine.0.processes.get_mut(&pid).unwrap().descriptors = table;

        assert_eq!(poll(&mut machine, &[(3, EVENTS)], 50), Outcome::Park);
        let (kernel, guest, tid) = &mut machine;
        assert_eq!(kernel.do_call(other, nr::write, [4, DATA, 1, 0, 0, 0], guest), 1);
        assert_eq!(kernel.next_runnable(), Some(*tid));
        assert_eq!(kernel.resume(NOW, *tid, guest), Outcome::Done(1));
        assert_eq!(kernel.next_event(), None);
        assert_eq!(kernel.do_call(*tid, nr::read, [3, DATA, 9, 0, 0, 0], guest), 1);

        assert_eq!(poll(&mut machine, &[(3, EVENTS)], 50), Outcome::Park);
        let (kernel, guest, tid) = &mut machine;
        kernel.post_signal(NOW, VirtualPid(1000), signal(17));
        assert_eq!(kernel.next_runnable(), Some(*tid));
        assert_eq!(kernel.resume(NOW, *tid, guest), Outcome::Park, "it is ignored");
        kernel.post_signal(NOW, VirtualPid(1000), signal(10));
        assert_eq!(kernel.next_runnable(), Some(*tid));
        let interrupted = Outcome::Done(Errno::EINTR.as_return());
        assert_eq!(kernel.resume(NOW, *tid, guest), interrupted);
        kernel.take_signal(NOW, *tid, guest);

        assert_eq!(poll(&mut machine, &[(3, EVENTS)], 50), Outcome::Park);
        let (kernel, guest, tid) = &mut machine;
        let end = SimTime::from_ns(50);
        assert_eq!(kernel.next_event(), Some(end));
        kernel.advance(end);
        assert_eq!(kernel.next_runnable(), Some(*tid));
        assert_eq!(kernel.resume(end, *tid, guest), Outcome::Done(0));
    }
}
